package client

import (
	"context"
	"errors"
	"time"

	"github.com/hydrawalk/hydra/internal/bus"
	"github.com/hydrawalk/hydra/internal/ledger"
	"github.com/hydrawalk/hydra/internal/pace"
	"github.com/hydrawalk/hydra/internal/wire"
)

// learn reads what does harm and what users want from the job's state, if that is
// new. Nothing is taken up before it is known.
func (s *session) learn(ctx context.Context, harm, control uint64) {
	w := &s.owned
	w.harmTold, w.controlTold = harm, max(w.controlTold, control)
	if s.knows() || w.learning {
		return
	}
	w.learning = true
	s.wg.Go(func() {
		state, err := readState(ctx, s.table)
		s.harms <- learned{state, err}
	})
}

// knows tells whether the session knows all that it was told that there is.
func (s *session) knows() bool {
	w := &s.owned
	return !w.learning && w.harm == w.harmTold && w.control.Rev >= w.controlTold
}

// learned is the state of the job.
type learned struct {
	state *ledger.State
	err   error
}

// beware takes in what does harm, and what users want. An error says that the
// session can not go on as it should.
func (s *session) beware(ctx context.Context, l learned) error {
	w := &s.owned
	w.learning = false
	if l.err != nil {
		return nil // we are told again
	}
	w.harm = l.state.Harm()
	s.walk.Avoid(l.state.Avoid)
	w.suspects = make(map[ledger.Place]bool, len(l.state.Suspects))
	for _, suspect := range l.state.Suspects {
		w.suspects[suspect.Place] = true
	}
	if err := s.follow(&l.state.Control); err != nil {
		return err
	}
	if !s.knows() {
		s.learn(ctx, w.harmTold, w.controlTold) // we were told more meanwhile
	}
	return nil
}

// follow does what users want from now on.
func (s *session) follow(c *ledger.Control) error {
	w := &s.owned
	if c.Rev <= w.control.Rev {
		return nil
	}
	w.control = *c
	now := s.spec.With(c)
	s.prio.Store(int32(now.Priority))
	s.want()
	if c.SettingsRev > w.settings {
		w.settings = c.SettingsRev
		if err := s.run.Update(now.Settings); err != nil {
			return err
		}
		s.walk.Interject()
	}
	s.follows()
	s.throttle.Measure(now.Latency > 0)
	s.walk.Pause(s.pauses())
	if s.acts != nil {
		s.acts.pause(s.pauses())
	}
	return nil
}

// setRate sets how often the session may ask the file system.
func (s *session) setRate(share pace.Grant) {
	w := &s.owned
	if share.Number < w.share.Number {
		return
	}
	if w.share = share; share.Rate == wire.NoLimit {
		s.throttle.SetRate(0)
		return
	}
	s.throttle.SetRate(max(share.Rate, leastRate))
}

// leastRate stands for no calls at all, which there is no rate for.
const leastRate = 1e-3

// used is what the session asked of the file system until a while ago at most.
func (s *session) used() wire.Usage {
	w := &s.owned
	if time.Since(w.usedAt) >= beatEvery {
		u := s.throttle.Sample()
		w.usedAt = time.Now()
		w.usage.Add(&wire.Usage{N: 1, Ops: u.Ops, Timed: u.Timed, Took: u.Took, Held: u.Held, Elapsed: u.Elapsed})
	}
	return w.usage
}

// follows sets the levels of the log as users want them.
func (s *session) follows() {
	if err := s.SetLevels(s.owned.control.Levels); err != nil {
		s.log.Warn("levels of the log can not be set", "err", err)
	}
}

// want notes how many workers there should be. The client goes by it soon.
func (s *session) want() {
	n, asked := s.owned.control.WorkersOf(s.c.id)
	if !asked {
		n = 0
	}
	s.wanted.Store(int32(n))
}

func (s *session) pauses() bool { return s.owned.control.Paused && s.c.o.Bug != BugDeafToPause }

func readState(ctx context.Context, table bus.Table) (*ledger.State, error) {
	v, err := table.Get(ctx, wire.KeyState)
	if err != nil {
		return nil, err
	}
	state := new(ledger.State)
	return state, wire.Read(&v, state)
}

// peek is a question about a session.
type peek struct {
	wire.PeerAsk
	reply func([]byte) error
}

// peeked takes a question in.
func (c *client) peeked(m bus.Msg) {
	p := peek{reply: m.Reply}
	if m.Reply == nil || wire.Decode(m.Data, &p.PeerAsk) != nil {
		return
	}
	select {
	case c.peeks <- p:
	default: // who asks will ask again
	}
}

// mostWorkers is of how many is told: messages are small.
const mostWorkers = 128

// answer tells how the workers of a session do.
func (c *client) answer(p peek) {
	var a wire.PeerAnswer
	if s := c.sessions[p.Job]; s == nil {
		a.Err = "the client does not work on this job"
	} else if shared := s.shared.Load(); shared != nil {
		a.Workers, a.Totals = shared.Workers(), shared.Progress()
		a.Totals.FirstError = nil
		if len(a.Workers) > mostWorkers {
			a.Workers = a.Workers[:mostWorkers]
		}
		for i := range a.Workers {
			a.Workers[i].Totals.FirstError = nil
			if dir := a.Workers[i].Dir; len(dir) > mostDir {
				a.Workers[i].Dir = "..." + dir[len(dir)-mostDir:]
			}
		}
	}
	for {
		err := p.reply(ledger.Encode(a))
		if !errors.Is(err, bus.ErrTooLarge) || len(a.Workers) == 0 {
			return
		}
		a.Workers = a.Workers[:len(a.Workers)/2]
	}
}

// mostDir is how much is told of a path, in bytes.
const mostDir = 100
