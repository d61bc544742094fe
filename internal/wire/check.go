package wire

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/hydrawalk/hydra/internal/bus"
	"github.com/hydrawalk/hydra/internal/joblog"
	"github.com/hydrawalk/hydra/internal/ledger"
	"github.com/hydrawalk/hydra/walk"
)

// Whoever reads what another process sent reads it by Decode or a Read function. Each checks
// what can not be meant, and makes texts harmless that people or logs will get: one line,
// of bounded length, and nothing in it that a terminal would obey. Paths are no texts: they
// are any bytes, which is for who shows them.

// Bounds of what others say.
const (
	mostID      = 64 // bytes of a name that is a part of keys and subjects
	mostHost    = 255
	mostApp     = 200 // bytes of the name of an application, or its version
	mostApps    = 1000
	mostReason  = 1000     // bytes of why something is as it is
	mostAnswer  = 16 << 10 // bytes of why a command is not carried out: it may list what there is
	mostTicket  = 1000     // bytes of a ticket, or a token
	mostSetting = 1000     // bytes of a setting as it was typed
)

// Message is what can be sent: the types of this package are.
type Message interface {
	// check tells what can not be meant, and makes texts harmless.
	check() error
}

// Decode reads a message that may be anybody's.
func Decode(data []byte, into Message) error {
	if len(data) > bus.MaxMessage {
		return fmt.Errorf("a message has %d bytes, and may have %d", len(data), bus.MaxMessage)
	}
	if err := ledger.DecodeMessage(data, into); err != nil {
		return err
	}
	return into.check()
}

// clean makes texts harmless.
func clean[S ~string](most int, texts ...*S) {
	for _, text := range texts {
		*text = S(joblog.Clean(string(*text), most))
	}
}

// isID tells whether something can name a client, a job or a topic.
func isID[S ~string](id S) bool { return len(id) <= mostID && bus.CheckTable(string(id)) == nil }

// isOf tells whether something can name a session or a sender: two names and a dot, or in
// one process a name.
func isOf[S ~string](name S) bool {
	owner, rest, dot := strings.Cut(string(name), ".")
	return isID(owner) && (!dot || isID(rest))
}

// of is id for sessions and senders.
func of[S ~string](what string, name S, optional bool) error {
	if isOf(name) || optional && name == "" {
		return nil
	}
	return fmt.Errorf("%q can not name a %s", joblog.Clean(string(name), mostID), what)
}

var errNoNumber = errors.New("a number that makes no sense")

// id checks what names something. optional says that it may be missing.
func id[S ~string](what string, name S, optional bool) error {
	if isID(name) || optional && name == "" {
		return nil
	}
	return fmt.Errorf("%q can not name a %s", joblog.Clean(string(name), mostID), what)
}

func (h *Hello) check() error {
	clean(mostHost, &h.Host)
	// One that nobody could ask for.
	h.Apps = slices.DeleteFunc(h.Apps, func(a AppID) bool { return a.check() != nil })
	if len(h.Apps) > mostApps {
		return fmt.Errorf("a client has %d applications, and may have %d", len(h.Apps), mostApps)
	}
	if h.Workers < ledger.Adapt || h.Workers > walk.MostWorkers {
		return fmt.Errorf("%w: %d workers", errNoNumber, h.Workers)
	}
	return id("client", h.Client, false)
}

// check tells whether this can be the name of an application. It is compared, so that it is
// taken as it is or not at all.
func (a *AppID) check() error {
	for _, text := range []string{a.Name, a.Version} {
		if short := joblog.Clean(text, mostApp); short != text {
			return fmt.Errorf("%q can not name an application", short)
		}
	}
	return nil
}

func (w *Welcome) check() error {
	clean(mostID, &w.Server)
	if w.Every < 0 {
		return fmt.Errorf("%w: every %v", errNoNumber, w.Every)
	}
	return nil
}

func (b *Beat) check() error {
	if err := b.Hello.check(); err != nil {
		return err
	}
	for i := range b.Sessions {
		if err := b.Sessions[i].check(); err != nil {
			return err
		}
	}
	return nil
}

func (p *Pulse) check() error {
	u := &p.Usage
	switch {
	case p.Workers < 0 || p.Workers > walk.MostWorkers, p.Queued < 0, p.Needs < 0,
		!isRate(p.Share.Rate), u.Ops < 0, u.Timed < 0, u.Took < 0, u.Held < 0, u.Elapsed < 0:
		return fmt.Errorf("%w: the pulse of a session", errNoNumber)
	}
	return errors.Join(id("job", p.Job, false), of("session", p.Session, false))
}

// isRate tells whether a number can be a rate, or that there is no limit.
func isRate(r float64) bool { return r == NoLimit || r >= 0 && r <= math.MaxFloat64 }

func (s *Seen) check() error {
	clean(mostReason, &s.Err)
	for i := range s.Sights {
		clean(mostReason, &s.Sights[i].Err)
	}
	return errors.Join(id("job", s.Job, false), id("client", s.Client, false))
}

func (l *Logs) check() error {
	clean(mostHost, &l.Host)
	for i := range l.Records {
		r := &l.Records[i]
		clean(mostReason, &r.Text)
		clean(mostID, &r.Logger)
		r.Count = max(r.Count, 1)
	}
	return errors.Join(id("job", l.Job, true), id("client", l.Client, false))
}

func (o *Order) check() error {
	clean(mostReason, &o.Refused)
	clean(mostTicket, &o.Ticket)
	if !isRate(o.Share.Rate) || o.Give < 0 || o.Granted < 0 {
		return fmt.Errorf("%w: an order", errNoNumber)
	}
	for i := range o.Deliveries {
		if b := o.Deliveries[i].Bag; b != nil {
			checkBag(b)
		}
	}
	return errors.Join(id("job", o.Job, true), of("session", o.Session, true))
}

func (p *PeerAsk) check() error { return id("job", p.Job, false) }

func (p *PeerAnswer) check() error {
	clean(mostReason, &p.Err)
	for i := range p.Workers {
		clean(mostID, &p.Workers[i].State)
	}
	return nil
}

func (c *Claim) check() error { return id("server", c.Server, true) }
