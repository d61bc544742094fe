package server

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"github.com/hydrawalk/hydra/internal/bus"
	"github.com/hydrawalk/hydra/internal/joblog"
	"github.com/hydrawalk/hydra/internal/ledger"
	"github.com/hydrawalk/hydra/internal/pace"
	"github.com/hydrawalk/hydra/internal/wire"
)

// job coordinates one job. One goroutine, run, owns it:
//
//	records, beats ... ─► fold ─► decide ─► write the state ─► tell
//
// Whatever comes while the state is written is decided together.
type job struct {
	s      *server
	logs   *joblog.Log
	log    *slog.Logger
	spec   *wire.Spec
	table  bus.Table
	cancel context.CancelFunc

	mailbox
	warnings warnings // of clients

	ledger  *ledger.Job
	rev     uint64
	peers   map[ledger.SessionID]*peer
	early   map[ledger.SessionID]wire.Pulse // of sessions whose first record was not seen yet
	seen    map[ledger.ClientID]*wire.Seen
	asked   map[ledger.ClientID]time.Time // when they were asked to look, or to open a session
	began   time.Time                     // when the first client that fits was seen
	asks    []*asked                      // that are not answered yet
	events  []wire.Event
	nEvents uint64
	notes   map[ledger.SessionID]int // how many of each session were told
	waits   string
	news    time.Time // when news were told last
	changed bool      // there are news
	records bool      // there are new records to judge by
	failing string    // why the state could not be written
	doubt   string    // why what is known makes no sense
	stale   bool      // another server has written a newer state
	loaded  time.Time // when all was read last

	pacing    pacing
	announced ledger.Phase // as State.Shown; "": nothing yet
	lost      bool         // the table is gone
	buried    time.Time    // when a session could not be fenced
	barred    map[ledger.SessionID]time.Time

	shown struct {
		sync.Mutex
		phase ledger.Phase
		view  view
	}
	turned chan struct{} // the view may have changed; capacity 1
}

// peer is a session that lives.
type peer struct {
	wire.Pulse
	client ledger.ClientID
	rev    uint64 // of its record
	heard  time.Time
	asked  time.Time // to give
	open   bool      // it was given something since it was heard
	told   told

	paced
}

// told is what a session was told last.
type told struct {
	at      time.Time
	stop    bool
	a       uint64 // the last delivery
	settled int
	left    int
	harm    uint64
	control uint64
	share   pace.Grant
	granted int64
	spent   bool
}

// event is what a job's goroutine is told; one field is set.
type event struct {
	value *bus.Value // of the ledger
	gone  error      // the table
	// damaged is why no more is seen of the table.
	damaged error
	beat    *wire.Beat
	pulse   *wire.Pulse // of beat: the session of this job
	joined  *wire.Hello
	left    ledger.ClientID
	seen    *wire.Seen
	ask     *asked
}

// toldChanges is how many of a job's changes are told with who works on it.
const toldChanges = 10

// asked is a command. It is answered when what it changed is written.
type asked struct {
	*wire.Ask
	hook   hookDone        // with askHook
	until  <-chan struct{} // closed when nobody waits for the answer any more
	err    error           // of the command
	answer chan answered
}

type answered struct {
	status  wire.Status
	peers   []wire.Peer // of AskPeers
	more    bool
	control *ledger.Control
	err     error
}

// mailbox takes any number of events.
type mailbox struct {
	mu     sync.Mutex
	events []event
	full   chan struct{} // capacity 1
}

func (m *mailbox) send(e event) {
	m.mu.Lock()
	m.events = append(m.events, e)
	m.mu.Unlock()
	select {
	case m.full <- struct{}{}:
	default:
	}
}

func (m *mailbox) take() []event {
	m.mu.Lock()
	defer m.mu.Unlock()
	es := m.events
	m.events = nil
	return es
}

func newJob(s *server, spec *wire.Spec, table bus.Table) *job {
	logs := joblog.New(s.o.Logger, spec.Job)
	return &job{
		s:       s,
		logs:    logs,
		log:     logs.Logger(logName),
		spec:    spec,
		table:   table,
		mailbox: mailbox{full: make(chan struct{}, 1)},
		peers:   map[ledger.SessionID]*peer{},
		early:   map[ledger.SessionID]wire.Pulse{},
		seen:    map[ledger.ClientID]*wire.Seen{},
		asked:   map[ledger.ClientID]time.Time{},
		barred:  map[ledger.SessionID]time.Time{},
		turned:  make(chan struct{}, 1),
	}
}

func (j *job) phase() ledger.Phase {
	j.shown.Lock()
	defer j.shown.Unlock()
	return j.shown.phase
}

// show lets others see the phase.
func (j *job) show() {
	j.shown.Lock()
	j.shown.phase = j.ledger.Phase
	j.shown.Unlock()
	j.showHooks()
}

// enter puts the job into another phase.
func (j *job) enter(p ledger.Phase) {
	was := j.ledger.Shown()
	j.ledger.Phase = p
	j.ledger.Touch()
	j.check(was)
}

// check makes sure that the phase can follow the one before.
func (j *job) check(was ledger.Phase) {
	if is := j.ledger.Shown(); !ledger.Follows(was, is) {
		j.s.log.Error("a phase that can not follow: this is a bug of the server", "job", j.spec.Job, "was", was, "is", is)
	}
}

// announce tells that the job is in another phase than when it was told last.
func (j *job) announce() {
	was, is := j.announced, j.ledger.Shown()
	if j.announced = is; was != is {
		j.publish("debug", wire.Event{Kind: wire.EventState, Text: "the job is " + string(is), Phase: is, Was: was})
	}
}

// roundTime is the least time from one round to the next, for each session.
const roundTime = 5 * time.Microsecond

// run is the life of the job on this server.
func (j *job) run(ctx context.Context) {
	defer j.cancel()
	defer func() {
		// A bug in one job, or a table that nobody of us wrote, is not to end all.
		if v := recover(); v != nil {
			j.log.Error("job given up: this is a bug of the server", "panic", v, "stack", string(debug.Stack()))
			j.s.drop(j)
		}
	}()
	j.s.wg.Go(func() { j.watch(ctx) })
	if j.spec.NeedsServer {
		j.s.wg.Go(func() { j.coordinate(ctx) })
	}
	j.send(event{joined: &wire.Hello{}}) // to begin at once
	tick := time.NewTicker(tickEvery)
	defer tick.Stop()
	var round time.Time // when the last one began
	for {
		ticks := tick.C
		if j.ledger.Phase == ledger.Ended && !j.ledger.Dirty() && j.doubt == "" && !j.stale {
			ticks = nil // nothing happens by itself
		}
		select {
		case <-ctx.Done():
			return
		case <-ticks:
		case <-j.full:
		}
		// What a round costs grows with the sessions, and so does what they say:
		// of many, more is decided together.
		if wait := time.Duration(len(j.peers))*roundTime - time.Since(round); wait > 0 {
			pause(ctx, wait)
		}
		round = time.Now()
		for _, e := range j.take() {
			j.fold(e)
		}
		if j.doubt != "" {
			j.verify(ctx)
		}
		if j.stale && !j.lost && !j.refresh(ctx) {
			continue
		}
		if j.ledger.Phase != ledger.Ended || j.ledger.Dirty() {
			j.decide(ctx)
		}
		if j.ledger.Dirty() && !j.write(ctx) {
			// What was decided is told to nobody, but why it takes so long is.
			if j.changed && j.ledger.Phase != ledger.Ended {
				j.tellNews()
			}
			continue
		}
		j.show()
		j.announce()
		j.tell()
		for _, a := range j.asks {
			got := answered{status: j.status(), err: a.err}
			if a.Kind == wire.AskPeers {
				got.peers, got.more = j.peerPage(a.Client)
				// Messages are small.
				got.status.Events, got.status.Roots = nil, nil
				control := j.ledger.Control
				control.Settings = nil
				control.Changes = control.Changes[max(0, len(control.Changes)-toldChanges):]
				got.control = &control
			}
			a.answer <- got
		}
		j.asks = nil
		if j.changed || time.Since(j.news) >= newsEvery && j.ledger.Phase != ledger.Ended {
			j.tellNews()
		}
	}
}

// tellNews tells whoever watches how the job does.
func (j *job) tellNews() {
	j.changed, j.news = false, time.Now()
	j.s.publish(wire.SubjectNews(j.spec.Job), j.status())
}

// fold takes an event in.
func (j *job) fold(e event) {
	switch {
	case e.gone != nil:
		j.lost = true
		if j.phase() == ledger.Ended {
			j.s.drop(j) // it was removed, by way of another server perhaps
			j.cancel()
			return
		}
		j.failed("the engine lost the job: " + e.gone.Error())
	case e.damaged != nil:
		if j.phase() != ledger.Ended {
			j.failed("a record is not one: " + e.damaged.Error())
		}
	case e.value != nil && e.value.Key == wire.KeyState:
		j.stale = j.stale || e.value.Rev > j.rev
	case e.value != nil:
		j.record(e.value)
	case e.beat != nil:
		j.heard(e.beat, e.pulse)
	case e.joined != nil:
		j.changed = true
	case e.left != "":
		j.left(e.left)
	case e.seen != nil:
		j.seen[e.seen.Client] = e.seen
		delete(j.asked, e.seen.Client)
	case e.ask != nil:
		e.ask.err = j.command(e.ask)
		j.asks = append(j.asks, e.ask)
	}
}

// heard takes in a beat of a client.
func (j *job) heard(b *wire.Beat, own *wire.Pulse) {
	if own == nil {
		return
	}
	if p := j.peers[own.Session]; p != nil && p.client == b.Client {
		p.Pulse, p.heard, p.open = *own, time.Now(), false
		j.used(p, own.Usage)
		j.records = j.records || j.now().MaxErrors > 0 && own.Totals.Errors > 0 || own.Needs > 0
	}
	if own.Unborn {
		return
	}
	if j.peers[own.Session] == nil && j.ledger.Record(own.Session) == nil {
		j.early[own.Session] = *own
	}
	ended := j.phase() == ledger.Ended && !j.stale && !j.ledger.Dirty()
	if ended && j.ledger.Record(own.Session) == nil {
		j.stale, ended = true, false // it began after all that is known: there may be more
	}
	if r := j.ledger.Record(own.Session); r != nil && r.End != ledger.Live || ended {
		j.s.order(b.Client, wire.Order{Job: j.spec.Job, Session: own.Session, Over: true, Ended: j.phase() == ledger.Ended})
	}
}

// left notes that a client is not there any more.
func (j *job) left(c ledger.ClientID) {
	delete(j.seen, c)
	delete(j.asked, c)
	clear(j.early) // of others it comes again
	for _, p := range j.peers {
		if p.client == c {
			p.heard = time.Time{}
		}
	}
}

// event tells whoever watches what has happened.
func (j *job) event(level string, text string, args ...any) {
	j.publish(level, wire.Event{Kind: wire.EventNote, Text: fmt.Sprintf(text, args...)})
}

// aboutClient is event for what happened to a client.
func (j *job) aboutClient(level string, id ledger.ClientID, text string, args ...any) {
	j.publish(level, wire.Event{Kind: wire.EventClient, Client: id, Text: fmt.Sprintf(text, args...)})
}

// mostEvents is how many are kept for those who ask.
const mostEvents = 50

// publish notes an event and logs it.
func (j *job) publish(level string, e wire.Event) {
	e.Text = joblog.Clean(e.Text, mostText) // it may hold what a client said, or a path
	j.nEvents++
	e.N, e.At = j.nEvents, time.Now()
	j.events = append(j.events, e)
	if extra := len(j.events) - mostEvents; extra > 0 {
		j.events = j.events[extra:]
	}
	j.changed = true
	levels := map[string]slog.Level{"debug": slog.LevelDebug, "warn": slog.LevelWarn}
	j.log.Log(context.Background(), levels[level], e.Text)
}

// now is what the job is, with what users changed since.
func (j *job) now() *wire.Spec { return j.spec.With(&j.ledger.Control) }

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// failed ends the job at once: nothing that is known of it can be trusted.
func (j *job) failed(why string) {
	if j.ledger.Phase == ledger.Ended && j.ledger.Verdict.State == "failed" {
		return
	}
	j.enter(ledger.Ended)
	j.ledger.Verdict = ledger.Verdict{State: "failed", Reason: why}
	j.ledger.Finished = time.Now()
	j.event("warn", "job failed: %s", why)
}

// stop begins to end the job before its end.
func (j *job) stop(state, reason string) {
	j.enter(ledger.Stopping)
	j.ledger.Verdict = ledger.Verdict{State: state, Reason: reason}
	j.event("info", "job is being ended: %s", reason)
}
