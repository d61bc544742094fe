package walk

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"syscall"

	"github.com/hydrawalk/hydra/internal/rawdir"
)

// enter opens a directory that waited and shows it to the handler. False: it is
// not to be read, and that was counted.
func (w *worker) enter(ctx context.Context, d *Dir) bool {
	err := w.open(d)
	if err != nil {
		if d.parent != nil && (errors.Is(err, fs.ErrNotExist) || rawdir.IsNotDir(err)) {
			w.c.VanishedDirs++
		} else {
			w.c.FailedDirs++
			w.report(ctx, d.fail(OpOpen, err))
		}
		w.p.finished()
		return false
	}
	why, err := w.admit(d)
	switch {
	case err != nil:
		w.c.FailedDirs++
		w.report(ctx, err.(*Error))
	case why == another:
		w.c.FilteredDirs++
	default:
		d.reading = new(reading)
		d.reading.parts.Store(1)
		if w.dh == nil {
			return true
		}
		err := w.guard(func() error { return w.dh.EnterDir(ctx, d) })
		switch {
		case err == nil:
			return true
		case w.ends(ctx, err, d.Path):
			// It stays queued.
			d.release(w.p)
			return false
		case errors.Is(err, fs.SkipDir):
			w.c.FilteredDirs++
		default:
			w.c.FailedDirs++
			w.report(ctx, asError(err, d.Path))
		}
	}
	d.release(w.p)
	w.p.finished()
	return false
}

// open sets d.handle, opening d relative to its parent.
func (w *worker) open(d *Dir) error {
	w.ops++
	var h rawdir.Dir
	var err error
	switch {
	case d.handle != nil: // a root that was kept open
		return nil
	case d.parent == nil:
		h, err = w.p.opener(d.name.String(), d.root.follow)
	case d.parent.retained:
		h, err = d.parent.handle.OpenDir(d.name)
		d.parent.release(w.p)
	default:
		var at rawdir.Dir
		if at, err = w.reopened.get(w.p, d.parent); err == nil {
			h, err = at.OpenDir(d.name)
		}
	}
	if isTooMany(err) {
		h, err = w.openWithFewer(d, err)
	}
	if err != nil {
		return err
	}
	d.handle = h
	d.retained = w.p.fds.Add(1) <= w.p.maxFDs.Load()
	d.users.Store(1)
	return nil
}

// openWithFewer opens d after the process or the system ran out of
// descriptors: by its path from the root, holding none for longer.
func (w *worker) openWithFewer(d *Dir, err error) (rawdir.Dir, error) {
	w.p.log.Warn("out of file descriptors: directories are opened again by their path", "err", err)
	w.p.maxFDs.Store(0)
	w.reopened.close(w.p)
	if d.parent == nil {
		return w.p.opener(d.name.String(), d.root.follow)
	}
	at, err := w.reopened.get(w.p, d.parent)
	if err != nil {
		return nil, err
	}
	return at.OpenDir(d.name)
}

func isTooMany(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE)
}

// admission says why an open directory is not entered.
type admission int

const (
	admitted admission = iota
	another            // it lies on another device, or is a root itself
)

// admit decides whether d is entered, by its device and inode.
func (w *worker) admit(d *Dir) (admission, error) {
	var st Stat
	w.ops++
	if err := d.handle.Stat(FieldType|FieldIno, &st); err != nil {
		return admitted, d.fail(OpStat, err)
	}
	d.dev, d.ino = st.Dev, st.Ino
	if d.ino == 0 {
		return admitted, nil // this file system has no identities
	}
	if w.p.isRoot != nil {
		if root := w.p.isRoot[identity{d.dev, d.ino}]; root != nil && root != d {
			return another, nil
		}
	}
	if d.parent == nil {
		return admitted, nil
	}
	if w.p.oneFS && d.dev != d.root.dir.dev {
		return another, nil
	}
	if w.ancestry.contains(d) {
		a := d.parent
		for a != nil && (a.ino != d.ino || a.dev != d.dev) {
			a = a.parent
		}
		if a != nil {
			return admitted, d.fail(OpOpen, &LoopError{Ancestor: a.Path()})
		}
	}
	return admitted, nil
}

// LoopError is the cause when a directory is one of its own ancestors, as a
// bind mount or a broken file system makes it. It is not entered.
type LoopError struct {
	Ancestor string // path of the same directory nearer to the root
}

func (e *LoopError) Error() string {
	return fmt.Sprintf("file system loop: the same directory as %s", printable(e.Ancestor))
}

// identity tells directories apart.
type identity struct{ dev, ino uint64 }

// ancestry keeps the inodes of the ancestors of the directories that were
// opened last: siblings have the same, and to follow 2,000 pointers for each of
// them would cost more than to open it.
type ancestry struct {
	of     *Dir
	inodes []uint64
}

// contains tells whether the inode of d is that of one of its ancestors, on
// whatever device.
func (c *ancestry) contains(d *Dir) bool {
	if c.of != d.parent {
		c.of = d.parent
		c.inodes = c.inodes[:0]
		for a := d.parent; a != nil; a = a.parent {
			c.inodes = append(c.inodes, a.ino)
		}
	}
	return slices.Contains(c.inodes, d.ino)
}

// endPart gives up one part of d; the last one leaves it.
func (w *worker) endPart(ctx context.Context, d *Dir) {
	r := d.reading
	if r.parts.Add(-1) > 0 {
		return
	}
	if r.abandoned.Load() {
		d.release(w.p) // it stays queued
		return
	}
	if w.dh != nil {
		if err := w.guard(func() error { return w.dh.LeaveDir(ctx, d) }); err != nil && !errors.Is(err, fs.SkipDir) {
			if w.ends(ctx, err, d.Path) {
				d.release(w.p)
				return
			}
			r.failed.Store(true)
			w.report(ctx, asError(err, d.Path))
		}
	}
	switch {
	case r.failed.Load():
		w.c.FailedDirs++
	case r.vanished.Load():
		w.c.VanishedDirs++
	default:
		w.c.ProcessedDirs++
	}
	d.release(w.p)
	w.p.finished()
}

// release gives up one use of d's handle; the last one closes it.
func (d *Dir) release(p *pool) {
	if d.users.Add(-1) > 0 {
		return
	}
	if err := d.handle.Close(); err != nil {
		p.log.Warn("close failed", "path", d.Path(), "err", err)
	}
	d.reading = nil
	p.fds.Add(-1)
}

// reopened is a directory that was closed while subdirectories of it waited,
// because too many were open, and had to be opened again. A worker keeps one,
// for siblings come together.
type reopened struct {
	dir    *Dir
	handle rawdir.Dir
}

// get opens d by way of its nearest ancestor that is open, or by its root.
func (o *reopened) get(p *pool, d *Dir) (rawdir.Dir, error) {
	if o.dir == d {
		return o.handle, nil
	}
	o.close(p)
	below := []*Dir{d} // what has to be opened, the last one first
	a := d.parent
	for a != nil && !a.tryUse() {
		below = append(below, a)
		a = a.parent
	}
	var at rawdir.Dir // nil, or the one that was opened last
	for _, b := range slices.Backward(below) {
		var h rawdir.Dir
		var err error
		switch {
		case b.parent == nil:
			h, err = p.opener(b.name.String(), b.root.follow)
		case b.parent == a:
			h, err = a.handle.OpenDir(b.name)
			a.release(p)
		default:
			h, err = at.OpenDir(b.name)
			at.Close()
		}
		if err != nil {
			return nil, err
		}
		at = h
	}
	var st Stat
	if err := at.Stat(FieldType|FieldIno, &st); err != nil {
		at.Close()
		return nil, err
	}
	if st.Ino != d.ino || st.Dev != d.dev {
		at.Close() // another directory has its name now
		return nil, fs.ErrNotExist
	}
	o.dir, o.handle = d, at
	p.fds.Add(1)
	return at, nil
}

func (o *reopened) close(p *pool) {
	if o.dir != nil {
		o.handle.Close()
		p.fds.Add(-1)
		*o = reopened{}
	}
}
