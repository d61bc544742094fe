package walk

import (
	"math/rand/v2"
	"testing"
	"time"
)

// storage is a file system as the adapter sees it: calls that wait, of which so
// many at a time are served, by workers that need the processors for the rest.
type storage struct {
	wait  time.Duration // latency of a call
	work  time.Duration // processor time of a call
	limit int           // calls served at a time; 0: any number
	cores int
	noise float64 // relative
	other float64 // threads of others that want the processors all the time
}

// sample is what the workers do in one tick.
func (f storage) sample(a *adapter, rng *rand.Rand) sample {
	n := a.n
	serving := n
	if f.limit > 0 {
		serving = min(n, f.limit)
	}
	perSecond := float64(serving) / (f.wait + f.work).Seconds()
	perSecond = min(perSecond, float64(f.cores)*float64(n)/(float64(n)+f.other)/f.work.Seconds())
	perSecond *= 1 + f.noise*(2*rng.Float64()-1)
	ops := perSecond * tick.Seconds()
	waits := 0.0
	if f.wait > 0 {
		waits = ops
	} else if f.other > 0 {
		waits = ops / 50 // of threads for each other
	}
	queued := max(time.Duration(serving)*tick-time.Duration(ops*float64(f.wait+f.work)), 0)
	return sample{
		queued:  func() time.Duration { return time.Duration(a.samples) * queued },
		waits:   int64(waits),
		elapsed: tick,
		cpu:     time.Duration(ops * float64(f.work)),
		ops:     int64(ops),
	}
}

func TestTheNumberOfWorkersFindsWhatTheStorageCanServe(t *testing.T) {
	const seed = 1
	for _, c := range []struct {
		name     string
		f        storage
		ticks    int
		min, max int // workers after that
	}{
		{"cached: the processors are the limit", storage{wait: 0, work: time.Microsecond, cores: 2}, 2000, 2, 2},
		{"cached, and others take most of the processors", storage{wait: 0, work: time.Microsecond, cores: 2, other: 4}, 2000, 2, 2},
		{"network without a limit", storage{wait: 5 * time.Millisecond, work: 5 * time.Microsecond, cores: 2}, 1000, 256, 512},
		{"network, processors full at 100 workers", storage{wait: 500 * time.Microsecond, work: 10 * time.Microsecond, cores: 2}, 1000, 64, 256},
		{"a server with 32 threads", storage{wait: 500 * time.Microsecond, work: 5 * time.Microsecond, limit: 32, cores: 2}, 2000, 30, 72},
		{"one disk", storage{wait: 5 * time.Millisecond, work: 5 * time.Microsecond, limit: 1, cores: 2}, 4000, 2, 8},
		{"the same with noise", storage{wait: 500 * time.Microsecond, work: 5 * time.Microsecond, limit: 32, cores: 2, noise: 0.05}, 2000, 24, 128},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Logf("seed %d", seed)
			rng := rand.New(rand.NewPCG(seed, 0))
			a := newAdapter(c.f.cores, c.f.cores, maxWorkers)
			inRange := 0
			for i := range c.ticks {
				n := a.step(c.f.sample(a, rng))
				if i >= c.ticks/2 && n >= c.min && n <= c.max {
					inRange++
				}
			}
			if inRange < c.ticks/2*8/10 {
				t.Errorf("after half of %d ticks between %d and %d workers in only %d; %d at the end", c.ticks, c.min, c.max, inRange, a.n)
			}
		})
	}
}

func TestIdleWorkersAreNoReasonForMore(t *testing.T) {
	a := newAdapter(2, 2, maxWorkers)
	for range 1000 {
		if n := a.step(sample{elapsed: tick, ops: 100, waits: 100, idle: 1, queued: func() time.Duration { return 0 }}); n != 2 {
			t.Fatalf("%d workers", n)
		}
	}
}
