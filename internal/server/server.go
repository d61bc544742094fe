// Package server coordinates jobs: it never walks.
//
// A server has no state that matters. It reads the table of each job, which
// holds the records of the clients' sessions and its own state, decides who gets
// what work, writes that down, and only then tells. It can be killed at any time
// and started again.
package server

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hydrawalk/hydra/internal/bus"
	"github.com/hydrawalk/hydra/internal/joblog"
	"github.com/hydrawalk/hydra/internal/ledger"
	"github.com/hydrawalk/hydra/internal/wire"
)

// Times that the server goes by.
const (
	beatEvery = 500 * time.Millisecond // what clients are told
	lostAfter = 4 * time.Second        // without a beat a client is lost
	deafAfter = time.Second            // without an echo it is we who hear nothing
	tickEvery = 100 * time.Millisecond
	newsEvery = time.Second
	askTime   = 4 * time.Second // to answer a command, which asks again after five
	lookEvery = 5 * time.Second // for jobs that are not known
)

// Options of a server.
type Options struct {
	Bus    bus.Bus
	Logger *slog.Logger // without a name
	// Ready, when set, is called once commands are answered.
	Ready func()
	Apps  []App // for jobs whose application has a part that runs here
	// Own are directories of this server in which no job is to change anything.
	Own []wire.OwnDir
	// Ticket, when set, makes a ticket with which a client can reach the table of a job.
	// It is good for TicketLife.
	Ticket     func(c ledger.ClientID, job string) string
	TicketLife time.Duration
	// Tokens, when set, does what admins want of tokens.
	Tokens func(a *wire.Ask) (wire.Answer, error)
}

// Run serves until ctx is cancelled. Jobs that are in the engine's tables go on.
func Run(ctx context.Context, o Options) error {
	s := &server{
		o:       o,
		id:      strings.ToLower(rand.Text()[:8]),
		log:     joblog.New(o.Logger, "").Logger(logName),
		clients: map[ledger.ClientID]*client{},
		jobs:    map[string]*job{},
		adopted: map[string]bool{},
		unread:  map[string]string{},
	}
	if s.o.Logger == nil {
		s.o.Logger = slog.New(slog.DiscardHandler)
	}
	s.told.init(s.o.Logger)
	return s.run(ctx)
}

type server struct {
	o   Options
	id  string // of this start
	log *slog.Logger

	told tellers // of what clients log

	mu      sync.Mutex
	clients map[ledger.ClientID]*client
	jobs    map[string]*job
	adopted map[string]bool   // jobs that are being looked for: see adopt
	unread  map[string]string // why jobs could not be read; of load, which runs once at a time
	started time.Time         // since when silence of others means something
	echo    time.Time         // when we heard ourselves

	life context.Context // of the server: jobs live as long
	wg   sync.WaitGroup
}

// client is what the server knows of a client.
type client struct {
	wire.Hello
	beat    time.Time
	jobs    []string             // that it works on
	drain   bool                 // a user wants it to leave
	told    time.Time            // to leave
	tickets map[string]time.Time // when it was given one, by job
	leaving bool                 // it does

	adopting int // jobs that it told of and that are being looked for: see adopt
}

// mostAdopting is for how many jobs of which one client tells is looked at once: it may
// make them up.
const mostAdopting = 8

func (c *client) String() string { return fmt.Sprintf("%s (%s, process %d)", c.Client, c.Host, c.PID) }

func (s *server) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer s.wg.Wait()
	defer cancel()
	s.life, s.started, s.echo = ctx, time.Now(), time.Now()
	for subject, f := range map[string]func(context.Context, bus.Msg){
		wire.PatternHello: s.hello,
		wire.PatternBeat:  s.heard,
		wire.PatternSight: s.saw,
		wire.PatternLogs:  func(_ context.Context, m bus.Msg) { s.logged(m) },

		wire.SubjectEcho(s.id): func(context.Context, bus.Msg) { s.echoed() },
	} {
		sub, err := s.o.Bus.Subscribe(subject, func(m bus.Msg) { f(ctx, m) })
		if err != nil {
			return err
		}
		defer sub.Stop()
	}
	// The jobs first: who asks for one has to find it.
	if err := s.load(ctx); err != nil {
		return err
	}
	sub, err := s.o.Bus.Subscribe(wire.PatternAsk, func(m bus.Msg) {
		s.wg.Go(func() { s.ask(ctx, m) })
	})
	if err != nil {
		return err
	}
	defer sub.Stop()
	if s.o.Ready != nil {
		s.o.Ready()
	}

	tick := time.NewTicker(tickEvery)
	defer tick.Stop()
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	looked := make(chan struct{}, 1)
	looked <- struct{}{}
	connected, changed := s.o.Bus.Connected()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-look.C:
			// Another server may have made one and died, or it could not be read.
			select {
			case <-looked:
				s.wg.Go(func() {
					ctx, cancel := context.WithTimeout(ctx, askTime)
					defer cancel()
					_ = s.load(ctx) // again soon
					looked <- struct{}{}
				})
			default:
			}
		case <-changed:
			var now bool
			now, changed = s.o.Bus.Connected()
			if now && !connected {
				s.log.Info("the engine is back")
				s.mu.Lock()
				s.forgive()
				s.mu.Unlock()
			} else if connected && !now {
				s.log.Warn("the engine is out of reach")
			}
			connected = now
		case <-tick.C:
			if connected {
				_ = s.o.Bus.Publish(wire.SubjectEcho(s.id), nil)
				s.lose()
			}
		}
	}
}

// load finds the jobs that there are and are not known.
func (s *server) load(ctx context.Context) error {
	tables, err := s.o.Bus.Tables(ctx)
	if err != nil {
		return err
	}
	for _, t := range tables {
		id, isJob := strings.CutPrefix(t, wire.Table(""))
		s.mu.Lock()
		known := s.jobs[id] != nil
		s.mu.Unlock()
		if !isJob || known {
			continue
		}
		table, err := s.o.Bus.Open(ctx, t)
		if errors.Is(err, bus.ErrNoTable) {
			continue // it was removed meanwhile
		}
		if err != nil {
			return err
		}
		j, err := s.open(s.life, id, table)
		switch {
		case errors.Is(err, bus.ErrNoKey):
			// Who submits it has not come to its end, or never will.
		case err != nil:
			if text := err.Error(); s.unread[id] != text {
				s.unread[id] = text
				s.log.Error("job can not be read", "job", id, "err", err)
			}
		case j.phase() != ledger.Ended:
			j.log.Info("job goes on", "app", j.spec.App)
		}
	}
	return nil
}

// open begins to coordinate a job that is in a table.
func (s *server) open(ctx context.Context, id string, table bus.Table) (*job, error) {
	v, err := table.Get(ctx, wire.KeySpec)
	if err != nil {
		return nil, err
	}
	spec := new(wire.Spec)
	if err := wire.Read(&v, spec); err != nil {
		return nil, err
	}
	j := newJob(s, spec, table)
	if err := j.load(ctx); err != nil {
		return nil, err
	}
	s.mu.Lock()
	if other := s.jobs[id]; other != nil {
		s.mu.Unlock()
		return other, nil
	}
	s.jobs[id] = j
	ctx, j.cancel = context.WithCancel(ctx)
	s.mu.Unlock()
	s.wg.Go(func() { j.run(ctx) })
	return j, nil
}

// find is a job that there is, also one that another server has made a moment ago.
func (s *server) find(ctx context.Context, id string) (*job, error) {
	s.mu.Lock()
	j := s.jobs[id]
	s.mu.Unlock()
	if j != nil {
		return j, nil
	}
	if id == "" {
		return nil, bus.ErrNoTable // whoever asks wants to know whether a server is there
	}
	table, err := s.o.Bus.Open(ctx, wire.Table(id))
	if err != nil {
		return nil, err
	}
	return s.open(s.life, id, table) // its life is the server's
}

// drop forgets a job.
func (s *server) drop(j *job) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.jobs[j.spec.Job] == j {
		delete(s.jobs, j.spec.Job)
	}
}

// adopt begins to coordinate a job of which a client has a session, and which is
// not known: this server has just started, or another one made the job. If there
// is no such job, the client is told.
func (s *server) adopt(from *client, p wire.Pulse) {
	ctx, cancel := context.WithTimeout(s.life, askTime)
	defer cancel()
	_, err := s.find(ctx, p.Job)
	switch {
	case errors.Is(err, bus.ErrNoTable):
		s.order(wire.Owner(p.Session), wire.Order{Job: p.Job, Session: p.Session, Over: true, Ended: true})
	case err != nil && s.life.Err() == nil:
		s.log.Warn("job can not be read", "job", joblog.Clean(p.Job, mostLogName), "err", err)
	}
	s.mu.Lock()
	delete(s.adopted, p.Job)
	from.adopting--
	s.mu.Unlock()
}

// hello takes in a client.
func (s *server) hello(_ context.Context, m bus.Msg) {
	if m.Reply == nil {
		return
	}
	var h wire.Hello
	if err := wire.Decode(m.Data, &h); err != nil {
		s.log.Warn("somebody who wants to join is not understood", "err", err)
	} else if h.Client == wire.Sender(m.Subject) {
		s.know(h)
	}
	// Also for those that are of another version: they do not understand it, and
	// say so.
	_ = m.Reply(ledger.Encode(wire.Welcome{Server: s.id, Every: beatEvery}))
}

// know notes that a client lives.
func (s *server) know(h wire.Hello) *client {
	s.mu.Lock()
	c, known := s.clients[h.Client]
	if !known {
		c = &client{}
		s.clients[h.Client] = c
	}
	c.Hello, c.beat = h, time.Now()
	jobs := s.list()
	s.mu.Unlock()
	if !known {
		s.log.Info("client joined", "client", h.Client, "host", h.Host, "pid", h.PID)
		for _, j := range jobs {
			j.send(event{joined: &h})
		}
	}
	return c
}

// list are the jobs; mu is held.
func (s *server) list() []*job {
	jobs := make([]*job, 0, len(s.jobs))
	for _, j := range s.jobs {
		jobs = append(jobs, j)
	}
	slices.SortFunc(jobs, func(a, b *job) int { return cmp.Compare(a.spec.Job, b.spec.Job) })
	return jobs
}

// heard takes in a beat.
func (s *server) heard(_ context.Context, m bus.Msg) {
	var b wire.Beat
	if wire.Decode(m.Data, &b) != nil || b.Client != wire.Sender(m.Subject) {
		return
	}
	b.Sessions = slices.DeleteFunc(b.Sessions, func(p wire.Pulse) bool { return wire.Owner(p.Session) != b.Client })
	if b.Bye {
		s.mu.Lock()
		_, known := s.clients[b.Client]
		delete(s.clients, b.Client)
		jobs := s.list()
		s.mu.Unlock()
		if known {
			s.log.Info("client left", "client", b.Client, "host", b.Host)
			for _, j := range jobs {
				j.send(event{left: b.Client})
			}
		}
		return
	}
	c := s.know(b.Hello)
	s.mu.Lock()
	c.leaving, c.jobs = b.Leaving, nil
	for _, p := range b.Sessions {
		c.jobs = append(c.jobs, p.Job)
	}
	tell := c.drain && !c.leaving && time.Since(c.told) >= leaveEvery
	if tell {
		c.told = time.Now()
	}
	jobs := s.list()
	s.mu.Unlock()
	if tell {
		s.order(b.Client, wire.Order{Leave: true})
	}
	s.renewTickets(&b)
	for _, j := range jobs {
		e := event{beat: &b}
		for i := range b.Sessions {
			if b.Sessions[i].Job == j.spec.Job {
				e.pulse = &b.Sessions[i]
			}
		}
		if e.pulse != nil {
			j.send(e)
		}
	}
	for _, p := range b.Sessions {
		if slices.ContainsFunc(jobs, func(j *job) bool { return j.spec.Job == p.Job }) {
			continue
		}
		s.mu.Lock()
		begin := !s.adopted[p.Job] && c.adopting < mostAdopting && s.life.Err() == nil
		if begin {
			s.adopted[p.Job] = true
			c.adopting++
		}
		s.mu.Unlock()
		if begin {
			s.wg.Go(func() { s.adopt(c, p) })
		}
	}
}

// saw takes in what a client sees at the roots of a job.
func (s *server) saw(_ context.Context, m bus.Msg) {
	var seen wire.Seen
	if wire.Decode(m.Data, &seen) != nil || seen.Client != wire.Sender(m.Subject) {
		return
	}
	s.mu.Lock()
	j := s.jobs[seen.Job]
	s.mu.Unlock()
	if j != nil {
		j.send(event{seen: &seen})
	}
}

func (s *server) order(to ledger.ClientID, o wire.Order) {
	if o.Look || o.Open {
		o.Ticket = s.ticket(to, o.Job)
	}
	// What is lost is told again when the client's next beat shows that it does
	// not know.
	s.publish(wire.SubjectOrder(to), o)
}

// publish sends a message that may get lost.
func (s *server) publish(subject string, v any) {
	if err := s.o.Bus.Publish(subject, ledger.Encode(v)); err != nil && !errors.Is(err, bus.ErrClosed) {
		s.log.Warn("message not sent", "subject", subject, "err", err)
	}
}

// lose finds clients that are not heard of any more.
func (s *server) lose() {
	s.mu.Lock()
	if s.deaf() {
		s.mu.Unlock()
		return
	}
	var lost []*client
	for id, c := range s.clients {
		if time.Since(c.beat) > lostAfter {
			lost = append(lost, c)
			delete(s.clients, id)
		}
	}
	jobs := s.list()
	s.mu.Unlock()
	for _, c := range lost {
		s.log.Warn("client lost: not heard of for "+lostAfter.String(), "client", c.Client, "host", c.Host, "pid", c.PID)
		for _, j := range jobs {
			j.send(event{left: c.Client})
		}
	}
}

// forgive gives all clients time to come back: the engine was away, not they. mu
// is held.
func (s *server) forgive() {
	for _, c := range s.clients {
		c.beat = time.Now()
	}
	s.started = time.Now()
}

// echoed is called when we hear ourselves. If that was long ago, for this process
// or the engine stood still, others could not be heard either.
func (s *server) echoed() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.deaf() {
		s.forgive()
	}
	s.echo = time.Now()
}

// deaf says that we do not hear even ourselves; mu is held.
func (s *server) deaf() bool { return time.Since(s.echo) > deafAfter }

// silent is how long somebody has not been heard of who could have been.
func (s *server) silent(heard time.Time) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.deaf():
		return 0
	case heard.Before(s.started):
		heard = s.started
	}
	return time.Since(heard)
}

// alive are the clients that are there, by name.
func (s *server) alive() map[ledger.ClientID]wire.Hello {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make(map[ledger.ClientID]wire.Hello, len(s.clients))
	for id, c := range s.clients {
		all[id] = c.Hello
	}
	return all
}

// settled says that the server has been there long enough to know who is alive.
func (s *server) settled() bool { return s.silent(time.Time{}) > lostAfter }
