package hydra

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/hydrawalk/hydra/internal/client"
	"github.com/hydrawalk/hydra/walk"
)

// Tail is what an application does after the walk, once, on one of the clients: see
// [App.Tail]. One goroutine may use it.
type Tail[C, S any] struct {
	Settings C
	Log      *slog.Logger
	Roots    []string

	log      actLog
	unpaused func(context.Context) error // returns when the job is not paused
	lines    func(context.Context, func(*actLine) error) error
	records  *recordFile                                 // nil: nothing is recorded
	count    func(f func(*S), acts []*Act, batch uint64) // all at once, and what failed as well
	number   uint64
	spent    bool
	within   *walk.Within // in which all has to lie; nil: no bound
}

// tailWorker stands for the tail where lines name workers.
const tailWorker = -1

// Lines gives all notes and acts of the job to f, in no order: of an act only what came
// of it. A note comes with its JSON, an act with what it was; the other one is nil.
func (t *Tail[C, S]) Lines(ctx context.Context, f func(note json.RawMessage, a *Act) error) error {
	return t.lines(ctx, func(l *actLine) error {
		switch l.State {
		case actNote:
			return f(l.Note, nil)
		case ActDone, ActInDoubt, ActFailed, ActChanged, ActGone:
			return f(nil, l.act())
		}
		return nil
	})
}

// Record writes v down for people, as [Worker.Record] does: twice if the tail is done
// again because a client died.
func (t *Tail[C, S]) Record(v any) error {
	if t.records == nil {
		return nil
	}
	return t.records.add(v)
}

// run runs the tail of an application. What of its records was lost is told to lost.
func (t *Tail[C, S]) run(ctx context.Context, app *App[C, S], lost func(*ErrorItem)) error {
	err := app.Tail(ctx, t)
	if t.records != nil {
		if item := t.records.flush(); item != nil {
			lost(item)
		}
	}
	return err
}

// Count changes the statistics of the job when the tail has ended: once, whoever dies.
func (t *Tail[C, S]) Count(f func(*S)) { t.count(f, nil, 0) }

// tailSide is how many acts of the tail are done side by side.
const tailSide = 8

// Do does acts as the handlers' [Worker.Plan] does: what is intended is written down
// before, do is called for each with the base of its root and the path below it, and
// then App.Acted. do is called by several goroutines. Errors say that nothing more
// may be done; what failed is in the acts, and among the errors of the job.
func (t *Tail[C, S]) Do(ctx context.Context, acts []*Act, do func(ctx context.Context, base *walk.Base, path string, a *Act)) error {
	for len(acts) > 0 {
		if err := t.unpaused(ctx); err != nil {
			return err
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		n := int64(batchOf(acts))
		if !t.spent {
			got, err := t.log.Grant(ctx, n)
			if err != nil && !errors.Is(err, client.ErrSpent) {
				return err
			}
			t.spent = err != nil
			n = cmp.Or(got, n)
		}
		if t.spent {
			for _, a := range acts {
				a.Result = ActLimit
			}
			t.count(nil, acts, 0)
			return nil
		}
		if err := t.batch(ctx, acts[:n], do); err != nil {
			return err
		}
		acts = acts[n:]
	}
	return nil
}

// batchOf is how many acts are written down together.
func batchOf(acts []*Act) int {
	bytes := 0
	for i, a := range acts[:min(len(acts), mostActs)] {
		if bytes += len(a.Path) + len(a.To); bytes > mostActBytes {
			return max(1, i)
		}
	}
	return min(len(acts), mostActs)
}

func (t *Tail[C, S]) batch(ctx context.Context, acts []*Act, do func(context.Context, *walk.Base, string, *Act)) error {
	// Once it is begun it is ended, and counted, unless nothing more may be done at all.
	ctx = context.WithoutCancel(ctx)
	t.number++
	var lines []byte
	for i, a := range acts {
		lines = appendAct(lines, a, actIntent, tailWorker, t.number, i, "")
	}
	lease, err := t.log.Sync(ctx, lines)
	if err != nil {
		return err
	}
	var mu sync.Mutex // of next, lease and failed
	next := 0
	var failed error
	var wg sync.WaitGroup
	for range min(tailSide, len(acts)) {
		wg.Go(func() {
			bases := map[string]*walk.Base{}
			defer func() {
				for _, b := range bases {
					b.Close()
				}
			}()
			for {
				mu.Lock()
				i := next
				next++
				if i >= len(acts) || failed != nil {
					mu.Unlock()
					return
				}
				if lease, failed = beginAct(ctx, t.log, lease, tailWorker, t.number); failed != nil {
					mu.Unlock()
					return
				}
				mu.Unlock()
				a := acts[i]
				t.act(ctx, bases, a, do)
				t.log.End()
				t.log.Add(appendAct(nil, a, a.Result, tailWorker, t.number, i, ""))
			}
		})
	}
	wg.Wait()
	if failed != nil {
		return failed
	}
	t.count(nil, acts, t.number)
	return nil
}

// failure is the error of an act.
func (a *Act) failure() *walk.Error {
	return &walk.Error{Op: a.Op, Path: a.Path, Err: errors.New(a.Error), Dir: a.Stat.Mode.IsDir()}
}

func (t *Tail[C, S]) act(ctx context.Context, bases map[string]*walk.Base, a *Act, do func(context.Context, *walk.Base, string, *Act)) {
	defer func() {
		if v := recover(); v != nil {
			a.Result, a.Error = ActFailed, fmt.Sprintf("panic: %v", v)
		}
	}()
	base, err := openBase(t.within, bases, given(t.Roots, a.Root))
	if err != nil {
		a.Result, a.Error = ActFailed, err.Error()
		return
	}
	do(ctx, base, below(a.Root, a.Path), a)
}

// openBase opens the base of a root once.
func openBase(within *walk.Within, bases map[string]*walk.Base, root string) (*walk.Base, error) {
	if b := bases[root]; b != nil {
		return b, nil
	}
	b, err := within.OpenBase(root)
	if err == nil {
		bases[root] = b
	}
	return b, err
}

// given is a root as it was given: a slash at its end says that a link is followed.
func given(roots []string, root string) string {
	for _, r := range roots {
		if withoutSlash(r) == root {
			return r
		}
	}
	return root
}

// below is a path as it is below its root, with slashes.
func below(root, path string) string {
	return strings.TrimPrefix(filepath.ToSlash(strings.TrimPrefix(path, withoutSlash(root))), "/")
}

// liesIn tells whether a path is a root or lies below it.
func liesIn(path, root string) bool {
	root = withoutSlash(root)
	return path == root || strings.HasPrefix(path, root) &&
		(os.IsPathSeparator(root[len(root)-1]) || os.IsPathSeparator(path[len(root)]))
}

// settler finds out what became of acts that nobody counted.
type settler struct {
	roots []string
	open  func(root string) (*walk.Base, error)
	bases map[string]*walk.Base

	within *walk.Within // where files were moved to; nil: anywhere
}

func newSettler(roots []string, open func(string) (*walk.Base, error), within *walk.Within) *settler {
	roots = slices.Clone(roots)
	slices.SortFunc(roots, func(a, b string) int { return len(b) - len(a) })
	return &settler{roots: roots, open: open, bases: map[string]*walk.Base{}, within: within}
}

func (s *settler) close() {
	for _, b := range s.bases {
		b.Close()
	}
}

// isThere tells whether the entry of an act is still where it was: then nothing was
// done, and whoever walks there finds it. What can not be told is in doubt.
func (s *settler) isThere(a *Act) bool {
	root := given(s.roots, a.Root)
	if root == "" {
		for _, r := range s.roots {
			if liesIn(a.Path, r) {
				root = r
				break
			}
		}
	}
	path := below(root, a.Path)
	if path == "" {
		// The root itself, which is no directory.
		i := lastSeparator(root)
		root, path = root[:i+1], root[i+1:]
	}
	var st walk.Stat
	err := s.stat(root, path, &st)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		// What is open may be stale. What can not be told then is in doubt.
		if b := s.bases[root]; b != nil {
			delete(s.bases, root)
			b.Close()
		}
		err = s.stat(root, path, &st)
	}
	if err != nil {
		return false
	}
	// The device has another number on another host.
	return st.Mode.Type() == a.Stat.Mode.Type() && (st.Ino == a.Stat.Ino || st.Known&walk.FieldIno == 0)
}

func (s *settler) stat(root, path string, st *walk.Stat) error {
	b := s.bases[root]
	if b == nil {
		var err error
		if b, err = s.open(root); err != nil {
			return err
		}
		s.bases[root] = b
	}
	return b.Stat(path, st)
}

// settle sets the result of an act of which only the intent is known. False: nothing
// was done.
func (s *settler) settle(a *Act) bool {
	if s.isThere(a) {
		return false
	}
	a.Result = ActInDoubt
	if a.To != "" {
		if fi, err := s.within.Lstat(a.To); err == nil && inodeOf(fi) == a.Stat.Ino {
			a.Result = ActDone
		}
	}
	return true
}

// actSum is what the parts of a session's sum say of its acts.
type actSum struct {
	Batches   map[int]uint64 // by worker: all up to this one are counted
	Frames    uint64         // so many frames are about counted ones only
	Processed int64          // files that a lost session had processed, and nobody will find again
	Errors    int64          // of the tail
	Limited   int64          // acts that were not done, for the limit was reached
}

func (s *actSum) add(o *actSum) {
	if s.Batches == nil && len(o.Batches) > 0 {
		s.Batches = map[int]uint64{}
	}
	for w, n := range o.Batches {
		s.Batches[w] = max(s.Batches[w], n)
	}
	s.Frames = max(s.Frames, o.Frames)
	s.Processed += o.Processed
	s.Errors += o.Errors
	s.Limited += o.Limited
}

func (s *actSum) saw(worker int, batch uint64) {
	if batch == 0 {
		return
	}
	if s.Batches == nil {
		s.Batches = map[int]uint64{}
	}
	s.Batches[worker] = max(s.Batches[worker], batch)
}

// localTail is the tail of a run in this process.
func (r *run[C, S]) tail(ctx context.Context, roots []string) error {
	t := &Tail[C, S]{
		Settings: r.settings, Log: r.o.logger(r.app.Name), Roots: roots, log: r.acts,
		unpaused: func(context.Context) error { return nil },
		lines:    func(_ context.Context, f func(*actLine) error) error { return r.acts.read(f) },
		records:  r.records.file(tailWorker),
		count: func(f func(*S), acts []*Act, _ uint64) {
			if f != nil {
				f(r.sum)
			}
			for _, a := range acts {
				r.app.Acted(r.sum, a)
				if a.Result == ActFailed {
					r.errors.add(a.failure())
					r.tailErrors++
				}
			}
		},
	}
	return t.run(ctx, r.app, r.errors.aside)
}
