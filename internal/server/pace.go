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
	takesOver bool                  // the job was in the hands of another server
}

// paced is what is known of one session.
type paced struct {
	usage wire.Usage // as it was heard last
	ops   float64    // calls per second that it made
	held  bool       // its limit held it back
	share pace.Grant // of the job's rate; 0: nothing was decided yet
}

// takeoverTime is how long a server that takes a job over lets its sessions tell by
// what rates they go, and what the server before it told arrive.
const takeoverTime = 2 * time.Second

// takeOver is called when the job is read for the first time, if there are sessions.
func (t *pacing) takeOver() {
	t.takesOver, t.notBefore = true, time.Now().Add(takeoverTime)
}

// used takes in what a session did until now.
func (j *job) used(p *peer, u wire.Usage) {
	if u.N <= p.usage.N {
		return
	}
	was := p.usage
	if p.usage = u; was.N == 0 {
		return // another server may have counted it
	}
	now := u.Since(&was)
	j.pacing.sum.Add(&now)
	p.ops, p.held = 0, now.Held > 0
	if now.Elapsed > 0 {
		p.ops = float64(now.Ops) / now.Elapsed.Seconds()
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
	if now.Before(t.notBefore) {
		return
	}
	t.governor.SetTarget(spec.Latency)
	if t.takesOver {
		t.takesOver = false
		t.governor.Resume(j.inUse())
	}
	if elapsed := now.Sub(t.since); elapsed >= 2*paceEvery { // two beats of each client
		t.step(elapsed, j.opsNow(), spec.LimitOps)
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

// inUse is the sum of the rates that sessions go by, of another server; 0 if there
// is one without a limit, or none.
func (j *job) inUse() (sum float64) {
	for _, p := range j.peers {
		switch {
		case p.Session == "" || p.Share.Number == 0:
		case p.Share.Rate == wire.NoLimit:
			return 0
		default:
			sum += p.Share.Rate
		}
	}
	return sum
}

// opsNow is how many calls per second all sessions make. That is not the sum of what
// came in a while: of one there may have come one beat more, or less.
func (j *job) opsNow() (sum float64) {
	for _, p := range j.peers {
		sum += p.ops
	}
	return sum
}

// step lets the governor see what was measured. What the limit that was asked for
// holds back is not its doing.
func (t *pacing) step(elapsed time.Duration, ops, limitOps float64) {
	s := &t.sum
	t.latency, t.ops = 0, ops
	if s.Timed > 0 {
		t.latency = s.Took / time.Duration(s.Timed)
	}
	own := limitOps <= 0 || t.governor.Limit() <= limitOps
	t.governor.Step(pace.Sample{Elapsed: elapsed, Ops: t.ops, Latency: t.latency, Held: s.Held > 0 && own})
}

// share divides a rate among the sessions; 0 is no limit.
func (j *job) share(limit float64) {
	t := &j.pacing
	if limit == 0 {
		t.sharer.Forget()
		t.shares = nil
		for _, p := range j.peers {
			// Most jobs never have a limit, and nobody is told anything.
			free := p.share.Rate == wire.NoLimit || p.share.Number == 0 && p.Share.Rate == wire.NoLimit
			if p.Session != "" && !free {
				p.share = pace.Grant{Rate: wire.NoLimit, Number: t.sharer.Next(p.Share)}
			}
		}
		return
	}
	known := map[string]bool{}
	for id, p := range j.peers {
		known[string(id)] = true
		if p.Session == "" {
			continue // it goes by what it was told
		}
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
