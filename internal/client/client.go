// Package client works on the jobs of a server with many workers.
//
// A client has a session for each job that it works on: a walk that it shares
// with the sessions of other clients. It begins when the server asks for it, is
// given work, gives work away, and writes its record, which is all that remains of
// it if it dies.
package client

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"runtime"
	"strings"
	"sync"
	"time"

	"crypto/rand"

	"github.com/hydrawalk/hydra/internal/bus"
	"github.com/hydrawalk/hydra/internal/ledger"
	"github.com/hydrawalk/hydra/internal/wire"
)

// Options of a client.
type Options struct {
	Bus     bus.Bus
	Apps    []App
	Workers int // 0 adapts
	Once    bool
	Joined  func()       // when set, is called each time when a server has taken us in
	Logger  *slog.Logger // without a name
	FS      fs.FS        // is walked instead of the system's files
	Host    string
	// ID is how the client is to call itself; "": it makes up a name.
	ID ledger.ClientID
	// Dial, when set, makes a connection for the table of one job, with a ticket that
	// the server gave: ticket returns the newest. Bus is for all else then.
	Dial func(ctx context.Context, ticket func() string) (bus.Bus, error)

	// Bug breaks the protocol on purpose, for tests that have to notice.
	Bug Bug
}

// Bug is a way to break the protocol.
type Bug int

// The bugs that tests have to notice.
const (
	NoBug            Bug = iota
	BugNoCompare         // write records whatever stands there
	BugEarlyRecord       // write what remains before what was counted is in it
	BugForgetChild       // leave one item out of what remains
	BugTakeTwice         // take deliveries up whatever their number
	BugGiveUnwritten     // keep what was given away as well
	BugDeafToPause       // go on while the job is paused
)

// Times that the client goes by.
const (
	beatEvery   = 500 * time.Millisecond
	hungerEvery = 50 * time.Millisecond // while there is nothing to do
	minCommit   = 5 * time.Second
	maxCommit   = 10 * time.Second
	minLocal    = time.Second      // minCommit of a local job: no other client writes to that disk
	leaveTime   = 20 * time.Second // to give all back
)

// Work works until ctx is cancelled, gives all back, and returns nil; or until
// Options.Once is fulfilled.
func Work(ctx context.Context, o Options) error {
	c := &client{
		o:        o,
		id:       cmp.Or(o.ID, ledger.ClientID(strings.ToLower(rand.Text()[:16]))),
		sessions: map[string]*session{},
		seen:     map[string]bool{},
		orders:   make(chan wire.Order, 1024),
		poke:     make(chan struct{}, 1),
		peeks:    make(chan peek, 16),
		ended:    make(chan *session, 64),
		looked:   make(chan string),
		opening:  map[string]bool{},
		opened:   make(chan opened),
	}
	if c.o.Host == "" {
		c.o.Host, _ = os.Hostname()
	}
	c.doors.init(o.Bus, o.Dial)
	c.logs.init(o.Logger)
	c.log = c.logs.of("").Logger(logName)
	defer c.doors.close()
	return c.run(ctx)
}

// client is a process that works. Its fields belong to the goroutine of run.
type client struct {
	o        Options
	id       ledger.ClientID
	logs     logs
	doors    doors
	log      *slog.Logger // of what is about no job
	server   string       // that welcomed us, "" if none did
	strange  bool         // the server is of another version, which was said
	sessions map[string]*session
	seen     map[string]bool    // jobs that are being looked at
	done     bool               // a job that we worked on is over
	leaving  bool               // all is being given back
	fleeing  context.CancelFunc // begins that

	orders chan wire.Order
	poke   chan struct{} // a session has something to tell at once
	ended  chan *session
	peeks  chan peek
	looked chan string // jobs whose roots were looked at
	looks  sync.WaitGroup

	opening map[string]bool // jobs of which a session is being made
	opened  chan opened
	noted   noted
	said    string // about the last job that could not be worked on
}

// opened is a session that was made, or why it was not.
type opened struct {
	job     string
	s       *session
	err     error
	refused bool // by the application, which would do so again
}

func (c *client) hello() wire.Hello {
	h := wire.Hello{Client: c.id, Host: c.o.Host, PID: os.Getpid(), Workers: c.o.Workers}
	for _, a := range c.o.Apps {
		h.Apps = append(h.Apps, a.ID())
	}
	return h
}

func (c *client) run(ctx context.Context) error {
	sub, err := c.o.Bus.Subscribe(wire.SubjectOrder(c.id), func(m bus.Msg) {
		var o wire.Order
		if err := wire.Decode(m.Data, &o); err != nil {
			c.log.Warn("order not understood", "err", err)
			return
		}
		select {
		case c.orders <- o:
		default: // it comes again
		}
	})
	if err != nil {
		return err
	}
	defer sub.Stop()
	peek, err := c.o.Bus.Subscribe(wire.SubjectPeer(c.id), c.peeked)
	if err != nil {
		return err
	}
	defer peek.Stop()
	defer c.looks.Wait()
	// What looks at roots is not waited for in vain.
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	c.fleeing = cancel

	beat := time.NewTicker(beatEvery)
	defer beat.Stop()
	share := time.NewTicker(shareEvery)
	defer share.Stop()
	connected, changed := c.o.Bus.Connected()
	if connected {
		c.greet(ctx)
	}
	for {
		select {
		case <-ctx.Done():
			return c.leave(ctx)
		case o := <-c.orders:
			c.obey(ctx, o)
		case p := <-c.peeks:
			c.answer(p)
		case <-c.poke:
			c.beat(false)
		case <-beat.C:
			if c.server == "" && connected {
				c.greet(ctx)
			}
			c.tellLogs()
			c.beat(false)
		case <-share.C:
			c.shareWorkers()
		case <-changed:
			var now bool
			now, changed = c.o.Bus.Connected()
			if now != connected {
				connected = now
				c.server = ""
				if now {
					c.greet(ctx)
				} else {
					c.log.Warn("connection to the server lost: going on with the work at hand, and trying again")
				}
			}
		case job := <-c.looked:
			delete(c.seen, job)
		case o := <-c.opened:
			delete(c.opening, o.job)
			c.begin(ctx, o)
		case s := <-c.ended:
			c.forget(s)
		}
		if c.o.Once && c.done && len(c.sessions) == 0 {
			c.tellLogs()
			c.beat(true)
			return nil
		}
	}
}

func (c *client) connected() bool {
	now, _ := c.o.Bus.Connected()
	return now
}

// greet says hello to the server.
func (c *client) greet(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, beatEvery)
	defer cancel()
	data, err := c.o.Bus.Request(ctx, wire.SubjectHello(c.id), ledger.Encode(c.hello()))
	if err != nil {
		return // again with the next beat
	}
	var w wire.Welcome
	if err := wire.Decode(data, &w); err != nil {
		if !c.strange {
			c.strange = true
			c.log.Error("the server is of another version: trying again until it is not", "err", err)
		}
		return
	}
	if w.Server != c.server {
		c.server = w.Server
		c.log.Info("joined the server", "client", c.id, "workers", c.workersText())
		if c.o.Joined != nil {
			c.o.Joined()
		}
	}
}

func (c *client) workersText() any {
	if c.o.Workers == 0 {
		return "auto"
	}
	return c.o.Workers
}

// beat tells the server how we do.
func (c *client) beat(bye bool) {
	b := wire.Beat{Hello: c.hello(), Bye: bye, Leaving: c.leaving}
	for _, s := range c.sessions {
		b.Sessions = append(b.Sessions, s.pulse())
	}
	// What is lost comes again.
	_ = c.o.Bus.Publish(wire.SubjectBeat(c.id), ledger.Encode(b))
}

// obey carries out an order.
func (c *client) obey(ctx context.Context, o wire.Order) {
	s := c.sessions[o.Job]
	if o.Ticket != "" {
		c.doors.take(o.Job, o.Ticket)
	}
	switch {
	case o.Leave:
		c.log.Info("the server wants this client to leave: giving the work back")
		c.fleeing()
	case o.Refused != "":
		c.logs.of(o.Job).Logger(logName).Warn("taking no part in a job", "why", o.Refused)
	case o.Look:
		c.look(ctx, o.Job)
	case o.Open:
		if s == nil && !c.opening[o.Job] {
			c.opening[o.Job] = true
			c.looks.Go(func() { c.open(ctx, o.Job) })
		}
	case o.Over && s != nil && o.Session == s.id:
		c.done = c.done || o.Ended
		s.tell(o)
	case s != nil && o.Session == s.id:
		s.tell(o)
	}
}

// known is what a job is.
type known struct {
	spec    *wire.Spec // with what users changed
	control ledger.Control
}

// spec reads what a job is, and finds its application.
func (c *client) spec(ctx context.Context, b bus.Bus, job string) (*known, bus.Table, App, error) {
	table, err := b.Open(ctx, wire.Table(job))
	if err != nil {
		return nil, nil, nil, err
	}
	v, err := table.Get(ctx, wire.KeySpec)
	if err != nil {
		return nil, nil, nil, err
	}
	spec := new(wire.Spec)
	if err := wire.Read(&v, spec); err != nil {
		return nil, nil, nil, err
	}
	state, err := readState(ctx, table)
	if err != nil {
		return nil, nil, nil, err
	}
	for _, a := range c.o.Apps {
		if (a.ID() == wire.AppID{Name: spec.App, Version: spec.Version}) {
			return &known{spec.With(&state.Control), state.Control}, table, a, nil
		}
	}
	return nil, nil, nil, errNoApp
}

var errNoApp = errors.New("this client does not have the application")

// lookTime is how long it may take to look at roots: a mount may hang.
const lookTime = 10 * time.Second

// look tells the server what we see at the roots of a job.
func (c *client) look(ctx context.Context, job string) {
	if c.seen[job] {
		return
	}
	// The call may hang: it is not waited for when the client ends.
	c.seen[job] = true
	log := c.logs.of(job)
	result := make(chan wire.Seen, 1)
	look := func(spec *wire.Spec, app App) {
		seen := wire.Seen{Job: job, Client: c.id}
		run, err := app.Begin(spec, c.where(log))
		if err != nil {
			seen.Err = err.Error()
		} else {
			defer run.Close()
			o := run.Options()
			c.noted.from(job, o.Mounts)
			for _, r := range spec.Roots {
				sight, err := c.lookAt(string(r), &o)
				if err != nil {
					seen = wire.Seen{Job: job, Client: c.id, Err: fmt.Sprintf("%s: %v", r, err)}
					break
				}
				seen.Sights = append(seen.Sights, sight)
			}
		}
		result <- seen
	}
	c.looks.Go(func() {
		defer func() {
			select {
			case c.looked <- job:
			case <-ctx.Done():
			}
		}()
		specCtx, cancel := context.WithTimeout(ctx, lookTime)
		var k *known
		var app App
		door, err := c.doors.enter(specCtx, job)
		if err == nil {
			defer c.doors.leave(job)
			k, _, app, err = c.spec(specCtx, door, job)
		}
		cancel()
		if err != nil && !errors.Is(err, errNoApp) {
			return // it says nothing of the roots: we are asked again
		}
		told := wire.Seen{Job: job, Client: c.id}
		timeout := time.NewTimer(lookTime)
		defer timeout.Stop()
		if err != nil {
			told.Err = err.Error()
		} else {
			go look(k.spec, app)
			select {
			case told = <-result:
			case <-ctx.Done():
				return
			case <-timeout.C:
				log.Logger(logName).Warn("a path of the job does not answer: waiting for it")
				select {
				case told = <-result:
				case <-ctx.Done():
					return
				}
			}
		}
		if err := c.o.Bus.Publish(wire.SubjectSight(c.id), ledger.Encode(told)); errors.Is(err, bus.ErrTooLarge) {
			told = wire.Seen{Job: job, Client: c.id, Err: fmt.Sprintf("%d paths are too many to tell what is there", len(told.Sights))}
			_ = c.o.Bus.Publish(wire.SubjectSight(c.id), ledger.Encode(told))
		}
	})
}

// open makes a session. It waits for the engine, and so is not for the goroutine
// of run.
func (c *client) open(ctx context.Context, job string) {
	o := opened{job: job}
	specCtx, cancel := context.WithTimeout(ctx, lookTime)
	door, err := c.doors.enter(specCtx, job)
	if err == nil {
		var k *known
		var table bus.Table
		var app App
		if k, table, app, err = c.spec(specCtx, door, job); err == nil {
			o.s, err = c.newSession(k, table, app)
			o.refused = err != nil
		}
		if err != nil {
			c.doors.leave(job)
		}
	}
	cancel()
	o.err = err
	select {
	case c.opened <- o:
	case <-ctx.Done():
		if err == nil {
			c.doors.leave(job)
		}
	}
}

// begin begins a session that was made.
func (c *client) begin(ctx context.Context, o opened) {
	if o.err != nil {
		c.unable(o)
		return
	}
	c.sessions[o.job] = o.s
	o.s.log.Info("working on a job", "app", o.s.spec.App)
	c.shareWorkers()
	o.s.start(ctx)
}

// unable says that a session could not be made: who looked at the roots may not have known
// that yet, for settings change. The server is not to ask for it again.
func (c *client) unable(o opened) {
	level := slog.LevelWarn
	if text := o.job + ": " + o.err.Error(); text == c.said {
		level = slog.LevelDebug
	} else {
		c.said = text
	}
	c.logs.of(o.job).Logger(logName).Log(context.Background(), level, "job can not be worked on", "err", o.err)
	if o.refused {
		seen := wire.Seen{Job: o.job, Client: c.id, Err: o.err.Error()}
		_ = c.o.Bus.Publish(wire.SubjectSight(c.id), ledger.Encode(seen)) // it is asked for again
	}
}

// forget is called when a session has ended.
func (c *client) forget(s *session) {
	s.wait()
	s.run.Close()
	c.doors.leave(s.spec.Job)
	if c.sessions[s.spec.Job] == s {
		delete(c.sessions, s.spec.Job)
	}
	switch {
	case s.lost != nil:
		s.log.Warn("the session was lost: others do its work", "why", s.lost)
	default:
		s.log.Info("left a job")
	}
	c.shareWorkers()
	c.beat(false)
}

// leave gives all back.
func (c *client) leave(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveTime)
	defer cancel()
	c.leaving = true
	// Until then it lives: a handler may take its time.
	beat := time.NewTicker(beatEvery)
	defer beat.Stop()
	for len(c.sessions) > 0 {
		for _, s := range c.sessions {
			s.tell(wire.Order{Session: s.id, Stop: true}) // again: some may have been dropped
		}
		select {
		case s := <-c.ended:
			s.wait()
			s.run.Close()
			c.doors.leave(s.spec.Job)
			delete(c.sessions, s.spec.Job)
		case p := <-c.peeks:
			c.answer(p)
		case <-beat.C:
			c.tellLogs()
			c.beat(false)
		case <-ctx.Done():
			for _, s := range c.sessions {
				s.cancel()
			}
			c.tellLogs()
			c.beat(true)
			return errors.New("not all work could be given back in time: the server gives it to others when it notices")
		}
	}
	c.tellLogs()
	c.beat(true)
	return nil
}

const shareEvery = 200 * time.Millisecond

// shareWorkers divides the workers among the sessions that have work, in
// proportion to the priorities of their jobs. For some a user has said how many
// there are.
func (c *client) shareWorkers() {
	ours := map[string]*session{}
	for job, s := range c.sessions {
		switch n := int(s.wanted.Load()); n {
		case 0:
			ours[job] = s
		case ledger.Adapt:
			s.setWorkers(adaptive)
		default:
			s.setWorkers(n)
		}
	}
	if c.o.Workers == 0 && len(ours) < 2 {
		for _, s := range ours {
			s.setWorkers(adaptive)
		}
		return
	}
	workers := c.o.Workers
	if workers == 0 {
		workers = manyWorkers
	}
	shares(ours, workers)
	for _, s := range ours {
		// More than there are processors serve those that wait for the file system.
		if n := int(s.workers.Load()); c.o.Workers == 0 && s.manner.Waits && n > runtime.NumCPU() {
			s.setWorkers(runtime.NumCPU())
		}
	}
}
