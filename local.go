package hydra

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hydrawalk/hydra/internal/bus"
	"github.com/hydrawalk/hydra/internal/client"
	"github.com/hydrawalk/hydra/internal/gate"
	"github.com/hydrawalk/hydra/internal/ledger"
	"github.com/hydrawalk/hydra/internal/natsd"
	"github.com/hydrawalk/hydra/internal/server"
	"github.com/hydrawalk/hydra/internal/wire"
)

// A local job is one that a process does alone: engine, server and client are all in
// it. Each job has a directory, which is the engine's state directory:
//
//	STATE/jobs/NAME/lock             held by the one process that has the job open
//	                credential.json  for who connects to that process
//	                run.json         where it listens, while it runs the job
//	                jetstream/       the job: what any server keeps of one
//
// So a process that is killed leaves behind what a server that is killed does.

const runFile = "run.json"

// running is what run.json says. It is true only while the lock is held.
type running struct {
	Address string `json:"address"`
	PID     int    `json:"pid"`
}

// notRun is the reason of a result that was not to be the last one.
const notRun = "the job was interrupted, and no process goes on with it"

// local is a job of this machine that this process has open. Its methods may be
// called on nil: a server that is elsewhere.
type local struct {
	name    string
	dir     string
	runs    bool // it is to be worked on, here or by the process that is connected to
	engine  *engine
	buses   []bus.Bus
	halt    func()          // ends the server and waits for it
	life    context.Context // ends with the engine
	base    *slog.Logger    // without a name
	log     *slog.Logger
	apps    []server.App // whose part on the server runs here
	closing sync.Once
}

// LocalOptions of the access to a local job.
type LocalOptions struct {
	// Logger gets what goes wrong meanwhile.
	Logger *slog.Logger
}

// OpenLocal opens a job of [Runner].RunJob, to look at it or to change it: the process
// that runs it is connected to. If none does, the job is opened here and nobody works on
// it; until Close no other process can open it then.
func OpenLocal(ctx context.Context, name string, o *LocalOptions) (*Server, error) {
	if o == nil {
		o = &LocalOptions{}
	}
	if err := needsLocalJob(name); err != nil {
		return nil, err
	}
	log := (&Options{Logger: o.Logger}).logger("hydra")
	s, err := openLocal(ctx, name, false, o.Logger)
	var other *RunningError
	if !errors.As(err, &other) {
		if err != nil {
			return nil, err
		}
		if _, err := s.local.spec(ctx); err != nil {
			s.Close()
			return nil, err
		}
		return s, nil
	}
	s, err = Connect(ctx, other.address, &ConnectOptions{Access: Access{Creds: filepath.Join(other.dir, credentialName)}, Logger: o.Logger})
	if err != nil {
		return nil, err
	}
	s.local = &local{name: name, dir: other.dir, runs: true, buses: []bus.Bus{s.bus}, halt: func() {}, log: log}
	return s, nil
}

// How long a job may be held by who only looks at it.
const (
	lockTime  = 5 * time.Second
	lockPause = 20 * time.Millisecond
)

// openLocal opens the directory of a job, which is made if need be. If run is set,
// other processes can connect to this one.
func openLocal(ctx context.Context, name string, run bool, base *slog.Logger, apps ...server.App) (*Server, error) {
	dir, err := localDir(name)
	if err != nil {
		return nil, err
	}
	log := (&Options{Logger: base}).logger("hydra")
	l := &local{name: name, dir: dir, runs: run, halt: func() {}, base: base, log: log, apps: apps}
	if err := l.start(ctx); err != nil {
		l.close()
		return nil, err
	}
	s := &Server{bus: l.buses[0], rank: wire.RankAdmin, name: localClient, address: "the directory " + dir, log: log, local: l}
	return s, nil
}

// start starts the engine and the server.
func (l *local) start(ctx context.Context) (err error) {
	cred := newCredential() // for this process: nobody connects to one and finds another
	var g *gate.Gate
	if l.runs {
		g = gate.New(gate.Options{Listen: "127.0.0.1:0", Password: cred.Password, Log: l.log})
	}
	for began := time.Now(); ; {
		l.engine, err = startEngine(l.dir, nil, g, l.log)
		if !errors.Is(err, natsd.ErrInUse) {
			break
		}
		if other := l.other(ctx); other != nil {
			return other
		}
		// Somebody looks at it, or is about to end.
		if time.Since(began) > lockTime {
			return fmt.Errorf("job %s is in use by another process: %s", l.name, filepath.Join(l.dir, natsd.LockFile))
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(lockPause):
		}
	}
	if err != nil {
		return fmt.Errorf("job %s can not be opened: %w", l.name, err)
	}
	// What a process left that was killed would lead to whoever has its port now.
	if err := os.Remove(l.file(runFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if l.runs {
		if err := writePrivate(l.file(credentialName), cred); err != nil {
			return err
		}
		if err := writePrivate(l.file(runFile), running{l.engine.gate.Addr().String(), os.Getpid()}); err != nil {
			return err
		}
	}
	life, end := context.WithCancelCause(context.WithoutCancel(ctx))
	l.life = life
	var wg sync.WaitGroup
	wg.Go(func() {
		select {
		case <-l.engine.Failed():
			end(fmt.Errorf("what was done can not be written down any more: %w", l.engine.Err()))
		case <-life.Done():
		}
	})
	l.halt = func() {
		end(bus.ErrClosed)
		wg.Wait()
	}
	for _, name := range []string{"command", "server"} {
		if _, err := l.connect(ctx, name); err != nil {
			return err
		}
	}
	ready := make(chan struct{})
	wg.Go(func() {
		err := server.Run(life, server.Options{Bus: l.buses[1], Logger: l.base, Apps: l.apps, Ready: func() { close(ready) }})
		if err != nil {
			end(err)
		}
	})
	select {
	case <-ready:
		return nil
	case <-life.Done():
		return context.Cause(life)
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// connect makes a connection to the engine, which close ends.
func (l *local) connect(ctx context.Context, name string) (bus.Bus, error) {
	b, err := l.engine.connect(ctx, name)
	if err == nil {
		l.buses = append(l.buses, b)
	}
	return b, err
}

// close ends all, and waits for that.
func (l *local) close() error {
	var err error
	l.closing.Do(func() {
		l.halt()
		for _, b := range slices.Backward(l.buses) {
			err = errors.Join(err, b.Close())
		}
		if l.engine == nil {
			return
		}
		if l.runs {
			_ = os.Remove(l.file(runFile)) // who finds it asks there in vain
		}
		l.engine.Shutdown()
	})
	return err
}

func (l *local) file(name string) string { return filepath.Join(l.dir, name) }

// other is the process that runs the job, nil if none answers.
func (l *local) other(ctx context.Context) *RunningError {
	text, err := os.ReadFile(l.file(runFile))
	if err != nil {
		return nil
	}
	var at running
	if json.Unmarshal(text, &at) != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	s, err := Connect(ctx, at.Address, &ConnectOptions{Access: Access{Creds: l.file(credentialName)}})
	if err != nil {
		return nil
	}
	s.Close()
	return &RunningError{Job: l.name, PID: at.PID, address: at.Address, dir: l.dir}
}

// spec is that of the job.
func (l *local) spec(ctx context.Context) (*wire.Spec, error) {
	table, err := l.buses[0].Open(ctx, wire.Table(l.name))
	spec := new(wire.Spec)
	if err == nil {
		err = read(ctx, table, wire.KeySpec, spec)
	}
	switch {
	case errors.Is(err, bus.ErrNoTable), errors.Is(err, bus.ErrNoKey):
		// Who was about to make it was killed.
		return nil, noLocalJob(l.name)
	case err != nil:
		return nil, fmt.Errorf("job %s can not be read: %w", l.name, err)
	}
	return spec, nil
}

// errAway: the process that ran the job has ended meanwhile.
var errAway = errors.New("the process that ran the job has just ended: try again")

// away tells whether the process that we are connected to is gone.
func (l *local) away(connected bool) bool { return l != nil && l.runs && l.engine == nil && !connected }

// WaitLocal returns the result of a local job when it has ended, or what there is of it
// when no process goes on with it: see [Job.Wait].
func WaitLocal(ctx context.Context, app Application, name string, o *JobOptions) (Document, error) {
	if o == nil {
		o = &JobOptions{}
	}
	var out *outputReader
	for {
		doc, err := waitLocal(ctx, app, name, o, &out)
		if !errors.Is(err, errAway) {
			return doc, err
		}
	}
}

// waitLocal is one try of WaitLocal: out is what goes on with the output in the next one.
func waitLocal(ctx context.Context, app Application, name string, o *JobOptions, out **outputReader) (Document, error) {
	s, err := OpenLocal(ctx, name, &LocalOptions{Logger: o.Logger})
	if err != nil {
		return nil, err
	}
	defer s.Close()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if !s.local.idle() {
		var wg sync.WaitGroup
		defer wg.Wait()
		defer cancel(nil)
		wg.Go(func() {
			for {
				connected, changed := s.bus.Connected()
				if s.local.away(connected) {
					cancel(errAway) // the result is in its directory
					return
				}
				select {
				case <-changed:
				case <-ctx.Done():
					return
				}
			}
		})
	}
	j, err := s.Job(ctx, app, name, o)
	var doc Document
	if err == nil {
		if *out == nil {
			*out = j.out
		}
		j.out = *out
		doc, err = j.Wait(ctx)
	}
	if doc == nil && errors.Is(context.Cause(ctx), errAway) {
		err = errAway // it ended while its result was read
	}
	return doc, err
}

// idle says that nobody works on the job.
func (l *local) idle() bool { return l != nil && !l.runs }

// correct makes the status of a job that a server would have one of a local job.
func (l *local) correct(st *JobStatus) {
	st.Clients, st.Progress.Clients = 0, 0
	if l.runs {
		return
	}
	st.Waits, st.Progress.Waits = "", ""
	if st.Phase != string(ledger.Ended) {
		st.Phase, st.State, st.Reason = string(Interrupted), Interrupted, notRun
	}
}

// result is that of the job as it is, though it may not have ended. Nobody may work
// on it.
func (l *local) result(ctx context.Context, j *Job, why string) (Document, error) {
	table, err := l.buses[0].Open(ctx, wire.Table(l.name))
	if err != nil {
		return nil, fmt.Errorf("the result of job %s: %w", l.name, err)
	}
	if err := j.out.finish(ctx, table); err != nil {
		return nil, fmt.Errorf("the output of job %s: %w", l.name, err)
	}
	doc, err := readResult(ctx, table, j.app, &j.o.Options, why)
	if doc == nil && err != nil {
		return nil, fmt.Errorf("the result of job %s: %w", l.name, err)
	}
	return doc, err
}

// never is longer than any system call: there is no other client to try it.
const never = math.MaxInt64

// runJob makes a local job and runs it.
func runJob(ctx context.Context, app distributed, roots []string, o *JobOptions) (Document, error) {
	if err := CheckJobName(o.ID); err != nil {
		return nil, err
	}
	// Before anything is made: it may be a wrong call.
	spec, err := app.spec(roots, o)
	if err != nil {
		return nil, err
	}
	// The list of errors is kept: who goes on with the job may want it.
	spec.Local, spec.AllErrors, spec.Clients = true, true, 0
	if len(o.Prefixes) == 0 {
		spec.Stall = never
	}
	isNew := errors.Is(needsLocalJob(o.ID), ErrNoJob)
	s, err := openLocal(ctx, o.ID, true, o.Logger, app.server(o.Logger))
	if err != nil {
		if isNew {
			_ = RemoveLocal(context.WithoutCancel(ctx), o.ID) // not if somebody else was faster and has it
		}
		return nil, err
	}
	defer s.Close()
	_, err = s.local.spec(ctx)
	switch {
	case err == nil:
		return nil, &UsageError{fmt.Errorf("job %s: %w", o.ID, ErrJobExists)}
	case !errors.Is(err, ErrNoJob):
		s.local.forgetUnbegun(ctx)
		return nil, err
	}
	if _, err := s.ask(ctx, wire.Ask{Kind: wire.AskSubmit, Spec: spec}); err != nil {
		s.local.forgetUnbegun(ctx)
		return nil, fmt.Errorf("job %s can not be begun: %w", o.ID, err)
	}
	return s.local.run(ctx, newJob(s, o.ID, app, o))
}

// forgetUnbegun removes the directory if there is no job in it after all: a signal may
// have come, or the disk is full.
func (l *local) forgetUnbegun(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	_, err := l.spec(ctx)
	if l.close(); errors.Is(err, ErrNoJob) {
		_ = RemoveLocal(ctx, l.name) // why it was not begun is the error that counts
	}
}

// resumeJob lets a local job go on that is not done.
func resumeJob(ctx context.Context, app distributed, name string, o *JobOptions) (Document, error) {
	if o == nil {
		o = &JobOptions{}
	}
	if err := needsLocalJob(name); err != nil {
		return nil, err
	}
	s, err := openLocal(ctx, name, true, o.Logger, app.server(o.Logger))
	if err != nil {
		return nil, err
	}
	defer s.Close()
	spec, err := s.local.spec(ctx)
	if err != nil {
		return nil, err
	}
	if err := isOf(app, spec); err != nil {
		return nil, &UsageError{err}
	}
	j := newJob(s, name, app, o)
	st, err := j.Status(ctx)
	if err != nil {
		return nil, err
	}
	if st.Phase == string(ledger.Paused) || st.Phase == string(ledger.Ended) && st.State != Complete {
		if err := s.Resume(ctx, name); err != nil {
			o.logger("hydra").Debug("not resumed", "job", name, "err", err) // its result says why
		}
	}
	return s.local.run(ctx, j)
}

// run works on the job until it has ended, or ctx does: then all that was done is
// written down, and the result is what was counted until then.
func (l *local) run(ctx context.Context, j *Job) (Document, error) {
	b, err := l.connect(ctx, "client")
	if err != nil {
		return nil, err
	}
	waitCtx, stopWaiting := context.WithCancelCause(ctx)
	defer stopWaiting(nil)
	defer context.AfterFunc(l.life, func() { stopWaiting(context.Cause(l.life)) })()
	workCtx, stop := context.WithCancel(waitCtx)
	var wg sync.WaitGroup
	wg.Go(func() {
		err := client.Work(workCtx, client.Options{
			Bus: b, Apps: []client.App{j.app.client(j.o.Records)}, Workers: j.o.Workers,
			Logger: j.o.Logger,
		})
		if err != nil {
			l.log.Warn("not all that was done could be written down: it is done again when the job goes on", "job", l.name, "err", err)
		}
	})
	doc, err := j.Wait(waitCtx)
	stop()
	wg.Wait()
	switch {
	case doc != nil || waitCtx.Err() == nil:
		return doc, err
	case l.life.Err() != nil:
		return nil, fmt.Errorf("job %s: %w", l.name, context.Cause(l.life))
	}
	// Nobody writes any more: what is there belongs together.
	l.halt()
	why := context.Cause(ctx)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), resultTime)
	defer cancel()
	doc, err = l.result(ctx, j, why.Error())
	if doc != nil && doc.Common().State == Complete {
		return doc, err // it was too late to interrupt anything
	}
	return doc, errors.Join(why, err)
}

// resultTime is for reading the result of a job that was interrupted.
const resultTime = time.Minute

// noLocalJob is the error of a name that no local job has.
func noLocalJob(name string) error {
	names, err := LocalJobNames()
	if slices.Contains(names, name) {
		return &UsageError{fmt.Errorf("%w %s that had begun before its process was ended: begin it again, with --job %s", ErrNoJob, name, name)}
	}
	what := "there are " + strings.Join(names, ", ")
	switch {
	case err != nil:
		what = err.Error()
	case len(names) == 0:
		what = "there are none"
	case len(names) == 1:
		what = "there is " + names[0]
	}
	return &UsageError{fmt.Errorf("%w %s: %s", ErrNoJob, name, what)}
}
