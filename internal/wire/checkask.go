package wire

import (
	"errors"
	"fmt"
	"math"

	"github.com/hydrawalk/hydra/internal/joblog"
)

func (s *Spec) check() error {
	app := AppID{s.App, s.Version}
	err := errors.Join(id("job", s.Job, false), app.check())
	for _, t := range s.Topics {
		err = errors.Join(err, id("topic", t, false))
	}
	for i := range s.Phases {
		if p := s.Phases[i]; joblog.Clean(p, mostApp) != p {
			err = errors.Join(err, fmt.Errorf("%q can not name a phase", joblog.Clean(p, mostApp)))
		}
	}
	for _, r := range s.Roots {
		if len(r) == 0 {
			err = errors.Join(err, errors.New("a path is empty"))
		}
	}
	if s.Priority < 0 || s.Clients < 0 || s.Stall < 0 || s.MaxErrors < 0 || s.Budget < 0 || s.Latency < 0 || !(s.LimitOps >= 0 && s.LimitOps <= math.MaxFloat64) {
		err = errors.Join(err, fmt.Errorf("%w: the limits of a job", errNoNumber))
	}
	return err
}

func (a *Ask) check() error {
	clean(mostID, &a.Kind)
	clean(mostHost, &a.Job) // one that there is not is told to who asks
	if a.Spec != nil {
		if err := a.Spec.check(); err != nil {
			return err
		}
	}
	if s := a.Set; s != nil {
		for i := range s.Said {
			clean(mostSetting, &s.Said[i][0], &s.Said[i][1])
		}
	}
	if a.Token != nil {
		clean(mostID, &a.Token.Role, &a.Token.ID)
	}
	return id("client", a.Client, true)
}

func (a *Answer) check() error {
	clean(mostAnswer, &a.Err)
	clean(mostID, &a.Job)
	clean(mostTicket, &a.Secret)
	for i := range a.Tokens {
		t := &a.Tokens[i]
		clean(mostID, &t.ID, &t.Role, &t.Status)
		for i := range t.Joined {
			clean(mostID, &t.Joined[i].ID)
			clean(mostHost, &t.Joined[i].Host)
		}
	}
	for i := range a.Status {
		if err := a.Status[i].check(); err != nil {
			return err
		}
	}
	for i := range a.Warnings {
		w := &a.Warnings[i]
		clean(mostReason, &w.Text)
		clean(mostHost, &w.Host)
		clean(mostID, &w.Logger)
		clean(mostID, &w.Client)
	}
	for i := range a.Peers {
		p := &a.Peers[i]
		clean(mostID, &p.Client)
		clean(mostID, &p.State)
		clean(mostHost, &p.Host)
		clean(mostReason, &p.Why)
	}
	for i := range a.Clients {
		c := &a.Clients[i]
		if err := c.Hello.check(); err != nil {
			return err
		}
		for j := range c.Jobs {
			clean(mostID, &c.Jobs[j])
		}
	}
	return nil
}

func (s *Status) check() error {
	clean(mostID, &s.Job)
	clean(mostApp, &s.App, &s.Version, &s.Step)
	clean(mostID, &s.Phase)
	clean(mostID, &s.Verdict.State)
	clean(mostReason, &s.Verdict.Reason, &s.Waits)
	for i := range s.Events {
		e := &s.Events[i]
		clean(mostReason, &e.Text)
		clean(mostID, &e.Kind)
		clean(mostID, &e.Phase, &e.Was)
		clean(mostID, &e.Client)
	}
	return nil
}
