package walk

import (
	"runtime"
	"time"
)

// The number of workers adapts by trial: while the processors are not busy and
// every worker is, twice as many are tried, and kept if more gets done. So it
// grows on file systems that make workers wait, however many hosts or disks are
// behind them, and stays where the processors are the limit.
const (
	tick     = 10 * time.Millisecond
	busy     = 0.80 // share of the processors' time beyond which more workers do not help
	gain     = 1.10 // times more must be done with twice the workers
	patience = 64   // ticks until a refused number is tried again; doubles each time
)

// firstWorkers is the number of workers to begin with.
func firstWorkers() int { return runtime.NumCPU() }

// sample is what happened in the walk since the last one.
type sample struct {
	elapsed time.Duration
	cpu     time.Duration // of this process
	ops     int64         // calls to the file system and handler that ended
	idle    int           // workers without a task
}

// adapter decides how many workers there should be. It has no clock: it is
// stepped with samples.
type adapter struct {
	n, cores, most int

	sum     sample // since the state was entered, without the ticks to settle
	ticks   int
	trying  bool    // n is on trial against base
	base    int     // workers before the trial
	rate    float64 // calls per second with base workers
	wait    int     // ticks until the next trial
	penalty int     // how long to wait after the next refusal
	down    bool    // the next trial is of fewer workers
}

// step takes a sample and returns the number of workers.
func (a *adapter) step(s sample) int {
	a.ticks++
	if a.trying && a.ticks <= 1 {
		return a.n // started workers need a moment
	}
	a.sum.elapsed += s.elapsed
	a.sum.cpu += s.cpu
	a.sum.ops += s.ops
	a.sum.idle = max(a.sum.idle, s.idle)
	// A window is as long as it takes to see something: a few calls per worker.
	if a.sum.elapsed < 2*tick || a.sum.ops < int64(4*a.n) && a.sum.elapsed < 100*tick {
		return a.n
	}
	rate := float64(a.sum.ops) / a.sum.elapsed.Seconds()
	load := a.sum.cpu.Seconds() / (a.sum.elapsed.Seconds() * float64(a.cores))
	starved := a.sum.idle > 0
	ticks := a.ticks
	a.sum, a.ticks = sample{}, 0
	if a.trying {
		a.judge(rate, starved)
		if !a.trying && a.wait > 0 {
			return a.n
		}
	}
	a.wait -= ticks
	switch {
	case a.wait > 0:
	case a.down && a.n > a.cores && !starved:
		a.try(max(a.n/2, a.cores), rate)
	case a.n < a.most && !starved && load < busy:
		times := 2
		if load < busy/4 {
			times = 4
		}
		a.try(min(a.n*times, a.most), rate)
	}
	return a.n
}

func (a *adapter) try(n int, rate float64) {
	a.trying, a.base, a.rate, a.n = true, a.n, rate, n
}

// judge ends a trial.
func (a *adapter) judge(rate float64, starved bool) {
	a.trying = false
	switch {
	case starved && a.n > a.base:
		// Not enough directories to share: that says nothing of the number.
		a.n = a.base
		a.wait = patience / 8
	case a.n > a.base && rate >= a.rate*gain:
		a.wait, a.penalty, a.down = 0, 0, false
	case a.n < a.base && rate*gain >= a.rate:
		a.wait, a.down = patience, true // fewer do as well
	default:
		shrank := a.n < a.base
		a.n = a.base
		a.penalty = min(max(2*a.penalty, patience), 16*patience)
		a.wait = a.penalty
		a.down = !shrank // look the other way next time
	}
}

// adapt steps an adapter until the walk has ended.
func (p *pool) adapt(procs *procs) {
	a := adapter{n: int(p.limit.Load()), cores: runtime.NumCPU(), most: p.mostWorkers}
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	at, cpu, ops := time.Now(), processTime(), int64(0)
	for {
		select {
		case <-p.ended:
			return
		case <-ticker.C:
		}
		now, nowCPU, nowOps := time.Now(), processTime(), p.ops()
		s := sample{now.Sub(at), nowCPU - cpu, nowOps - ops, int(p.attention.Load() & (stopped - 1))}
		at, cpu, ops = now, nowCPU, nowOps
		if n := a.step(s); n != int(p.limit.Load()) {
			p.log.Debug("workers", "n", n, "was", p.limit.Load())
			procs.raise(n)
			p.setLimit(n)
		}
	}
}

// ops adds up the calls of all workers.
func (p *pool) ops() int64 {
	var sum int64
	for i := range p.started.Load() {
		sum += p.workers[i].Load().progress.Load()
	}
	return sum
}
