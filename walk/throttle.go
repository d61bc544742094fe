package walk

import (
	"math"
	"sync"
	"sync/atomic"
	"time"
)

// Throttle limits how many file system calls walks make per second, and measures
// them. Its zero value is ready and does neither. Any goroutine may use it, and
// several walks may have the same one: the limit is that of all together.
//
// A worker makes the calls that it needs, and pays for them before it goes on with
// the next entry or directory. It waits there until enough was earned:
//
//	paid     calls that were made
//	earned   grows with the rate, up to paid and a burst; who paid up to n waits for n
//
// While it waits, it does what is asked of it.
type Throttle struct {
	state atomic.Int32 // batch, and measuring; 0: nothing is done

	mu           sync.Mutex
	rate         float64 // per second; 0: no limit
	paid, earned float64
	at           time.Time     // of earned
	changed      chan struct{} // closed when the rate changes
	waiting      int           // workers
	usage        Usage
	since        time.Time // of usage
}

const (
	measuring = 1 << 16
	batchMask = measuring - 1
	mostBatch = 64                    // calls that a worker makes before it pays
	payEvery  = time.Millisecond      // and the time that they may take at the rate
	burst     = 20 * time.Millisecond // of calls that may be made at once
	longWait  = time.Hour             // after it is looked again
)

// Usage is what happened since the last Sample.
type Usage struct {
	Ops     int64         // file system calls, while there is a limit or they are measured
	Timed   int64         // of these, calls for attributes and reads of directories, while they are measured
	Took    time.Duration // all that were timed together
	Held    time.Duration // what all workers waited for the limit
	Elapsed time.Duration // since the last Sample, or since a limit or Measure was first set
}

// SetRate sets the limit. With 0 or less there is none. Who waits sees it at once.
func (t *Throttle) SetRate(perSecond float64) {
	if !(perSecond > 0) || math.IsInf(perSecond, 1) {
		perSecond = 0
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.earn(time.Now())
	debt := t.paid - t.earned
	switch {
	case t.rate == 0 || perSecond == 0:
		debt = 0
	case perSecond < t.rate && debt > 0:
		debt *= perSecond / t.rate // nobody waits longer than it would have
	}
	t.rate, t.earned = perSecond, t.paid-debt
	batch := int32(0)
	if perSecond > 0 {
		batch = int32(min(max(perSecond*payEvery.Seconds(), 1), mostBatch))
	}
	t.state.Store(t.state.Load()&measuring | batch)
	if t.changed != nil {
		close(t.changed)
		t.changed = nil
	}
}

// Measure says whether the time of calls is taken, which takes some itself.
func (t *Throttle) Measure(on bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.earn(time.Now())
	if on {
		t.state.Or(measuring)
	} else {
		t.state.And(^int32(measuring))
	}
}

// Sample returns what happened since the last one. Workers tell what they did now
// and then: it lags by some calls.
func (t *Throttle) Sample() Usage {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	t.earn(now)
	u := t.usage
	u.Elapsed = now.Sub(t.since)
	t.usage, t.since = Usage{}, now
	return u
}

// earn brings earned and what was waited up to now. The caller holds mu.
func (t *Throttle) earn(now time.Time) {
	if t.at.IsZero() {
		t.at, t.since = now, now
	}
	elapsed := now.Sub(t.at)
	t.at = now
	t.usage.Held += time.Duration(t.waiting) * elapsed
	t.earned += t.rate * elapsed.Seconds()
	t.earned = min(t.earned, t.paid+max(1, t.rate*burst.Seconds()))
}

// pay takes what a worker did, and returns up to where it paid.
func (t *Throttle) pay(m *meter) (upTo float64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.earn(time.Now())
	t.usage.Ops += m.ops
	t.usage.Timed += m.timed
	t.usage.Took += m.took
	t.paid += float64(m.ops)
	if t.rate == 0 {
		t.earned = t.paid
	}
	*m = meter{}
	return t.paid
}

// left is how long it takes until so much was earned; changed is closed when that
// is not true any more.
func (t *Throttle) left(upTo float64) (wait time.Duration, changed <-chan struct{}) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.earn(time.Now())
	missing := upTo - t.earned
	if t.rate == 0 || missing <= 0 {
		return 0, nil
	}
	if t.changed == nil {
		t.changed = make(chan struct{})
	}
	seconds := min(missing/t.rate, longWait.Seconds())
	return time.Duration(seconds*float64(time.Second)) + 1, t.changed
}

// holds says that a worker begins to wait, or with -1 that it ends.
func (t *Throttle) holds(n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.earn(time.Now())
	t.waiting += n
}

// meter is what a worker did and has not told yet.
type meter struct {
	ops, timed int64
	took       time.Duration
}

// fsCall counts a call to the file system.
func (w *worker) fsCall() {
	if w.throttle != nil {
		w.countCall()
	}
}

func (w *worker) countCall() {
	state := w.throttle.state.Load()
	if state == 0 {
		return
	}
	m := &w.meter
	m.ops++
	switch batch := int64(state & batchMask); {
	case batch == 0:
		if m.ops >= mostBatch || m.took >= payEvery {
			w.throttle.pay(m)
		}
	case m.ops >= batch:
		w.due = true
	}
}

// timed is fsCall before a call whose time is measured; took is called after it.
func (w *worker) timed() (begun time.Time) {
	if w.throttle != nil {
		w.countCall()
		if w.throttle.state.Load()&measuring != 0 {
			begun = time.Now()
		}
	}
	return begun
}

func (w *worker) took(begun time.Time) {
	if w.throttle != nil && !begun.IsZero() {
		w.meter.timed++
		w.meter.took += time.Since(begun)
	}
}

// payUp pays what is due. It returns how long the worker has to wait.
func (w *worker) payUp() (wait time.Duration, changed <-chan struct{}) {
	if w.meter.ops > 0 {
		w.paidUpTo = w.throttle.pay(&w.meter)
	}
	wait, changed = w.throttle.left(w.paidUpTo)
	w.due = wait > 0
	return wait, changed
}

// tell pays without waiting: for a worker that has nothing to do, or is none of the
// pool. Others wait for it.
func (w *worker) tell() {
	if w.throttle != nil && w.meter.ops > 0 {
		w.paidUpTo = w.throttle.pay(&w.meter)
		w.due = true // before it does anything else
	}
}

// fsCall is for a call that is made by nobody knows which worker: those that pay
// next wait for it. What it returns is called after it.
func (t *Throttle) fsCall() (after func()) {
	if t == nil || t.state.Load() == 0 {
		return func() {}
	}
	m := meter{ops: 1}
	if t.state.Load()&measuring == 0 {
		return func() { t.pay(&m) }
	}
	begun := time.Now()
	return func() {
		m.timed, m.took = 1, time.Since(begun)
		t.pay(&m)
	}
}
