package walk

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// ShareOptions of a walk that several processes share.
type ShareOptions struct {
	Options
	// Roots of the whole walk, absolute; the same list everywhere.
	Roots []string
	// Name is unique among all that share: Part.Dir is "<Name>.<n>".
	Name string
	// Key of the hash of names: the same for all that share.
	Key uint64
	// NewHandler makes the Handler of each worker, on the worker's goroutine.
	NewHandler func(worker int) (Handler, error)
	// Commit is called on a worker's own goroutine when it passes from one epoch to
	// the next, and when it ends, after its handler's Flush: what that handler
	// counted since the last such call belongs to epoch. A Cut covers all epochs up
	// to its own, which may be several if a Cut was given up. An error fails the
	// walk.
	Commit func(worker int, epoch uint64) error
	// Between is called by a worker on its own goroutine after Interject, when it is
	// in no call of its handler: it may change the handler without locks. An error
	// fails the walk. It may be nil.
	Between func(worker int) error
	// Notify is called, from any goroutine, and must not block, when something
	// happened that whoever feeds the walk wants to look at: it runs low or dry,
	// an item was returned, careful work waits or has ended, a handler stopped or
	// failed the walk.
	Notify func()
	// Low: Notify when fewer tasks than this wait. 0: twice the workers.
	Low int
	// Stall is how long a worker waits for the file system before it is among
	// those that Stalled tells. 0: never.
	Stall time.Duration

	tune  func(*Shared) // tests make sizes small
	alone bool          // nobody shares it: it ends when nothing is left
}

// Shared is one process's part of a walk that several share. It walks what it is
// given, by AddRoots and Add, and gives work away by Take; when it has none it
// waits. Unless a method says otherwise, any goroutine may call it.
//
// It is meant for the clients of a server, not for programs that walk trees: these
// use [Trees]. Package ledger stores its items, and a client may meet those that an
// older or newer one has stored: fields are only added to [Item], [Part], [Names],
// [Range], [DirSum] and [Totals], and none changes its meaning.
//
//	AddRoots, Add ──► feed ──► deques of the workers ──► Take
//	                              │            ▲
//	     careful directories ──► aside ──► picked: PickCareful, RunCareful
//	     can not be taken up ──► returned: Returned
//
// What was counted and what remains are told by cuts: see Cut.
type Shared struct {
	p     *pool
	o     ShareOptions
	roots []*root // those that were given, also those that AddRoots leaves to another
	first []task  // what AddRoots begins with

	chunk      int           // size of a chunk; tests make it small
	mostChunks int           // of a directory that is read at once; a larger one is huge
	patience   time.Duration // how long a cut waits for a chunk at hand
	group      groupLimit
	budget     *budget // for names of huge directories; tests have their own
	hash       func(key uint64, name []byte) uint64

	feed     deque         // what was added
	epoch    atomic.Uint64 // of feed, and of the workers that are not behind
	asked    atomic.Uint64 // calls of Interject
	raisedAt atomic.Int64  // when epoch was raised, by clock
	begun    time.Time     // of clock
	isLow    atomic.Bool

	// turn holds a token while somebody cuts or takes.
	turn chan struct{}

	mu       sync.Mutex
	live     int      // workers that take part in cuts
	open     *openCut // nil: none
	untold   int      // workers that have not called Between since the last Interject
	found    Totals   // counted by AddRoots
	began    bool     // AddRoots was called
	dirs     map[string]*DirSum
	names    uint64 // of Part.Dir that were given
	returned []Returned
	aside    []task // careful, newest last
	picked   []task
	running  map[*Dir]struct{} // careful directories that were let go

	avoided   atomic.Pointer[map[string]string] // by avoidKey
	abandoned atomic.Bool
	watch     watch
	held      purse
	taker     *worker // opens what is given away; of who has the turn, and none of the pool

	ended chan struct{} // closed when all workers have ended
	last  *Cut
	err   error
}

// NewShared opens the roots and starts workers, which wait for what is added. It
// ends by Stop, when ctx is cancelled, or when a handler ends it; Wait has to be
// called then, or Abandon.
func NewShared(ctx context.Context, o *ShareOptions) (*Shared, error) {
	if o.NewHandler == nil || o.Name == "" || len(o.Roots) == 0 {
		return nil, errors.New("a shared walk needs a name, roots and handlers")
	}
	s := &Shared{
		p:          newPool(&o.Options),
		o:          *o,
		chunk:      bufSize,
		mostChunks: 16,
		patience:   20 * time.Millisecond,
		group:      groupLimit{names: 4096, size: 512 << 10},
		budget:     &processBudget,
		hash:       hashName,
		begun:      time.Now(),
		turn:       make(chan struct{}, 1),
		dirs:       map[string]*DirSum{},
		running:    map[*Dir]struct{}{},
		ended:      make(chan struct{}),
	}
	if o.FS == nil {
		for _, r := range o.Roots {
			if !filepath.IsAbs(r) && !o.alone {
				return nil, errors.New("a shared walk needs absolute roots, not " + printable(r))
			}
		}
	}
	if o.tune != nil {
		o.tune(s)
	}
	if o.Group != nil {
		s.group.bits = groupBits
	}
	s.held.of = s.budget
	s.p.share = s
	s.taker = s.p.newWorker(-1)
	s.taker.call.on = o.Stall > 0
	s.epoch.Store(1)
	s.feed.epoch = 1
	s.first = s.p.openRoots(o.Roots, &o.Options)
	s.findRoots()
	if o.alone {
		s.AddRoots(false) // first, for workers end when nothing is pending
		if ctx.Err() != nil || len(s.first) == 0 {
			s.p.stop()
		}
	}
	s.start(ctx)
	return s, nil
}

// findRoots sets roots: items name them by their number, and on another machine
// others may be left out because another root leads to them.
func (s *Shared) findRoots() {
	s.roots = make([]*root, len(s.o.Roots))
	for _, t := range s.first {
		r := t.dir.root
		r.id = identity{t.dir.dev, t.dir.ino}
		s.roots[r.number] = r
	}
	for i, given := range s.o.Roots {
		if s.roots[i] == nil {
			s.roots[i] = s.p.newRoot(i, given, &s.o.Options)
		}
	}
}

// know sets the identity of a root, if it was not known.
func (r *root) know(dev, ino uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.id == (identity{}) {
		r.id = identity{dev, ino}
	}
}

// start starts the workers, and a goroutine that waits for them.
func (s *Shared) start(ctx context.Context) {
	p := s.p
	var wg sync.WaitGroup
	p.start = func(id int) {
		w := p.newWorker(id)
		p.workers[id].Store(w)
		p.started.Store(int32(id + 1))
		wg.Go(func() { w.run(ctx, s.o.NewHandler) })
	}
	s.o.Monitor.begin(p, Totals{})
	workers := s.o.Workers
	adaptive := workers <= 0
	if adaptive {
		workers = cores()
	}
	if workers > p.mostWorkers {
		p.log.Warn("fewer workers than asked for", "workers", p.mostWorkers, "asked", workers, "most", maxWorkers, "open files", openFiles())
		workers = p.mostWorkers
	}
	procs := raiseProcs(workers)
	detach := context.AfterFunc(ctx, s.Stop)
	p.fixed = !adaptive
	p.setLimit(workers, 0)
	s.watch.start(p, s.o.Stall)
	go func() {
		defer close(s.ended)
		p.adaptAlways(procs) // until the walk has ended: it starts workers
		p.limitMu.Lock()
		//lint:ignore SA2001 who starts a worker holds it: from here on there is none
		p.limitMu.Unlock()
		wg.Wait()
		detach()
		s.watch.stop()
		s.watch.wg.Wait()
		s.turn <- struct{}{} // nobody takes
		s.finish(ctx)
		<-s.turn
		s.o.Monitor.end()
		p.reserve.giveUp()
		procs.restore()
	}()
}

// finish makes the last cut and closes what is open. All workers have ended.
func (s *Shared) finish(ctx context.Context) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.p
	for i := range p.started.Load() {
		s.countParts(p.workers[i].Load())
	}
	notes := slices.Clone(s.feed.tasks[s.feed.head:])
	for i := range p.started.Load() {
		q := &p.workers[i].Load().q
		notes = append(notes, q.tasks[q.head:]...)
	}
	queued := notes
	c := &openCut{epoch: s.epoch.Load(), totals: s.found}
	c.notes = slices.Concat(queued, s.aside, s.picked)
	for i := range p.started.Load() {
		w := p.workers[i].Load()
		c.notes = append(c.notes, w.left...)
		c.totals.Add(&w.c)
	}
	c.addReturned(s.returned)
	s.last = s.build(c)
	for _, t := range slices.Concat(queued, s.aside, s.picked) {
		p.abandon(t)
	}
	s.held.close()
	s.err = p.err
	if s.err == nil && !p.skipped && ctx.Err() != nil {
		s.err = context.Cause(ctx)
	}
}

// AddRoots begins at the roots, as Trees would; careful says that they are careful
// items. It is called once, by one of all that share. False: the last cut was made,
// and they are not in it.
func (s *Shared) AddRoots(careful bool) bool {
	s.mu.Lock()
	if s.began || s.last != nil {
		defer s.mu.Unlock()
		return s.began
	}
	s.began = true
	for _, t := range s.first {
		t.dir.careful = careful
		if t.dir.depth == 0 {
			s.found.FoundDirs++
		} else {
			s.p.rootFiles.Add(1)
		}
	}
	if careful {
		s.p.pending.Add(int64(len(s.first)))
		s.aside = append(s.aside, s.first...)
	} else {
		s.push(s.first)
	}
	s.mu.Unlock()
	if careful {
		s.notify()
	} else {
		s.p.wakeIdle(len(s.first))
	}
	return true
}

// RootsAgain says before AddRoots that somebody who is lost may have begun at the
// roots: see Entry.Again.
func (s *Shared) RootsAgain() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.began {
		for _, t := range s.first {
			t.dir.again = true
		}
	}
}

// push adds tasks to the feed. The caller holds mu, so that what was counted with
// them is of the same epoch, and wakes workers.
func (s *Shared) push(ts []task) {
	s.p.pending.Add(int64(len(ts)))
	s.feed.push(ts...)
}

// Progress is what was counted until a moment ago.
func (s *Shared) Progress() Totals { return s.p.totals(Totals{}) }

// addFound adds what was counted by no worker.
func (s *Shared) addFound(t *Totals) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t.Add(&s.found)
}

// Stop ends the walk early, as if its context were cancelled: workers stop at
// their next entry and make their last cut. It does not wait.
func (s *Shared) Stop() { s.p.stop() }

// Wait waits until the workers have ended after Stop, an error or fs.SkipAll, and
// returns the last cut: all that remains. With an error that says that a handler
// could not be flushed or cut, what it counted is lost.
func (s *Shared) Wait() (*Cut, error) {
	<-s.ended
	return s.last, s.err
}

// Abandon gives up all of the walk since the last cut. It does not wait: it is for
// a walk with a worker that hangs in a system call. What others need is free at
// once; workers end when they can, without a last cut.
func (s *Shared) Abandon() {
	s.abandoned.Store(true)
	s.p.stop()
	s.watch.stop()
	s.p.reserve.giveUp()
	s.held.close()
}

// SetWorkers sets the number of workers; it does not adapt any more then. With 0
// all rest after the chunk at hand. With -1 it adapts again, from the number that
// there is, or from that of the processors if that is 0.
func (s *Shared) SetWorkers(n int) {
	p := s.p
	if n >= 0 {
		p.setLimit(min(n, p.mostWorkers), p.fix(true))
		return
	}
	turn := p.fix(false)
	if p.limit.Load() == 0 {
		p.setLimit(min(cores(), p.mostWorkers), turn)
	}
}

// rootDevice is the device of the root of d.
func (p *pool) rootDevice(d *Dir) uint64 {
	if p.share == nil {
		return d.root.dir.dev
	}
	d.root.mu.Lock()
	defer d.root.mu.Unlock()
	return d.root.id.dev
}

// relative is the path of d as an Item has it.
func (d *Dir) relative() []byte {
	n := 0
	for a := d; a.parent != nil; a = a.parent {
		n += len(a.name)
	}
	if n == 0 {
		return nil
	}
	b := make([]byte, n-1)
	for a := d; a.parent != nil; a = a.parent {
		n -= len(a.name)
		copy(b[n:], a.name.Bytes())
		if n > 0 {
			b[n-1] = '/'
		}
	}
	return b
}

// finished ends one task of d.
func (w *worker) finished(d *Dir) {
	if d.careful {
		w.p.share.carefulDone(d)
	}
	w.p.finished()
}

// leave notes what was at hand when the walk was stopped.
func (w *worker) leave(t task) {
	if w.p.share != nil {
		w.left = append(w.left, t)
	}
}

// abandon gives up a part of d at an early end; rest of its chunk is not handled.
func (w *worker) abandon(d *Dir, rest []byte) {
	d.reading.abandoned.Store(true)
	if w.p.share != nil {
		t := w.rest(d, rest)
		t.x.again = w.refused
		w.leave(t)
	}
	w.batch = w.batch[:0] // it remains
}

// mark says what was met in d.
func (w *worker) mark(d *Dir, flag uint8) {
	r := d.reading
	switch flag {
	case FlagFailed:
		r.failed.Store(true)
	case FlagVanished:
		r.vanished.Store(true)
	case FlagUntold:
		r.untold.Store(true)
	case FlagSkipRest:
		r.skipRest.Store(true)
	case FlagFiltered:
		r.filtered.Store(true)
	}
	if r.whole != nil {
		w.countPart(r.whole, DirCounts{}, flag)
	}
}
