package walk

import "time"

// The number of workers adapts. While they wait for the file system and the
// processors are not busy, more are tried at once, as many as would make them
// busy: a walk over a network has to be fast from its first moments. From then
// on half as many are tried now and again, and kept if as much gets done.
const (
	tick      = 4 * time.Millisecond
	window    = 80 * time.Millisecond  // over which the rates of two numbers are compared
	settle    = 12 * time.Millisecond  // after a change, before its window begins
	firstLook = 250 * time.Millisecond // until fewer are tried for the first time
	lastLook  = 16 * time.Second       // longest time between two trials
	busy      = 0.80                   // share of the processors' time beyond which more do not help
	tolerance = 0.95                   // fewer workers may do this much less
	mostTimes = 8                      // times as many workers in one step
)

// sample is what happened in the walk since the last one.
type sample struct {
	elapsed time.Duration
	cpu     time.Duration // of this process
	ops     int64         // calls to the file system and the handler that ended
	waits   int64         // times that a thread gave its processor up to wait
	idle    int           // workers without a task

	// queued is how long threads were ready to run since the window began, and had
	// no processor. It costs some, so that it is called only where it matters.
	queued func() time.Duration
}

// adapter decides how many workers there should be. It has no clock: it is
// stepped with samples.
type adapter struct {
	n, cores, most int

	seen    sample        // in the window at hand; idle sums up
	samples int           // in the window at hand
	settle  time.Duration // until that window begins

	from  int     // when fewer are on trial: the number before, else 0
	rate  float64 // calls per second before
	look  time.Duration
	pause time.Duration // what look is set to after the next refusal

	ceiling int           // fewer than this did as well
	lift    time.Duration // until the ceiling is doubled
	lifted  time.Duration // what lift is set to next time
}

func newAdapter(n, cores, most int) *adapter {
	return &adapter{n: n, cores: cores, most: most, ceiling: most, look: firstLook, pause: 2 * firstLook, lifted: 2 * time.Second}
}

// step takes a sample and returns the number of workers.
func (a *adapter) step(s sample) int {
	if a.lift -= s.elapsed; a.lift <= 0 && a.ceiling < a.most {
		a.ceiling = min(2*a.ceiling, a.most)
		a.lift, a.lifted = a.lifted, min(2*a.lifted, lastLook)
	}
	if a.settle > 0 {
		a.settle -= s.elapsed
		return a.n
	}
	a.seen.elapsed += s.elapsed
	a.seen.cpu += s.cpu
	a.seen.ops += s.ops
	a.seen.waits += s.waits
	a.seen.idle += s.idle
	a.samples++
	w := a.seen
	if w.ops < int64(a.n) && w.elapsed < 12*window {
		return a.n // too little was done to say anything
	}
	load := w.cpu.Seconds() / (w.elapsed.Seconds() * float64(a.cores))
	starved := 4*w.idle > a.n*a.samples
	// A cached call does not wait; one of 64 that does is much on a disk.
	waiting := w.ops > 0 && load < busy && 64*w.waits >= w.ops
	// Workers that wait for a processor, because others have it, and not for the
	// file system: more of them only take from those.
	crowded := func() bool { return w.cpu+s.queued() >= w.elapsed*time.Duration(a.n)/2 }
	if a.from == 0 && waiting && !starved && a.n < a.ceiling && !crowded() {
		times := min(max(busy/max(load, 0.01), 1.5), mostTimes)
		a.set(min(int(float64(a.n)*times)+1, a.ceiling), 0)
		return a.n
	}
	if w.elapsed < window {
		return a.n
	}
	rate := float64(w.ops) / w.elapsed.Seconds()
	a.look -= w.elapsed
	switch {
	case a.from > 0 && !starved && rate < tolerance*a.rate && (load >= busy || !crowded()):
		// The others were of use.
		n := a.from
		a.from = 0
		a.look, a.pause = a.pause, min(2*a.pause, lastLook)
		a.set(n, settle)
	case a.from > 0:
		a.from, a.look = 0, window
		a.ceiling, a.lift = a.n, a.lifted
		a.set(a.n, 0)
	case a.look <= 0 && a.n > a.cores && !starved:
		a.from, a.rate = a.n, rate
		a.set(max(a.n/2, a.cores), settle)
	default:
		a.set(a.n, 0)
	}
	return a.n
}

// set begins a window with n workers.
func (a *adapter) set(n int, settle time.Duration) {
	a.n, a.settle = n, settle
	a.seen, a.samples = sample{}, 0
}

// adapt steps an adapter until the walk has ended, or somebody fixes the number.
func (p *pool) adapt(procs *procs) {
	n, turn, ok := p.adapts()
	if !ok {
		return
	}
	a := newAdapter(n, cores(), p.mostWorkers)
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	at, used, ops := time.Now(), usage(), p.ops()
	var queue delays
	queue.begin()
	for {
		select {
		case <-p.ended:
			return
		case <-ticker.C:
		}
		if _, now, ok := p.adapts(); !ok || now != turn {
			return
		}
		nowAt, nowUsed, nowOps := time.Now(), usage(), p.ops()
		attention := p.attention.Load()
		idle := int(attention & idleMask)
		if p.share != nil && idle >= int(p.limit.Load()) || attention&pausing != 0 {
			// It waits for work or rests, which says nothing of the file system.
			a.set(a.n, settle)
			at, used, ops = nowAt, nowUsed, nowOps
			continue
		}
		n := a.step(sample{
			elapsed: nowAt.Sub(at),
			cpu:     nowUsed.cpu - used.cpu,
			ops:     nowOps - ops,
			waits:   nowUsed.waits - used.waits,
			idle:    idle,
			queued:  queue.since,
		})
		if a.samples == 0 && a.settle <= 0 {
			queue.begin() // as a window does
		}
		at, used, ops = nowAt, nowUsed, nowOps
		if was := int(p.limit.Load()); n != was {
			p.log.Debug("number of workers changed", "workers", n, "before", was)
			procs.raise(n)
			p.setLimit(n, turn)
		}
	}
}

// adaptAlways adapts whenever the number is not fixed, until the walk has ended.
func (p *pool) adaptAlways(procs *procs) {
	for {
		p.adapt(procs)
		select {
		case <-p.ended:
			return
		case <-p.unfixed:
		}
	}
}

// adapts tells the number of workers, and whether it adapts. turn is another one
// each time that somebody says so.
func (p *pool) adapts() (n int, turn uint64, yes bool) {
	p.limitMu.Lock()
	defer p.limitMu.Unlock()
	return int(p.limit.Load()), p.turn, !p.fixed
}

// fix says whether the number of workers is fixed, and returns the turn for
// setLimit. The adapter that runs has no say any more.
func (p *pool) fix(fixed bool) (turn uint64) {
	p.limitMu.Lock()
	defer p.limitMu.Unlock()
	p.fixed = fixed
	p.turn++
	if !fixed {
		select {
		case p.unfixed <- struct{}{}:
		default: // it was told already
		}
	}
	return p.turn
}

// resources is what the process has used so far.
type resources struct {
	cpu   time.Duration // processors' time
	waits int64         // times that a thread waited
}

// ops adds up the calls of all workers.
func (p *pool) ops() int64 {
	var sum int64
	for i := range p.started.Load() {
		sum += p.workers[i].Load().progress.Load()
	}
	return sum
}
