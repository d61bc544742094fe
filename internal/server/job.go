package server

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/hydrawalk/hydra/internal/bus"
	"github.com/hydrawalk/hydra/internal/ledger"
	"github.com/hydrawalk/hydra/internal/wire"
)

// job coordinates one job. One goroutine, run, owns it:
//
//	records, beats ... ─► fold ─► decide ─► write the state ─► tell
//
// Whatever comes while the state is written is decided together.
type job struct {
	s      *server
	spec   *wire.Spec
	table  bus.Table
	cancel context.CancelFunc

	mailbox

	ledger  *ledger.Job
	rev     uint64
	peers   map[ledger.SessionID]*peer
	early   map[ledger.SessionID]wire.Pulse // of sessions whose first record was not seen yet
	seen    map[ledger.ClientID]*wire.Seen
	asked   map[ledger.ClientID]time.Time // when they were asked to look, or to open a session
	began   time.Time                     // when the first client that fits was seen
	events  []wire.Event
	nEvents uint64
	waits   string
	news    time.Time // when news were told last
	changed bool      // there are news
	records bool      // there are new records to judge by
	failing string    // why the state could not be written
	doubt   string    // why what is known makes no sense
	lost    bool      // the table is gone

	shown struct {
		sync.Mutex
		phase ledger.Phase
	}
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
}

// told is what a session was told last.
type told struct {
	at      time.Time
	stop    bool
	a       uint64 // the last delivery
	settled int
	left    int
	avoid   int
	suspect int
}

// event is what a job's goroutine is told; one field is set.
type event struct {
	record *bus.Value
	gone   error // the table
	beat   *wire.Beat
	pulse  *wire.Pulse // of beat: the session of this job
	joined *wire.Hello
	left   ledger.ClientID
	seen   *wire.Seen
	ask    *asked
}

type asked struct {
	kind   string
	answer chan answered
}

type answered struct {
	status wire.Status
	err    error
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
	return &job{
		s:       s,
		spec:    spec,
		table:   table,
		mailbox: mailbox{full: make(chan struct{}, 1)},
		peers:   map[ledger.SessionID]*peer{},
		early:   map[ledger.SessionID]wire.Pulse{},
		seen:    map[ledger.ClientID]*wire.Seen{},
		asked:   map[ledger.ClientID]time.Time{},
	}
}

func (j *job) phase() ledger.Phase {
	j.shown.Lock()
	defer j.shown.Unlock()
	return j.shown.phase
}

// load reads what is known of the job.
func (j *job) load(ctx context.Context) error {
	v, err := j.table.Get(ctx, wire.KeyState)
	if err != nil {
		return err
	}
	state := new(ledger.State)
	if err := ledger.Decode(v.Data, state); err != nil {
		return err
	}
	values, err := j.table.List(ctx, wire.PrefixRec)
	if err != nil {
		return err
	}
	var records []*ledger.Record
	revs := map[ledger.SessionID]uint64{}
	for _, v := range values {
		r := new(ledger.Record)
		if err := ledger.Decode(v.Data, r); err != nil {
			return fmt.Errorf("the record %s is %w: %w", v.Key, errCorrupt, err)
		}
		records = append(records, r)
		revs[r.Session] = v.Rev
	}
	j.ledger, j.rev = ledger.NewJob(state, records), v.Rev
	clear(j.peers)
	for _, r := range j.ledger.Records() {
		if r.End == ledger.Live {
			j.peers[r.Session] = &peer{client: r.Client, rev: revs[r.Session], heard: time.Now()}
		}
	}
	j.records = true
	j.show()
	return nil
}

func (j *job) show() {
	j.shown.Lock()
	j.shown.phase = j.ledger.Phase
	j.shown.Unlock()
}

// roundTime is the least time from one round to the next, for each session.
const roundTime = 5 * time.Microsecond

// run is the life of the job on this server.
func (j *job) run(ctx context.Context) {
	ctx, j.cancel = context.WithCancel(ctx)
	defer j.cancel()
	j.s.wg.Go(func() { j.watch(ctx) })
	j.send(event{joined: &wire.Hello{}}) // to begin at once
	tick := time.NewTicker(tickEvery)
	defer tick.Stop()
	var round time.Time // when the last one began
	for {
		ticks := tick.C
		if j.ledger.Phase == ledger.Ended && !j.ledger.Dirty() && j.doubt == "" {
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
		var answers []func()
		for _, e := range j.take() {
			if a := j.fold(e); a != nil {
				answers = append(answers, a)
			}
		}
		if j.doubt != "" {
			j.verify(ctx)
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
		j.tell()
		for _, a := range answers {
			a()
		}
		if j.changed || time.Since(j.news) >= newsEvery && j.ledger.Phase != ledger.Ended {
			j.tellNews()
		}
	}
}

// tellNews tells whoever watches how the job does.
func (j *job) tellNews() {
	j.changed, j.news = false, time.Now()
	_ = j.s.o.Bus.Publish(wire.SubjectNews(j.spec.Job), ledger.Encode(j.status()))
}

// watch sends the records that are written to the job.
func (j *job) watch(ctx context.Context) {
	for ctx.Err() == nil {
		w, err := j.table.Watch(ctx, wire.PrefixRec)
		if err == nil {
			for v := range w.Updates() {
				if v.Key != "" && !v.Deleted {
					j.send(event{record: &v})
				}
			}
			w.Stop()
			err = w.Err()
		}
		if errors.Is(err, bus.ErrNoTable) {
			j.send(event{gone: err})
			return
		}
		if errors.Is(err, bus.ErrClosed) {
			return
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
}

// fold takes an event in. It returns what is to be done when all is decided and
// written.
func (j *job) fold(e event) func() {
	switch {
	case e.gone != nil:
		j.lost = true
		j.failed("the engine lost the job: " + e.gone.Error())
	case e.record != nil:
		j.record(e.record)
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
		err := j.command(e.ask.kind)
		a := e.ask
		return func() { a.answer <- answered{j.status(), err} }
	}
	return nil
}

// record takes in what a session wrote.
func (j *job) record(v *bus.Value) {
	r := new(ledger.Record)
	if err := ledger.Decode(v.Data, r); err != nil || wire.KeyRecord(r.Session) != v.Key {
		j.doubt = fmt.Sprintf("the record %s is not one: %v", v.Key, err)
		return
	}
	j.ledger.Apply(r)
	j.records = true
	if known := j.ledger.Record(r.Session); known == nil || known.N != r.N {
		if why := j.ledger.Broken(); why != "" {
			j.doubt = "the records contradict each other: " + why
		}
		return // it was on its way when a newer one was read
	}
	p := j.peers[r.Session]
	if r.End != ledger.Live {
		if p != nil {
			delete(j.peers, r.Session)
			j.changed = true
		}
		return
	}
	if p == nil {
		p = &peer{client: r.Client, heard: time.Now()}
		if pulse, has := j.early[r.Session]; has {
			p.Pulse = pulse
			delete(j.early, r.Session)
		}
		j.peers[r.Session] = p
		delete(j.asked, r.Client)
		j.changed = true
		if j.ledger.Phase == ledger.Running && time.Since(j.ledger.Started) > newsEvery {
			j.event("info", "client %s on %s takes part", r.Client, r.Host)
		}
	}
	if v.Rev > p.rev {
		p.rev = v.Rev
	}
	if why := j.ledger.Broken(); why != "" {
		j.doubt = "the records contradict each other: " + why
	}
}

// verify is called when what is known of the job makes no sense: perhaps it is out
// of date, because another server went on with it.
func (j *job) verify(ctx context.Context) {
	why := j.doubt
	j.doubt = ""
	err := j.load(ctx)
	switch {
	case ctx.Err() != nil:
	case errors.Is(err, errCorrupt):
		why = err.Error()
	case err != nil:
		j.doubt = why
		j.s.log.Warn("job can not be read", "job", j.spec.Job, "err", err)
		pause(ctx, time.Second)
		return
	case j.ledger.Broken() == "":
		return
	}
	j.failed(why)
}

// errCorrupt is the error of a value that nobody of us wrote.
var errCorrupt = errors.New("corrupt")

// heard takes in a beat of a client.
func (j *job) heard(b *wire.Beat, own *wire.Pulse) {
	if own == nil {
		return
	}
	if p := j.peers[own.Session]; p != nil && p.client == b.Client {
		p.Pulse, p.heard, p.open = *own, time.Now(), false
	}
	if own.Unborn {
		return
	}
	if j.peers[own.Session] == nil && j.ledger.Record(own.Session) == nil {
		j.early[own.Session] = *own
	}
	if r := j.ledger.Record(own.Session); r != nil && r.End != ledger.Live || j.ledger.Phase == ledger.Ended {
		j.s.order(b.Client, wire.Order{Job: j.spec.Job, Session: own.Session, Over: true})
	}
}

// left notes that a client is not there any more.
func (j *job) left(c ledger.ClientID) {
	delete(j.seen, c)
	delete(j.asked, c)
	for _, p := range j.peers {
		if p.client == c {
			p.heard = time.Time{}
		}
	}
}

// event tells whoever watches what has changed.
func (j *job) event(level string, text string, args ...any) {
	text = fmt.Sprintf(text, args...)
	j.nEvents++
	j.events = append(j.events, wire.Event{N: j.nEvents, At: time.Now(), Text: text})
	if len(j.events) > 50 {
		j.events = j.events[len(j.events)-50:]
	}
	j.changed = true
	if level == "warn" {
		j.s.log.Warn(text, "job", j.spec.Job)
	} else {
		j.s.log.Info(text, "job", j.spec.Job)
	}
}

// write writes the state. False: somebody else did, or it could not be written;
// what was decided is void then, or will be written later.
func (j *job) write(ctx context.Context) bool {
	if j.lost {
		return true // who asks is told at least
	}
	data := ledger.Encode(j.ledger.Snapshot())
	putCtx, cancel := context.WithTimeout(ctx, 10*time.Second)
	rev, err := j.table.Put(putCtx, wire.KeyState, data, j.rev)
	cancel()
	switch {
	case err == nil:
		j.rev = rev
		j.ledger.Written()
		if j.failing != "" {
			j.failing = ""
			j.event("info", "the state is written again")
		}
		return true
	case errors.Is(err, bus.ErrConflict), errors.Is(err, bus.ErrUnknown):
		// Another server, or we, and do not know: look.
		if connected, _ := j.s.o.Bus.Connected(); connected && !errors.Is(err, bus.ErrConflict) {
			j.complain(ctx, fmt.Errorf("%w: is the disk of the engine full?", err))
		}
		if err := j.load(ctx); err != nil && ctx.Err() == nil {
			j.s.log.Warn("job can not be read", "job", j.spec.Job, "err", err)
			pause(ctx, time.Second)
		}
		return false
	case errors.Is(err, bus.ErrNoTable):
		j.lost = true
		j.failed("the engine lost the job: " + err.Error())
		return true
	}
	j.complain(ctx, err)
	pause(ctx, time.Second)
	return false
}

// complain tells once why the state can not be written.
func (j *job) complain(ctx context.Context, err error) {
	if ctx.Err() == nil && j.failing == "" {
		j.failing = err.Error()
		j.event("warn", "the state can not be written: %v", err)
	}
}

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
	j.ledger.Phase = ledger.Ended
	j.ledger.Verdict = ledger.Verdict{State: "failed", Reason: why}
	j.ledger.Finished = time.Now()
	j.ledger.Touch()
	j.event("warn", "job failed: %s", why)
}

// ask hands a command to the job's goroutine, and returns what came of it.
func (j *job) ask(ctx context.Context, kind string) (wire.Status, error) {
	a := &asked{kind, make(chan answered, 1)}
	j.send(event{ask: a})
	select {
	case got := <-a.answer:
		return got.status, got.err
	case <-ctx.Done():
		return wire.Status{}, errors.New("the server is busy: try again")
	}
}

// command carries out what a command asks for.
func (j *job) command(kind string) error {
	l := j.ledger
	switch kind {
	case wire.AskCancel:
		switch l.Phase {
		case ledger.Ended:
			return fmt.Errorf("job %s has ended already: %s", j.spec.Job, l.Verdict.State)
		case ledger.Waiting, ledger.Running:
			j.stop("cancelled", "cancelled by a user")
		}
	case wire.AskResume:
		switch {
		case l.Phase != ledger.Ended:
			return fmt.Errorf("job %s is %s", j.spec.Job, l.Phase)
		case l.Done():
			return fmt.Errorf("job %s has nothing left to do: %s", j.spec.Job, l.Verdict.State)
		case j.lost:
			return fmt.Errorf("job %s can not be resumed: %s", j.spec.Job, l.Verdict.Reason)
		}
		l.Phase, l.Verdict = ledger.Waiting, ledger.Verdict{}
		l.Resumed++
		l.Forgiven = 0
		for r := range l.All() {
			l.Forgiven += r.Totals.Errors
		}
		l.Touch()
		j.event("info", "job resumed")
	}
	return nil
}

// stop begins to end the job before its end.
func (j *job) stop(state, reason string) {
	j.ledger.Phase = ledger.Stopping
	j.ledger.Verdict = ledger.Verdict{State: state, Reason: reason}
	j.ledger.Touch()
	j.event("info", "job is being ended: %s", reason)
}

// status says how the job does.
func (j *job) status() wire.Status {
	l := j.ledger
	st := wire.Status{
		Job: j.spec.Job, App: j.spec.App, Version: j.spec.Version, Roots: j.spec.Roots,
		Priority: j.spec.Priority, Phase: l.Phase, Verdict: l.Verdict,
		Submitted: j.spec.Submitted, Started: l.Started, Finished: l.Finished,
		Waits: j.waits, Events: j.events,
	}
	clients := map[ledger.ClientID]bool{}
	for r := range l.All() {
		t := r.Totals
		if p := j.peers[r.Session]; p != nil && l.Phase != ledger.Ended {
			if clients[p.client] = true; p.Session != "" && p.Totals.FoundDirs >= t.FoundDirs {
				t = p.Totals
			}
			st.Workers += p.Workers
		}
		st.Totals.Add(&t)
	}
	st.Clients = len(clients)
	st.Totals.QueuedDirs = max(0, st.Totals.FoundDirs-st.Totals.ExpectedDirs())
	return st
}
