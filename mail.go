package hydra

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/hydrawalk/hydra/internal/bus"
	"github.com/hydrawalk/hydra/internal/ledger"
	"github.com/hydrawalk/hydra/internal/post"
	"github.com/hydrawalk/hydra/internal/wire"
)

func (j *Job) parts() *parts {
	return &parts{topics: j.app.Info().Topics, desk: j.desk, receive: j.u.receive}
}

// desk is the user's sender.
func (j *Job) desk(ctx context.Context) (*post.Desk, error) {
	if err := j.s.takesMessages(ctx, j.id); err != nil {
		return nil, err
	}
	if _, err := j.inbox(ctx); err != nil {
		return nil, err
	}
	return j.u.desk(ctx)
}

// inbox opens the user's side of messages.
func (j *Job) inbox(ctx context.Context) (*post.Inbox, error) {
	table, err := j.s.bus.Open(ctx, wire.Table(j.id))
	if err != nil {
		return nil, fmt.Errorf("job %s: %w", j.id, err)
	}
	return j.u.open(table, j.o.Messages, (&j.o.Options).logger("hydra")), nil
}

// takesMessages tells why nobody would read a message.
func (s *Server) takesMessages(ctx context.Context, job string) error {
	st, err := s.Status(ctx, job)
	if err == nil && st.Phase == string(ledger.Ended) {
		err = fmt.Errorf("job %s has ended: %s", job, st.State)
	}
	return err
}

// mail reads messages to the user while somebody waits.
type mail struct {
	inbox *post.Inbox // nil: there are none
	stop  func()      // may be called several times
}

// listen begins to read messages to the user.
func (j *Job) listen(ctx context.Context) (*mail, error) {
	m := &mail{stop: func() {}}
	if len(j.app.Info().Topics) == 0 {
		return m, nil
	}
	inbox, err := j.inbox(ctx)
	if errors.Is(err, bus.ErrNoTable) {
		return m, nil // it failed: Wait tells
	}
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() { inbox.Run(ctx) })
	m.inbox = inbox
	m.stop = func() {
		cancel()
		wg.Wait()
	}
	return m, nil
}

// drain returns when all messages that there are were taken in.
func (m *mail) drain(ctx context.Context) {
	if m.inbox != nil {
		_ = m.inbox.Drain(ctx) // without it the table is gone, or ctx ended: the result tells
	}
	m.stop()
}

// Send sends a message to a job: for programs that do not have the type of its topic.
// If one of apps is the application of the job, it checks the value. to may name a
// client by a part of its ID, or by its host.
func (s *Server) Send(ctx context.Context, job string, to Address, topic string, value json.RawMessage, apps ...Application) error {
	if err := s.takesMessages(ctx, job); err != nil {
		return err
	}
	table, err := s.bus.Open(ctx, wire.Table(job))
	if err != nil {
		return fmt.Errorf("job %s: %w", job, err)
	}
	spec, state := new(wire.Spec), new(ledger.State)
	if err := read(ctx, table, wire.KeySpec, spec); err != nil {
		return fmt.Errorf("job %s: %w", job, err)
	}
	if err := read(ctx, table, wire.KeyState, state); err != nil {
		return fmt.Errorf("job %s: %w", job, err)
	}
	if err := checkMessage(spec, topic, value, apps); err != nil {
		return &UsageError{err}
	}
	if to.Client != "" {
		if to.Client, err = member(state, to.Client); err != nil {
			return &UsageError{fmt.Errorf("job %s: %w", job, err)}
		}
	}
	w, err := to.wire()
	if err != nil {
		return &UsageError{err}
	}
	var u userParts
	u.open(table, nil, (&Options{}).logger("hydra"))
	desk, err := u.desk(ctx)
	if err == nil {
		err = desk.Send(ctx, topic, w, value)
	}
	if err != nil {
		return fmt.Errorf("send %s to %s: %w", topic, to, err)
	}
	return nil
}

// checkMessage tells why a value is no message of a job.
func checkMessage(spec *wire.Spec, topic string, value json.RawMessage, apps []Application) error {
	id := wire.AppID{Name: spec.App, Version: spec.Version}
	switch {
	case len(spec.Topics) == 0:
		return fmt.Errorf("the application %s takes no messages", id)
	case !slices.Contains(spec.Topics, topic):
		return fmt.Errorf("the application %s has no topic %q: it has %s", id, topic, strings.Join(spec.Topics, ", "))
	case !json.Valid(value):
		return fmt.Errorf("%q is no JSON", value)
	}
	for _, app := range apps {
		info := app.Info()
		if info.Name != spec.App || info.Version != spec.Version {
			continue
		}
		for _, t := range info.Topics {
			if t.Name == topic {
				return t.Check(value)
			}
		}
	}
	return nil
}

// member is the client of a job that a name means: its ID, a part of it, or its host.
func member(state *ledger.State, name string) (string, error) {
	found := map[string]bool{}
	for _, m := range state.Members {
		id := string(m.Client)
		if !m.Ended && (strings.HasPrefix(id, name) || strings.HasSuffix(id, name) || m.Host == name) {
			found[id] = true
		}
	}
	switch len(found) {
	case 0:
		return "", fmt.Errorf("no client %s takes part", name)
	case 1:
		for id := range found {
			return id, nil
		}
	}
	return "", fmt.Errorf("%s is the name of %d clients", name, len(found))
}
