package sim

import (
	"context"
	"encoding/binary"
	"errors"
	"io/fs"
	"sync"
	"time"

	"github.com/hydrawalk/hydra/internal/client"
	"github.com/hydrawalk/hydra/internal/wire"
	"github.com/hydrawalk/hydra/walk"
)

// app counts, in one client.
type app struct {
	r      *rules
	effort effort
	enter  func(path string) error // may be nil: called before a directory is counted
	file   func(path string) error // may be nil

	mu   sync.Mutex
	last *task
}

// effort says how long handlers take.
type effort struct {
	File, Dir time.Duration // at most
	Pad       int           // bytes that are written with what was counted, for nothing
}

func (e *effort) spend(most time.Duration, h uint64) {
	if most > 0 {
		time.Sleep(time.Duration(mix(h, 30) % uint64(most+1)))
	}
}

var appID = wire.AppID{Name: "sim", Version: "1"}

func (a *app) ID() wire.AppID { return appID }

func (a *app) Begin(spec *wire.Spec, _ client.Where) (client.Task, error) {
	t := &task{a: a, workers: map[int]*worker{}}
	if spec != nil {
		t.settings = string(spec.Settings)
	}
	a.mu.Lock()
	a.last = t
	a.mu.Unlock()
	return t, nil
}

// settings are those of the workers of the session that began last.
func (a *app) settings() (all []string) {
	a.mu.Lock()
	t := a.last
	a.mu.Unlock()
	if t == nil {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, w := range t.workers {
		all = append(all, w.settings)
	}
	return all
}

// task is what one session counts.
type task struct {
	a       *app
	mu      sync.Mutex
	workers map[int]*worker
	epochs  [2]*counted
	sum     counts

	settings string
}

// counted is what was counted in an epoch.
type counted struct {
	counts
	lines []byte // a hash for each error
}

func (t *task) Close() {}

func (t *task) Options() walk.Options { return walk.Options{Fields: walk.FieldType} }

func (t *task) NewHandler(_ context.Context, id int) (walk.Handler, error) {
	t.mu.Lock()
	w := &worker{t: t, settings: t.settings}
	t.workers[id] = w
	t.mu.Unlock()
	if t.a.r.Filter {
		return filtering{w}, nil
	}
	return w, nil
}

func (t *task) Update(settings []byte) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.settings = string(settings)
	return nil
}

func (t *task) Between(id int) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if w := t.workers[id]; w != nil {
		w.settings = t.settings
	}
	return nil
}

func (t *task) Cut(id int, epoch uint64) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	w := t.workers[id]
	if w == nil {
		return nil
	}
	if t.epochs[epoch%2] == nil {
		t.epochs[epoch%2] = &counted{}
	}
	c := t.epochs[epoch%2]
	c.add(&w.counts)
	c.lines = append(c.lines, w.lines...)
	w.counted = counted{lines: w.lines[:0]}
	return nil
}

func (t *task) Sum(epoch uint64, whole bool) (sum, lines []byte, err error) {
	t.mu.Lock()
	c := t.epochs[epoch%2]
	t.epochs[epoch%2] = nil
	t.mu.Unlock()
	if c != nil {
		t.sum.add(&c.counts)
		lines = c.lines
	}
	counted := &t.sum
	if !whole {
		if c == nil {
			return nil, nil, nil
		}
		counted = &c.counts
	}
	sum, err = binary.Append(make([]byte, 0, 128+t.a.effort.Pad), binary.LittleEndian, counted)
	return append(sum, make([]byte, t.a.effort.Pad)...), lines, err
}

// worker counts on one goroutine.
type worker struct {
	t *task
	counted
	buf      []byte
	settings string
}

var (
	errBad     = errors.New("bad luck")
	errRefused = errors.New("refused")
)

func (w *worker) File(_ context.Context, e *walk.Entry) error {
	w.buf = e.AppendPath(w.buf[:0])
	path := string(w.buf)
	h := hashOf(path)
	w.t.a.effort.spend(w.t.a.effort.File, h)
	if f := w.t.a.file; f != nil {
		if err := f(path); err != nil {
			if errors.Is(err, fs.SkipAll) {
				w.file(h) // it counts as processed
			}
			return err
		}
	}
	w.file(h)
	r := w.t.a.r
	switch {
	case chance(h, 26, r.BadFile):
		return errBad
	case chance(h, 27, r.Panics):
		panic(errBad)
	case chance(h, 28, r.SkipFile):
		return walk.SkipFile
	}
	return nil
}

func (w *worker) EnterDir(_ context.Context, d *walk.Dir) error {
	path := d.Path()
	h := hashOf(path)
	w.t.a.effort.spend(w.t.a.effort.Dir, h)
	if f := w.t.a.enter; f != nil {
		if err := f(path); err != nil {
			return err
		}
	}
	w.enter(h)
	switch r := w.t.a.r; {
	case chance(h, 22, r.Refused):
		return errRefused
	case chance(h, 23, r.Skipped):
		return fs.SkipDir
	}
	return nil
}

func (w *worker) LeaveDir(_ context.Context, d *walk.Dir) error {
	h := hashOf(d.Path())
	w.leave(h, d.Counts(), d.Whole())
	if chance(h, 24, w.t.a.r.BadLeave) {
		return errBad
	}
	return nil
}

func (w *worker) Error(_ context.Context, err *walk.Error) {
	h := hashOf(err.Path)
	w.fail(h)
	w.lines = binary.LittleEndian.AppendUint64(w.lines, h)
}

// filtering drops entries.
type filtering struct{ *worker }

func (w filtering) Filter(_ context.Context, _ *walk.Dir, entries []walk.Entry) []walk.Entry {
	kept := entries[:0]
	for i := range entries {
		w.buf = entries[i].AppendPath(w.buf[:0])
		h := hashOf(string(w.buf))
		w.show(h)
		if !chance(h, 25, w.t.a.r.Dropped) {
			kept = append(kept, entries[i])
		}
	}
	return kept
}
