package client

import (
	"bytes"
	"compress/flate"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sync"
	"time"

	"github.com/hydrawalk/hydra/internal/bus"
	"github.com/hydrawalk/hydra/internal/ledger"
	"github.com/hydrawalk/hydra/internal/wire"
)

// Changer is a Task that changes what it finds. It writes down what it is about to do
// before it does it, and then what came of it.
type Changer interface {
	Task
	// Act is called once, before all other methods but Options.
	Act(*Acts)
	// Settle finds out what became of the acts of a session that was lost which no
	// record counts. It changes nothing but for count, which is called when what it
	// found may be counted: it belongs to the next Sum then.
	Settle(ctx context.Context, of ledger.SessionID) (count func(), err error)
	// Tail does what comes after all else, until the context ends: then it returns an
	// error, and all of it is done again, but for acts that were counted. count is
	// called when the rest may be counted, which is only once.
	Tail(context.Context) (count func(), err error)
}

// Errors of acts.
var (
	// ErrStopped is the error where nothing more is to be changed: the session ends, or
	// was taken for dead.
	ErrStopped = errors.New("nothing more is to be changed")
	// ErrSpent is the error where nothing is left of the job's budget.
	ErrSpent = errors.New("the limit is reached")
)

// Acts is where a session writes down what it does. Workers hand lines in, and one
// goroutine writes what there is as one frame:
//
//	Add ─────► held ─┐
//	Sync ─► waits ───┴─► frame n: written, unless the server has barred the session
//
// Any goroutine may use it.
type Acts struct {
	s *session

	mu      sync.Mutex
	changed chan struct{} // closed when one of the following changes for those who wait
	stopped error         // no act may begin any more
	dead    error         // nothing more can be written
	paused  bool
	held    bytes.Buffer // lines of which nobody waits
	since   time.Time    // when the first of them came
	waits   []*waiting
	running int // acts
	n       uint64
	needs   int64 // of the budget
	granted int64 // and not used
	told    int64 // was granted since the session began
	spent   bool

	wake chan struct{} // of the goroutine; capacity 1
}

// waiting is somebody who waits until his lines are written.
type waiting struct {
	lines []byte
	lease Lease
	err   error
	done  chan struct{}
}

// Lease is for how long what was written down may be done. It goes by both clocks:
// one stands still while the machine sleeps, and the other can be set.
type Lease struct{ begun time.Time }

func newLease() Lease { return Lease{time.Now()} }

func (l Lease) valid() bool {
	now := time.Now()
	wall := now.Round(0).Sub(l.begun.Round(0))
	return now.Sub(l.begun) < wire.ActTime && wall < wire.ActTime && wall > -wire.ActTime
}

// addEvery is how long lines are held back at most of which nobody waits.
const addEvery = time.Second

// mostFrame is about how much is written at a time, before it is compressed.
const mostFrame = 4 << 20

func newActs(s *session) *Acts {
	return &Acts{s: s, changed: make(chan struct{}), wake: make(chan struct{}, 1)}
}

// Frames is how many were written so far.
func (a *Acts) Frames() uint64 {
	n, _ := a.state()
	return n
}

// Table is that of the job.
func (a *Acts) Table() bus.Table { return a.s.table }

// FS is what is walked instead of the system's files; nil: those are.
func (a *Acts) FS() fs.FS { return a.s.c.o.FS }

func (a *Acts) poke() {
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

// alter changes what others wait for.
func (a *Acts) alter(f func()) {
	a.mu.Lock()
	f()
	close(a.changed)
	a.changed = make(chan struct{})
	a.mu.Unlock()
}

// Add hands in lines that are written soon, before the next record at the latest.
func (a *Acts) Add(lines []byte) {
	a.mu.Lock()
	if a.held.Len() == 0 {
		a.since = time.Now()
	}
	a.held.Write(lines)
	n := a.held.Len()
	a.mu.Unlock()
	switch {
	case n > 2*mostFrame:
		// The engine is slower than the worker.
		_ = a.Flush(context.Background()) // whoever waits next is told
	case n > mostFrame/4:
		a.poke()
	}
}

// Sync returns when lines, and all that was handed in before, are durable. What they
// say may be done under the lease: see Begin. ErrStopped.
func (a *Acts) Sync(ctx context.Context, lines []byte) (Lease, error) {
	a.mu.Lock()
	stopped := a.stopped
	a.mu.Unlock()
	if stopped != nil {
		return Lease{}, stopped
	}
	return a.sync(ctx, lines)
}

// Flush returns when all that was handed in is durable.
func (a *Acts) Flush(ctx context.Context) error {
	_, err := a.sync(ctx, nil)
	return err
}

func (a *Acts) sync(ctx context.Context, lines []byte) (Lease, error) {
	w := &waiting{lines: lines, done: make(chan struct{})}
	a.mu.Lock()
	if a.dead != nil {
		a.mu.Unlock()
		return Lease{}, a.dead
	}
	a.waits = append(a.waits, w)
	a.mu.Unlock()
	a.poke()
	select {
	case <-w.done:
		return w.lease, w.err
	case <-ctx.Done():
		return Lease{}, ctx.Err()
	}
}

// Begin begins an act that was written down, and tells whether it may be done: then
// End has to be called. False: the lease has run out, and the act is to be written
// down again.
func (a *Acts) Begin(l Lease) (bool, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.stopped != nil:
		return false, a.stopped
	case !l.valid():
		return false, nil
	}
	a.running++
	return true, nil
}

// End ends an act.
func (a *Acts) End() {
	a.mu.Lock()
	a.running--
	last := a.running == 0 && a.stopped != nil
	a.mu.Unlock()
	if last {
		a.alter(func() {})
	}
}

// Grant takes n acts from the job's budget. It waits until there are some, and
// returns how many it got: at least one, or ErrSpent.
func (a *Acts) Grant(ctx context.Context, n int64) (int64, error) {
	if a.s.spec.Budget == 0 {
		return n, nil
	}
	a.mu.Lock()
	a.needs += n
	for {
		if a.stopped != nil {
			a.mu.Unlock()
			return 0, a.stopped
		}
		if got := min(n, a.granted); got > 0 {
			a.granted -= got
			a.needs -= n - got
			a.mu.Unlock()
			return got, nil
		}
		if a.spent {
			// The server sees that there is need, and ends the job.
			a.mu.Unlock()
			a.s.wake()
			return 0, ErrSpent
		}
		changed := a.changed
		a.mu.Unlock()
		a.s.wake()
		select {
		case <-changed:
		case <-ctx.Done():
			a.alter(func() { a.needs -= n })
			return 0, ctx.Err()
		}
		a.mu.Lock()
	}
}

// Unpaused returns when the job is not paused.
func (a *Acts) Unpaused(ctx context.Context) error {
	for {
		a.mu.Lock()
		paused, stopped, changed := a.paused, a.stopped, a.changed
		a.mu.Unlock()
		if stopped != nil || !paused {
			return stopped
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (a *Acts) pause(paused bool) { a.alter(func() { a.paused = paused }) }

// grants takes in what the server has granted since the session began.
func (a *Acts) grants(total int64, spent bool) {
	a.alter(func() {
		if more := total - a.told; more > 0 {
			a.granted += more
			a.told = total
		}
		a.spent = spent
	})
}

// state is what the server is told.
func (a *Acts) state() (frames uint64, needs int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.n, a.needs
}

// stop keeps acts from being begun, and waits a moment for those that were: one may
// hang.
func (a *Acts) stop(err error) {
	const patience = 300 * time.Millisecond
	a.alter(func() {
		if a.stopped == nil {
			a.stopped = err
		}
	})
	a.poke()
	late := time.NewTimer(patience)
	defer late.Stop()
	for {
		a.mu.Lock()
		running, changed := a.running, a.changed
		a.mu.Unlock()
		if running == 0 {
			return
		}
		select {
		case <-changed:
		case <-late.C:
			return
		}
	}
}

// run writes frames until the context ends.
func (a *Acts) run(ctx context.Context) {
	tick := time.NewTicker(addEvery / 2)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			a.alter(func() { a.stopped, a.dead = ErrStopped, ctx.Err() })
			a.answer(a.take(true), Lease{}, ErrStopped)
			return
		case <-a.wake:
		case <-tick.C:
		}
		for {
			f := a.take(false)
			if f == nil {
				break
			}
			if a.dead != nil {
				a.answer(f, Lease{}, a.dead)
				continue
			}
			lease := newLease()
			err := a.write(ctx, f.lines)
			if err != nil {
				// What a frame says that is not there may not be left out.
				a.alter(func() { a.stopped, a.dead = ErrStopped, err })
				a.s.barred <- err
			}
			a.answer(f, lease, err)
		}
	}
}

// frame is what is written together.
type frame struct {
	lines []byte
	waits []*waiting
}

// take takes what is to be written: all, or what somebody waits for or is due.
func (a *Acts) take(all bool) *frame {
	a.mu.Lock()
	defer a.mu.Unlock()
	due := a.held.Len() > mostFrame/4 || a.held.Len() > 0 && time.Since(a.since) >= addEvery
	if !all && len(a.waits) == 0 && !due {
		return nil
	}
	if held := a.held.Bytes(); len(held) > mostFrame && !all {
		// Whoever waits, waits for all of it.
		cut := bytes.LastIndexByte(held[:mostFrame], '\n') + 1
		if cut == 0 {
			cut = mostFrame + bytes.IndexByte(held[mostFrame:], '\n') + 1
		}
		return &frame{lines: bytes.Clone(a.held.Next(cut))}
	}
	f := &frame{lines: bytes.Clone(a.held.Bytes())}
	a.held.Reset()
	n := 0
	for _, w := range a.waits {
		if n > 0 && len(f.lines)+len(w.lines) > mostFrame && !all {
			break
		}
		f.lines = append(f.lines, w.lines...)
		n++
	}
	f.waits = append(f.waits, a.waits[:n]...)
	a.waits = append([]*waiting(nil), a.waits[n:]...)
	return f
}

func (a *Acts) answer(f *frame, l Lease, err error) {
	for _, w := range f.waits {
		w.lease, w.err = l, err
		close(w.done)
	}
}

// write writes a frame. errFenced: the server took the session for dead.
func (a *Acts) write(ctx context.Context, lines []byte) error {
	if len(lines) == 0 {
		// Somebody wants to know that all before is durable, and it is.
		return nil
	}
	if len(lines) > mostLines {
		return fmt.Errorf("%d bytes of acts at a time: nobody could read them", len(lines))
	}
	packed, err := pack(lines)
	if err != nil {
		return err
	}
	data := ledger.Encode(&wire.ActFrame{Lines: packed})
	a.mu.Lock()
	n := a.n + 1
	a.mu.Unlock()
	if err := a.s.put(ctx, wire.KeyActs(a.s.id, n), data, 0, nil); err != nil {
		return err
	}
	a.mu.Lock()
	a.n = n
	a.mu.Unlock()
	return nil
}

func pack(lines []byte) ([]byte, error) {
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, flate.BestSpeed)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(lines); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// unpack is the opposite of pack. Few bytes may say that they are many.
func unpack(packed []byte) ([]byte, error) {
	lines, err := io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(packed)), mostLines+1))
	if err == nil && len(lines) > mostLines {
		err = fmt.Errorf("more than %d bytes", mostLines)
	}
	return lines, err
}

// mostLines is how much a frame may hold: it is read as a whole.
const mostLines = 64 << 20

// ReadActs reads what a session wrote down after so many frames.
func ReadActs(ctx context.Context, table bus.Table, of ledger.SessionID, after uint64, f func(lines []byte) error) error {
	for n := after + 1; ; n++ {
		v, err := table.Get(ctx, wire.KeyActs(of, n))
		if errors.Is(err, bus.ErrNoKey) {
			return nil
		}
		if err != nil {
			return err
		}
		var frame wire.ActFrame
		if err := wire.Read(&v, &frame); err != nil {
			return fmt.Errorf("part %d of the acts of session %s: %w", n, of, err)
		}
		if frame.Barred {
			return nil
		}
		lines, err := unpack(frame.Lines)
		if err != nil {
			return fmt.Errorf("part %d of the acts of session %s: %w", n, of, err)
		}
		if err := f(lines); err != nil {
			return err
		}
	}
}
