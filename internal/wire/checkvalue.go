package wire

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/hydrawalk/hydra/internal/bus"
	"github.com/hydrawalk/hydra/internal/joblog"
	"github.com/hydrawalk/hydra/internal/ledger"
	"github.com/hydrawalk/hydra/walk"
)

// mostPlaces is how many directories a record names: a session has fewer workers.
const mostPlaces = 4 * walk.MostWorkers

// mostNotes is how many notes a record has.
const mostNotes = 1000

// Read reads a value of a job's table, that may be anybody's.
func Read(v *bus.Value, into any) error {
	if err := ledger.Decode(v.Data, into); err != nil {
		return err
	}
	switch value := into.(type) {
	case *ledger.Record:
		if err := checkRecord(value); err != nil {
			return err
		}
		if KeyRecord(value.Session) != v.Key {
			return fmt.Errorf("it is of session %s", value.Session)
		}
	case *ledger.State:
		return checkState(value)
	case *Letter:
		if err := value.check(); err != nil {
			return err
		}
		if KeyLetter(value) != v.Key {
			return fmt.Errorf("it is number %d of %s", value.N, value.Sender)
		}
	case Message: // Spec, Claim
		return value.check()
	}
	return nil
}

func checkRecord(r *ledger.Record) error {
	if err := errors.Join(of("session", r.Session, false), id("client", r.Client, false)); err != nil {
		return err
	}
	if Owner(r.Session) != r.Client {
		return fmt.Errorf("session %s is not one of client %s", r.Session, r.Client)
	}
	clean(mostHost, &r.Host)
	clean(mostReason, &r.Fatal)
	switch {
	case !canBe(r.At):
		return errors.New("it is of a time that can not be")
	case r.End > ledger.Fenced:
		return fmt.Errorf("a session can not end as %d", r.End)
	case len(r.Named) > mostPlaces || len(r.Stalled) > mostPlaces:
		return fmt.Errorf("it names %d directories, and may name %d", max(len(r.Named), len(r.Stalled)), mostPlaces)
	case len(r.Notes) > mostNotes:
		return fmt.Errorf("it has %d notes, and may have %d", len(r.Notes), mostNotes)
	}
	for i := range r.Notes {
		clean(mostReason, &r.Notes[i])
	}
	for i := range r.Mounts {
		clean(mostReason, &r.Mounts[i].Why)
	}
	for i := range r.Stalled {
		clean(mostID, &r.Stalled[i].Op)
	}
	for i := range r.Outs {
		checkBag(&r.Outs[i])
	}
	return nil
}

// canBe tells whether a time can be written down, in any zone. What is read may be a
// number of seconds.
func canBe(t time.Time) bool { return t.Year() > 0 && t.Year() < 9999 }

// checkBag makes the texts of a bag harmless. Its items are checked by who walks them.
func checkBag(b *ledger.Bag) { clean(mostReason, &b.Why) }

// checkState makes the texts of a state harmless: they come from clients and users.
func checkState(s *ledger.State) error {
	if !slices.Contains(ledger.Phases, s.Phase) {
		return fmt.Errorf("%q is no phase of a job", joblog.Clean(string(s.Phase), mostID))
	}
	clean(mostReason, &s.Verdict.Reason)
	clean(mostID, &s.Verdict.State)
	for id, why := range s.Refused {
		clean(mostHost+mostReason, &why)
		s.Refused[id] = why
	}
	for id, m := range s.Members {
		clean(mostHost, &m.Host)
		s.Members[id] = m
	}
	for i := range s.Sights {
		clean(mostReason, &s.Sights[i].Err)
	}
	for i := range s.Outs {
		checkBag(&s.Outs[i])
	}
	for i := range s.Avoid {
		clean(mostReason, &s.Avoid[i].Err)
	}
	for i := range s.Control.Changes {
		clean(mostSetting, &s.Control.Changes[i].Key, &s.Control.Changes[i].Value)
	}
	return nil
}

func (l *Letter) check() error {
	if len(l.Data) > MaxLetter {
		return fmt.Errorf("it has %d bytes, and may have %d", len(l.Data), MaxLetter)
	}
	if !canBe(l.At) {
		return errors.New("it is of a time that can not be")
	}
	return errors.Join(id("topic", l.Topic, false), of("sender", l.Sender, false), l.From.check(), l.To.check())
}

func (a *Address) check() error {
	switch a.Role {
	case RoleServer, RoleUser, RoleClients, RoleWorkers:
		return id("client", a.Client, true)
	}
	return errors.New("it is for, or of, nobody that there is")
}
