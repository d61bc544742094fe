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
	if s := w.p.share; s != nil {
		if err := s.avoids(d); err != nil {
			w.avoid(ctx, d, err)
			return false
		}
	}
	sameMount, err := w.open(d)
	if err != nil {
		switch {
		case d.parent != nil && (errors.Is(err, fs.ErrNotExist) || rawdir.IsNotDir(err)):
			w.c.VanishedDirs++
		case w.p.suspects(d) && !isTooMany(err):
			w.leaveOutSnapshot(ctx, d)
		default:
			w.c.FailedDirs++
			w.report(ctx, d.fail(OpOpen, err))
		}
		w.finished(d)
		return false
	}
	return w.present(ctx, d, sameMount)
}

// present shows an open directory to the handler, if it is admitted.
func (w *worker) present(ctx context.Context, d *Dir, sameMount bool) bool {
	why, err := w.admit(d, sameMount)
	switch {
	case err != nil:
		w.c.FailedDirs++
		w.report(ctx, err.(*Error))
	case why == another:
		w.c.FilteredDirs++
	case why == snapshot:
		w.leaveOutSnapshot(ctx, d)
	default:
		d.reading, w.spare = w.spare, nil
		if d.reading == nil {
			d.reading = new(reading)
		}
		d.reading.parts.Store(1)
		if w.dh == nil {
			return true
		}
		if !w.mayCall(ctx, func() task { return w.task }) {
			d.reading = nil
			w.leave(w.task)
			d.release(w.p)
			return false
		}
		err := w.showDir(callEnter, d, func() error { return w.dh.EnterDir(ctx, d) })
		switch {
		case err == nil:
			return true
		case w.ends(ctx, err, d.Path):
			// It stays queued.
			d.reading = nil
			w.leave(w.begun(task{dir: d}))
			d.release(w.p)
			return false
		case errors.Is(err, fs.SkipDir):
			w.c.FilteredDirs++
		default:
			w.c.FailedDirs++
			w.report(ctx, dirError(err, d))
		}
	}
	d.release(w.p)
	w.finished(d)
	return false
}

// showDir calls EnterDir or LeaveDir.
func (w *worker) showDir(in visit, d *Dir, call func() error) error {
	w.in, d.reading.by = in, w
	err := w.guard(call)
	w.in, d.reading.by = callFile, nil
	return err
}

// open sets d.handle, opening d relative to its parent. sameMount says that d is
// surely no mount point.
func (w *worker) open(d *Dir) (sameMount bool, err error) {
	if d.handle != nil {
		w.p.opened(d.handle)
		return false, nil // a root that was kept open
	}
	if d.parent != nil && d.parent.retained {
		defer d.parent.release(w.p)
	}
	h, sameMount, err := w.openOnce(d)
	if isTooMany(err) {
		w.makeRoom(err)
		h, sameMount, err = w.openOnce(d)
	}
	if err != nil {
		return false, err
	}
	d.handle = h
	w.p.opened(h)
	d.retained = w.p.fds.Add(1) <= w.p.maxFDs.Load()
	d.users.Store(1)
	return sameMount, nil
}

func (w *worker) openOnce(d *Dir) (h rawdir.Dir, sameMount bool, err error) {
	w.called()
	w.fsCall()
	w.enterCall(callOpen, d)
	defer w.leaveCall()
	switch {
	case d.parent == nil:
		h, err = w.p.opener(d.name.String(), d.root.follow)
		return h, false, err
	case d.parent.retained:
		return openIn(d.parent.handle, d)
	case d.parent.tryUse(): // it is still being read
		defer d.parent.release(w.p)
		return openIn(d.parent.handle, d)
	}
	at, err := w.reopened.get(w, d.parent)
	if err != nil {
		return nil, false, err
	}
	return openIn(at, d)
}

// makeRoom gives up the descriptors that the walk can do without, for a call that
// failed because there were too many.
func (w *worker) makeRoom(err error) {
	w.p.log.Warn("out of file descriptors: directories are opened again by their path", "err", err)
	w.p.maxFDs.Store(0)
	w.reopened.close(w.p)
	w.p.reserve.giveUp()
}

func isTooMany(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE)
}

// admission says why an open directory is not entered.
type admission int

const (
	admitted admission = iota
	another            // it lies on another device, or is a root itself
	snapshot           // it has the name of one, and is not plainly none
)

// noInode is what a FUSE server lists that does not know inodes.
const noInode = 0xffffffff

// admit decides whether d is entered, by its device and inode. To ask for these
// takes a system call, which most directories do without: what is not a mount
// point has the inode that was listed, and the device of its parent. Where there
// are several roots it is asked for, because a subvolume, which is no mount point
// either, has another inode than the listed one, and may be a root.
func (w *worker) admit(d *Dir, sameMount bool) (admission, error) {
	p := w.p
	suspect := p.suspects(d)
	known := sameMount && !suspect && !p.oneFS && p.isRoot == nil && d.retained && d.listed != 0 && d.listed != noInode
	if known && !w.ancestry.contains(d.parent, d.listed) {
		return admitted, nil
	}
	w.called()
	w.fsCall()
	var err error
	w.enterCall(callStat, d)
	d.dev, d.ino, err = d.handle.Identity()
	w.leaveCall()
	switch {
	case err != nil && suspect:
		return snapshot, nil
	case err != nil:
		return admitted, d.fail(OpStat, err)
	}
	if p.share != nil && d.parent == nil {
		d.root.know(d.dev, d.ino)
	}
	if d.parent == nil {
		return admitted, nil // a root, whose identity was compared
	}
	if d.ino != 0 && p.isRoot[identity{d.dev, d.ino}] {
		return another, nil
	}
	if suspect && w.isSnapshot(d) {
		return snapshot, nil
	}
	if d.ino == 0 {
		return admitted, nil // no identities here
	}
	if p.oneFS && d.dev != p.rootDevice(d) {
		return another, nil
	}
	if w.ancestry.contains(d.parent, d.ino) {
		for a := d.parent; a != nil; a = a.parent {
			if a.inode() == d.ino && w.same(a, d) {
				return admitted, d.fail(OpOpen, &LoopError{Ancestor: a.Path()})
			}
		}
	}
	return admitted, nil
}

// inode is the inode of d as far as it is known.
func (d *Dir) inode() uint64 {
	if d.ino != 0 {
		return d.ino
	}
	return d.listed
}

// same tells whether an ancestor is d, which was identified.
func (w *worker) same(a, d *Dir) bool {
	dev, ino := a.dev, a.ino
	if ino == 0 {
		h, err := w.reopened.get(w, a)
		if err != nil {
			return false
		}
		w.fsCall()
		if dev, ino, err = h.Identity(); err != nil {
			return false
		}
	}
	return dev == d.dev && ino == d.ino
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

// contains tells whether d or an ancestor of it has an inode, on whatever device.
func (c *ancestry) contains(d *Dir, inode uint64) bool {
	switch {
	case c.of == d:
	case d != nil && d.parent == c.of: // deeper down a chain
		c.inodes = append(c.inodes, d.inode())
	default:
		c.inodes = c.inodes[:0]
		for a := d; a != nil; a = a.parent {
			c.inodes = append(c.inodes, a.inode())
		}
	}
	c.of = d
	return slices.Contains(c.inodes, inode)
}

// endPart gives up one part of d; the last one leaves it.
func (w *worker) endPart(ctx context.Context, d *Dir) {
	r := d.reading
	if r.whole != nil {
		r.whole.ended(w.epoch)
	}
	if r.parts.Add(-1) > 0 {
		return
	}
	if r.abandoned.Load() {
		d.release(w.p) // it stays queued
		return
	}
	if r.whole != nil && !w.ownsLast(ctx, r.whole) {
		w.drop(d)
		return
	}
	if w.dh != nil {
		if !w.mayCall(ctx, func() task { return w.rest(d, nil) }) {
			w.leave(w.rest(d, nil))
			d.release(w.p)
			return
		}
		if err := w.showDir(callLeave, d, func() error { return w.dh.LeaveDir(ctx, d) }); err != nil && !errors.Is(err, fs.SkipDir) {
			if w.ends(ctx, err, d.Path) {
				if w.p.share != nil {
					w.leave(again(w.rest(d, nil)))
				}
				d.release(w.p)
				return
			}
			r.failed.Store(true)
			w.report(ctx, dirError(err, d))
		}
	}
	if r.whole != nil {
		w.leftWhole(r.whole)
	}
	switch {
	case r.failed.Load():
		w.c.FailedDirs++
	case r.vanished.Load():
		w.c.VanishedDirs++
	default:
		w.c.ProcessedDirs++
	}
	w.drop(d)
}

// drop gives up a directory whose parts are all done.
func (w *worker) drop(d *Dir) {
	r := d.reading
	d.reading = nil
	*r = reading{}
	w.spare = r
	d.release(w.p)
	w.finished(d)
}

// release gives up one use of d's handle; the last one closes it.
func (d *Dir) release(p *pool) {
	if d.users.Add(-1) > 0 {
		return
	}
	if err := d.handle.Close(); err != nil {
		p.log.Warn("close failed", "path", d.Path(), "err", err)
	}
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
func (o *reopened) get(w *worker, d *Dir) (rawdir.Dir, error) {
	p := w.p
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
		w.fsCall()
		var h rawdir.Dir
		var err error
		switch {
		case b.parent == nil:
			h, err = p.opener(b.name.String(), b.root.follow)
		case b.parent == a:
			h, _, err = a.handle.OpenDir(b.name)
			a.release(p)
		default:
			h, _, err = at.OpenDir(b.name)
			at.Close()
		}
		if err != nil {
			return nil, err
		}
		at = h
	}
	if d.ino != 0 {
		w.fsCall()
		dev, ino, err := at.Identity()
		if err == nil && (dev != d.dev || ino != d.ino) {
			err = fs.ErrNotExist // another directory has its name now
		}
		if err != nil {
			at.Close()
			return nil, err
		}
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
