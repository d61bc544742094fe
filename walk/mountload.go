package walk

import (
	"sync/atomic"
	"time"
)

// mount is one of several mounts of a file system.
type mount struct {
	ms     *Mounts
	path   string
	times  int                    // that it was left out; guarded by Mounts.mu
	out    atomic.Pointer[string] // why it is not used; nil: it is
	partly atomic.Pointer[string] // why it is not used for some root
	dirs   atomic.Int64           // opened through it

	latency  atomic.Int64 // of a call, smoothed; 0: not known
	usedAt   atomic.Int64 // when a directory was opened through it, by Mounts.now
	inFlight atomic.Int64
	next     atomic.Uint32
	calls    [callSlots]atomic.Int64 // when each call in flight began; 0: free
	oldAt    atomic.Int64            // when oldest looked
	old      atomic.Int64            // the earliest begin then; 0: nothing was under way
}

// callSlots is how many calls in flight are known by their time: more than there can
// be workers.
const callSlots = 2 * maxWorkers

const (
	// smoothing: a call has this part of the latency that is gone by.
	smoothing = 8
	// stick is how much longer another mount than the parent's may be expected to
	// take, in halves: there the path is looked up anew.
	stick = 3
	// triedEvery is how often a mount is tried that is not the fastest.
	triedEvery = 500 * time.Millisecond
	// agedEvery is how often it is looked for how long calls are under way.
	agedEvery = 5 * time.Millisecond
)

// call is one that is under way.
type call struct {
	slot  *atomic.Int64
	began int64
}

// begin notes that a call begins. Whoever makes it ends it.
func (m *mount) begin() call {
	c := call{began: m.ms.now()}
	m.inFlight.Add(1)
	from := m.next.Add(1)
	for i := range uint32(callSlots) {
		slot := &m.calls[(from+i)%callSlots]
		if slot.Load() == 0 && slot.CompareAndSwap(0, c.began) {
			c.slot = slot
			break
		}
	}
	return c
}

// end notes that it has ended, and how long it took.
func (m *mount) end(c call) {
	if c.slot != nil && !c.slot.CompareAndSwap(c.began, 0) {
		return // it was given up
	}
	m.inFlight.Add(-1)
	took := max(m.ms.now()-c.began, 1)
	was := m.latency.Load()
	if was == 0 {
		m.latency.Store(took)
		return
	}
	m.latency.Store(max(was+(took-was)/smoothing, 1)) // that one of two may get lost does no harm
}

// forget gives up the calls that are under way: they hang.
func (m *mount) forget() {
	for i := range m.calls {
		if began := m.calls[i].Load(); began != 0 && m.calls[i].CompareAndSwap(began, 0) {
			m.inFlight.Add(-1)
		}
	}
	m.old.Store(0)
}

// oldest is for how long the oldest call is under way.
func (m *mount) oldest(now int64) time.Duration {
	if m.inFlight.Load() == 0 {
		return 0
	}
	var first int64
	for i := range m.calls {
		if began := m.calls[i].Load(); began != 0 && (first == 0 || began < first) {
			first = began
		}
	}
	m.old.Store(first)
	m.oldAt.Store(now)
	if first == 0 {
		return 0
	}
	return time.Duration(max(now-first, 0))
}

// expected is how long a call is likely to take that begins now: one that hangs
// counts from when it began.
func (m *mount) expected(now int64) int64 {
	n := m.inFlight.Load()
	each := m.latency.Load()
	if n > 0 {
		if now-m.oldAt.Load() > int64(agedEvery) {
			m.oldest(now)
		}
		if old := m.old.Load(); old != 0 {
			each = max(each, m.oldAt.Load()-old)
		}
	}
	return each * (n + 1)
}

// choose is the way through which a directory is opened; parent is that of its
// parent, nil for a root.
func (r *ways) choose(parent *way) *way {
	now := r.ms.now()
	var best *way
	var least int64
	for _, w := range r.list {
		m := w.m
		if !w.isUsable() {
			continue
		}
		used := m.usedAt.Load()
		if w != parent && now-used > int64(triedEvery) && m.inFlight.Load() == 0 && m.usedAt.CompareAndSwap(used, now) {
			return w // it may be faster now
		}
		cost := 2 * m.expected(now)
		if w != parent && parent != nil {
			cost = cost / 2 * stick
		}
		if best == nil || cost < least {
			best, least = w, cost
		}
	}
	switch {
	case best != nil:
	case parent != nil:
		best = parent
	default:
		best = r.home()
	}
	best.m.usedAt.Store(now)
	return best
}
