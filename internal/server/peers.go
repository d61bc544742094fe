package server

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/hydrawalk/hydra/internal/ledger"
	"github.com/hydrawalk/hydra/internal/wire"
)

// peerPage tells who works, or worked, on the job: clients after one, by name.
func (j *job) peerPage(after ledger.ClientID) (page []wire.Peer, more bool) {
	all := j.who()
	ids := slices.Sorted(maps.Keys(all))
	return paged(ids, after, func(id ledger.ClientID) wire.Peer { return *all[id] })
}

// paged are values of some IDs after one, as many as fit into a message.
func paged[T any](ids []ledger.ClientID, after ledger.ClientID, of func(ledger.ClientID) T) (page []T, more bool) {
	size := 0
	for _, id := range ids {
		if id <= after {
			continue
		}
		v := of(id)
		if size += len(ledger.Encode(v)); size > pageBytes && len(page) > 0 {
			return page, true
		}
		page = append(page, v)
	}
	return page, false
}

// who are all clients that have, had or were refused a part in the job.
func (j *job) who() map[ledger.ClientID]*wire.Peer {
	l := j.ledger
	all := map[ledger.ClientID]*wire.Peer{}
	alive := j.s.alive()
	latest := map[ledger.ClientID]*ledger.Record{}
	for r := range l.All() {
		p := all[r.Client]
		if p == nil {
			p = &wire.Peer{Client: r.Client, Host: r.Host, PID: alive[r.Client].PID}
			all[r.Client] = p
		}
		t := r.Totals
		if live := j.peers[r.Session]; live != nil && live.Session != "" && live.Totals.FoundDirs >= t.FoundDirs {
			t = live.Totals
		}
		t.Workers, t.FirstError = 0, nil
		p.Totals.Add(&t)
		if last := latest[r.Client]; last == nil || r.End == ledger.Live || last.End != ledger.Live && r.At.After(last.At) {
			latest[r.Client] = r
		}
	}
	for id, r := range latest {
		p := all[id]
		p.Since = r.At
		switch live := j.peers[r.Session]; {
		case live != nil && l.Phase != ledger.Ended:
			p.State, p.Workers, p.Control = j.stateOf(live), live.Workers, live.Control
		case r.End == ledger.Fenced:
			p.State = wire.PeerLost
		default:
			p.State = wire.PeerLeft
		}
	}
	for id, why := range l.Refused {
		host, reason := refusal(why)
		if p := all[id]; p != nil {
			p.State, p.Why = wire.PeerRefused, reason
			continue
		}
		all[id] = &wire.Peer{Client: id, Host: host, PID: alive[id].PID, State: wire.PeerRefused, Why: reason}
	}
	return all
}

// stateOf says how a session does that lives.
func (j *job) stateOf(p *peer) wire.PeerState {
	switch {
	case j.ledger.Phase == ledger.Stopping, j.s.leaves(p.client):
		return wire.PeerLeaving
	case p.Paused:
		return wire.PeerPaused
	case p.Dry:
		return wire.PeerIdle
	case p.Hungry:
		return wire.PeerHungry
	}
	return wire.PeerWorking
}

// clientPage are the clients that have joined, those after one, by name.
func (s *server) clientPage(after ledger.ClientID) wire.Answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	ids := slices.Sorted(maps.Keys(s.clients))
	var answer wire.Answer
	answer.Clients, answer.More = paged(ids, after, func(id ledger.ClientID) wire.Client {
		c := s.clients[id]
		return wire.Client{Hello: c.Hello, Leaving: c.leaving || c.drain, Heard: c.beat, Jobs: c.jobs[:min(len(c.jobs), mostJobs)]}
	})
	return answer
}

// mostJobs is how many jobs are told of a client.
const mostJobs = 20

// drain lets a client give all back, and end.
func (s *server) drain(id ledger.ClientID) error {
	s.mu.Lock()
	c := s.clients[id]
	if c == nil {
		s.mu.Unlock()
		return fmt.Errorf("there is no client %s", id)
	}
	c.drain = true
	host := c.Host
	s.mu.Unlock()
	s.log.Info("client is drained", "client", id, "host", host)
	s.order(id, wire.Order{Leave: true}) // again with its beats
	return nil
}

// leaves tells whether a client gives all back.
func (s *server) leaves(id ledger.ClientID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.clients[id]
	return c != nil && (c.leaving || c.drain)
}

// leaveEvery is how often a client is told again to leave.
const leaveEvery = time.Second
