package walk

import (
	"context"
	"time"
)

// A worker looks up from its work at gates: between tasks, between two entries of a
// chunk, and before each call of its handler. There it rests while the walk is
// paused, and does what is asked of it:
//
//	        ┌──────────────── woken ───────────────┐
//	        ▼                                      │
//	gate: stopping? ─► Between? ─► a cut? ─► paused, or the throttle: rest
//	        │                                │
//	        ▼ what is at hand remains        ▼ go on
//
// What is at hand is told to cuts as if the worker had not begun with it, so that
// somebody who rests keeps nobody waiting.

// Pause says whether the walk is paused. From then on no method of a handler is
// called but Flush, for a cut; a call that is under way may end. Workers rest where
// they are, also in the midst of a directory, and nothing is lost: all other methods
// do what they do otherwise. It does not wait.
//
// A paused walk can be stopped: what workers had in hand remains then.
func (s *Shared) Pause(on bool) {
	if on {
		s.p.attention.Or(pausing)
	} else {
		s.p.attention.And(^int32(pausing))
	}
	s.p.wakeResting()
}

// Interject has each worker call ShareOptions.Between before it calls File,
// EnterDir, LeaveDir or Filter the next time. Those that have nothing to do, or
// rest, do it at once and go on resting; those in a call do it after that. One call
// of Between may serve several of Interject. A worker whose handler is made later
// may do without; one that ends does without. It does not wait.
func (s *Shared) Interject() {
	s.mu.Lock()
	s.asked.Add(1)
	if s.untold = s.live; s.untold > 0 {
		s.p.attention.Or(calling)
	}
	s.mu.Unlock()
	s.p.wakeWaiting()
}

// joinCalls is for a worker that joins: its handler may have been made before what
// Between tells. The caller holds mu.
func (s *Shared) joinCalls(w *worker) {
	if w.told != s.asked.Load() {
		s.untold++
		s.p.attention.Or(calling)
	}
}

// told notes that a worker has nothing to call for the first n calls of Interject.
// The caller holds mu.
func (s *Shared) told(w *worker, n uint64) {
	if w.told == n {
		return
	}
	w.told = n
	if n != s.asked.Load() {
		return // there was another one meanwhile
	}
	if s.untold--; s.untold == 0 {
		s.p.attention.And(^int32(calling))
	}
}

// isCalled tells whether the worker has to call Between.
func (w *worker) isCalled() bool {
	s := w.p.share
	return s != nil && w.told != s.asked.Load()
}

// between calls Between.
func (w *worker) between() {
	s := w.p.share
	n := s.asked.Load()
	var err error
	if s.o.Between != nil {
		err = w.guard(func() error { return s.o.Between(w.id) })
	}
	if err != nil {
		w.p.fail(err)
	}
	s.mu.Lock()
	s.told(w, n)
	s.mu.Unlock()
}

// isHeld tells whether the worker has to rest, or may have to wait for the throttle.
func (w *worker) isHeld() bool { return w.due || w.isPaused() }

func (w *worker) isPaused() bool { return w.p.attention.Load()&pausing != 0 }

// mayCall is the gate before a call of the handler. atHand is what a cut notes that
// is made there. False: the walk is ending, and the call must not be made. A walk
// that ends without having been paused makes such calls.
func (w *worker) mayCall(ctx context.Context, atHand func() task) bool {
	return w.p.attention.Load()&(pausing|calling) == 0 || w.gate(ctx, atHand)
}

// midway is the gate between two entries; chunk is what is left.
func (w *worker) midway(ctx context.Context, d *Dir, chunk []byte) (goOn bool) {
	count := func() {
		w.tally(d)
		w.queueSubs(d)
	}
	atHand := func() task {
		count()
		return w.rest(d, chunk)
	}
	if w.isPaused() {
		count() // it is shown while it rests
	}
	if !w.gate(ctx, atHand) {
		return false
	}
	if w.cutIsDue() {
		w.cut(ctx, atHand())
	}
	return true
}

// gate does what is asked of the worker and rests as long as it has to. False: the
// walk is ending. atHand is nil between tasks.
func (w *worker) gate(ctx context.Context, atHand func() task) bool {
	for {
		switch {
		case w.p.stopping():
			return false
		case w.isCalled():
			w.between()
			continue
		}
		paused := w.isPaused() // once: it may end at any moment
		if !paused && !w.due {
			return true
		}
		var wait time.Duration
		var changed <-chan struct{}
		if !paused {
			if wait, changed = w.payUp(); wait == 0 {
				return true
			}
		}
		switch {
		case w.behind() && atHand != nil:
			w.cut(ctx, atHand())
		case w.behind():
			w.cut(ctx)
		default:
			w.share()
			if atHand == nil {
				w.at.Store(nil)
			}
			if paused {
				w.p.rest(w, nil, nil)
			} else {
				w.p.hold(w, wait, changed)
			}
		}
	}
}

// hold makes a worker wait for the throttle.
func (p *pool) hold(w *worker, wait time.Duration, changed <-chan struct{}) {
	if w.timer == nil {
		w.timer = time.NewTimer(wait)
	} else {
		w.timer.Reset(wait)
	}
	p.holds.Add(1)
	p.held.Add(1)
	w.throttle.holds(1)
	p.rest(w, w.timer.C, changed)
	w.throttle.holds(-1)
	p.held.Add(-1)
	w.timer.Stop()
}

// rest makes a worker wait until something is asked of it, or it may go on: if that
// is for a pause, when it ends, else when enough was waited or changed is closed.
func (p *pool) rest(w *worker, enough <-chan time.Time, changed <-chan struct{}) {
	p.mu.Lock()
	if p.over || w.behind() || w.isCalled() || w.isPaused() == (enough != nil) {
		p.mu.Unlock()
		return
	}
	p.resting = append(p.resting, w)
	p.mu.Unlock()
	w.phase.Store(phasePaused)
	if enough != nil {
		w.phase.Store(phaseHeld)
	}
	defer w.phase.Store(phaseBusy)
	select {
	case <-w.wake:
		return
	case <-enough:
	case <-changed:
	}
	p.endRest(w)
}

// wakeResting wakes those that rest, so that they see whether they still have to.
func (p *pool) wakeResting() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.wakeList(&p.resting)
}
