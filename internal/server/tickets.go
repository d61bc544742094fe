package server

import (
	"time"

	"github.com/hydrawalk/hydra/internal/ledger"
	"github.com/hydrawalk/hydra/internal/wire"
)

// ticket makes a ticket for a client that is to work on a job, "" if none is needed.
func (s *server) ticket(to ledger.ClientID, job string) string {
	if s.o.Ticket == nil {
		return ""
	}
	s.mu.Lock()
	if c := s.clients[to]; c != nil {
		if c.tickets == nil {
			c.tickets = map[string]time.Time{}
		}
		c.tickets[job] = time.Now()
	}
	s.mu.Unlock()
	return s.o.Ticket(to, job)
}

// renewTickets gives a client new tickets for the jobs that it works on, long before
// those that it has are good no more. That it works on a job is its own word, so there
// is none for a job that has ended, of which nobody is to change the result.
func (s *server) renewTickets(b *wire.Beat) {
	if s.o.Ticket == nil {
		return
	}
	for _, p := range b.Sessions {
		s.mu.Lock()
		j, c := s.jobs[p.Job], s.clients[b.Client]
		due := j != nil && j.phase() != ledger.Ended && c != nil && time.Since(c.tickets[p.Job]) > s.o.TicketLife/2
		s.mu.Unlock()
		if due {
			s.order(b.Client, wire.Order{Job: p.Job, Ticket: s.ticket(b.Client, p.Job)})
		}
	}
}
