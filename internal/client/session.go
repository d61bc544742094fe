package client

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hydrawalk/hydra/internal/bus"
	"github.com/hydrawalk/hydra/internal/ledger"
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
	c     *client
	id    ledger.SessionID
	spec  *wire.Spec
	table bus.Table
	run   Task
	walk  *walk.Shared

	orders chan wire.Order
	woken  chan struct{} // by the walk
	cuts   chan cutDone
	writes chan writeDone
	fetch  chan fetched
	takes  chan taken

	owned owned // by loop

	shown struct { // for the client's goroutine
		sync.Mutex
		pulse wire.Pulse
	}
	credit  float64      // of workers, see shares
	workers atomic.Int32 // that may work, adaptive: the walk decides
	lost    error        // why it ended, if it was not in good order; set before ended

	cancel context.CancelFunc
	wg     sync.WaitGroup
	dead   atomic.Bool // nothing is written any more
}

// owned is the state of a session's loop.
type owned struct {
	ledger  *ledger.Session
	rev     uint64
	written *ledger.Record // what stands in the table
	sumKeys []string       // of sums that no record names any more
	// Bytes of the last sum that was whole, and of the parts after it.
	wholeBytes, moreBytes int

	busy     bool // a cut or a write is under way
	writing  bool // it is a write
	counted  ledger.Counted
	errParts []uint32
	cutAt    time.Time // when the last cut was begun
	cost     time.Duration
	changed  bool // something was done since the last cut
	give     int  // bags that are wanted
	giveAt   time.Time
	tookAt   time.Time // when it was looked for something to give
	naming   bool      // the record that is being written names what is to run
	stopping bool
	ending   bool      // the last cut is under way
	told     time.Time // when hunger was told
	fetching bool
	suspects map[ledger.Place]bool
	tried    map[ledger.Place][]ledger.ClientID // who could not do what was received
}

type cutDone struct {
	cut     *walk.Cut
	whole   bool // sum is that of the session
	sum     []byte
	errors  []byte
	err     error
	took    time.Duration
	stopped bool
}

type writeDone struct {
	record ledger.Record
	rev    uint64
	err    error
}

type fetched struct {
	delivery wire.Delivery
	bag      *ledger.Bag
	err      error
}

func (c *client) newSession(spec *wire.Spec, table bus.Table, app App) (*session, error) {
	run, err := app.Begin(spec)
	if err != nil {
		return nil, err
	}
	id := ledger.SessionID(strings.ToLower(rand.Text()[:12]))
	return &session{
		c:      c,
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
		owned:  owned{ledger: ledger.NewSession(id, c.id, c.o.Host)},
	}, nil
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
		if err != nil {
			s.lost = err
		}
		s.dead.Store(true)
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

// abandon ends the session without a word.
func (s *session) abandon(why error) {
	s.lost = why
	s.cancel()
}

func (s *session) priority() int { return max(1, s.spec.Priority) }

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
	o.FS = s.c.o.FS
	o.Logger = s.c.log.With("logger", "walk")
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
		Cut:        s.run.Cut,
		Notify:     s.wake,
		Stall:      s.spec.Stall,
	})
	if err != nil {
		return err
	}
	s.walk = shared
	abandoned := true
	defer func() {
		if abandoned {
			shared.Abandon()
		}
	}()

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
		case t := <-s.takes:
			s.give(ctx, t)
		case d := <-s.cuts:
			if err := s.cutMade(ctx, d); err != nil {
				return err
			}
		case d := <-s.writes:
			if err := s.recordWritten(ctx, d); err != nil {
				return err
			}
			if s.owned.written.End != ledger.Live {
				abandoned = false
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
	if o.Avoid != nil {
		s.walk.Avoid(o.Avoid)
	}
	for _, place := range o.Suspects {
		if w.suspects == nil {
			w.suspects = map[ledger.Place]bool{}
		}
		w.suspects[place] = true
	}
	if o.Give > 0 {
		w.give, w.giveAt = o.Give, time.Now()
		s.walk.Hungry(o.Give)
	}
	if o.Stop {
		w.stopping = true
	}
	for _, d := range o.Deliveries {
		s.receive(ctx, d)
	}
}

// receive takes a delivery up, if it is the next one.
func (s *session) receive(ctx context.Context, d wire.Delivery) {
	w := &s.owned
	if w.stopping || w.ending || w.written == nil {
		return
	}
	if d.A != w.ledger.Received()+1 && s.c.o.Bug != BugTakeTwice {
		return
	}
	if d.Bag == nil {
		s.fetchBag(ctx, d)
		return
	}
	if last := w.ledger.Last(); last.Alone && (w.naming || len(last.Named) > 0) {
		return // nothing else may be worked on: it comes again
	}
	if !s.add(d) {
		return // the walk has ended: it remains with who gave it
	}
	w.ledger.Receive(d.A)
	w.changed = true
	if len(d.Bag.Tried) > 0 && w.tried == nil {
		w.tried = map[ledger.Place][]ledger.ClientID{}
	}
	for _, item := range d.Bag.Items {
		if len(d.Bag.Tried) > 0 {
			w.tried[ledger.Place{Root: item.Root, Path: string(item.Path)}] = d.Bag.Tried
		}
	}
}

// add adds a delivery to the walk.
func (s *session) add(d wire.Delivery) bool {
	switch {
	case d.Bag.Roots && d.Careful:
		return s.walk.AddRootsCarefully()
	case d.Bag.Roots:
		return s.walk.AddRoots()
	}
	items := make([]walk.Item, len(d.Bag.Items))
	for i, item := range d.Bag.Items {
		item.Careful = item.Careful || d.Careful
		item.Must = d.Must
		items[i] = item
	}
	return s.walk.Add(items)
}

// fetchBag gets a bag that was too large for a message.
func (s *session) fetchBag(ctx context.Context, d wire.Delivery) {
	if s.owned.fetching {
		return
	}
	s.owned.fetching = true
	s.wg.Go(func() {
		bag, err := s.bag(ctx, d.Ref)
		s.fetch <- fetched{d, bag, err}
	})
}

func (s *session) bag(ctx context.Context, ref ledger.Ref) (*ledger.Bag, error) {
	var outs []ledger.Bag
	if ref.From == "" {
		v, err := s.table.Get(ctx, wire.KeyState)
		if err != nil {
			return nil, err
		}
		var state ledger.State
		if err := ledger.Decode(v.Data, &state); err != nil {
			return nil, err
		}
		outs = state.Outs
	} else {
		v, err := s.table.Get(ctx, wire.KeyRecord(ref.From))
		if err != nil {
			return nil, err
		}
		var r ledger.Record
		if err := ledger.Decode(v.Data, &r); err != nil {
			return nil, err
		}
		outs = r.Outs
	}
	for i := range outs {
		if outs[i].K == ref.K {
			return &outs[i], nil
		}
	}
	return nil, fmt.Errorf("bag %d of %s is gone", ref.K, ref.From)
}

// act does what is due, if nothing is under way.
func (s *session) act(ctx context.Context) {
	w := &s.owned
	if w.busy || w.written == nil {
		return
	}
	load := s.walk.Load()
	switch {
	case load.Stopped, w.stopping:
		s.end(ctx)
		return
	case load.Err != nil:
		s.end(ctx)
		return
	}
	every := min(max(minCommit, 100*w.cost), maxCommit)
	late := w.changed && time.Since(w.cutAt) >= every // however much careful work waits
	asked := w.give > 0 && load.Pending > 0 && time.Since(w.tookAt) >= giveAgain
	if !late && !asked && s.nextCareful(ctx, load) {
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
	dry := load.Pending == 0
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

// take takes work out of the walk for others. What stands in the last record can
// be given without a cut.
func (s *session) take() {
	w := &s.owned
	w.busy = true
	n := w.give
	// It opens directories, and may hang.
	go func() {
		t := taken{noted: true, bags: s.walk.TakeNoted(n, bagItems, bagBytes)}
		if len(t.bags) == 0 {
			t = taken{bags: s.walk.Take(n, bagItems, bagBytes)}
		}
		s.takes <- t
	}()
}

// taken is work for others.
type taken struct {
	noted bool // it stands in the last record
	bags  [][]walk.Item
}

// give gives away what was taken.
func (s *session) give(ctx context.Context, t taken) {
	w := &s.owned
	w.busy = false
	if len(t.bags) == 0 {
		if time.Since(w.giveAt) > time.Second {
			w.give = 0 // it is asked for again
			s.walk.Hungry(0)
		}
		time.AfterFunc(giveAgain, s.wake)
		return
	}
	if w.give = max(0, w.give-len(t.bags)); w.give == 0 {
		s.walk.Hungry(0)
	}
	bags := make([]ledger.Bag, len(t.bags))
	for i, items := range t.bags {
		bags[i] = ledger.Bag{Items: items, Careful: items[0].Careful}
	}
	if t.noted {
		if r, ok := w.ledger.GiveHeld(bags...); ok {
			s.write(ctx, r)
			return
		}
	}
	w.ledger.Give(bags...)
	s.cut(ctx, true)
}

// giveAgain is how long a session waits that had nothing to give.
const giveAgain = 5 * time.Millisecond

// Bounds of a bag.
const (
	bagItems = 1000
	bagBytes = 32 << 10
)

// cut begins a cut; more says that something will have changed after it.
func (s *session) cut(ctx context.Context, more bool) {
	w := &s.owned
	w.busy, w.cutAt, w.changed = true, time.Now(), more
	began := make(chan struct{})
	whole := w.wantsWhole()
	w.ledger.Begin()
	s.wg.Go(func() {
		begin := sync.OnceFunc(func() { close(began) })
		cut, err := s.walk.CutAfter(ctx, begin)
		begin()
		if err != nil {
			s.cuts <- cutDone{err: err}
			return
		}
		d := cutDone{cut: cut, whole: whole}
		summed := time.Now()
		d.sum, d.errors, d.err = s.run.Sum(cut.Epoch, whole)
		d.took = time.Since(summed)
		s.cuts <- d
	})
	// What is added to the walk from now on is not in the cut, nor in the record.
	<-began
}

// end makes the last cut.
func (s *session) end(ctx context.Context) {
	w := &s.owned
	w.busy, w.ending = true, true
	whole := w.wantsWhole()
	// It waits for the workers, and one may hang in a system call: it is not
	// waited for when the session ends.
	go func() {
		s.walk.Stop()
		cut, err := s.walk.Wait()
		if cut == nil {
			s.cuts <- cutDone{err: err, stopped: true}
			return
		}
		d := cutDone{cut: cut, stopped: true, err: err, whole: whole}
		var sumErr error
		d.sum, d.errors, sumErr = s.run.Sum(cut.Epoch, whole)
		if d.err == nil {
			d.err = sumErr
		}
		s.cuts <- d
	}()
	w.ledger.Begin()
}

// largeSum is a sum that does not stand in the record, which is written more often.
const largeSum = 8 << 10

// mostParts is how many parts a sum has at most.
const mostParts = 16

// wantsWhole says that the next sum is to be that of the session. To write what was
// counted since the last cut costs less, but parts grow in number.
func (w *owned) wantsWhole() bool {
	n := len(w.ledger.Last().DataKeys)
	return n == 0 || n >= mostParts || w.moreBytes > 2*w.wholeBytes
}

// cutMade makes a record of a cut.
func (s *session) cutMade(ctx context.Context, d cutDone) error {
	w := &s.owned
	if d.cut == nil {
		if !d.stopped && s.walk.Load().Stopped {
			w.busy = false // there is a last one
			return nil
		}
		if d.err == nil {
			d.err = errors.New("the walk could not be cut")
		}
		return d.err
	}
	w.cost = d.took
	c := ledger.Counted{Totals: d.cut.Totals, Shared: d.cut.Shared, Data: d.sum, Errors: w.errParts}
	if s.walk.Load().CarefulRunning > 0 {
		c.Named, c.Alone = w.ledger.Last().Named, w.ledger.Last().Alone
	}
	if d.err != nil {
		c.Fatal = d.err.Error()
	} else if d.stopped && !w.stopping {
		c.Stopped = true
	}
	var puts []put
	n := w.ledger.Last().N + 1
	old := w.ledger.Last()
	if !d.whole {
		c.Data, c.DataKeys = nil, slices.Clip(old.DataKeys)
	}
	if large := len(d.sum) > largeSum; large || !d.whole && len(d.sum) > 0 {
		key := wire.KeySum(s.id, n)
		c.Data, c.DataKeys = nil, append(c.DataKeys, key)
		puts = append(puts, put{key, d.sum})
	}
	if d.whole {
		w.sumKeys = append(w.sumKeys, old.DataKeys...)
		w.wholeBytes, w.moreBytes = len(d.sum), 0
	} else {
		w.moreBytes += len(d.sum)
	}
	if len(d.errors) > 0 {
		part := uint32(len(w.errParts))
		puts = append(puts, put{wire.KeyErrors(s.id, part), d.errors})
		w.errParts = append(w.errParts[:part:part], part)
		c.Errors = w.errParts
	}
	items := d.cut.Items
	switch s.c.o.Bug {
	case BugForgetChild:
		if len(items) > 1 && n%3 == 0 {
			items = items[1:]
		}
	case BugEarlyRecord:
		c.Totals, c.Data, c.DataKeys = old.Totals, old.Data, old.DataKeys
		w.sumKeys = nil
	case BugGiveUnwritten:
		for _, b := range w.ledger.Last().Outs {
			items = append(items, b.Items...)
		}
	}
	var r ledger.Record
	if d.stopped {
		r = w.ledger.Close(items, c)
	} else {
		r = w.ledger.Commit(items, c)
	}
	s.write(ctx, r, puts...)
	return nil
}

// put is a value that is written before the record that names it.
type put struct {
	key  string
	data []byte
}

// write writes a record in place of the last one, until it is certain what
// became of it.
func (s *session) write(ctx context.Context, r ledger.Record, before ...put) {
	w := &s.owned
	w.busy, w.writing = true, true
	r.At = time.Now()
	rev := w.rev
	s.wg.Go(func() {
		d := writeDone{record: r}
		defer func() { s.writes <- d }()
		for _, p := range before {
			if d.err = s.put(ctx, p.key, p.data, 0, nil); d.err != nil {
				return
			}
		}
		d.err = s.put(ctx, wire.KeyRecord(s.id), ledger.Encode(&r), rev, &d.rev)
	})
}

// put is Put, again for as long as nobody knows what became of it.
func (s *session) put(ctx context.Context, key string, data []byte, rev uint64, newRev *uint64) error {
	for pause := 50 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		if s.c.o.Bug == BugNoCompare && rev > 0 {
			if v, err := s.table.Get(ctx, key); err == nil {
				rev = v.Rev
			}
		}
		got, err := s.table.Put(ctx, key, data, rev)
		switch {
		case err == nil:
			if newRev != nil {
				*newRev = got
			}
			return nil
		case errors.Is(err, bus.ErrConflict):
			v, getErr := s.table.Get(ctx, key)
			if getErr == nil && string(v.Data) == string(data) {
				// It was we, a moment ago.
				if newRev != nil {
					*newRev = v.Rev
				}
				return nil
			}
			if getErr == nil || errors.Is(getErr, bus.ErrNoKey) {
				return errFenced
			}
		case errors.Is(err, bus.ErrNoTable), errors.Is(err, bus.ErrClosed), errors.Is(err, bus.ErrTooLarge), errors.Is(err, bus.ErrName):
			return err
		case errors.Is(err, bus.ErrFull), errors.Is(err, bus.ErrUnknown) && s.c.connected():
			s.c.log.Error("the server can not write what was done", "job", s.spec.Job, "err", err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
	}
}

// recordWritten goes on when a record stands in the table.
func (s *session) recordWritten(ctx context.Context, d writeDone) error {
	w := &s.owned
	w.busy, w.writing = false, false
	if d.err != nil {
		return d.err
	}
	w.rev = d.rev
	w.written = &d.record
	if w.naming {
		w.naming = false
		s.walk.RunCareful()
	}
	if keys := w.sumKeys; len(keys) > 0 {
		w.sumKeys = nil
		s.wg.Go(func() {
			for _, key := range keys {
				_ = s.table.Delete(ctx, key) // it is of no use, but does no harm
			}
		})
	}
	return nil
}

// carefully is how many careful directories may be worked on at a time, for each
// worker: so many are the suspects if the client dies.
const carefully = 2

// nextCareful names careful directories in the record before they are entered,
// unless enough are being worked on. A suspect is worked on alone.
func (s *session) nextCareful(ctx context.Context, load walk.Load) bool {
	w := &s.owned
	most := carefully * max(1, load.Workers)
	if load.CarefulWaiting == 0 || load.CarefulRunning > most/2 {
		return false
	}
	items := s.walk.NextNamed(most-load.CarefulRunning, func(item walk.Item) bool {
		return w.suspects[ledger.Place{Root: item.Root, Path: string(item.Path)}]
	})
	if len(items) == 0 {
		return false
	}
	var named []ledger.Place
	for _, item := range append(items, s.walk.CarefulRunning()...) {
		named = append(named, ledger.Place{Root: item.Root, Path: string(item.Path)})
	}
	alone := len(named) == 1 && w.suspects[named[0]] && load.Pending == int64(load.CarefulWaiting)
	w.naming = true
	s.write(ctx, w.ledger.Name(named, alone))
	return true
}

// stall gives the session up, because a directory does not answer.
func (s *session) stall(ctx context.Context, stalled []walk.Stall) error {
	w := &s.owned
	var found []ledger.Stall
	for _, st := range stalled {
		found = append(found, ledger.Stall{Place: ledger.Place{Root: st.Root, Path: string(st.Path)}, Op: st.Op, For: s.spec.Stall})
		s.c.log.Warn("the file system does not answer: the directory is given to others", "op", st.Op, "path", string(st.Path), "for", st.For)
	}
	// A cut that is under way waits for it for ever; what is being written will be
	// written.
	if w.writing {
		select {
		case d := <-s.writes:
			if err := s.recordWritten(ctx, d); err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	r := ledger.Abandon(w.written, found)
	if err := s.put(ctx, wire.KeyRecord(s.id), ledger.Encode(&r), w.rev, nil); err != nil {
		return err
	}
	return errors.New("a directory did not answer")
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
		Workers:  load.Workers,
		Totals:   s.walk.Progress(),
	}
	p.Totals.FirstError = nil
	p.Hungry = load.Queued < load.Workers && !w.stopping && load.CarefulWaiting == 0 && load.CarefulRunning == 0
	p.Dry = load.Pending == 0 && !w.changed && !w.busy
	s.shown.Lock()
	before := s.shown.pulse
	s.shown.pulse = p
	s.shown.Unlock()
	news := p.Dry != before.Dry || p.Hungry && !before.Hungry || p.Unborn != before.Unborn ||
		p.Hungry && time.Since(w.told) > hungerEvery
	if news {
		w.told = time.Now()
		select {
		case s.c.poke <- struct{}{}:
		default:
		}
	}
}
