package hydra

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/hydrawalk/hydra/internal/pace"
	"github.com/hydrawalk/hydra/walk"
)

// Pace is how fast a run asks the file system.
type Pace struct {
	// Limit is how many calls per second may be made, by all clients; 0: any number.
	Limit float64
	// Ops is how many were made, per second, when that was measured last; 0: they
	// are not counted.
	Ops float64
	// Target is the mean latency of stat and readdir that is aimed at, 0 if none, and
	// Latency what it was when it was measured last.
	Target, Latency time.Duration
}

// paceEvery is how often the rate of a run in this process is looked at.
const paceEvery = 500 * time.Millisecond

// pacer limits a run in this process.
type pacer struct {
	throttle walk.Throttle
	governor pace.Governor
	limit    float64 // that was asked for
	target   time.Duration
	now      atomic.Pointer[Pace]
}

// newPacer is nil if nothing was asked for.
func newPacer(o *Options) *pacer {
	if o.LimitOps <= 0 && o.TargetLatency <= 0 {
		return nil
	}
	p := &pacer{limit: max(o.LimitOps, 0), target: max(o.TargetLatency, 0)}
	p.throttle.SetRate(p.limit)
	p.throttle.Measure(p.target > 0)
	p.governor.SetTarget(p.target)
	p.now.Store(&Pace{Limit: p.limit, Target: p.target})
	return p
}

// run looks at the rate until ctx is cancelled.
func (p *pacer) run(ctx context.Context) {
	ticker := time.NewTicker(paceEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		u := p.throttle.Sample()
		if u.Elapsed <= 0 {
			continue
		}
		now := Pace{Target: p.target, Ops: float64(u.Ops) / u.Elapsed.Seconds()}
		if u.Timed > 0 {
			now.Latency = u.Took / time.Duration(u.Timed)
		}
		// What the limit that was asked for holds back is not the governor's doing.
		own := p.limit <= 0 || p.governor.Limit() <= p.limit
		now.Limit = p.governor.Step(pace.Sample{Elapsed: u.Elapsed, Ops: now.Ops, Latency: now.Latency, Held: u.Held > 0 && own})
		if p.limit > 0 && (now.Limit == 0 || p.limit < now.Limit) {
			now.Limit = p.limit
		}
		p.throttle.SetRate(now.Limit)
		p.now.Store(&now)
	}
}
