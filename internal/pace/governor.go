package pace

import (
	"math"
	"time"
)

const (
	// Floor is the least that a Governor allows, in operations per second: a job
	// that the file system has no time for still comes to its end.
	Floor = 5.0
	// mostCut is the most that is cut in one step. What was measured may be half a
	// step old, and a file system that stood still for a moment is no slow one.
	mostCut = 0.5
	// mostRaise is the most that is added in one step: near its limit a file system
	// answers much later for little more load.
	mostRaise = 1.08
	// weight is that of the newest sample in the smoothed latency. With less, what
	// was done a step ago is not seen, and is done again.
	weight = 0.5
	// fewest is the number of operations whose mean counts half as much as that of
	// very many.
	fewest = 8.0
	// firstGain is how much of an error, as a ratio, is made up for in one step. At
	// half load latency grows about as the rate does, and half an error at a time
	// does not swing.
	firstGain = 0.5
	// leastGain is what remains of it where latency swings: in a queue at nine parts
	// of ten of the load, latency changes nine times as much as the rate. With less,
	// noise would keep it so small that a tenant who leaves is noticed late.
	leastGain = 0.12
	// more and less change the gain after each step: it falls where the error changes
	// its sign, as it does by turns when too much is made up for, and grows where
	// one step was not enough.
	less, more = 0.6, 1.25
	// dead is the error that says nothing: noise.
	dead = 0.03
	// alarm is the excess at which the gain is the first one again: another tenant
	// came, and what was learnt before does not hold.
	alarm = 1.5
	// calm is how far below the target latency has to be, and calmSteps for how many
	// steps, without that anybody is held back, until there is no limit any more.
	calm      = 0.8
	calmSteps = 10
)

// Sample is what was measured since the last step.
type Sample struct {
	Elapsed time.Duration
	Ops     float64       // operations per second, of all clients
	Latency time.Duration // mean of stat and readdir; 0: none were made
	Held    bool          // the limit held somebody back
}

// Governor holds the mean latency of the file system at a target, by limiting how
// often it is asked. It is meant to be told every second or few. The zero value has
// no target. One goroutine uses it.
//
//	latency > target: the limit falls by a part of the excess, at once
//	latency < target: it rises in small steps, while it holds somebody back
//
// What part that is, is learnt: the Governor knows nothing of the file system, and
// of some the latency grows much faster than the load.
type Governor struct {
	target   float64 // seconds; 0: off
	limit    float64 // operations per second; 0: none
	latency  float64 // smoothed, in seconds; 0: not known
	gain     float64
	lastSign float64 // of the error, when it was not dead
	quiet    int     // steps in a row that were calm
}

// SetTarget changes the target; 0 turns the Governor off. What is allowed at
// present is where it goes on from.
func (g *Governor) SetTarget(d time.Duration) {
	target := max(d, 0).Seconds()
	if target == g.target {
		return
	}
	limit := g.limit
	if target == 0 {
		limit = 0
	}
	*g = Governor{target: target, limit: limit, gain: firstGain}
}

// Resume lets a Governor that knows no limit go on from the one that another had;
// 0 is none.
func (g *Governor) Resume(limit float64) {
	if g.target > 0 && g.limit == 0 && limit > 0 {
		g.limit = max(limit, Floor)
	}
}

// Step takes what was measured and returns how many operations per second all
// clients together may make; 0 is no limit.
func (g *Governor) Step(s Sample) float64 {
	if g.target == 0 || s.Latency <= 0 || s.Elapsed <= 0 || !(s.Ops > 0) || math.IsInf(s.Ops, 1) {
		return g.limit // nothing is known that was not before
	}
	g.smooth(s)
	if g.latency < calm*g.target && !s.Held {
		if g.quiet++; g.quiet >= calmSteps {
			g.limit = 0
		}
	} else {
		g.quiet = 0
	}
	errorNow := math.Log(g.target / g.latency) // > 0: there is room
	if errorNow >= 0 && (g.limit == 0 || !s.Held) {
		return g.limit
	}
	g.learn(errorNow)
	factor := min(max(math.Exp(g.gain*errorNow), mostCut), mostRaise)
	base := g.limit
	if errorNow < 0 && (base == 0 || s.Ops < base) {
		base = s.Ops // a limit that nobody comes near to would only cut later
	}
	g.limit = max(base*factor, Floor)
	// The next sample is mixed with what this should lead to. Mixed with what was
	// before, it would have the same error made up for twice.
	g.latency *= math.Pow(factor, 1/g.gain)
	return g.limit
}

// smooth adds a sample to the latency; one of few operations counts for less.
func (g *Governor) smooth(s Sample) {
	now := s.Latency.Seconds()
	if g.latency == 0 {
		g.latency = now
		return
	}
	n := s.Ops * s.Elapsed.Seconds()
	g.latency += (now - g.latency) * weight * n / (n + fewest)
}

// learn changes the gain by what the step before led to.
func (g *Governor) learn(errorNow float64) {
	switch {
	case errorNow < -math.Log(alarm):
		g.gain = max(g.gain, firstGain)
	case math.Abs(errorNow) < dead:
		return
	case g.lastSign*errorNow < 0:
		g.gain = max(g.gain*less, leastGain)
	case g.lastSign*errorNow > 0:
		g.gain = min(g.gain*more, firstGain)
	}
	g.lastSign = math.Copysign(1, errorNow)
}

// Limit is what the last Step returned.
func (g *Governor) Limit() float64 { return g.limit }
