package client

import (
	"context"
	"fmt"

	"github.com/hydrawalk/hydra/internal/ledger"
	"github.com/hydrawalk/hydra/internal/wire"
)

// found is what became of the acts of a session that was lost.
type found struct {
	of    ledger.SessionID
	a     uint64 // the delivery that asked for it
	count func()
	err   error
}

// find begins to find out what became of the acts of a lost session.
func (s *session) find(ctx context.Context, d wire.Delivery) {
	w := &s.owned
	ch, ok := s.run.(Changer)
	if !ok || w.finding || w.found != nil {
		return
	}
	w.finding = true
	go func() { // it may hang in a system call
		f := found{of: d.Bag.Settle, a: d.A}
		defer func() {
			if v := recover(); v != nil {
				f.err = fmt.Errorf("panic: %v", v)
			}
			s.found <- f
		}()
		f.count, f.err = ch.Settle(ctx, f.of)
	}()
}

// countFound counts what was found, and makes a record of it at once: only then others
// get what that session held. No cut is under way, so that it is in the next one as
// the delivery is.
func (s *session) countFound(ctx context.Context) {
	w := &s.owned
	f := w.found
	w.found = nil
	if !w.ledger.Receive(f.a) {
		return
	}
	f.count()
	s.cut(ctx, s.walk.Load().Pending > 0 || w.tail != nil)
}

// tail is what comes after all else, while it is done here.
type tail struct {
	cancel context.CancelFunc
	done   chan struct{}
}

// beginTail begins what comes after all else.
func (s *session) beginTail(ctx context.Context) {
	w := &s.owned
	ch, ok := s.run.(Changer)
	if !ok || w.tail != nil {
		return
	}
	w.ledger.SetTail(true)
	w.changed = true
	ctx, cancel := context.WithCancel(ctx)
	t := &tail{cancel, make(chan struct{})}
	w.tail = t
	// It may hang in a system call: it is not waited for when the session is lost.
	go func() {
		var end tailed
		defer func() {
			if v := recover(); v != nil {
				end.err = fmt.Errorf("panic: %v", v)
			}
			s.tails <- end
			close(t.done)
		}()
		end.count, end.err = ch.Tail(ctx)
	}()
}

// tailed is how a tail ended.
type tailed struct {
	count func()
	err   error
}

// tailEnded goes on after the tail.
func (s *session) tailEnded(t tailed) {
	w := &s.owned
	switch {
	case t.err == nil:
		w.tailed = t.count
	case !w.ending && !w.stopping:
		w.broken = t.err
	}
}

// countTail counts what the tail counted. No cut is under way, so that it is in the one
// that says that the tail is done.
func (s *session) countTail(ctx context.Context) {
	w := &s.owned
	w.tailed()
	w.tail.cancel()
	w.tail, w.tailed = nil, nil
	w.ledger.SetTail(false)
	s.cut(ctx, s.walk.Load().Pending > 0)
}

// hold keeps all from being changed any more.
func (s *session) hold() {
	if s.acts != nil {
		s.acts.stop(ErrStopped)
	}
}
