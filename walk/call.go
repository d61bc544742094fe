package walk

import (
	"context"
	"errors"
	"io/fs"
	"runtime/debug"

	"github.com/hydrawalk/hydra/internal/rawdir"
)

// file calls the handler for e and counts what it says. False: the walk ends.
func (w *worker) file(ctx context.Context, e *Entry) (goOn bool) {
	defer func() {
		if v := recover(); v != nil {
			goOn = w.fileFailed(ctx, e, &PanicError{v, debug.Stack()})
		}
	}()
	w.called()
	err := w.h.File(ctx, e)
	switch err {
	case nil:
		w.c.ProcessedFiles++
	case SkipFile:
		w.c.SkippedFiles++
	case ToBatch:
		return w.toBatch(ctx, e)
	default:
		return w.fileFailed(ctx, e, err)
	}
	w.countBytes(e)
	return true
}

// countBytes counts the size of an entry, when its outcome is counted.
func (w *worker) countBytes(e *Entry) {
	if e.have && e.typ == rawdir.Regular {
		w.c.Bytes = plus(w.c.Bytes, e.stat.Size)
	}
}

// fileFailed counts what the handler said of e, and is neither nil nor plainly
// SkipFile.
func (w *worker) fileFailed(ctx context.Context, e *Entry, err error) (goOn bool) {
	var failed *Error
	switch {
	case w.ends(ctx, err, e.Path):
		if errors.Is(err, fs.SkipAll) {
			w.c.ProcessedFiles++
			w.countBytes(e)
		} else {
			w.refused = true
		}
		return false
	case errors.Is(err, fs.SkipDir):
		w.c.SkippedFiles++
		w.mark(e.dir, FlagSkipRest)
	case errors.Is(err, SkipFile):
		w.c.SkippedFiles++
	case errors.As(err, &failed) && failed.gone && !failed.Dir:
		w.c.VanishedFiles++
	default:
		w.c.FailedFiles++
		w.report(ctx, asError(err, e.Path))
	}
	w.countBytes(e)
	return true
}

// rootFile handles a root that is not a directory. d stands for its parent.
func (w *worker) rootFile(ctx context.Context, t task) {
	d, name := t.dir, rawdir.NameIn(t.chunk)
	before := w.c.Entries()
	defer func() {
		if w.c.Entries() == before {
			if w.refused {
				t = w.begun(t)
			}
			w.leave(t)
			return // the walk ended before anything came of it: it stays queued
		}
		w.p.rootFiles.Add(-1)
		w.finished(d)
	}()
	w.refused = false
	e := &w.entry
	*e = Entry{w: w, dir: d, name: name, stat: &w.stat}
	if s := w.p.share; s != nil {
		if err := s.avoids(d); err != nil {
			w.c.FailedFiles++
			w.report(ctx, &Error{Op: OpOpen, Path: d.root.path, Err: err})
			return
		}
	}
	h, err := w.openParent(d)
	if isTooMany(err) {
		w.makeRoom(err)
		h, err = w.openParent(d)
	}
	if err != nil {
		w.c.FailedFiles++
		w.report(ctx, &Error{Op: OpOpen, Path: d.root.path, Err: cause(err)})
		return
	}
	defer h.Close()
	d.handle, d.reading = h, new(reading)
	if w.resolve(ctx, e) && w.mayCall(ctx, func() task { return t }) {
		w.in, w.task = callRoot, t
		if w.file(ctx, e) && w.batched {
			w.batched = false
			w.rootBatch(ctx, d)
		}
		w.in, w.task = callFile, task{}
	}
}

// openParent opens the directory of a root that is a file.
func (w *worker) openParent(d *Dir) (rawdir.Dir, error) {
	w.enterCall(callOpen, d)
	defer w.leaveCall()
	w.fsCall()
	return w.p.parent(d.name.String())
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
	case errors.Is(err, ErrEnding), ctx.Err() != nil && errors.Is(err, ctx.Err()):
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
	err := e.resolve()
	if err == nil {
		return true
	}
	w.mark(e.dir, FlagUntold)
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
	if known, ok := err.(*Error); ok {
		return known
	}
	return &Error{Op: OpHandle, Path: path(), Err: err}
}

// dirError is asError for a directory.
func dirError(err error, d *Dir) *Error {
	e := asError(err, d.Path)
	if e.Op == OpHandle {
		e.Dir = true
	}
	return e
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
