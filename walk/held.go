package walk

import (
	"context"
	"errors"
	"io/fs"

	"github.com/hydrawalk/hydra/internal/rawdir"
)

// Held is an entry that a handler keeps beyond the call that gave it: to look at it
// once more and to change it, relative to the open directory that listed it. No
// symbolic link is followed, whoever puts one where.
//
// Each keeps its directory open until Release, so a handler has to bound how many
// directories it keeps. Its methods may be called by one goroutine at a time.
type Held struct {
	w    *worker
	dir  *Dir
	own  rawdir.Dir // of a root that is no directory; else that of dir is used
	name rawdir.Name
}

// Hold keeps the entry. Only the call that received e may call it.
func (e *Entry) Hold() (*Held, error) {
	h := &Held{w: e.w, dir: e.dir, name: e.name.Clone()}
	if e.dir.depth < 0 {
		own, err := e.w.p.parent(e.dir.name.String())
		if err != nil {
			return nil, e.fail(OpOpen, err)
		}
		h.own = own
		return h, nil
	}
	e.dir.users.Add(1) // it is being read, so there is one
	return h, nil
}

// MostHeld is in how many directories a handler should hold entries at most: their
// descriptors are not the walk's any more, and all workers do so.
func (e *Entry) MostHeld() int {
	p := e.w.p
	return max(1, int(p.maxFDs.Load())/4/max(1, int(p.limit.Load())))
}

// Release gives the entry up.
func (h *Held) Release() {
	switch {
	case h.dir == nil:
		return
	case h.own != nil:
		_ = h.own.Close() // nothing was written to it
	default:
		h.dir.release(h.w.p)
	}
	h.dir = nil
}

// Dir is the directory that lists the entry, only to be compared with others; nil
// for a root that is not a directory.
func (h *Held) Dir() *Dir {
	if h.own != nil {
		return nil
	}
	return h.dir
}

// Name is the last element of the path.
func (h *Held) Name() string { return h.name.String() }

// Path is the root's path joined with the names below it.
func (h *Held) Path() string {
	if h.own != nil {
		return h.dir.root.path
	}
	return string(append(h.dir.appendPrefix(nil), h.name.Bytes()...))
}

func (h *Held) handle() rawdir.Dir {
	if h.own != nil {
		return h.own
	}
	return h.dir.handle
}

// called counts a call to the file system: if there is a limit the worker pays later.
func (h *Held) called() { h.w.fsCall() }

// Stat reads the attributes as they are now; of a symbolic link, its own.
func (h *Held) Stat(st *Stat) error {
	h.called()
	if err := h.handle().Lstat(h.name, rawdir.AllFields, st); err != nil {
		return h.fail(OpStat, err)
	}
	return nil
}

// Remove removes the entry, unless it is a directory.
func (h *Held) Remove() error {
	h.called()
	if err := h.handle().Remove(h.name); err != nil {
		return h.fail(OpRemove, err)
	}
	return nil
}

// Move moves the entry, which is no directory, to a path below a base on the same
// file system. Nothing is replaced: what is there already is an error for which
// errors.Is(err, fs.ErrExist) holds.
func (h *Held) Move(to *Base, path string) error {
	h.called()
	from, ok := under(h.handle()).(rawdir.Changer)
	if !ok {
		return h.fail(OpMove, errors.ErrUnsupported)
	}
	err := to.in(path, func(dir rawdir.Dir, name rawdir.Name) error {
		into, ok := under(dir).(rawdir.Changer)
		if !ok {
			return errors.ErrUnsupported
		}
		return from.Move(h.name, into, name)
	})
	if err != nil {
		return h.fail(OpMove, err)
	}
	return nil
}

// under is the directory itself, whichever mount it was opened through.
func under(d rawdir.Dir) rawdir.Dir {
	if m, ok := d.(*mountDir); ok {
		return m.Dir
	}
	return d
}

// Fail records an error against the entry, as if the call that was given it had
// returned it. Only a handler may call it, on its worker's goroutine.
func (h *Held) Fail(ctx context.Context, op string, err error) { h.w.report(ctx, h.fail(op, err)) }

// fail makes the error of an operation on h.
func (h *Held) fail(op string, err error) *Error {
	return &Error{Op: op, Path: h.Path(), Err: cause(err), gone: errors.Is(err, fs.ErrNotExist)}
}
