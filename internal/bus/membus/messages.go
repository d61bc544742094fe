package membus

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/hydrawalk/hydra/internal/bus"
)

type message struct {
	msg bus.Msg
	due time.Time // zero: at once
}

// answer is on its way to who asked.
type answer struct {
	data []byte
	due  time.Time
}

type subscription struct {
	h       *Handle
	pattern string
	f       func(bus.Msg)
	news    chan struct{} // there is something in queue
	done    chan struct{} // closed by end

	// guarded by h.e.mu
	queue []message
	ended bool
}

// Subscribe implements [bus.Bus].
func (h *Handle) Subscribe(pattern string, f func(bus.Msg)) (bus.Subscription, error) {
	if err := bus.CheckPattern(pattern); err != nil {
		return nil, err
	}
	h.e.mu.Lock()
	defer h.e.mu.Unlock()
	if err := h.running(); err != nil {
		return nil, wrap("subscribe", pattern, err)
	}
	s := &subscription{
		h: h, pattern: pattern, f: f,
		news: make(chan struct{}, 1), done: make(chan struct{}),
	}
	h.subs[s] = struct{}{}
	h.e.topics.add(s)
	go s.dispatch() // ends with end, perhaps after Close: f may be what closes
	return s, nil
}

// Stop implements [bus.Subscription].
func (s *subscription) Stop() {
	s.h.e.mu.Lock()
	defer s.h.e.mu.Unlock()
	s.end()
}

// end is called under e.mu.
func (s *subscription) end() {
	if s.ended {
		return
	}
	s.ended = true
	s.queue = nil
	delete(s.h.subs, s)
	s.h.e.topics.remove(s)
	close(s.done)
}

func (s *subscription) dispatch() {
	for {
		select {
		case <-s.news:
		case <-s.done:
			return
		}
		for {
			batch := s.take()
			if batch == nil {
				break
			}
			for _, m := range batch {
				if !s.arrive(m) {
					continue
				}
				s.f(m.msg)
			}
		}
	}
}

func (s *subscription) take() []message {
	s.h.e.mu.Lock()
	defer s.h.e.mu.Unlock()
	batch := s.queue
	s.queue = nil
	return batch
}

// arrive waits until a message may be delivered; false: it is lost.
func (s *subscription) arrive(m message) bool {
	if !m.due.IsZero() {
		if wait := time.Until(m.due); wait > 0 {
			timer := time.NewTimer(wait)
			defer timer.Stop()
			select {
			case <-timer.C:
			case <-s.done:
				return false
			}
		}
	}
	s.h.e.mu.Lock()
	defer s.h.e.mu.Unlock()
	connected := s.h.connected
	return s.h.running() == nil && connected && !s.ended
}

// Publish implements [bus.Bus].
func (h *Handle) Publish(subject string, data []byte) error {
	_, err := h.publish(subject, data, nil)
	return err
}

// publish tells whether somebody is subscribed, as the engine sees it.
func (h *Handle) publish(subject string, data []byte, inbox chan answer) (heard bool, err error) {
	if err := bus.CheckSubject(subject); err != nil {
		return false, err
	}
	if len(data) > bus.MaxMessage {
		return false, wrap("publish", subject, bus.ErrTooLarge)
	}
	e := h.e
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := h.running(); err != nil {
		return false, wrap("publish", subject, err)
	}
	if !h.connected || h.chance(e.faults.Loss) {
		return true, nil
	}
	there := h.delay()
	e.topics.each(subject, func(s *subscription) {
		if !s.h.connected {
			return
		}
		heard = true
		if s.h.chance(e.faults.Loss) || len(s.queue) >= queueBound {
			return
		}
		m := message{msg: bus.Msg{Subject: subject, Data: slices.Clone(data)}}
		if inbox != nil {
			m.msg.Reply = func(data []byte) error { return s.h.reply(h, inbox, data) }
		}
		if e.faults.Delay != nil {
			m.due = time.Now().Add(there + s.h.delay())
		}
		s.queue = append(s.queue, m)
		select {
		case s.news <- struct{}{}:
		default:
		}
	})
	return heard, nil
}

// reply sends an answer to who asked by way of inbox.
func (h *Handle) reply(to *Handle, inbox chan answer, data []byte) error {
	if len(data) > bus.MaxMessage {
		return fmt.Errorf("reply: %w", bus.ErrTooLarge)
	}
	h.e.mu.Lock()
	defer h.e.mu.Unlock()
	if err := h.running(); err != nil {
		return fmt.Errorf("reply: %w", err)
	}
	if !h.connected || !to.connected || h.chance(h.e.faults.Loss) || to.chance(h.e.faults.Loss) {
		return nil
	}
	a := answer{data: slices.Clone(data)}
	if h.e.faults.Delay != nil {
		a.due = time.Now().Add(h.delay() + to.delay())
	}
	select {
	case inbox <- a:
	default: // it has one
	}
	return nil
}

// Request implements [bus.Bus].
func (h *Handle) Request(ctx context.Context, subject string, data []byte) ([]byte, error) {
	h.e.mu.Lock()
	err := h.reach(ctx)
	h.e.mu.Unlock()
	if err != nil {
		return nil, wrap("request", subject, err)
	}
	inbox := make(chan answer, 1)
	heard, err := h.publish(subject, data, inbox)
	if err != nil {
		return nil, err
	}
	if !heard {
		return nil, wrap("request", subject, bus.ErrNoResponder)
	}
	var a answer
	select {
	case a = <-inbox:
	case <-ctx.Done():
		return nil, wrap("request", subject, ctx.Err())
	case <-h.dead:
		return nil, wrap("request", subject, bus.ErrClosed)
	}
	h.e.mu.Lock()
	defer h.e.mu.Unlock()
	if !a.due.IsZero() {
		if err := h.sleep(ctx, time.Until(a.due)); err != nil {
			return nil, wrap("request", subject, err)
		}
	}
	if err := h.running(); err != nil {
		return nil, wrap("request", subject, err)
	}
	return a.data, nil
}
