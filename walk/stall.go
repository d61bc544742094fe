package walk

import (
	"sync"
	"sync/atomic"
	"time"
)

// The walk's own system calls, for Stalled.
const (
	callNone uint32 = iota
	callOpen
	callReaddir
	callStat
	callBits = 2
)

var callOps = [...]string{callOpen: OpOpen, callReaddir: OpReaddir, callStat: OpStat}

// callMark says in which of the walk's own system calls a worker is. There is no
// clock in it, which would take longer than the marks: a goroutine looks at it
// now and then.
type callMark struct {
	on    bool
	n     uint32        // calls so far
	last  *Dir          // in dir
	state atomic.Uint32 // n, and which call in the lower bits; none: outside
	dir   atomic.Pointer[Dir]
}

func (w *worker) enterCall(op uint32, d *Dir) {
	if c := &w.call; c.on {
		c.enter(op, d)
	}
}

func (w *worker) leaveCall() {
	if c := &w.call; c.on {
		c.state.Store(c.n << callBits)
	}
}

func (c *callMark) enter(op uint32, d *Dir) {
	if c.last != d {
		c.last = d
		c.dir.Store(d)
	}
	c.n++
	c.state.Store(c.n<<callBits | op)
}

// Stall is a worker that waits for the file system.
type Stall struct {
	Root int
	Path []byte // of the directory, as in an Item
	Op   string
	For  time.Duration
}

// watch looks at the workers' marks.
type watch struct {
	end  chan struct{} // nil: it does not look
	once sync.Once
	wg   sync.WaitGroup

	mu   sync.Mutex
	seen [maxWorkers + 1]seenCall // the last one is that of who takes
}

// seenCall is a mark that a worker had when it was looked at, and since when.
type seenCall struct {
	state uint32
	since time.Time
	told  bool
}

// start begins to look, if stall is not 0.
func (t *watch) start(p *pool, stall time.Duration) {
	if stall <= 0 {
		return
	}
	t.end = make(chan struct{})
	t.wg.Go(func() {
		ticker := time.NewTicker(max(stall/8, time.Millisecond))
		defer ticker.Stop()
		for {
			select {
			case <-t.end:
				return
			case now := <-ticker.C:
				if t.look(p, now, stall) {
					p.share.notify()
				}
			}
		}
	})
}

// stop ends it, and does not wait: Notify may be under way.
func (t *watch) stop() {
	if t.end != nil {
		t.once.Do(func() { close(t.end) })
	}
}

// look tells whether a worker is stalled that was not before.
func (t *watch) look(p *pool, now time.Time, stall time.Duration) (fresh bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i, mark := range p.share.marks {
		c, state := &t.seen[i], mark.state.Load()
		if c.state != state {
			*c = seenCall{state: state, since: now}
		}
		if c.isCall() && !c.told && now.Sub(c.since) >= stall {
			c.told, fresh = true, true
		}
	}
	return fresh
}

// marks yields the marks of the workers, and of who takes.
func (s *Shared) marks(yield func(int, *callMark) bool) {
	for i := range s.p.started.Load() {
		if !yield(int(i), &s.p.workers[i].Load().call) {
			return
		}
	}
	yield(maxWorkers, &s.taker.call)
}

func (c *seenCall) isCall() bool { return c.state&(1<<callBits-1) != callNone }

// Stalled tells which workers wait for one of the walk's own system calls for
// longer than ShareOptions.Stall. Calls that handlers make themselves are not
// known.
func (s *Shared) Stalled() []Stall {
	s.watch.mu.Lock()
	defer s.watch.mu.Unlock()
	var stalls []Stall
	now := time.Now()
	for i, mark := range s.marks {
		c, d := &s.watch.seen[i], mark.dir.Load()
		if d == nil || !c.isCall() || now.Sub(c.since) < s.o.Stall || mark.state.Load() != c.state {
			continue
		}
		stalls = append(stalls, Stall{d.root.number, d.relative(), callOps[c.state&(1<<callBits-1)], now.Sub(c.since)})
	}
	return stalls
}
