package walk

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"
)

// Cut is a consistent state of a walk: what was counted up to the end of an epoch,
// in all epochs up to it, and what remains. Whatever is counted later is of these
// items.
type Cut struct {
	Epoch  uint64
	Items  []Item            // what remains, each once
	Totals Totals            // counted since the Shared was made; nothing is queued in it
	Shared map[string]DirSum // by Part.Dir: what was counted in the parts that were here, also since then
}

// openCut is a cut that some workers have not made yet.
//
// Each worker makes its own on its own goroutine, and notes what it has: the rest
// of its chunk, its deque, and what thieves of the next epoch took from there. So
// what it counted before is of the old epoch, and what it counts of its notes of
// the next.
//
//	epoch 7        epoch 8
//	──────────────┬──────────────  worker 1 makes its cut
//	──────────────────┬──────────  worker 2: what worker 1 stole of it is in passed
//	──────────┬──────────────────  feed: when the epoch is raised
type openCut struct {
	epoch   uint64
	notes   []task
	items   []Item // that were returned
	totals  Totals
	missing int // workers
	failed  bool
	done    chan struct{}
}

// errEnded is why there can be no cut.
var errEnded = errors.New("the walk has ended: Wait tells what remains")

// Cut waits until each worker has passed to the next epoch and tells what was
// counted before and what remains. What is added while it waits is not in it. A
// chunk that is being handled is cut in its midst, if it takes long.
//
// began, if it is not nil, is called when the cut has begun: what was added before
// is in it, and what is added later is not.
//
// If ctx ends first, the epoch goes on all the same: the next Cut waits for the
// workers that were missing, and until then Take and Returned give nothing. Each
// Cut covers all epochs up to its own, also one that nobody got a Cut of.
func (s *Shared) Cut(ctx context.Context, began func()) (*Cut, error) {
	select {
	case s.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	defer func() { <-s.turn }()
	if err := s.settle(ctx); err != nil {
		return nil, err
	}
	c := s.raise()
	if c == nil {
		return nil, errEnded
	}
	if began != nil {
		began()
	}
	if err := s.settle(ctx); err != nil {
		return nil, err
	}
	if c.failed {
		return nil, errEnded
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.build(c), nil
}

// settle waits until no cut is open.
func (s *Shared) settle(ctx context.Context) error {
	s.mu.Lock()
	c := s.open
	s.mu.Unlock()
	if c == nil {
		return nil
	}
	select {
	case <-c.done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// raise begins the next epoch; nil if the walk ends.
func (s *Shared) raise() *openCut {
	s.mu.Lock()
	p := s.p
	if p.stopping() {
		s.mu.Unlock()
		return nil
	}
	c := &openCut{epoch: s.epoch.Load(), totals: s.found, missing: s.live, done: make(chan struct{})}
	s.feed.mu.Lock()
	c.notes = append(c.notes, s.feed.tasks[s.feed.head:]...)
	s.feed.epoch++
	s.feed.mu.Unlock()
	c.notes = append(append(c.notes, s.aside...), s.picked...)
	c.addReturned(s.returned)
	s.open = c
	s.raisedAt.Store(int64(time.Since(s.begun)))
	p.attention.Or(cutting)
	s.epoch.Add(1)
	s.closeIfDone()
	s.mu.Unlock()
	// Who waits sees the epoch before it waits again.
	p.wakeWaiting()
	return c
}

func (c *openCut) addReturned(rs []Returned) {
	for _, r := range rs {
		c.items = append(c.items, r.Item)
	}
}

// closeIfDone closes the open cut when no worker is missing. The caller holds mu.
func (s *Shared) closeIfDone() {
	if c := s.open; c != nil && c.missing == 0 {
		s.open = nil
		s.p.attention.And(^int32(cutting))
		close(c.done)
	}
}

// behind tells whether the worker has a cut to make. In a chunk: see cutIsDue.
func (w *worker) behind() bool {
	s := w.p.share
	return s != nil && w.epoch < s.epoch.Load()
}

// cutIsDue tells whether a worker should make its cut in the midst of a chunk:
// not if the chunk will be done soon.
func (w *worker) cutIsDue() bool {
	if !w.behind() {
		return false
	}
	s := w.p.share
	return int64(time.Since(s.begun))-s.raisedAt.Load() >= int64(s.patience)
}

// cut passes to the next epoch. rest is what the worker has at hand.
func (w *worker) cut(ctx context.Context, rest ...task) {
	s := w.p.share
	notes := slices.Clone(rest)
	w.q.mu.Lock()
	notes = append(notes, w.q.tasks[w.q.head:]...)
	notes = append(notes, w.q.passed...)
	w.q.passed = nil
	w.q.epoch++
	w.q.mu.Unlock()
	err := w.commit(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	w.epoch++
	s.countParts(w)
	c := s.open
	c.notes = append(c.notes, notes...)
	c.totals.Add(&w.c)
	c.failed = c.failed || err != nil
	c.missing--
	s.closeIfDone()
}

// commit lets the handler finish the epoch.
func (w *worker) commit(ctx context.Context) error {
	s := w.p.share
	if s.abandoned.Load() {
		return errEnded
	}
	err := w.flush(ctx)
	if err == nil && s.o.Commit != nil {
		err = w.guard(func() error { return s.o.Commit(w.id, w.epoch) })
	}
	if err != nil {
		w.p.fail(err)
	}
	return err
}

// join lets a worker take part in cuts. It has counted nothing.
func (s *Shared) join(w *worker) {
	w.buf = make([]byte, s.chunk)
	w.counted = map[*whole]sum{}
	w.call.on = s.o.Stall > 0
	s.mu.Lock()
	defer s.mu.Unlock()
	w.epoch = s.epoch.Load()
	w.q.mu.Lock()
	w.q.epoch = w.epoch
	w.q.mu.Unlock()
	s.live++
	s.joinCalls(w)
}

// lastCut is that of a worker that ends.
func (w *worker) lastCut(ctx context.Context) {
	s := w.p.share
	for {
		s.mu.Lock()
		if !w.behind() {
			break
		}
		s.mu.Unlock()
		w.cut(ctx, w.left...)
	}
	// From here on there is no cut: the walk is stopping.
	s.live--
	s.told(w, s.asked.Load())
	s.mu.Unlock()
	w.commit(ctx)
	// What it counted in parts is added when all have ended: an open cut has others.
}

// lost takes a worker out of the cuts whose handler ended its goroutine. What it
// had in hand remains as a whole, though some of it may be counted.
func (s *Shared) lost(w *worker) {
	if w.epoch == 0 {
		return // it did not join
	}
	w.leaveAtHand()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.live--
	s.told(w, s.asked.Load())
	if s.open != nil && w.epoch < s.epoch.Load() {
		s.open.failed = true
		s.open.missing--
		s.closeIfDone()
	}
}

// leaveAtHand notes the task at hand, wherever in it a handler was called, and
// closes what it holds.
func (w *worker) leaveAtHand() {
	t := w.task
	d := t.dir
	if d == nil || d.depth < 0 {
		return // there is none, or rootFile has noted it
	}
	if d.reading == nil {
		w.leave(t)
		return
	}
	last := d.reading.parts.Load() <= 0
	switch {
	case last:
		w.leave(w.rest(d, nil))
	case w.handAll != nil:
		w.leave(w.rest(d, w.handAll))
	default:
		w.leave(t)
	}
	if last || d.reading.parts.Add(-1) == 0 {
		d.release(w.p)
	}
}

// build makes a Cut of what was noted. The caller holds mu.
func (s *Shared) build(c *openCut) *Cut {
	cut := &Cut{Epoch: c.epoch, Totals: c.totals, Shared: make(map[string]DirSum, len(s.dirs))}
	for _, t := range c.notes {
		t.dir.cut = uint32(c.epoch)
	}
	cut.Items = append(s.items(c.notes), c.items...)
	cut.Totals.Workers = int(s.p.started.Load())
	s.p.mu.Lock()
	cut.Totals.Stopped = s.p.skipped
	s.p.mu.Unlock()
	for id, d := range s.dirs {
		cut.Shared[id] = *d
	}
	return cut
}

// items are what others take tasks for: the parts of a directory become one item.
// The caller holds mu.
func (s *Shared) items(notes []task) []Item {
	var items []Item
	parts := map[any]int{} // where in items, by whole or by Part.Dir
	for _, t := range notes {
		d := t.dir
		switch {
		case t.x != nil && t.x.item != nil:
			it := *t.x.item
			if it.Part == nil || it.Part.Dir == "" {
				items = append(items, it)
				continue
			}
			at, ok := parts[it.Part.Dir]
			if !ok {
				p := *it.Part
				p.Names, p.Ranges = slices.Clone(p.Names), slices.Clone(p.Ranges)
				it.Part = &p
				parts[p.Dir] = len(items)
				items = append(items, it)
				continue
			}
			p := items[at].Part
			p.Names = append(p.Names, it.Part.Names...)
			p.Ranges = append(p.Ranges, it.Part.Ranges...)
		case d.depth < 0:
			items = append(items, Item{Root: d.root.number, File: true, Careful: d.careful, Again: d.again})
		case t.x == nil:
			items = append(items, Item{Root: d.root.number, Path: d.relative(), Careful: d.careful, Again: d.again})
		default:
			wh := t.x.of
			var key any = wh
			if wh.id != "" {
				key = wh.id
			}
			at, ok := parts[key]
			if !ok {
				at = len(items)
				parts[key] = at
				items = append(items, s.partItem(wh))
			}
			t.addTo(items[at].Part)
			items[at].Again = items[at].Again || t.x.again
		}
	}
	for _, at := range parts {
		items[at].Part.Ranges = joinRanges(items[at].Part.Ranges)
	}
	return items
}

// joinRanges sorts ranges and joins those that are adjacent.
func joinRanges(rs []Range) []Range {
	slices.SortFunc(rs, func(a, b Range) int { return cmp.Compare(a.Lo, b.Lo) })
	out := rs[:0]
	for _, r := range rs {
		if last := len(out) - 1; last >= 0 && out[last].Hi+1 == r.Lo && r.Lo != 0 {
			out[last].Hi = r.Hi
			continue
		}
		out = append(out, r)
	}
	return out
}
