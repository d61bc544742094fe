package exec

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strconv"
	"time"

	"github.com/hydrawalk/hydra"
	"github.com/hydrawalk/hydra/internal/selection"
	"github.com/hydrawalk/hydra/walk"
)

// opExec is the operation of errors of commands.
const opExec = "exec"

// handler runs commands for one worker.
//
//	LeaveDir, File, Batch ─► run ─► attempts, on a goroutine of its own
//	                          │          │ done
//	                          └─ Await ◄─┘ ─► counted, emitted
type handler struct {
	w       *hydra.Worker[Settings, Stats]
	selects *selection.Matcher
	program string   // "": it depends on the path
	env     []string // without what is of one command
	files   *outputDir
}

// Act implements [hydra.Actor]. A command is no act that is planned: what it changes
// only it knows, and it can not be settled by looking at an entry.
func (h *handler) Act(_ context.Context, _ *walk.Held, a *hydra.Act) { a.Result = hydra.ActFailed }

// EnterDir implements [walk.DirHandler].
func (h *handler) EnterDir(_ context.Context, d *walk.Dir) error {
	if d.Parent() == nil {
		if err := h.files.refuse(d.Path()); err != nil {
			return err
		}
	}
	if own, err := h.files.holds(d); own || err != nil {
		return cmp.Or(err, fs.SkipDir)
	}
	return nil
}

// LeaveDir implements [walk.DirHandler].
func (h *handler) LeaveDir(context.Context, *walk.Dir) error { return nil }

// dirs runs a command for each directory, when its entries were listed: so a failure
// keeps nobody from what is below.
type dirs struct{ *handler }

func (dirs) File(context.Context, *walk.Entry) error { return walk.SkipFile }

func (h dirs) LeaveDir(ctx context.Context, d *walk.Dir) error {
	if meant, err := h.selects.MatchDir(d); !meant || err != nil {
		if err == nil {
			h.w.Stats.SkippedDirs.Inc()
		}
		return err
	}
	path := d.Path()
	return h.run(ctx, d.Await, &target{paths: []string{path}, root: d.Root(), in: path, again: d.Again(), dir: true})
}

// files runs a command for each file.
type files struct{ *handler }

func (h files) File(ctx context.Context, e *walk.Entry) error {
	if err := h.skips(e); err != nil {
		return err
	}
	path := e.Path()
	return h.run(ctx, e.Await, &target{paths: []string{path}, root: e.Root(), in: filepath.Dir(path), again: e.Again()})
}

// batches runs a command for many files.
type batches struct{ *handler }

func (h batches) File(_ context.Context, e *walk.Entry) error {
	if err := h.skips(e); err != nil {
		return err
	}
	return walk.ToBatch
}

// skips is nil for an entry that is meant.
func (h *handler) skips(e *walk.Entry) error {
	if e.Dir() == nil {
		// A PATH that is a file lies where its directory does, wherever it leads.
		if err := h.files.refuse(filepath.Dir(e.Path())); err != nil {
			return err
		}
	}
	meant, err := h.selects.Match(e)
	if err == nil && !meant {
		err = walk.SkipFile
	}
	return err
}

// BatchSize implements [walk.Batcher]: as many as there is room for.
func (h batches) BatchSize(entries []walk.Entry) int {
	s := &h.w.Settings
	room := argMax() - size(h.env) - size(s.Command.expand(s, nil)) - ownEnv
	if len(entries) > 0 {
		room -= 2 * (len(entries[0].Root()) + len(entries[0].Path())) // in the environment
	}
	return s.Command.fit(s, room, len(entries), func(i int) int { return len(entries[i].Path()) })
}

func (h batches) Batch(ctx context.Context, entries []walk.Entry) error {
	t := &target{root: entries[0].Root(), again: entries[0].Again()}
	for i := range entries {
		t.paths = append(t.paths, entries[i].Path())
	}
	t.in = filepath.Dir(t.paths[0])
	return h.run(ctx, entries[0].Await, t)
}

// ownEnv is room for the variables of a command, but for paths, and for what the
// system puts there.
const ownEnv = 8 << 10

// size is what strings take where the system hands them to a command.
func size(strings []string) (n int) {
	for _, s := range strings {
		n += len(s) + perArg
	}
	return n
}

// perArg is what a string takes besides its bytes: a NUL and a pointer.
const perArg = 1 + 8

// target is what a command runs for.
type target struct {
	paths []string
	root  string
	in    string // the directory to run it in, with --chdir
	again bool
	dir   bool // it is a directory
}

// run runs the command for a target and counts what came of it.
func (h *handler) run(ctx context.Context, await func(context.Context, <-chan struct{}) error, t *target) error {
	c := h.w.Settings // while it runs, these hold
	if c.DryRun {
		s := h.w.Stats
		s.Commands.Inc()
		s.Entries.Add(int64(len(t.paths)))
		line := quoted(c.Command.expand(&c, t.paths)) + "\n"
		if len(line) > hydra.MostEmit {
			return &walk.Error{Op: opExec, Path: t.paths[0], Err: errors.New("the command is too long to be printed"), Dir: t.dir}
		}
		return h.w.Emit([]byte(line))
	}
	running, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan struct{})
	var o *outcome
	go func() {
		defer close(done)
		o = h.attempts(running, &c, t)
	}()
	if err := await(ctx, done); err != nil {
		cancel()
		select {
		case <-done:
		case <-time.After(time.Duration(c.Grace) + 2*waitForEnd):
			return err // not even its start came to an end; it remains
		}
	}
	if o.stopped {
		return walk.ErrEnding // it remains, also if it ended before the walk was seen to
	}
	o.tag(&c, t)
	h.count(o, t)
	if len(o.stdout) > 0 {
		if err := h.w.Emit(o.stdout); err != nil {
			return err
		}
	}
	if o.ok() {
		return nil
	}
	h.w.Log.Debug("command failed", "path", t.paths[0], "why", o.why(), "attempts", o.attempts)
	return &walk.Error{Op: opExec, Path: t.paths[0], Err: o.failure(len(t.paths)), Dir: t.dir}
}

// count counts a command that came to its end.
func (h *handler) count(o *outcome, t *target) {
	s := h.w.Stats
	s.Commands.Inc()
	s.Entries.Add(int64(len(t.paths)))
	s.Attempts.Add(o.attempts)
	if o.attempts > 1 {
		s.Retried.Inc()
	}
	if t.again {
		s.Again.Inc()
	}
	switch {
	case o.err != nil:
		s.NotStarted.Inc()
	case o.timedOut:
		s.TimedOut.Inc()
	case o.signal != "":
		s.BySignal.Add(o.signal, o.written)
	default:
		s.ByExitCode.Add(o.code, o.written)
	}
	if o.err == nil {
		s.Milliseconds.Add(o.took.Milliseconds())
		s.Time.Add(o.took)
	}
	s.OutputBytes.Add(o.written)
	if o.cut {
		s.OutputCut.Inc()
	}
	if o.ok() {
		s.Succeeded.Inc()
		return
	}
	s.Failed.Inc()
	f := Failure{
		Entries:  int64(len(t.paths)),
		Signal:   o.signal,
		TimedOut: o.timedOut,
		Attempts: o.attempts,
		Seconds:  float64(o.took.Milliseconds()) / 1000,
		Client:   h.w.Client,
		Stderr:   o.lines(),
	}
	switch {
	case o.err != nil:
		f.Error = o.err.Error()
	case o.signal == "" && !o.hangs:
		f.ExitCode = &o.code
	}
	if o.lost != nil {
		f.Error = o.lost.Error()
	}
	s.Failures.AddPath(f, []byte(t.paths[0]))
}

// environment is what all commands of a worker have.
func environment(w *hydra.Worker[Settings, Stats]) []string {
	return append(w.RunAs.Environ(), "HYDRA_JOB="+w.Job, "HYDRA_CLIENT="+w.Client, "HYDRA_WORKER="+strconv.Itoa(w.ID))
}

// variables are those of one command.
func (t *target) variables(attempt int64) []string {
	env := []string{"HYDRA_PATH=" + t.paths[0], "HYDRA_ROOT=" + t.root, fmt.Sprint("HYDRA_ATTEMPT=", attempt)}
	if t.again {
		env = append(env, "HYDRA_AGAIN=1")
	}
	return env
}
