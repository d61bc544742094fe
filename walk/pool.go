package walk

import (
	"context"
	"log/slog"
	"math"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/hydrawalk/hydra/internal/rawdir"
)

// pool is a walk: its workers, and what they share.
type pool struct {
	opener    rawdir.Opener
	parent    func(path string) (rawdir.Dir, error) // opens one only for what is in it
	mounts    *Mounts                               // nil: each root has one path
	paths     *paths
	fields    Fields
	maxDepth  int
	oneFS     bool
	within    *Within           // is not left; nil: no bound
	snapshots bool              // they are entered
	isRoot    map[identity]bool // nil if there is but one root that is a directory
	log       *slog.Logger

	// pending counts the tasks that wait or are carried out: directories from
	// when they are found until they are left, and roots that are files. At 0
	// the walk has ended.
	pending   atomic.Int64
	rootFiles atomic.Int64 // those of pending that are files

	// attention is not 0 when workers have to look up from the entries of a
	// directory: the number of idle workers, what a shared walk asks for, and
	// stopped if the walk ends early.
	attention atomic.Int32

	mostWorkers int
	throttle    *Throttle
	held        atomic.Int32 // workers that wait for the throttle
	holds       atomic.Int64 // how often one has begun to
	share       *Shared      // nil: nobody else walks these trees

	fds     atomic.Int64 // open directories
	maxFDs  atomic.Int64 // beyond it, none is kept open for its subdirectories
	reserve reserve

	workers [maxWorkers]atomic.Pointer[worker]
	started atomic.Int32 // workers that were started
	limit   atomic.Int32 // those that may work; the others are benched
	start   func(id int) // starts a worker

	limitMu sync.Mutex    // held while limit and started change
	fixed   bool          // the number of workers does not adapt; guarded by limitMu
	turn    uint64        // how often fixed was set; guarded by limitMu
	unfixed chan struct{} // capacity 1: it adapts again

	mu      sync.Mutex
	idle    []*worker     // wait for a task
	benched []*worker     // wait until limit grows
	resting []*worker     // wait in a gate
	err     error         // why the walk failed
	skipped bool          // a handler returned fs.SkipAll
	over    bool          // the walk has ended, or is ending early
	ended   chan struct{} // closed with over
}

func newPool(o *Options) *pool {
	p := &pool{
		opener:    o.Within.opener(),
		parent:    o.Within.parent(),
		within:    o.Within,
		paths:     &systemPaths,
		fields:    o.Fields,
		maxDepth:  o.MaxDepth,
		oneFS:     o.OneFileSystem,
		snapshots: o.Snapshots,
		log:       o.Logger,
		throttle:  o.Throttle,
		ended:     make(chan struct{}),
		unfixed:   make(chan struct{}, 1),
	}
	if o.FS != nil {
		p.opener, p.paths, p.within = rawdir.FromFS(o.FS), &fsPaths, nil
		p.reserve.isGone = true // who knows what it takes
		p.parent = func(path string) (rawdir.Dir, error) { return p.opener(path, true) }
	}
	if p.fields == 0 {
		p.fields = rawdir.AllFields
	}
	if p.log == nil {
		p.log = slog.New(slog.DiscardHandler)
	}
	if o.Mounts != nil && o.FS == nil {
		o.Mounts.use(p)
	}
	p.setLimits(openFiles())
	return p
}

func (p *pool) newWorker(id int) *worker {
	return &worker{p: p, id: id, wake: make(chan struct{}, 1), throttle: p.throttle}
}

// trees is Trees with limits that are set.
func (p *pool) trees(ctx context.Context, roots []string, newHandler func(int) (Handler, error), o *Options) (Totals, error) {
	t := p.run(ctx, p.openRoots(roots, o), o.Workers, newHandler, o.Monitor)
	if p.err != nil {
		return t, p.err
	}
	if t.QueuedDirs+t.QueuedFiles > 0 && !t.Stopped {
		return t, context.Cause(ctx)
	}
	return t, nil
}

// What there can be in attention.
const (
	idleMask = 1<<12 - 1 // how many workers are idle
	cutting  = 1 << 16   // a cut is open
	hungry   = 1 << 17   // others wait for work
	pausing  = 1 << 18   // no handler is called
	calling  = 1 << 19   // a worker has not called ShareOptions.Between yet
	stopped  = 1 << 20   // more than all of them
)

func (p *pool) stopping() bool { return p.attention.Load() >= stopped }

// stop ends the walk early: each worker stops at its next entry.
func (p *pool) stop() {
	for {
		a := p.attention.Load()
		if a >= stopped {
			return
		}
		if p.attention.CompareAndSwap(a, a+stopped) {
			break
		}
	}
	p.wakeAll()
}

// stopAll is stop for fs.SkipAll.
func (p *pool) stopAll() {
	p.mu.Lock()
	p.skipped = true
	p.mu.Unlock()
	p.stop()
}

// fail ends the walk with an error; the first one counts.
func (p *pool) fail(err error) {
	p.mu.Lock()
	if p.err == nil {
		p.err = err
	}
	p.mu.Unlock()
	p.stop()
}

// endsDry tells whether the walk has ended when nothing is pending: no other has work
// for it.
func (p *pool) endsDry() bool { return p.share == nil || p.share.o.alone }

// finished ends one task. Its children are already in pending.
func (p *pool) finished() {
	if p.pending.Add(-1) > 0 {
		return
	}
	if !p.endsDry() {
		p.share.notify() // it goes on when there is more
		return
	}
	p.wakeAll()
}

// wakeIdle wakes up to n of the workers that wait for a task.
func (p *pool) wakeIdle(n int) {
	if p.attention.Load()&idleMask == 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for range min(n, len(p.idle)) {
		w := p.idle[len(p.idle)-1]
		p.idle = p.idle[:len(p.idle)-1]
		p.attention.Add(-1)
		w.wake <- struct{}{}
	}
}

// wakeAll wakes everybody, so that they see that the walk has ended.
func (p *pool) wakeAll() {
	p.wakeIdle(maxWorkers)
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.over {
		p.over = true
		close(p.ended)
	}
	p.wakeList(&p.benched)
	p.wakeList(&p.resting)
}

// wakeWaiting wakes all that wait, so that they see what is asked of them. The walk
// goes on.
func (p *pool) wakeWaiting() {
	p.wakeIdle(maxWorkers)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.wakeList(&p.benched)
	p.wakeList(&p.resting)
}

// wakeList wakes the workers of a list. The caller holds mu.
func (p *pool) wakeList(list *[]*worker) {
	for _, w := range *list {
		w.wake <- struct{}{}
	}
	*list = nil
}

func (p *pool) addIdle(w *worker) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.idle = append(p.idle, w)
	p.attention.Add(1)
}

// removeIdle is for a worker that does not wait after all.
func (p *pool) removeIdle(w *worker) {
	p.mu.Lock()
	i := slices.Index(p.idle, w)
	if i >= 0 {
		p.idle = slices.Delete(p.idle, i, i+1)
		p.attention.Add(-1)
	}
	p.mu.Unlock()
	if i < 0 {
		// It was woken meanwhile: pass that on, the task is still there.
		<-w.wake
		p.wakeIdle(1)
	}
}

// bench makes a worker wait until the limit lets it work again. False: the walk
// has ended.
func (p *pool) bench(w *worker) bool {
	p.mu.Lock()
	switch {
	case p.over:
		p.mu.Unlock()
		return false
	case w.id < int(p.limit.Load()) || w.behind() || w.isCalled():
		p.mu.Unlock()
		return true
	}
	p.benched = append(p.benched, w)
	p.mu.Unlock()
	p.wakeIdle(max(1, w.q.len())) // for what it leaves behind, or was woken for
	w.phase.Store(phaseBenched)
	<-w.wake
	w.phase.Store(phaseBusy)
	return true
}

// setLimit lets n workers work: it starts those that are missing, calls others
// from the bench, or sends there those that are too many. It does nothing if somebody
// has called fix since turn.
func (p *pool) setLimit(n int, turn uint64) {
	p.limitMu.Lock()
	defer p.limitMu.Unlock()
	if turn != p.turn {
		return
	}
	p.mu.Lock()
	if p.over {
		p.mu.Unlock()
		return
	}
	p.limit.Store(int32(n))
	p.benched = slices.DeleteFunc(p.benched, func(w *worker) bool {
		if w.id < n {
			w.wake <- struct{}{}
			return true
		}
		return false
	})
	p.mu.Unlock()
	p.reserve.holdBack(n)
	for id := int(p.started.Load()); id < n; id++ {
		p.start(id)
	}
}

// queueBound is how many tasks a worker may have waiting before it stops
// reading a directory and takes its subdirectories first.
func (p *pool) queueBound() int {
	return min(max(1<<15/max(int(p.limit.Load()), 1), 128), 4096)
}

// run walks the trees below the roots and returns when every worker has ended.
func (p *pool) run(ctx context.Context, roots []task, workers int, newHandler func(int) (Handler, error), m *Monitor) Totals {
	var wg sync.WaitGroup
	p.start = func(id int) {
		w := p.newWorker(id)
		p.workers[id].Store(w)
		p.started.Store(int32(id + 1))
		wg.Go(func() { w.run(ctx, newHandler) })
	}
	var found Totals
	for _, t := range roots {
		if t.dir.depth == 0 {
			found.FoundDirs++
		} else {
			p.rootFiles.Add(1)
		}
	}
	p.pending.Store(int64(len(roots)))
	if len(roots) == 0 {
		return found
	}
	m.begin(p, found)
	defer m.end()

	// The first worker gets all roots; the others steal theirs.
	first := p.newWorker(0)
	slices.Reverse(roots)
	first.q.push(roots...)
	p.workers[0].Store(first)
	p.started.Store(1)
	adaptive := workers <= 0
	if adaptive {
		workers = cores()
	}
	if workers > p.mostWorkers {
		p.log.Warn("fewer workers than asked for", "workers", p.mostWorkers, "asked", workers, "most", maxWorkers, "open files", openFiles())
		workers = p.mostWorkers
	}
	p.limit.Store(int32(workers))
	procs := raiseProcs(workers)
	defer procs.restore()

	detach := context.AfterFunc(ctx, p.stop)
	defer detach()
	if ctx.Err() != nil {
		p.stop() // AfterFunc may take its time
	}
	p.reserve.holdBack(workers) // before the first directory is opened
	defer p.reserve.giveUp()
	wg.Go(func() { first.run(ctx, newHandler) })
	p.setLimit(workers, 0)
	if adaptive {
		p.adapt(procs) // until the walk has ended: it starts workers
	}
	wg.Wait()

	// What is left in the deques was not begun, or not ended.
	for i := range p.started.Load() {
		w := p.workers[i].Load()
		for t, ok := w.q.pop(); ok; t, ok = w.q.pop() {
			p.abandon(t)
		}
	}
	t := p.totals(found)
	t.QueuedFiles = p.rootFiles.Load()
	t.QueuedDirs = p.pending.Load() - t.QueuedFiles
	t.Stopped = p.skipped
	return t
}

// abandon closes what a task holds.
func (p *pool) abandon(t task) {
	d := t.dir
	switch {
	case d.depth < 0: // nothing
	case d.reading == nil:
		if d.handle != nil {
			d.release(p)
		} else if d.parent != nil && d.parent.retained {
			d.parent.release(p)
		}
	default:
		if d.reading.parts.Add(-1) == 0 {
			d.release(p)
		}
	}
}

// totals adds up what the workers have shared.
func (p *pool) totals(t Totals) Totals {
	for i := range p.started.Load() {
		w := p.workers[i].Load()
		w.sharedMu.Lock()
		c := w.shared
		w.sharedMu.Unlock()
		t.Add(&c)
	}
	if p.share != nil {
		p.share.addFound(&t)
	}
	t.Workers = int(p.started.Load())
	return t
}

// plus adds sizes. Sparse files can have more bytes than can be counted: the sum
// stops there.
func plus(a, b int64) int64 {
	if sum := a + b; sum >= a {
		return sum
	}
	return math.MaxInt64
}
