package walk

import (
	"bytes"
	"context"
	"slices"
	"sync/atomic"

	"github.com/hydrawalk/hydra/internal/rawdir"
)

// piece says what a task of a shared walk is that is more than a directory to
// open. It is not changed once others can see it.
//
//	item != nil     it was added, and was not begun here; if wrong, it makes no sense
//	chunk == nil    list the directory again and keep what is in r
//	chunk != nil    handle these entries; if ranged, r says which they are
//	leave           only in cuts: nothing is left but to leave the directory
type piece struct {
	of     *whole
	item   *Item
	wrong  error
	raw    bool // Filter has not seen the chunk
	ranged bool
	leave  bool
	again  bool // the handler was called for the first entry, or to leave
	r      Range
	held   int64 // of the budget, for chunk
}

// whole is a directory of which several parts are handled, or of which something
// was left at a cut. It outlives the directory's reading, for cuts that are open.
type whole struct {
	d      *Dir
	inode  uint64
	latest atomic.Uint64 // epoch of those who ended a part of it
	done   atomic.Bool   // it was left

	// Guarded by Shared.mu:
	id  string  // Part.Dir, once others may have parts of it
	sum *DirSum // counted up to the last cut of each worker; with an id, that of Shared.dirs
}

// sum is what one worker counted in a directory.
type sum struct {
	counts DirCounts
	flags  uint8
}

func (c *DirCounts) add(o DirCounts) {
	c.Dirs += o.Dirs
	c.Files += o.Files
	c.Other += o.Other
}

// ended notes that a part was ended.
func (wh *whole) ended(epoch uint64) {
	for {
		was := wh.latest.Load()
		if was >= epoch || wh.latest.CompareAndSwap(was, epoch) {
			return
		}
	}
}

// track makes a whole of a directory before others can get a part of it. Only
// the worker that entered it has counted anything there, and since its last cut.
func (w *worker) track(d *Dir) *whole {
	r := d.reading
	if r.whole == nil {
		wh := &whole{d: d, inode: d.ino, sum: &DirSum{}}
		if wh.inode == 0 {
			w.fsCall()
			if _, ino, err := d.handle.Identity(); err == nil {
				wh.inode = ino
			}
		}
		w.countPart(wh, d.Counts(), r.flags())
		r.whole = wh
	}
	return r.whole
}

// flags are what was met so far.
func (r *reading) flags() (f uint8) {
	if r.failed.Load() {
		f |= FlagFailed
	}
	if r.vanished.Load() {
		f |= FlagVanished
	}
	if r.untold.Load() {
		f |= FlagUntold
	}
	if r.skipRest.Load() {
		f |= FlagSkipRest
	}
	if r.filtered.Load() {
		f |= FlagFiltered
	}
	return f
}

// countPart counts what belongs to a directory with parts, until the next cut.
func (w *worker) countPart(wh *whole, counts DirCounts, flags uint8) {
	const many = 1000
	if len(w.counted) >= many && !w.behind() {
		// If it was left in this epoch or before, no cut to come has parts of it.
		for o := range w.counted {
			if o.done.Load() {
				delete(w.counted, o)
			}
		}
	}
	c := w.counted[wh]
	c.counts.add(counts)
	c.flags |= flags
	w.counted[wh] = c
}

// countParts adds what a worker counted in parts. The caller holds mu.
func (s *Shared) countParts(w *worker) {
	for wh, c := range w.counted {
		wh.sum.Counts.add(c.counts)
		wh.sum.Flags |= c.flags
	}
	clear(w.counted)
}

// ownsLast tells whether the worker that ended the last part of a directory that
// is here has to leave it: not if others have parts of it.
func (w *worker) ownsLast(ctx context.Context, wh *whole) bool {
	s := w.p.share
	s.mu.Lock()
	shared := wh.id != ""
	s.mu.Unlock()
	if shared {
		return false
	}
	if wh.latest.Load() > w.epoch {
		// A part ended in the next epoch, so at the cut something is left of the
		// directory: it is left in the next epoch too.
		w.cut(ctx, task{dir: wh.d, x: &piece{of: wh, leave: true}})
	}
	return true
}

// leftWhole notes that a directory with parts was left: what was counted in it is
// of no use any more. Until then it remains if the walk ends.
func (w *worker) leftWhole(wh *whole) {
	wh.done.Store(true)
	delete(w.counted, wh)
}

// partItem is the item of a directory that was entered, without its parts. The
// caller holds mu.
func (s *Shared) partItem(wh *whole) Item {
	it := Item{Root: wh.d.root.number, Path: wh.d.relative(), Inode: wh.inode, Careful: wh.d.careful, Again: wh.d.again, Part: &Part{Dir: wh.id}}
	if wh.id == "" {
		it.Part.Counts, it.Part.Flags = wh.sum.Counts, wh.sum.Flags
	}
	return it
}

// addTo adds a task to what is left of its directory. The caller holds mu.
func (t *task) addTo(p *Part) {
	switch {
	case t.x.leave:
	case t.x.ranged:
		p.Ranges = append(p.Ranges, t.x.r)
	default:
		records, all := encodeNames(t.chunk)
		if !all {
			p.Flags |= FlagFailed
			t.x.of.sum.Flags |= FlagFailed
		}
		p.Names = append(p.Names, Names{Filtered: !t.x.raw, Records: records})
	}
}

// rest is a task for what is left of the chunk at hand, for a cut: the chunk may
// lie in the worker's buffer.
func (w *worker) rest(d *Dir, chunk []byte) task {
	x := &piece{of: w.track(d), raw: w.hand.raw}
	if len(w.batch) > 0 {
		return task{dir: d, chunk: slices.Concat(w.batch, chunk), x: x}
	}
	var ent rawdir.Dirent
	if _, err := rawdir.Next(chunk, &ent); err != nil || ent.Name == "" {
		x.leave = true
		return task{dir: d, x: x}
	}
	if w.hand.ranged {
		at := len(w.handAll) - len(chunk)
		if at == 0 {
			x.ranged, x.r = true, w.hand.r
			return task{dir: d, x: x}
		}
		lo := w.hashOf(ent.Name)
		if w.lastHash(w.handAll[:at]) != lo {
			x.ranged, x.r = true, Range{lo, w.hand.r.Hi}
			return task{dir: d, x: x}
		}
	}
	return task{dir: d, chunk: bytes.Clone(chunk), x: x}
}

// lastHash is the hash of the last name in chunk.
func (w *worker) lastHash(chunk []byte) uint64 {
	var last, ent rawdir.Dirent
	for {
		rest, err := rawdir.Next(chunk, &ent)
		if err != nil || ent.Name == "" {
			return w.hashOf(last.Name)
		}
		last, chunk = ent, rest
	}
}

// splitShared gives away what stands at first and behind it, and returns the rest.
func (w *worker) splitShared(d *Dir, chunk []byte, first int) []byte {
	s := w.p.share
	x := &piece{raw: w.hand.raw}
	if w.hand.ranged {
		// Names of one hash stay together.
		before := w.lastHash(chunk[:first])
		for {
			var ent rawdir.Dirent
			rest, err := rawdir.Next(chunk[first:], &ent)
			if err != nil || ent.Name == "" {
				return chunk
			}
			if h := w.hashOf(ent.Name); h != before {
				x.ranged, x.r = true, Range{h, w.hand.r.Hi}
				w.hand.r.Hi = h - 1
				break
			}
			first = len(chunk) - len(rest)
		}
	}
	x.of = w.track(d)
	w.handAll = w.handAll[:len(w.handAll)-(len(chunk)-first)]
	d.reading.parts.Add(1)
	w.give(task{dir: d, chunk: bytes.Clone(chunk[first:]), x: x, chosen: w.chosen})
	if w.p.attention.Load()&hungry != 0 {
		s.notify()
	}
	return chunk[:first]
}

// sharedTask carries out a task of a shared walk.
func (w *worker) sharedTask(ctx context.Context, t task) {
	d, x := t.dir, t.x
	w.task, w.handAll = t, nil
	switch {
	case x == nil:
		if w.enter(ctx, d) {
			w.readShared(ctx, d)
		}
	case x.item != nil:
		w.takeUp(ctx, t)
	case t.chunk == nil:
		w.listRange(ctx, d, x)
		w.endPart(ctx, d)
	default:
		w.chosen = t.chosen
		w.handlePiece(ctx, d, t.chunk, *x)
		w.chosen = false
	}
}

// handlePiece handles a chunk, and ends this part of its directory.
func (w *worker) handlePiece(ctx context.Context, d *Dir, chunk []byte, x piece) {
	w.hand, w.handAll = x, chunk
	if x.raw && w.fl != nil && !d.reading.skipRest.Load() {
		if w.mayCall(ctx, func() task { return w.rest(d, w.handAll) }) {
			chunk = w.filter(ctx, d, chunk)
			w.handAll = chunk
			w.hand.raw, w.hand.ranged = false, false // it may be in another order now
		}
	}
	w.handle(ctx, d, chunk) // if the walk ends, it leaves the chunk
	w.queueSubs(d)
	if x.held > 0 {
		w.p.share.held.release(x.held)
	}
	w.endPart(ctx, d)
}

// readShared reads a directory that was entered. What fits into the buffer is
// handled at once; a larger one becomes chunks that others can take, and a huge
// one ranges of hashes. Nothing is handled before all is listed, or said by
// ranges: what is left of a directory must be said at any time.
func (w *worker) readShared(ctx context.Context, d *Dir) {
	n, ended := w.fill(ctx, d, d.handle, w.buf)
	if ended {
		w.handlePiece(ctx, d, w.buf[:n], piece{raw: true})
		return
	}
	s := w.p.share
	wh := w.track(d)
	all := piece{of: wh, ranged: true, r: wholeRange}
	chunks := [][]byte{bytes.Clone(w.buf[:n])}
	for !ended && len(chunks) < s.mostChunks {
		if !w.mayGoOn(ctx, d, &all) {
			w.endPart(ctx, d)
			return
		}
		buf := make([]byte, s.chunk)
		if n, ended = w.fill(ctx, d, d.handle, buf); n > 0 {
			chunks = append(chunks, buf[:n])
		}
	}
	if !ended {
		w.listRange(ctx, d, &all)
		w.endPart(ctx, d)
		return
	}
	if s.o.Group != nil {
		w.gatherChunks(ctx, d, &all, chunks)
		w.endPart(ctx, d)
		return
	}
	x := &piece{of: wh, raw: true}
	d.reading.parts.Store(int32(len(chunks)))
	for i := len(chunks) - 1; i > 0; i-- {
		w.give(task{dir: d, chunk: chunks[i], x: x})
	}
	w.handlePiece(ctx, d, chunks[0], *x)
}

// mayGoOn makes a cut that is open while a directory is listed, of which all of x
// is left, and waits as long as the walk is paused. False: the walk is stopping.
func (w *worker) mayGoOn(ctx context.Context, d *Dir, x *piece) bool {
	t := task{dir: d, x: &piece{of: x.of, ranged: true, r: x.r}}
	if w.p.stopping() || w.due && !w.gate(ctx, func() task { return t }) || !w.mayCall(ctx, func() task { return t }) {
		d.reading.abandoned.Store(true)
		w.leave(t)
		return false
	}
	if w.behind() {
		w.cut(ctx, t)
	}
	return true
}

// leastRoom is what a reader needs of a buffer.
const leastRoom = 4 << 10

// fill reads from h, which lists d, until buf is full or the listing has ended.
// An error ends it.
func (w *worker) fill(ctx context.Context, d *Dir, h rawdir.Dir, buf []byte) (n int, ended bool) {
	for len(buf)-n >= leastRoom {
		w.called()
		w.enterCall(callReaddir, d)
		begun := w.timed()
		m, err := h.Read(buf[n:])
		w.took(begun)
		w.leaveCall()
		if err != nil {
			w.readFailed(ctx, d, err)
		}
		if m == 0 {
			return n, true
		}
		n += m
	}
	return n, false
}
