package server

import (
	"cmp"
	"slices"
	"time"

	"github.com/hydrawalk/hydra/internal/ledger"
	"github.com/hydrawalk/hydra/internal/wire"
)

// deal gives the bags that are free to sessions that need work, and asks others
// to give some where there are not enough.
func (j *job) deal() {
	hungry := j.hungry()
	if len(hungry) == 0 {
		return
	}
	l := j.ledger
	for _, ref := range l.Free() {
		if len(hungry) == 0 {
			return
		}
		careful := l.IsCareful(ref)
		if careful && !hungry[0].Dry {
			continue // nobody has nothing
		}
		tried := l.Tried(ref)
		must := len(tried) > 0 && j.triedByAll(tried)
		i := slices.IndexFunc(hungry, func(p *peer) bool {
			return (!careful || p.Dry) && (must || !slices.Contains(tried, p.client))
		})
		if i < 0 {
			continue
		}
		p := hungry[i]
		hungry = slices.Delete(hungry, i, i+1)
		l.Assign(ref, p.Session, must)
		p.open = true
	}
	j.beg(hungry)
}

// triedByAll tells whether no client that takes part is left to try.
func (j *job) triedByAll(tried []ledger.ClientID) bool {
	for _, p := range j.peers {
		if !slices.Contains(tried, p.client) {
			return false
		}
	}
	return true
}

// hungry are the sessions that need work, those without any first.
func (j *job) hungry() []*peer {
	var hungry []*peer
	for _, p := range j.peers {
		if p.Session != "" && !p.Unborn && !p.open && (p.Hungry || p.Dry) && j.ledger.Undelivered(p.Session, p.Received) == 0 {
			hungry = append(hungry, p)
		}
	}
	slices.SortFunc(hungry, func(a, b *peer) int {
		if a.Dry != b.Dry {
			if a.Dry {
				return -1
			}
			return 1
		}
		return cmp.Compare(a.Session, b.Session)
	})
	return hungry
}

// beg asks sessions that have much for bags. Those whose oldest directory is
// nearest to the root have most.
func (j *job) beg(hungry []*peer) {
	bags := len(hungry)
	// Who runs out of work soon has none to give to others like it.
	dry := slices.ContainsFunc(hungry, func(p *peer) bool { return p.Dry })
	if bags == 0 {
		return
	}
	var donors []*peer
	for _, p := range j.peers {
		wait := giveWait
		if p.heard.After(p.asked) {
			wait = giveEvery
		}
		if p.Session != "" && !p.Dry && (!p.Hungry || dry) && time.Since(p.asked) >= wait {
			donors = append(donors, p)
		}
	}
	slices.SortFunc(donors, func(a, b *peer) int {
		return cmp.Or(
			cmp.Compare(min(b.Queued, 1), min(a.Queued, 1)),
			cmp.Compare(a.MinDepth, b.MinDepth),
			cmp.Compare(b.Queued, a.Queued),
			cmp.Compare(a.Session, b.Session))
	})
	for i, p := range donors {
		if bags <= 0 {
			return
		}
		n := min((bags+len(donors)-i-1)/(len(donors)-i), giveMost)
		bags -= n
		p.asked = time.Now()
		j.s.order(p.client, wire.Order{Job: j.spec.Job, Session: p.Session, Give: n, Urgent: dry})
	}
}

// inlineBag is the size of the largest bag that is sent in a message.
const inlineBag = 32 << 10

// tellEvery is how often a session is told again what it may not know.
const tellEvery = time.Second

// tell tells each session what it does not know yet. A message may get lost, so
// that it is told again until its beats or records show that it knows.
func (j *job) tell() {
	l := j.ledger
	if l.Phase == ledger.Ended {
		for id, p := range j.peers {
			j.s.order(p.client, wire.Order{Job: j.spec.Job, Session: id, Over: true, Ended: true})
		}
		clear(j.peers) // who does not hear it is told with its next beat
		return
	}
	for id, p := range j.peers {
		again := time.Since(p.told.at) >= tellEvery
		o := wire.Order{Job: j.spec.Job, Session: id, Stop: l.Phase == ledger.Stopping}
		if l.Phase == ledger.Running {
			after := max(p.Received, p.told.a)
			if again {
				after = p.Received
			}
			o.Deliveries = j.deliveries(id, after)
		}
		o.Settled, o.Left = atMost(l.SettledOf(id)), atMost(l.LeftOf(l.Record(id)))
		o.Harm, o.Control = l.Harm(), l.Control.Rev
		o.Share = p.share
		o.Granted, o.Spent = l.Granted[id], j.spent()
		now := told{time.Now(), o.Stop, p.told.a, len(o.Settled), len(o.Left), o.Harm, o.Control, o.Share, o.Granted, o.Spent}
		if n := len(o.Deliveries); n > 0 {
			now.a = o.Deliveries[n-1].A
		}
		was := p.told
		was.at = now.at
		if something := o.Stop || now.settled+now.left+len(o.Deliveries) > 0 || o.Harm != p.Harm || o.Control != p.Control || o.Share.Number > p.Share.Number ||
			p.Needs > 0 && (o.Granted != was.granted || o.Spent); something && (again || now != was) {
			p.told = now
			j.s.order(p.client, o)
		}
	}
}

// atMost is what of a list is told at once: messages are small.
func atMost[T any](list []T) []T { return list[:min(len(list), 500)] }

// deliveries are those of a session after one that it knows.
func (j *job) deliveries(to ledger.SessionID, after uint64) []wire.Delivery {
	if j.ledger.Undelivered(to, after) == 0 {
		return nil
	}
	var ds []wire.Delivery
	size := 0
	for _, d := range j.ledger.Deliveries(to, after) {
		w := wire.Delivery{A: d.A, Ref: d.Ref, Careful: d.Bag.Careful, Again: d.Bag.Again, Must: d.Must}
		if n := len(ledger.Encode(d.Bag)); size+n <= inlineBag {
			size += n
			w.Bag = &d.Bag
		}
		ds = append(ds, w)
	}
	return ds
}
