package walk

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hydrawalk/hydra/internal/rawdir"
)

// worker is one goroutine that walks, with a Handler of its own.
type worker struct {
	p     *pool
	id    int
	q     deque
	wake  chan struct{} // capacity 1; who takes the worker off a list of waiters sends
	stash []task        // scratch for stealing

	h  Handler
	dh DirHandler      // nil if h is none
	fl Filterer        // nil if h is none
	eh ErrorHandler    // nil if h is none
	sh SnapshotHandler // nil if h is none
	bt Batcher         // nil if h is none

	c   Totals // what this worker counted
	ops int64  // calls to the file system and the handler

	showAt    int64 // ops at which the number of calls is shown next
	shareAt   int64 // ops at which the counters are shared next
	clockAt   int64 // ops at which the clock is looked at next: see yieldEvery
	yieldedAt time.Time
	sharedMu  sync.Mutex
	shared    Totals // c as it was after the last chunk
	phase     atomic.Uint32
	at        atomic.Pointer[Dir] // the directory at hand, for Workers
	progress  atomic.Int64        // ops as it was a moment ago

	// In a shared walk: see Shared.
	epoch   uint64
	hand    piece          // the chunk at hand
	handAll []byte         // its records from the first one on; nil: there is no chunk
	task    task           // the task at hand
	left    []task         // what was at hand when the walk was stopped
	counted map[*whole]sum // in parts, since the last cut
	key     []byte         // scratch for Options.Group
	refused bool           // the handler ended the walk instead of handling an entry
	call    callMark
	told    uint64 // of Shared.asked: what it has called Between for

	throttle *Throttle // nil: there is none
	meter    meter
	paidUpTo float64     // see Throttle
	due      bool        // it has to pay, or waits for what it paid
	timer    *time.Timer // for waiting

	// In a chunk, and in a call of the handler: see await.
	in           visit
	files, other int64  // that were handled, and not told the directory yet
	hereLen      int    // of the records from the entry at hand on
	offered      int    // of these, bytes that others were given in the midst of File
	batch        []byte // records of entries that wait for Batch
	batched      bool   // the entry at hand does
	chosen       bool   // all of the chunk at hand do: see task

	spare     *reading  // for the next directory
	buf, kept []byte    // a chunk, and what Filter kept of it
	subs      []subdir  // subdirectories in the chunk at hand
	entry     Entry     // the entry at hand
	stat      Stat      // its attributes
	entries   []Entry   // what Filter is given
	began     time.Time // when the chunk at hand was begun
	ancestry  ancestry  // of the directory opened last
	reopened  reopened  // a parent that had to be opened again
	prefixDir *Dir      // whose prefix is in prefix
	prefix    []byte
}

// subdir is a subdirectory in the chunk at hand; the name is in its buffer.
type subdir struct {
	name  rawdir.Name
	inode uint64
}

// run takes tasks until the walk ends. The walk also ends if a handler calls
// runtime.Goexit, as FailNow of package testing does.
func (w *worker) run(ctx context.Context, newHandler func(int) (Handler, error)) {
	exits := true
	defer func() {
		if e, ok := w.h.(Ender); ok {
			_ = w.guard(func() error { e.End(); return nil }) // it has nothing to say any more
		}
		w.at.Store(nil)
		w.phase.Store(phaseEnded)
		if exits {
			w.reopened.close(w.p)
			w.share()
			w.p.fail(errors.New("a handler ended its goroutine"))
			if s := w.p.share; s != nil {
				s.lost(w)
			}
		}
	}()
	w.walk(ctx, newHandler)
	exits = false
}

// walk is run, but for handlers that exit.
func (w *worker) walk(ctx context.Context, newHandler func(int) (Handler, error)) {
	if s := w.p.share; s != nil {
		w.told = s.asked.Load() // the handler is made with what holds then
	}
	var h Handler
	err := w.guard(func() (err error) { h, err = newHandler(w.id); return err })
	if err != nil {
		w.p.fail(err)
		return
	}
	w.h = h
	w.dh, _ = h.(DirHandler)
	w.fl, _ = h.(Filterer)
	w.eh, _ = h.(ErrorHandler)
	w.sh, _ = h.(SnapshotHandler)
	w.bt, _ = h.(Batcher)
	s := w.p.share
	if s != nil {
		s.join(w)
	} else {
		w.buf = make([]byte, bufSize)
	}
	for {
		t, ok := w.next(ctx)
		if !ok {
			break
		}
		w.at.Store(t.dir)
		switch {
		case t.dir.depth < 0:
			w.rootFile(ctx, t)
		case s != nil:
			w.sharedTask(ctx, t)
			w.task = task{}
		case t.chunk != nil:
			w.chosen = t.chosen
			w.handle(ctx, t.dir, t.chunk)
			w.chosen = false
			w.queueSubs(t.dir)
			w.endPart(ctx, t.dir)
		case t.dir.reading == nil:
			if w.enter(ctx, t.dir) {
				w.read(ctx, t.dir)
			}
		default:
			w.read(ctx, t.dir)
		}
		w.breathe()
	}
	w.reopened.close(w.p)
	if s != nil {
		w.lastCut(ctx)
	} else if err := w.flush(ctx); err != nil {
		w.p.fail(err)
	}
	w.share()
}

// flush lets the handler do what it held back.
func (w *worker) flush(ctx context.Context) error {
	f, ok := w.h.(Flusher)
	if !ok {
		return nil
	}
	return w.guard(func() error { return f.Flush(context.WithoutCancel(ctx)) })
}

// called counts a call to the file system or the handler.
func (w *worker) called() {
	if w.ops++; w.ops >= w.showAt {
		w.pause()
	}
}

// pause does what is due after some calls. It is apart so that called can be inlined.
func (w *worker) pause() {
	w.show()
	if w.ops >= w.clockAt {
		w.yield()
	}
}

// show lets the adapter see how many calls were made. It is done often: on a
// slow file system each of them counts.
func (w *worker) show() {
	w.progress.Store(w.ops)
	w.showAt = w.ops + 4
}

// yield calls the scheduler if that is due.
func (w *worker) yield() {
	w.clockAt = w.ops + clockEvery
	if now := time.Now(); now.Sub(w.yieldedAt) >= yieldEvery {
		w.yieldedAt = now
		runtime.Gosched()
	}
}

// breathe is called between chunks: it does what is due now and then.
func (w *worker) breathe() {
	if w.ops < w.shareAt {
		return
	}
	w.share()
	if w.p.share != nil {
		w.p.share.lookLow(w)
	}
}

// share lets the others see the counters.
func (w *worker) share() {
	w.sharedMu.Lock()
	w.shared = w.c
	w.sharedMu.Unlock()
	w.tell()
	w.show()
	w.shareAt = w.ops + shareEvery
}

// next returns the newest task of this worker, or one of another, and waits
// where there is none. It returns false when the walk has ended.
func (w *worker) next(ctx context.Context) (task, bool) {
	p := w.p
	for {
		if p.stopping() {
			return task{}, false
		}
		if w.isCalled() {
			w.between()
			continue
		}
		if w.behind() {
			w.cut(ctx)
		}
		if w.id >= int(p.limit.Load()) {
			w.share()
			w.at.Store(nil)
			if !p.bench(w) {
				return task{}, false
			}
			continue
		}
		if w.isHeld() {
			if !w.gate(ctx, nil) {
				return task{}, false
			}
			continue
		}
		if t, ok := w.q.pop(); ok {
			return t, true
		}
		if t, ok := w.steal(ctx); ok {
			return t, true
		}
		// First say that this worker waits, then look once more: who pushes a
		// task does it the other way round, so one of the two sees the other.
		w.share()
		p.addIdle(w)
		if t, ok := w.steal(ctx); ok {
			p.removeIdle(w)
			return t, true
		}
		if p.stopping() || p.pending.Load() == 0 && p.endsDry() {
			p.removeIdle(w)
			return task{}, false
		}
		if w.behind() || w.isCalled() || w.id >= int(p.limit.Load()) {
			p.removeIdle(w)
			continue
		}
		if p.share != nil {
			p.share.dry(w)
		}
		w.at.Store(nil)
		w.phase.Store(phaseIdle)
		<-w.wake
		w.phase.Store(phaseBusy)
	}
}

// steal takes the oldest half of the tasks of some other worker.
func (w *worker) steal(ctx context.Context) (task, bool) {
	n := int(w.p.started.Load())
	start := rand.IntN(n)
	if w.p.share != nil {
		if t, ok := w.stealFrom(ctx, &w.p.share.feed); ok {
			return t, true
		}
	}
	for i := range n {
		victim := w.p.workers[(start+i)%n].Load()
		if victim == nil || victim == w {
			continue
		}
		if t, ok := w.stealFrom(ctx, &victim.q); ok {
			return t, true
		}
	}
	return task{}, false
}

func (w *worker) stealFrom(ctx context.Context, q *deque) (task, bool) {
	var behind bool
	if w.stash, behind = q.steal(w.stash[:0], w.epoch); behind {
		// What is there belongs to the next epoch.
		w.cut(ctx)
		w.stash, _ = q.steal(w.stash[:0], w.epoch)
	}
	last := len(w.stash) - 1
	if last < 0 {
		return task{}, false
	}
	t := w.stash[last]
	if last > 0 {
		w.give(w.stash[:last]...)
	}
	clear(w.stash)
	return t, true
}

// give puts tasks into the deque and wakes workers that wait for some.
func (w *worker) give(ts ...task) {
	w.q.push(ts...)
	w.p.wakeIdle(len(ts))
}

// prefixOf returns the path of d as it stands before a name in d. It is valid
// until the next call.
func (w *worker) prefixOf(d *Dir) []byte {
	if w.prefixDir != d {
		w.prefixDir, w.prefix = d, d.appendPrefix(w.prefix[:0])
	}
	return w.prefix
}
