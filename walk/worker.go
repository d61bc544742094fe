package walk

import (
	"context"
	"errors"
	"io/fs"
	"math/rand/v2"
	"runtime/debug"
	"sync"
	"sync/atomic"
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
)

// worker is one goroutine that walks, with a Handler of its own.
type worker struct {
	p     *pool
	id    int
	q     deque
	wake  chan struct{} // capacity 1; who takes the worker off a list of waiters sends
	stash []task        // scratch for stealing

	h  Handler
	dh DirHandler   // nil if h is none
	fl Filterer     // nil if h is none
	eh ErrorHandler // nil if h is none

	c   Totals // what this worker counted
	ops int64  // calls to the file system and the handler

	shareAt  int64 // ops at which the counters are shared next
	sharedMu sync.Mutex
	shared   Totals       // c as it was after the last chunk
	progress atomic.Int64 // ops as it was a moment ago

	spare     *reading  // for the next directory
	buf, kept []byte    // a chunk, and what Filter kept of it
	subs      []subdir  // subdirectories in the chunk at hand
	entry     Entry     // the entry at hand
	stat      Stat      // its attributes
	entries   []Entry   // what Filter is given
	began     time.Time // when the chunk at hand was begun
	ancestry  ancestry  // of the directory opened last
	reopened  reopened  // a parent that had to be opened again
	prefixDir *Dir      // whose prefix is in prefix
	prefix    []byte
}

// subdir is a subdirectory in the chunk at hand; the name is in its buffer.
type subdir struct {
	name  rawdir.Name
	inode uint64
}

// run takes tasks until the walk ends.
func (w *worker) run(ctx context.Context, newHandler func(int) (Handler, error)) {
	h, err := newHandler(w.id)
	if err != nil {
		w.p.fail(err)
		return
	}
	w.h = h
	w.dh, _ = h.(DirHandler)
	w.fl, _ = h.(Filterer)
	w.eh, _ = h.(ErrorHandler)
	w.buf = make([]byte, bufSize)
	for {
		t, ok := w.next()
		if !ok {
			break
		}
		switch {
		case t.dir.depth < 0:
			w.rootFile(ctx, t.dir, rawdir.NameIn(t.chunk))
		case t.chunk != nil:
			w.handle(ctx, t.dir, t.chunk)
			w.queueSubs(t.dir)
			w.endPart(ctx, t.dir)
		case t.dir.reading == nil:
			if w.enter(ctx, t.dir) {
				w.read(ctx, t.dir)
			}
		default:
			w.read(ctx, t.dir)
		}
		if w.ops >= w.shareAt {
			w.share()
		}
	}
	w.reopened.close(w.p)
	if f, ok := h.(Flusher); ok {
		if err := w.guard(func() error { return f.Flush(context.WithoutCancel(ctx)) }); err != nil {
			w.p.fail(err)
		}
	}
	w.share()
}

// called counts a call to the file system.
func (w *worker) called() {
	w.ops++
	w.progress.Store(w.ops)
}

// share lets the others see the counters.
func (w *worker) share() {
	w.sharedMu.Lock()
	w.shared = w.c
	w.sharedMu.Unlock()
	w.progress.Store(w.ops)
	w.shareAt = w.ops + shareEvery
}

// next returns the newest task of this worker, or one of another, and waits
// where there is none. It returns false when the walk has ended.
func (w *worker) next() (task, bool) {
	p := w.p
	for {
		if p.stopping() {
			return task{}, false
		}
		if w.id >= int(p.limit.Load()) {
			if !p.bench(w) {
				return task{}, false
			}
			continue
		}
		if t, ok := w.q.pop(); ok {
			return t, true
		}
		if t, ok := w.steal(); ok {
			return t, true
		}
		// First say that this worker waits, then look once more: who pushes a
		// task does it the other way round, so one of the two sees the other.
		w.share()
		p.addIdle(w)
		if t, ok := w.steal(); ok {
			p.removeIdle(w)
			return t, true
		}
		if p.pending.Load() == 0 || p.stopping() {
			p.removeIdle(w)
			return task{}, false
		}
		<-w.wake
	}
}

// steal takes the oldest half of the tasks of some other worker.
func (w *worker) steal() (task, bool) {
	n := int(w.p.started.Load())
	start := rand.IntN(n)
	for i := range n {
		victim := w.p.workers[(start+i)%n].Load()
		if victim == nil || victim == w {
			continue
		}
		w.stash = victim.q.steal(w.stash[:0])
		last := len(w.stash) - 1
		if last < 0 {
			continue
		}
		t := w.stash[last]
		if last > 0 {
			w.give(w.stash[:last]...)
		}
		clear(w.stash)
		return t, true
	}
	return task{}, false
}

// give puts tasks into the deque and wakes workers that wait for some.
func (w *worker) give(ts ...task) {
	w.q.push(ts...)
	w.p.wakeIdle(len(ts))
}

// read reads d from where its cursor is, as long as this worker holds that.
func (w *worker) read(ctx context.Context, d *Dir) {
	r := d.reading
	for !r.skipRest.Load() {
		if w.p.stopping() {
			r.abandoned.Store(true)
			break
		}
		w.called()
		n, err := d.handle.Read(w.buf)
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
		if w.ops >= w.shareAt {
			w.share()
		}
	}
	w.endPart(ctx, d)
}

func (w *worker) readFailed(ctx context.Context, d *Dir, err error) {
	if errors.Is(err, fs.ErrNotExist) && d.parent != nil {
		d.reading.vanished.Store(true)
		return
	}
	d.reading.failed.Store(true)
	w.report(ctx, d.fail(OpReaddir, err))
}

// handle gives the entries of a chunk to the handler and collects the
// subdirectories among them in w.subs.
func (w *worker) handle(ctx context.Context, d *Dir, chunk []byte) {
	r := d.reading
	w.subs = w.subs[:0]
	w.began = time.Time{}
	var files, other int64
	var ent rawdir.Dirent
	e := &w.entry
	for len(chunk) > 0 {
		if w.p.attention.Load() != 0 {
			if w.p.stopping() {
				r.abandoned.Store(true)
				break
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
		chunk = rest
		if ent.Type == rawdir.Directory {
			w.subs = append(w.subs, subdir{ent.Name, ent.Ino})
			continue
		}
		e.w, e.dir, e.name, e.typ, e.stat, e.have = w, d, ent.Name, ent.Type, &w.stat, false
		if ent.Type == rawdir.Unknown {
			if !w.resolve(ctx, e) {
				continue
			}
			if e.typ == rawdir.Directory {
				w.subs = append(w.subs, subdir{ent.Name, ent.Ino})
				continue
			}
		}
		if e.typ == rawdir.Regular {
			files++
		} else {
			other++
		}
		if !w.file(ctx, e) {
			r.abandoned.Store(true)
			break
		}
	}
	if n := int64(len(w.subs)); n > 0 {
		r.dirs.Add(n)
	}
	if files > 0 {
		r.files.Add(files)
	}
	if other > 0 {
		r.other.Add(other)
	}
}

// file calls the handler for e and counts what it says. False: the walk ends.
func (w *worker) file(ctx context.Context, e *Entry) bool {
	if w.ops++; w.ops&15 == 0 {
		w.progress.Store(w.ops)
	}
	err := w.callFile(ctx, e)
	if err == nil {
		w.c.ProcessedFiles++
		return true
	}
	if err == SkipFile {
		w.c.SkippedFiles++
		return true
	}
	var failed *Error
	switch {
	case w.ends(ctx, err, e.Path):
		if errors.Is(err, fs.SkipAll) {
			w.c.ProcessedFiles++
		}
		return false
	case errors.Is(err, fs.SkipDir):
		w.c.SkippedFiles++
		e.dir.reading.skipRest.Store(true)
	case errors.Is(err, SkipFile):
		w.c.SkippedFiles++
	case errors.As(err, &failed) && failed.gone && !failed.Dir:
		w.c.VanishedFiles++
	default:
		w.c.FailedFiles++
		w.report(ctx, asError(err, e.Path))
	}
	return true
}

func (w *worker) callFile(ctx context.Context, e *Entry) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &PanicError{v, debug.Stack()}
		}
	}()
	return w.h.File(ctx, e)
}

// guard calls a handler's method and makes an error of its panic.
func (w *worker) guard(call func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &PanicError{v, debug.Stack()}
		}
	}()
	return call()
}

// ends carries out what a handler's error says of the walk as a whole.
func (w *worker) ends(ctx context.Context, err error, path func() string) bool {
	var fatal *fatalError
	switch {
	case errors.Is(err, fs.SkipAll):
		w.p.stopAll()
		return true
	case errors.As(err, &fatal):
		w.p.fail(fatal.err)
		return true
	case ctx.Err() != nil && errors.Is(err, ctx.Err()):
		// The handler gave up because the walk was cancelled.
		w.p.stop()
		return true
	}
	var p *PanicError
	if errors.As(err, &p) {
		w.p.log.Debug("handler panicked", "path", path(), "value", p.Value, "stack", string(p.Stack))
	}
	return false
}

// resolve finds the type of an entry whose directory does not tell it. False:
// it could not, and that was counted.
func (w *worker) resolve(ctx context.Context, e *Entry) bool {
	st, err := e.lstat()
	if err == nil {
		e.typ = rawdir.TypeOf(st.Mode)
		return true
	}
	if errors.Is(err, fs.ErrNotExist) {
		w.c.VanishedFiles++
		return false
	}
	w.c.FailedFiles++
	w.report(ctx, e.fail(OpStat, err))
	return false
}

// asError makes err an error of the handler, if it is not an [Error] already.
func asError(err error, path func() string) *Error {
	var known *Error
	if errors.As(err, &known) {
		return known
	}
	return &Error{Op: OpHandle, Path: path(), Err: err}
}

// report counts an error and gives it to the handler.
func (w *worker) report(ctx context.Context, err *Error) {
	w.c.Errors++
	if w.c.FirstError == nil || err.less(w.c.FirstError) {
		w.c.FirstError = err
	}
	if w.eh != nil {
		if perr := w.guard(func() error { w.eh.Error(ctx, err); return nil }); perr != nil {
			w.p.fail(perr)
		}
	}
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
		w.dropped(ent.Type)
	}
}

func (w *worker) dropped(t rawdir.Type) {
	if t == rawdir.Directory {
		w.c.FoundDirs++
		w.c.FilteredDirs++
	} else {
		w.c.FilteredFiles++
	}
}

// filter asks the handler which entries of a chunk to keep.
func (w *worker) filter(ctx context.Context, d *Dir, chunk []byte) []byte {
	w.entries = w.entries[:0]
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
		w.dropped(e.typ) // until it is kept
		w.entries = append(w.entries, e)
	}
	kept := w.entries
	err := w.guard(func() error { kept = w.fl.Filter(ctx, d, w.entries); return nil })
	if err != nil {
		d.reading.failed.Store(true)
		w.report(ctx, asError(err, d.Path))
		return nil
	}
	w.kept = w.kept[:0]
	for i := range kept {
		if kept[i].typ == rawdir.Directory {
			w.c.FoundDirs--
			w.c.FilteredDirs--
		} else {
			w.c.FilteredFiles--
		}
		w.kept = rawdir.AppendRecord(w.kept, kept[i].inode, kept[i].typ, kept[i].name)
	}
	return w.kept
}

// rootFile handles a root that is not a directory. d stands for its parent.
func (w *worker) rootFile(ctx context.Context, d *Dir, name rawdir.Name) {
	defer func() {
		w.p.rootFiles.Add(-1)
		w.p.finished()
	}()
	e := &w.entry
	*e = Entry{w: w, dir: d, name: name, stat: &w.stat}
	up := d.name.String()
	if up == "" {
		up = "."
	}
	h, err := w.p.opener(up, true)
	if err != nil {
		w.c.FailedFiles++
		w.report(ctx, &Error{Op: OpOpen, Path: d.root.path, Err: cause(err)})
		return
	}
	defer h.Close()
	d.handle, d.reading = h, new(reading)
	if w.resolve(ctx, e) {
		w.file(ctx, e)
	}
}

// split gives the later half of a chunk to a worker that waits for work, if
// this one has nothing else to give, and returns what is left.
func (w *worker) split(d *Dir, chunk []byte) []byte {
	if w.q.len() > 0 {
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
	d.reading.parts.Add(1)
	w.give(task{dir: d, chunk: append([]byte(nil), chunk[first:]...)})
	return chunk[:first]
}

// queueSubs makes tasks of the subdirectories that handle collected.
func (w *worker) queueSubs(d *Dir) {
	n := len(w.subs)
	if n == 0 {
		return
	}
	w.c.FoundDirs += int64(n)
	if m := w.p.maxDepth; m > 0 && int(d.depth)+1 >= m {
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
		c.parent, c.root, c.depth, c.listed = d, d.root, d.depth+1, w.subs[i].inode
		c.name = rawdir.NameIn(names[at:])
		w.stash = append(w.stash, task{dir: c})
	}
	w.subs = w.subs[:0]
	// Before the parent is subtracted: pending must not touch zero early.
	w.p.pending.Add(int64(n))
	if d.retained {
		d.users.Add(int32(n))
	}
	w.give(w.stash...)
	clear(w.stash)
}

// prefixOf returns the path of d as it stands before a name in d. It is valid
// until the next call.
func (w *worker) prefixOf(d *Dir) []byte {
	if w.prefixDir != d {
		w.prefixDir, w.prefix = d, d.appendPrefix(w.prefix[:0])
	}
	return w.prefix
}
