package server

import (
	"time"

	"github.com/hydrawalk/hydra/internal/ledger"
	"github.com/hydrawalk/hydra/internal/pace"
	"github.com/hydrawalk/hydra/internal/wire"
)

// paceEvery is how often the rate of a job is looked at, and divided.
const paceEvery = 500 * time.Millisecond

// pacing is how fast a job may ask the file system.
type pacing struct {
	governor pace.Governor
	at       time.Time // when it was divided last
	since    time.Time // since when sum is summed up
	sum      wire.Usage
	limit    float64       // calls per second, of all clients; 0: none
	latency  time.Duration // mean, in the last step; 0: not known
	ops      float64       // calls per second, in the last step

	sharer    pace.Sharer
	shares    map[string]pace.Grant // as it divided last
	notBefore time.Time             // until then sessions may go by what another server told
}

// takeoverTime is how long a server that takes a job over lets its sessions tell by
// what rates they go, and what the server before it told arrive.
const takeoverTime = 2 * time.Second

// used takes in what a session did since it told that last.
func (j *job) used(p *peer, u wire.Usage) {
	if u.N == p.usage {
		return
	}
	p.usage = u.N
	s := &j.pacing.sum
	s.Ops += u.Ops
	s.Timed += u.Timed
	s.Took += u.Took
	s.Held += u.Held
	p.ops, p.held = 0, u.Held > 0
	if u.Elapsed > 0 {
		p.ops = float64(u.Ops) / u.Elapsed.Seconds()
	}
}

// pace decides what each session may do.
func (j *job) pace() {
	t := &j.pacing
	now, spec := time.Now(), j.now()
	if now.Sub(t.at) < paceEvery {
		return
	}
	t.at = now
	t.governor.SetTarget(spec.Latency)
	if elapsed := now.Sub(t.since); elapsed >= 2*paceEvery { // two beats of each client
		t.step(elapsed)
		t.since, t.sum = now, wire.Usage{}
	}
	limit := t.governor.Limit()
	if spec.LimitOps > 0 && (limit == 0 || spec.LimitOps < limit) {
		limit = spec.LimitOps
	}
	if limit != t.limit {
		t.limit, j.changed = limit, true
	}
	j.share(limit)
}

// step lets the governor see what was measured.
func (t *pacing) step(elapsed time.Duration) {
	s := &t.sum
	t.latency, t.ops = 0, float64(s.Ops)/elapsed.Seconds()
	if s.Timed > 0 {
		t.latency = s.Took / time.Duration(s.Timed)
	}
	t.governor.Step(pace.Sample{Elapsed: elapsed, Ops: t.ops, Latency: t.latency, Held: s.Held > 0})
}

// share divides a rate among the sessions; 0 is no limit.
func (j *job) share(limit float64) {
	t := &j.pacing
	if limit == 0 {
		t.sharer = pace.Sharer{}
		for _, p := range j.peers {
			if p.Session != "" && p.share.Rate != wire.NoLimit {
				p.share = pace.Grant{Rate: wire.NoLimit, Number: p.Share.Number + 1}
			}
		}
		return
	}
	if time.Now().Before(t.notBefore) {
		return
	}
	known := map[string]bool{}
	for id, p := range j.peers {
		if p.Session == "" {
			continue
		}
		known[string(id)] = true
		in := p.Share
		if in.Rate == wire.NoLimit {
			in.Rate = p.ops
		}
		t.sharer.Report(string(id), pace.Report{Used: p.ops, Held: p.held, InUse: in, Joined: in.Number == 0})
	}
	for id := range t.shares {
		if !known[id] {
			t.sharer.Leave(id)
		}
	}
	t.shares = t.sharer.Divide(limit)
	for id, g := range t.shares {
		j.peers[ledger.SessionID(id)].share = g
	}
}
