package walk

import (
	"context"
	"errors"
	"io/fs"
	"time"

	"github.com/hydrawalk/hydra/internal/rawdir"
)

const (
	// bufSize is the size of a worker's directory buffer. A chunk is what one
	// read puts into it: about 1,000 entries.
	bufSize = 32 << 10
	// bigChunk: a directory whose first chunk is larger probably has a second.
	bigChunk = bufSize / 2
	// splitBytes is the least rest of a chunk that is worth sharing when its
	// entries are handled fast; splitAfter says when they are not.
	splitBytes = 2 << 10
	splitAfter = time.Millisecond
	// shareEvery is after how many calls a worker shares its counters.
	shareEvery = 256
	// yieldEvery is how often a worker calls the scheduler. It would be interrupted
	// after ten milliseconds, and go on on another thread, where no cache knows it;
	// and the runtime's monitor, which does that, would run all the time to look for
	// a thread that is in a call. Where threads are more than cores it also waits
	// for one in that time.
	yieldEvery = 3 * time.Millisecond
	clockEvery = 64 // calls, until it is looked whether that is over
)

// read reads d from where its cursor is, as long as this worker holds that.
func (w *worker) read(ctx context.Context, d *Dir) {
	r := d.reading
	for !r.skipRest.Load() {
		if w.p.stopping() {
			r.abandoned.Store(true)
			break
		}
		w.called()
		begun := w.timed()
		n, err := d.handle.Read(w.buf)
		w.took(begun)
		if err != nil {
			w.readFailed(ctx, d, err)
		}
		if n == 0 {
			break
		}
		chunk := w.buf[:n]
		r.chunks++
		offer := n >= bigChunk || r.chunks > 1
		if offer {
			r.parts.Add(1)
			w.give(task{dir: d})
		}
		if w.fl != nil {
			chunk = w.filter(ctx, d, chunk)
		}
		w.handle(ctx, d, chunk)
		if offer {
			// Read on, unless somebody else does, or the subdirectories that
			// wait are so many that they come first.
			if w.q.len()+len(w.subs) > w.p.queueBound() || !w.q.takeBack(d) {
				w.queueSubs(d)
				break
			}
			r.parts.Add(-1)
		}
		w.queueSubs(d)
		w.breathe()
	}
	w.endPart(ctx, d)
}

func (w *worker) readFailed(ctx context.Context, d *Dir, err error) {
	if errors.Is(err, fs.ErrNotExist) && d.parent != nil {
		w.mark(d, FlagVanished)
		return
	}
	w.mark(d, FlagFailed)
	w.report(ctx, d.fail(OpReaddir, err))
}

// handle gives the entries of a chunk to the handler and collects the
// subdirectories among them in w.subs.
func (w *worker) handle(ctx context.Context, d *Dir, chunk []byte) {
	r := d.reading
	w.subs = w.subs[:0]
	w.began = time.Time{}
	w.files, w.other = 0, 0
	w.handAll = chunk
	var ent rawdir.Dirent
	e := &w.entry
	e.w, e.dir, e.stat = w, d, &w.stat
	w.refused = false
	for len(chunk) > 0 {
		if w.due || w.p.attention.Load() != 0 {
			if w.p.stopping() {
				w.abandon(d, chunk)
				break
			}
			if w.isHeld() || w.isCalled() || w.cutIsDue() {
				if !w.midway(ctx, d, chunk) {
					w.abandon(d, chunk)
					break
				}
			}
			chunk = w.split(d, chunk)
		}
		if r.skipRest.Load() {
			w.leaveOut(chunk)
			break
		}
		rest, err := rawdir.Next(chunk, &ent)
		if err != nil {
			w.readFailed(ctx, d, err)
			break
		}
		if ent.Name == "" {
			break
		}
		at := chunk
		chunk = rest
		if ent.Type == rawdir.Directory {
			w.subs = append(w.subs, subdir{ent.Name, ent.Ino})
			continue
		}
		e.name, e.typ, e.have = ent.Name, ent.Type, false
		if ent.Type == rawdir.Unknown {
			if !w.resolve(ctx, e) {
				continue
			}
			if e.typ == rawdir.Directory {
				w.subs = append(w.subs, subdir{ent.Name, ent.Ino})
				continue
			}
		}
		typ := e.typ
		w.hereLen = len(at)
		goOn := w.chosen && w.toBatch(ctx, e) || !w.chosen && w.file(ctx, e)
		if w.offered > 0 {
			at, chunk = at[:len(at)-w.offered], chunk[:len(chunk)-w.offered]
			w.offered = 0
		}
		switch {
		case w.batched:
			w.batched = false
		case goOn || !w.refused || w.p.share == nil:
			w.listed(typ)
		default:
			chunk = at // it remains, and whoever handles it counts it
		}
		if !goOn {
			w.abandon(d, chunk)
			break
		}
	}
	if len(w.batch) > 0 {
		w.batches(ctx, d)
	}
	w.tally(d)
}

// listed counts an entry that was handled, for tally.
func (w *worker) listed(typ rawdir.Type) {
	if typ == rawdir.Regular {
		w.files++
	} else {
		w.other++
	}
}

// tally counts what was listed in d; w.subs holds the subdirectories.
func (w *worker) tally(d *Dir) {
	r := d.reading
	files, other := w.files, w.other
	w.files, w.other = 0, 0
	dirs := int64(len(w.subs))
	if dirs > 0 {
		r.dirs.Add(dirs)
	}
	if files > 0 {
		r.files.Add(files)
	}
	if other > 0 {
		r.other.Add(other)
	}
	if r.whole != nil {
		w.countPart(r.whole, DirCounts{dirs, files, other}, 0)
	}
}

// split gives the later half of a chunk to a worker that waits for work, if
// this one has nothing else to give, and returns what is left.
func (w *worker) split(d *Dir, chunk []byte) []byte {
	if w.p.attention.Load()&(idleMask|hungry) == 0 || w.q.len() > 0 {
		return chunk
	}
	if len(chunk) < splitBytes {
		now := time.Now()
		if w.began.IsZero() {
			w.began = now
		}
		if now.Sub(w.began) < splitAfter {
			return chunk
		}
	}
	first := rawdir.Half(chunk)
	if first == len(chunk) {
		return chunk
	}
	w.began = time.Time{}
	if w.p.share != nil {
		return w.splitShared(d, chunk, first)
	}
	return w.splitPlain(d, chunk, first)
}

// splitPlain gives away what stands at first and behind it, and returns the rest.
func (w *worker) splitPlain(d *Dir, chunk []byte, first int) []byte {
	w.handAll = w.handAll[:len(w.handAll)-(len(chunk)-first)]
	d.reading.parts.Add(1)
	w.give(task{dir: d, chunk: append([]byte(nil), chunk[first:]...), chosen: w.chosen})
	return chunk[:first]
}

// filter asks the handler which entries of a chunk to keep.
func (w *worker) filter(ctx context.Context, d *Dir, chunk []byte) []byte {
	w.entries = w.entries[:0]
	dirs := 0
	var ent rawdir.Dirent
	for {
		rest, err := rawdir.Next(chunk, &ent)
		if err != nil {
			w.readFailed(ctx, d, err)
			break
		}
		if ent.Name == "" {
			break
		}
		chunk = rest
		e := Entry{w: w, dir: d, name: ent.Name, typ: ent.Type, inode: ent.Ino}
		if ent.Type == rawdir.Unknown && !w.resolve(ctx, &e) {
			continue
		}
		if e.typ == rawdir.Directory {
			dirs++
		}
		w.entries = append(w.entries, e)
	}
	dropped := len(w.entries)
	var kept []Entry
	err := w.guard(func() error { kept = w.fl.Filter(ctx, d, w.entries); return nil })
	if err != nil {
		w.mark(d, FlagFailed)
		w.report(ctx, dirError(err, d))
		kept = nil
	}
	w.kept = w.kept[:0]
	for i := range kept {
		if kept[i].typ == rawdir.Directory {
			dirs--
		}
		w.kept = rawdir.AppendRecord(w.kept, kept[i].inode, kept[i].typ, kept[i].name)
	}
	// A directory may have turned out to be none any more, when Filter asked:
	// then fewer are kept than were listed, and yet none was dropped.
	if dropped = max(dropped-len(kept), 0); dropped > 0 {
		w.mark(d, FlagFiltered)
	}
	dirs = min(max(dirs, 0), dropped)
	w.c.FoundDirs += int64(dirs)
	w.c.FilteredDirs += int64(dirs)
	w.c.FilteredFiles += int64(dropped - dirs)
	return w.kept
}

// leaveOut counts the entries of a chunk as filtered.
func (w *worker) leaveOut(chunk []byte) {
	var ent rawdir.Dirent
	for {
		rest, err := rawdir.Next(chunk, &ent)
		if err != nil || ent.Name == "" {
			return
		}
		chunk = rest
		if ent.Type == rawdir.Directory {
			w.c.FoundDirs++
			w.c.FilteredDirs++
		} else {
			w.c.FilteredFiles++
		}
	}
}

// queueSubs makes tasks of the subdirectories that handle collected.
func (w *worker) queueSubs(d *Dir) {
	n := len(w.subs)
	if n == 0 {
		return
	}
	w.c.FoundDirs += int64(n)
	if m := w.p.maxDepth; m > 0 && int(d.depth)+1 >= m {
		w.subs = w.subs[:0]
		w.c.FilteredDirs += int64(n)
		return
	}
	size := 0
	for _, s := range w.subs {
		size += len(s.name)
	}
	names := make([]byte, 0, size)
	dirs := make([]Dir, n)
	w.stash = w.stash[:0]
	// Backwards, so that they are popped in the order of the listing.
	for i := n - 1; i >= 0; i-- {
		at := len(names)
		names = append(names, w.subs[i].name...)
		c := &dirs[i]
		c.parent, c.root, c.depth, c.listed, c.careful, c.again = d, d.root, d.depth+1, w.subs[i].inode, d.careful, d.again
		c.name = rawdir.NameIn(names[at:])
		w.stash = append(w.stash, task{dir: c})
	}
	w.subs = w.subs[:0]
	// Before the parent is subtracted: pending must not touch zero early.
	w.p.pending.Add(int64(n))
	if d.retained {
		d.users.Add(int32(n))
	}
	if d.careful {
		w.p.share.setAside(w, w.stash)
	} else {
		w.give(w.stash...)
	}
	clear(w.stash)
}
