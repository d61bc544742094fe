package pace

import (
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func sum(list []float64) (n float64) {
	for _, v := range list {
		n += v
	}
	return n
}

func TestARateIsDividedByWhatIsUsed(t *testing.T) {
	const most = 1 - reserve // of the total, is divided
	for _, tt := range []struct {
		name string
		asks []Ask
		want []float64 // of 100
	}{
		{"nobody", nil, []float64{}},
		{"one", []Ask{{Held: true}}, []float64{100 * most}},
		{"all are held", []Ask{{Held: true, Used: 70}, {Held: true}, {Held: true, Used: 1}, {Held: true}}, []float64{25 * most, 25 * most, 25 * most, 25 * most}},
		{"none is held", []Ask{{Used: 0}, {Used: 0}}, []float64{50 * most, 50 * most}},
		{"some are", []Ask{{Used: 10}, {Held: true, Used: 20}, {Held: true, Used: 1}}, []float64{10 * (1 + headroom), 50*most - 5*(1+headroom), 50*most - 5*(1+headroom)}},
		{"who uses much gives way", []Ask{{Used: 90}, {Held: true, Used: 3}}, []float64{50 * most, 50 * most}},
		{"and to all alike", []Ask{{Used: 60}, {Used: 80}, {Held: true}, {Used: 4}}, []float64{
			(100*most - 4*(1+headroom)) / 3, (100*most - 4*(1+headroom)) / 3, (100*most - 4*(1+headroom)) / 3, 4 * (1 + headroom)}},
		{"who is idle may begin", []Ask{{}, {Held: true}}, []float64{50 * most * little, 100*most - 50*most*little}},
	} {
		got := Share(100, tt.asks)
		if len(got) != len(tt.want) {
			t.Fatalf("%s: %v", tt.name, got)
		}
		for i := range got {
			if math.Abs(got[i]-tt.want[i]) > 1e-9 {
				t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
				break
			}
		}
	}
}

func TestNobodyGetsWhatOthersMayStillUse(t *testing.T) {
	got := Share(100, []Ask{{Held: true, Used: 95, Granted: 96}, {Held: true}})
	if got[0] != 50*(1-reserve) || got[1] <= 0 || got[1] > 4 {
		t.Errorf("%v", got)
	}
	seed := rand.Uint64()
	t.Log("seed ", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	for range 2000 {
		total := random.Float64() * 1000
		asks := make([]Ask, 1+random.IntN(8))
		var granted float64
		for i := range asks {
			asks[i] = Ask{Used: random.Float64() * total, Held: random.IntN(2) == 0, Granted: random.Float64() * total / 4 * float64(random.IntN(3))}
			granted += asks[i].Granted
		}
		got := Share(total, asks)
		var most float64
		for i, v := range got {
			if v < 0 || math.IsNaN(v) {
				t.Fatalf("%v of %v for %+v", got, total, asks)
			}
			most = max(most, v)
			asks[i].Granted = max(asks[i].Granted, v)
		}
		var may float64
		for _, a := range asks {
			may += a.Granted
		}
		if sum(got) > total*(1+1e-9) || may > max(total, granted)*(1+1e-9) {
			t.Fatalf("%v, of which %v may be used, of %v for %+v", got, may, total, asks)
		}
	}
}

// worker is a session in a simulation.
type worker struct {
	demand float64 // what it would use without a limit
	grant  Grant   // that it keeps to
	told   []Grant // on their way, the next one first
	joined bool
}

// used is what it uses: nothing before it was told what it may.
func (w *worker) used() float64 { return min(w.demand, w.grant.Rate) }

// sharing is a simulation of sessions that keep to what they are told a step
// later. Of the messages lossy of 100 get lost.
type sharing struct {
	t       *testing.T
	random  *rand.Rand
	total   float64
	lossy   int
	sharer  Sharer
	workers map[string]*worker
}

// step is one round: what was told arrives, all report, and the rate is divided.
func (s *sharing) step() (used, demand float64) {
	ids := slices.Sorted(maps.Keys(s.workers))
	for _, id := range ids {
		w := s.workers[id]
		for _, g := range w.told {
			if g.Number > w.grant.Number {
				w.grant, w.joined = g, true
			}
		}
		w.told = nil
		used += w.used()
		demand += w.demand
	}
	if used > s.total*(1+1e-9) {
		s.t.Fatalf("%v is used, of %v", used, s.total)
	}
	for _, id := range ids {
		if w := s.workers[id]; !s.loses() {
			s.sharer.Report(id, Report{Used: w.used(), Held: w.demand > w.grant.Rate, InUse: w.grant, Joined: !w.joined})
		}
	}
	var granted float64
	for id, g := range s.sharer.Divide(s.total) {
		granted += g.Rate
		if w := s.workers[id]; w != nil && !s.loses() {
			w.told = append(w.told, g)
		}
	}
	if granted > s.total*(1+1e-9) {
		s.t.Fatalf("%v is granted, of %v", granted, s.total)
	}
	return used, demand
}

func (s *sharing) loses() bool { return s.random.IntN(100) < s.lossy }

func TestSessionsThatJoinAndLeaveUseTheWholeRateAndNoMore(t *testing.T) {
	seed := rand.Uint64()
	t.Log("seed ", seed)
	for _, lossy := range []int{0, 10} {
		s := &sharing{t: t, random: rand.New(rand.NewPCG(seed, uint64(lossy))), total: 1000, lossy: lossy, workers: map[string]*worker{}}
		for round := range 300 {
			// Some join, some leave, some want more or less.
			for range 1 + s.random.IntN(3) {
				demand := math.Exp(s.random.Float64()*9) - 1 // from nothing to eight times the rate
				ids := slices.Sorted(maps.Keys(s.workers))
				switch change := s.random.IntN(3); {
				case change == 0 && len(ids) < 20 || len(ids) == 0:
					s.workers[fmt.Sprint("s", round, "-", len(ids))] = &worker{demand: demand}
				case change == 1:
					id := ids[s.random.IntN(len(ids))]
					delete(s.workers, id)
					s.sharer.Leave(id)
				default:
					s.workers[ids[s.random.IntN(len(ids))]].demand = demand
				}
			}
			const settle = 6
			var used, demand float64
			for i := range 3 * settle {
				if used, demand = s.step(); i >= settle && lossy == 0 && used < 0.95*min(demand, s.total) {
					t.Fatalf("round %d, step %d: %.1f is used, of %v, and %.1f is wanted by %d", round, i, used, s.total, demand, len(s.workers))
				}
			}
			if used < 0.95*min(demand, s.total) && lossy > 0 {
				t.Errorf("round %d: with losses %.1f is used, of %v, and %.1f is wanted", round, used, s.total, demand)
			}
		}
	}
}

func TestWhatWasToldCountsUntilALaterGrantIsConfirmed(t *testing.T) {
	var s Sharer
	s.Report("a", Report{Joined: true, Held: true})
	first := s.Divide(100)["a"]
	s.Report("a", Report{Used: first.Rate, Held: true, InUse: first})
	s.Report("b", Report{Joined: true, Held: true})
	second := s.Divide(100)
	if second["a"].Rate >= first.Rate || second["b"].Rate > 100-first.Rate || second["b"].Rate <= 0 {
		t.Errorf("%+v", second)
	}
	for range 50 { // a is silent: what it was told last may have got lost
		if got := s.Divide(100); got["b"].Rate > 100-first.Rate {
			t.Fatalf("%+v while a may use %v", got, first.Rate)
		}
	}
	s.Report("a", Report{Used: 1, Held: true, InUse: first}) // it has not got it
	if got := s.Divide(100); got["b"].Rate > 100-first.Rate {
		t.Errorf("%+v while a uses %v", got, first.Rate)
	}
	confirmed := s.Divide(100)["a"]
	s.Report("a", Report{Used: confirmed.Rate, Held: true, InUse: confirmed})
	s.Report("a", Report{Used: first.Rate, Held: true, InUse: first}) // late
	if got := s.Divide(100); math.Abs(got["b"].Rate-got["a"].Rate) > 1 {
		t.Errorf("%+v", got)
	}
	s.Leave("a")
	if got := s.Divide(100); len(got) != 1 || got["b"].Rate < 95 {
		t.Errorf("%+v after a left", got)
	}
	// Another that takes over numbers on, and knows what is in use.
	var next Sharer
	next.Report("b", Report{Used: 50, Held: true, InUse: Grant{50, 70}})
	next.Report("c", Report{Joined: true, Held: true})
	got := next.Divide(100)
	if got["b"].Number <= 70 || got["c"].Number <= 70 || got["c"].Rate > 50 {
		t.Errorf("%+v", got)
	}
}

func TestWhatIsNotConfirmedTakesLittleMemory(t *testing.T) {
	var s Sharer
	s.Report("a", Report{Joined: true, Held: true})
	most := 0.0
	for i := range 1000 {
		most = max(most, s.Divide(100 + 10*float64(i%7))["a"].Rate)
	}
	s.Report("b", Report{Joined: true, Held: true})
	s.Divide(1)
	for i := range 100 {
		s.Divide(10 + float64(i%2)) // the most lies further and further back
	}
	if a := s.sessions["a"]; len(a.told) > mostTold || a.granted() != most {
		t.Errorf("%d grants are kept, the most of them %v, want %v", len(a.told), a.granted(), most)
	}
}
