package client

import (
	"context"
	"errors"
	"log/slog"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hydrawalk/hydra/internal/bus"
	"github.com/hydrawalk/hydra/internal/ledger"
	"github.com/hydrawalk/hydra/internal/pace"
	"github.com/hydrawalk/hydra/internal/wire"
	"github.com/hydrawalk/hydra/walk"
)

// session is what this client does of one job. One goroutine, loop, owns it; cuts
// and writes are made by others, one at a time, that report back to it.
//
//	deliveries ─► walk ─► cut ─► record ─► written
//	              │ give          ▲ conflict: the session is lost
//	              ▼
//	         bags that wait for the next cut
type session struct {
	c      *client
	log    *slog.Logger // of what this client does of the job
	id     ledger.SessionID
	spec   *wire.Spec
	table  bus.Table
	run    Task
	manner Manner
	walk   *walk.Shared
	mounts mounts

	shared atomic.Pointer[walk.Shared] // walk, for the client's goroutine

	orders chan wire.Order
	woken  chan struct{} // by the walk
	cuts   chan cutDone
	writes chan writeDone
	fetch  chan fetched
	takes  chan taken
	harms  chan learned
	acts   *Acts // nil: nothing is changed
	barred chan error
	found  chan found
	tails  chan tailed

	owned owned // by loop

	calls struct { // of workers, between those of their handlers
		sync.Mutex
		walk *walk.Shared // nil: it has not begun yet
		due  bool         // as soon as it has
	}
	shown struct { // for the client's goroutine
		sync.Mutex
		pulse wire.Pulse
	}
	throttle walk.Throttle
	credit   float64      // of workers, see shares
	workers  atomic.Int32 // that may work, adaptive: the walk decides
	wanted   atomic.Int32 // by a user, or ledger.Adapt; 0: shares decides
	prio     atomic.Int32 // of the job
	lost     error        // why it ended, if it was not in good order; set before ended

	cancel context.CancelFunc
	wg     sync.WaitGroup
}

// owned is the state of a session's loop.
type owned struct {
	ledger  *ledger.Session
	rev     uint64
	written *ledger.Record // what stands in the table
	sumKeys []string       // of sums that no record names any more
	// Bytes of the last sum that was whole, and of the parts after it.
	wholeBytes, moreBytes int

	busy      bool // a cut or a write is under way
	writing   bool // it is a write
	errParts  []uint32
	cutAt     time.Time // when the last cut was begun
	cost      time.Duration
	changed   bool // something was done since the last cut
	give      int  // bags that are wanted
	giveAt    time.Time
	urgent    bool      // somebody has nothing at all
	tookAt    time.Time // when it was looked for something to give
	naming    bool      // the record that is being written names what is to run
	careful   int       // how many careful directories may run, see carefully
	carefulAt time.Time // when the last ones were let go
	stopping  bool
	ending    bool      // the last cut is under way
	told      time.Time // when hunger was told
	pace      float64   // directories per second, a moment ago
	paceAt    time.Time
	paceDone  int64
	fetching  bool
	suspects  map[ledger.Place]bool
	finding   bool   // what became of the acts of a lost session
	found     *found // what did, until it can be counted
	tail      *tail  // nil: it is not here
	tailed    func() // counts what it counted, when it has ended; nil: it has not
	broken    error  // why all that was not committed is given up
	harm      uint64 // what is known of directories that do harm: see ledger.State.Harm
	harmTold  uint64
	learning  bool

	control     ledger.Control // what holds
	controlTold uint64
	settings    uint64 // Control.SettingsRev that the task has

	share  pace.Grant // of calls to the file system, see wire.Order
	usage  wire.Usage
	usedAt time.Time                          // when it was measured
	tried  map[ledger.Place][]ledger.ClientID // who could not do what was received
}

func (c *client) newSession(k *known, table bus.Table, app App) (*session, error) {
	spec := k.spec
	log := c.logs.of(spec.Job)
	run, err := app.Begin(spec, c.where(log))
	if err != nil {
		return nil, err
	}
	id := wire.NewSession(c.id)
	s := &session{
		c:      c,
		log:    log.Logger(logName),
		id:     id,
		spec:   spec,
		table:  table,
		run:    run,
		orders: make(chan wire.Order, 64),
		woken:  make(chan struct{}, 1),
		cuts:   make(chan cutDone, 1),
		writes: make(chan writeDone, 1),
		fetch:  make(chan fetched, 1),
		takes:  make(chan taken, 1),
		harms:  make(chan learned, 1),
		barred: make(chan error, 1),
		found:  make(chan found, 1),
		tails:  make(chan tailed, 1),
		owned:  owned{ledger: ledger.NewSession(id, c.id, c.o.Host), control: k.control, settings: k.control.SettingsRev},
	}
	s.prio.Store(int32(spec.Priority))
	s.want()
	s.follows()
	s.setRate(pace.Grant{Rate: wire.NoLimit})
	if spec.LimitOps > 0 || spec.Latency > 0 {
		s.setRate(pace.Grant{Rate: wire.FirstRate})
	}
	s.throttle.Measure(spec.Latency > 0)
	if ch, changes := run.(Changer); changes && spec.Changes {
		s.acts = newActs(s)
		s.owned.ledger.SetActs()
		ch.Act(s.acts)
	}
	if e, emits := run.(Emitter); emits {
		e.Wake(s.wake)
	}
	if m, ok := run.(Mannered); ok {
		s.manner = m.Manner()
	}
	if t, talks := run.(Talker); talks {
		t.Talk(Seat{Table: table, Client: c.id, Host: c.o.Host, Session: id, Interject: s.interject})
	}
	return s, nil
}

// interject makes workers call between. Any goroutine may call it.
func (s *session) interject() {
	s.calls.Lock()
	defer s.calls.Unlock()
	if s.calls.walk == nil {
		s.calls.due = true
		return
	}
	s.calls.walk.Interject()
}

// between is called by workers after interject, on their own goroutines.
func (s *session) between(ctx context.Context, worker int) error {
	if err := s.run.Between(worker); err != nil {
		return err
	}
	if t, talks := s.run.(Talker); talks {
		return t.Look(ctx, worker)
	}
	return nil
}

// start begins the session. It ends by itself, and is then sent to client.ended.
func (s *session) start(ctx context.Context) {
	ctx, s.cancel = context.WithCancel(context.WithoutCancel(ctx))
	s.workers.Store(int32(s.c.o.Workers))
	if s.c.o.Workers == 0 {
		s.workers.Store(adaptive)
	}
	s.shown.pulse = wire.Pulse{Job: s.spec.Job, Session: s.id, Unborn: true}
	s.wg.Go(func() {
		err := s.loop(ctx)
		if t, talks := s.run.(Talker); talks {
			t.Hush()
		}
		if err != nil {
			s.lost = err
		}
		s.c.ended <- s
	})
}

// wait returns when the session's goroutine has ended.
func (s *session) wait() {
	s.cancel()
	s.wg.Wait()
}

// tell hands an order to the session. What does not fit comes again.
func (s *session) tell(o wire.Order) {
	select {
	case s.orders <- o:
	default:
	}
}

func (s *session) priority() int { return max(1, int(s.prio.Load())) }

func (s *session) pulse() wire.Pulse {
	s.shown.Lock()
	defer s.shown.Unlock()
	return s.shown.pulse
}

func (s *session) hasWork() bool {
	p := s.pulse()
	return !p.Dry
}

// adaptive lets the walk decide how many workers there are.
const adaptive = -1

// setWorkers sets how many workers may work.
func (s *session) setWorkers(n int) {
	if s.workers.Swap(int32(n)) != int32(n) {
		s.wake()
	}
}

func (s *session) wake() {
	select {
	case s.woken <- struct{}{}:
	default:
	}
}

var errFenced = errors.New("the server took it for dead")

// loop is the life of the session.
func (s *session) loop(ctx context.Context) error {
	o := s.run.Options()
	o.Workers = s.c.o.Workers
	if o.Workers == 0 && s.manner.Waits {
		o.Workers = runtime.NumCPU()
	}
	o.FS = s.c.o.FS
	o.Throttle = &s.throttle
	o.Logger = s.c.logs.of(s.spec.Job).Logger("walk")
	s.mounts.begin(o.Mounts, s.c.noted.from(s.spec.Job, o.Mounts))
	roots := make([]string, 0, len(s.spec.Roots))
	for _, r := range s.spec.Roots {
		roots = append(roots, string(r))
	}
	shared, err := walk.NewShared(ctx, &walk.ShareOptions{
		Options:    o,
		Roots:      roots,
		Name:       string(s.id),
		Key:        s.spec.Key,
		NewHandler: func(worker int) (walk.Handler, error) { return s.run.NewHandler(ctx, worker) },
		Commit:     s.run.Cut,
		Between:    func(worker int) error { return s.between(ctx, worker) },
		Notify:     s.wake,
		Low:        mostAhead / 2,
		Stall:      s.spec.Stall,
	})
	if err != nil {
		return err
	}
	s.walk = shared
	s.shared.Store(shared)
	shared.Pause(s.pauses())
	s.calls.Lock()
	s.calls.walk = shared
	due := s.calls.due
	s.calls.Unlock()
	if due {
		shared.Interject()
	}
	abandoned := true
	defer func() {
		if abandoned {
			shared.Abandon()
		}
	}()

	if s.acts != nil {
		s.wg.Go(func() { s.acts.run(ctx) })
		defer s.acts.stop(ErrStopped)
		s.acts.pause(s.pauses())
	}
	// It exists from its first record on, which holds nothing.
	s.write(ctx, s.owned.ledger.Commit(nil, ledger.Counted{}))
	s.owned.cutAt = time.Now()
	workers := s.c.o.Workers
	if workers == 0 {
		workers = adaptive
	}
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	for {
		if n := int(s.workers.Load()); n != workers {
			workers = n
			if n == adaptive && s.manner.Waits {
				n = runtime.NumCPU()
			}
			shared.SetWorkers(n)
		}
		s.show()
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case o := <-s.orders:
			if o.Over {
				return nil
			}
			s.obey(ctx, o)
		case <-s.woken:
		case <-tick.C:
			if stalled := shared.Stalled(); len(stalled) > 0 && s.owned.written != nil {
				return s.stall(ctx, stalled)
			}
		case f := <-s.fetch:
			s.owned.fetching = false
			if f.err == nil {
				f.delivery.Bag = f.bag
				s.receive(ctx, f.delivery)
			}
		case l := <-s.harms:
			if err := s.beware(ctx, l); err != nil {
				return err
			}
		case t := <-s.takes:
			s.give(ctx, t)
		case err := <-s.barred:
			return err
		case f := <-s.found:
			s.owned.finding = false
			if f.err != nil {
				s.log.Warn("what a lost client changed can not be found out yet", "session", f.of, "err", f.err)
			} else {
				s.owned.found = &f
			}
		case t := <-s.tails:
			s.tailEnded(t)
		case d := <-s.cuts:
			if err := s.cutMade(ctx, d); err != nil {
				return err
			}
		case d := <-s.writes:
			if err := s.recordWritten(ctx, d); err != nil {
				return err
			}
			if s.owned.written.End != ledger.Live {
				abandoned = s.owned.written.End == ledger.Abandoned
				return nil
			}
		}
		s.act(ctx)
	}
}

// obey carries out an order.
func (s *session) obey(ctx context.Context, o wire.Order) {
	w := &s.owned
	w.ledger.Settle(o.Settled)
	if len(o.Left) > 0 {
		s.walk.Forget(o.Left)
	}
	if o.Harm != 0 || o.Control != 0 {
		s.learn(ctx, o.Harm, o.Control)
	}
	if o.Share.Number > 0 {
		s.setRate(o.Share)
	}
	if s.acts != nil {
		s.acts.grants(o.Granted, o.Spent)
	}
	if o.Give > 0 {
		w.give, w.giveAt, w.urgent = o.Give, time.Now(), o.Urgent
		s.walk.Hungry(true)
	}
	if o.Stop {
		w.stopping = true
	}
	for _, d := range o.Deliveries {
		s.receive(ctx, d)
	}
}

// act does what is due, if nothing is under way.
func (s *session) act(ctx context.Context) {
	w := &s.owned
	if w.busy || w.written == nil {
		return
	}
	load := s.walk.Load()
	if load.Stopped || load.Err != nil || w.stopping {
		s.end(ctx)
		return
	}
	if w.broken != nil {
		s.hold()
		r := ledger.Abandon(w.written, nil)
		r.Fatal = w.broken.Error()
		s.write(ctx, r)
		return
	}
	if w.found != nil {
		s.countFound(ctx)
		return
	}
	if w.tailed != nil {
		s.countTail(ctx)
		return
	}
	every := min(max(minCommit, 100*w.cost), maxCommit)
	if s.spec.Local {
		every = min(max(minLocal, 100*w.cost), maxCommit)
	}
	if c := s.manner.Commit; c > 0 {
		every = min(max(c, 10*w.cost), every)
	}
	late := w.changed && time.Since(w.cutAt) >= every || s.emitsEnough() // however much careful work waits
	asked := w.give > 0 && load.Pending > 0 && time.Since(w.tookAt) >= giveAgain
	if !late && !asked && !load.Paused && s.nextCareful(ctx, load) {
		return
	}
	due := false
	for _, r := range s.walk.Returned() {
		tried := w.tried[ledger.Place{Root: r.Root, Path: string(r.Path)}]
		bag := ledger.Bag{Items: []walk.Item{r.Item}, Tried: append(slices.Clip(tried), s.c.id), Careful: r.Careful}
		if r.Err != nil {
			bag.Why = r.Err.Error()
		}
		w.ledger.Give(bag)
		due = true
	}
	dry := load.Pending == 0 && w.tail == nil
	switch {
	case due, late:
		s.cut(ctx, !dry)
	case asked:
		w.tookAt = time.Now()
		s.take()
	case dry && w.changed:
		// More may come at once, and a cut costs.
		if wait := dryWait*w.cost - time.Since(w.cutAt); wait > 0 {
			time.AfterFunc(wait, s.wake)
			return
		}
		s.cut(ctx, false)
	}
}

// dryWait is how many times as long as it takes to write down what was counted a
// session waits after its last cut until it makes one because it has no work.
const dryWait = 4

// ahead is for how long a session wants to have work, so that it does not run out of
// it before more comes.
const ahead = 25 * time.Millisecond

// mostAhead is a bound for enough.
const mostAhead = 1000

// enough is how many directories have to wait for a session not to be hungry: at
// least one for each worker, and as many as are done while somebody else is asked.
func (s *session) enough(workers int, t *walk.Totals) int {
	w := &s.owned
	done := t.ExpectedDirs()
	if since := time.Since(w.paceAt); since >= 4*ahead {
		w.pace = float64(done-w.paceDone) / since.Seconds()
		w.paceAt, w.paceDone = time.Now(), done
	}
	return max(workers, min(int(w.pace*ahead.Seconds()), mostAhead))
}

// show lets the client's goroutine see how the session does, and pokes it when
// the server should know at once.
func (s *session) show() {
	w := &s.owned
	load := s.walk.Load()
	p := wire.Pulse{
		Job:      s.spec.Job,
		Session:  s.id,
		Received: w.ledger.Received(),
		Unborn:   w.written == nil,
		Queued:   load.Queued,
		MinDepth: load.MinDepth,
		Harm:     w.harm,
		Control:  w.control.Rev,
		Paused:   load.Paused,
		Share:    w.share,
		Usage:    s.used(),
		Workers:  load.Workers,
		Totals:   s.walk.Progress(),
	}
	p.Totals.FirstError = nil
	p.Hungry = load.Queued < s.enough(load.Workers, &p.Totals) && !w.stopping && load.CarefulWaiting == 0 && load.CarefulRunning == 0
	p.Dry = load.Pending == 0 && !w.changed && !w.busy && w.tail == nil && !w.finding && w.found == nil
	if s.acts != nil {
		p.Acts, p.Needs = s.acts.state()
	}
	s.shown.Lock()
	before := s.shown.pulse
	s.shown.pulse = p
	s.shown.Unlock()
	news := p.Needs > before.Needs || p.Dry != before.Dry || p.Hungry && !before.Hungry || p.Unborn != before.Unborn ||
		p.Hungry && time.Since(w.told) > hungerEvery
	if news {
		w.told = time.Now()
		select {
		case s.c.poke <- struct{}{}:
		default:
		}
	}
}
