package pace

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

// storage is a model of a file system: the latency in seconds at a rate of ops/s,
// at a part of its capacity. It grows with the rate.
type storage struct {
	name    string
	latency func(rate, capacity float64) float64
}

// queue is a queue with one server, or many: base/(1-load). So is a latency that is
// linear in the number of calls at a time, which are rate times latency.
func queue(base, most float64) func(rate, capacity float64) float64 {
	return func(rate, capacity float64) float64 {
		if load := rate / (most * capacity); load < 1 {
			return base / (1 - load)
		}
		return math.Inf(1)
	}
}

var storages = []storage{
	{"a queue", queue(0.001, 20000)},
	{"a slow queue", queue(0.010, 300)},
	{"linear in what is asked at a time", queue(0.002, 8/0.002)},
	{"quadratic", func(rate, capacity float64) float64 {
		load := rate / (5000 * capacity)
		return 0.002 * (1 + 8*load*load)
	}},
	{"steep", func(rate, capacity float64) float64 { return 0.001 * (1 + math.Pow(rate/(4000*capacity), 6)) }},
}

// rateAt is the rate at which the latency is target, as clients with so many calls
// at a time would come to it: where rate times latency is the number of calls.
func (s *storage) rateAt(capacity float64, reached func(rate, latency float64) bool) float64 {
	lo, hi := 0.0, 1e6
	for range 100 {
		if mid := (lo + hi) / 2; reached(mid, s.latency(mid, capacity)) {
			hi = mid
		} else {
			lo = mid
		}
	}
	return lo
}

func (s *storage) best(capacity, target float64) float64 {
	return s.rateAt(capacity, func(_, l float64) bool { return l >= target })
}

// client asks with at most so many calls at a time, as fast as it may.
func (s *storage) client(calls, limit, capacity float64) (sample Sample, latency float64) {
	want := s.rateAt(capacity, func(r, l float64) bool { return r*l >= calls })
	rate := want
	if limit > 0 && limit < want {
		rate = limit
	}
	latency = s.latency(rate, capacity)
	return Sample{Elapsed: time.Second, Ops: rate, Latency: time.Duration(latency * 1e9), Held: rate < want}, latency
}

func TestTheLatencyIsHeldAtItsTarget(t *testing.T) {
	seed := rand.Uint64()
	t.Log("seed ", seed)
	for _, s := range storages {
		for _, times := range []float64{1.5, 2, 4, 10} {
			for _, noise := range []float64{0, 0.2} {
				for _, tenant := range []bool{false, true} {
					for late := range 2 {
						if late > 0 && times > 4 {
							continue // at nine parts of ten of the load it swings when it sees late what it does
						}
						h := hold{target: times * s.latency(0, 1), noise: noise, tenant: tenant, late: late}
						latency, with, part := h.run(t, &s, rand.New(rand.NewPCG(seed, 0)))
						if math.Abs(latency-1) > 0.15 || math.Abs(with-1) > 0.15 || part < 0.85 {
							t.Errorf("%s, target %.1f times base, %+v: latency %.2f times the target, %.2f in the time of the tenant; rate %.2f of the best", s.name, times, h, latency, with, part)
						}
					}
				}
			}
		}
	}
}

// hold is a run of a Governor.
type hold struct {
	target, noise float64
	tenant        bool // another takes half of the capacity for a while
	late          int  // steps until what is allowed has its effect
}

// run returns the mean latency of the second half, and of the last part of the
// time in which the tenant is there, as parts of the target; and the mean rate of
// the second half as a part of the best.
func (h *hold) run(t *testing.T, s *storage, random *rand.Rand) (latency, with, rate float64) {
	const steps, from, settled, to = 400, 60, 100, 180
	var g Governor
	g.SetTarget(time.Duration(h.target * 1e9))
	limits := make([]float64, h.late+1)
	for i := range steps {
		capacity := 1.0
		if h.tenant && i >= from && i < to {
			capacity = 0.5
		}
		sample, now := s.client(256, limits[0], capacity)
		if i >= steps/2 {
			latency += now / (steps / 2)
			rate += sample.Ops / (steps / 2)
		}
		if i >= settled && i < to {
			with += now / (to - settled)
		}
		sample.Latency = time.Duration(float64(sample.Latency) * math.Exp(h.noise*random.NormFloat64()-h.noise*h.noise/2))
		limit := g.Step(sample)
		if limit < 0 || limit > 0 && limit < Floor || math.IsNaN(limit) {
			t.Fatalf("%v is allowed", limit)
		}
		limits = append(limits[1:], limit)
	}
	return latency / h.target, with / h.target, rate / s.best(1, h.target)
}

func TestATargetThatCanNotBeReachedLeavesTheFloor(t *testing.T) {
	for _, s := range storages {
		var g Governor
		g.SetTarget(time.Duration(s.latency(0, 1) * 1e9 / 2))
		limit := 0.0
		for range 200 {
			sample, _ := s.client(256, limit, 1)
			limit = g.Step(sample)
		}
		if limit != Floor {
			t.Errorf("%s: %v is allowed, want the floor", s.name, limit)
		}
	}
}

func TestThereIsNoLimitWhereNoneIsNeeded(t *testing.T) {
	s := &storages[0]
	var g Governor
	if got := g.Step(Sample{Elapsed: time.Second, Ops: 1e6, Latency: time.Hour, Held: true}); got != 0 {
		t.Errorf("without a target %v is allowed", got)
	}
	g.SetTarget(4 * time.Millisecond)
	limit := 0.0
	for i := range 200 {
		calls := 256.0
		if i >= 100 {
			calls = 2 // by now there is little to do: it does not hold anybody back
		}
		sample, _ := s.client(calls, limit, 1)
		limit = g.Step(sample)
		if i == 99 && limit == 0 {
			t.Error("there is no limit while one is needed")
		}
	}
	if limit != 0 {
		t.Errorf("%v is allowed, and nobody needs that limit", limit)
	}
	// Nor is there one as long as the target is not exceeded.
	var idle Governor
	idle.SetTarget(time.Second)
	for range 100 {
		if got := idle.Step(Sample{Elapsed: time.Second, Ops: 1e5, Latency: time.Millisecond}); got != 0 {
			t.Fatalf("%v is allowed", got)
		}
	}
}

func TestTheTargetMayChange(t *testing.T) {
	s := &storages[0]
	base := s.latency(0, 1)
	var g Governor
	limit := 0.0
	run := func(target float64) (mean float64) {
		g.SetTarget(time.Duration(target * 1e9))
		for i := range 100 {
			sample, latency := s.client(256, limit, 1)
			limit = g.Step(sample)
			if i >= 50 {
				mean += latency / 50
			}
		}
		return mean
	}
	for _, times := range []float64{2, 8, 1.3, 3} {
		if mean := run(times * base); math.Abs(mean/(times*base)-1) > 0.15 {
			t.Errorf("with a target of %.1f times base it is %.2f times", times, mean/base)
		}
	}
	g.SetTarget(0)
	if got := g.Step(Sample{Elapsed: time.Second, Ops: 10, Latency: time.Hour, Held: true}); got != 0 {
		t.Errorf("%v is allowed though there is no target", got)
	}
	if run(2 * base); limit == 0 {
		t.Error("there is no limit after it was turned on again")
	}
}

func TestWhatIsNoMeasurementChangesNothing(t *testing.T) {
	var g Governor
	g.SetTarget(time.Millisecond)
	want := g.Step(Sample{Elapsed: time.Second, Ops: 1000, Latency: 3 * time.Millisecond, Held: true})
	if math.Abs(want-1000/math.Sqrt(3)) > 0.1 {
		t.Errorf("%v is allowed, want half of the excess made up for", want)
	}
	for _, s := range []Sample{
		{},
		{Elapsed: time.Second, Ops: 1000, Held: true},
		{Elapsed: time.Second, Latency: time.Second},
		{Ops: 1000, Latency: time.Second},
		{Elapsed: time.Second, Ops: math.NaN(), Latency: time.Second},
		{Elapsed: time.Second, Ops: math.Inf(1), Latency: time.Second},
	} {
		if got := g.Step(s); got != want {
			t.Errorf("%+v: %v is allowed, want %v", s, got, want)
		}
	}
}

func TestWhatNobodyUsesIsNoBaseForACut(t *testing.T) {
	var g Governor
	g.SetTarget(time.Millisecond)
	g.limit = 1000
	if got := g.Step(Sample{Elapsed: time.Second, Ops: 100, Latency: time.Hour}); got != 50 {
		t.Errorf("%v is allowed, want half of what is used", got)
	}
}

func TestOneStepCutsToAHalfAndRaisesALittle(t *testing.T) {
	var g Governor
	g.SetTarget(time.Millisecond)
	if got := g.Step(Sample{Elapsed: time.Second, Ops: 1000, Latency: time.Hour}); got != 500 {
		t.Errorf("%v is allowed, want a half", got)
	}
	g = Governor{}
	g.SetTarget(time.Second)
	g.limit = 1000
	if got := g.Step(Sample{Elapsed: time.Second, Ops: 1000, Latency: time.Microsecond, Held: true}); got != 1000*mostRaise {
		t.Errorf("%v is allowed", got)
	}
}
