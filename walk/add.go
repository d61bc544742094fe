package walk

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"math"
	"slices"
	"strconv"

	"github.com/hydrawalk/hydra/internal/rawdir"
)

var (
	errItem  = errors.New("corrupt item")
	errOther = errors.New("another directory than the one that was found")
)

// Add takes up items that another left. They count nothing by being added:
// whoever found the directories counted them. Items that were added before Cut
// was called are in it, as far as they remain.
//
// What can not be taken up is Returned. An item that has Must set is counted all
// the same: as vanished if it is gone, and as failed if it is another directory or
// makes no sense.
//
// False: the last cut was made, and they are not in it.
func (s *Shared) Add(items []Item) bool {
	if len(items) == 0 {
		return true
	}
	dirs := ancestors{}
	var tasks []task
	var wrong []Returned
	for i := range items {
		it := &items[i]
		d, err := s.dirOf(it, dirs)
		if err != nil && !it.Must {
			wrong = append(wrong, Returned{*it, err})
			continue
		}
		t := task{dir: d}
		if err != nil {
			t = task{dir: s.wrongDir(it), x: &piece{item: it, wrong: err}}
		} else if it.File {
			t.chunk = []byte(rawdir.MakeName(s.p.paths.base(d.root.path)))
		} else {
			t.x = &piece{item: it}
		}
		tasks = append(tasks, t)
	}
	slices.Reverse(tasks) // the first is taken first
	s.mu.Lock()
	if s.last != nil {
		s.mu.Unlock()
		return false
	}
	for _, t := range tasks {
		if t.x == nil {
			s.p.rootFiles.Add(1)
		} else if t.x.item.Part != nil && t.x.item.Part.Dir != "" {
			s.sumOf(t.x.item)
		}
	}
	// Careful ones wait aside, and so do those that are found below them.
	var now []task
	for _, t := range tasks {
		if t.dir.careful {
			s.aside = append(s.aside, t)
		} else {
			now = append(now, t)
		}
	}
	careful := len(tasks) > len(now)
	s.p.pending.Add(int64(len(tasks) - len(now)))
	s.push(now)
	s.returned = append(s.returned, wrong...)
	s.mu.Unlock()
	s.isLow.Store(false)
	s.p.wakeIdle(len(now))
	if careful || len(wrong) > 0 {
		s.notify()
	}
	return true
}

// wrongDir stands for an item that makes no sense: it only has a path.
func (s *Shared) wrongDir(it *Item) *Dir {
	r := &root{number: it.Root, paths: s.p.paths}
	path := string(it.Path)
	if it.Root >= 0 && it.Root < len(s.roots) {
		r = s.roots[it.Root]
		path = r.path + r.paths.separator + path
	}
	return &Dir{root: r, name: rawdir.MakeName(path)}
}

// ancestors are the directories that lead to the items of one Add. They are not
// known by their paths, which would take much memory for deep ones.
type ancestors map[ancestorKey]*Dir

type ancestorKey struct {
	parent *Dir // nil for a root
	root   int
	name   string // empty for a root
}

// dirOf makes the Dir of an item; known are those of this call.
func (s *Shared) dirOf(it *Item, known ancestors) (*Dir, error) {
	if it.Root < 0 || it.Root >= len(s.roots) {
		return nil, errItem
	}
	r := s.roots[it.Root]
	if it.File {
		if len(it.Path) > 0 || it.Part != nil {
			return nil, errItem
		}
		return &Dir{root: r, depth: -1, name: rawdir.MakeName(s.p.paths.dir(r.path)), careful: it.Careful, again: it.Again}, nil
	}
	parent := (*Dir)(nil)
	d := &Dir{root: r, name: rawdir.MakeName(r.path), careful: it.Careful, again: it.Again}
	if len(it.Path) > 0 {
		for end := range it.Path {
			if it.Path[end] != '/' {
				continue
			}
			if parent == nil {
				parent = s.ancestor(known, r, nil, nil)
			}
			start := bytes.LastIndexByte(it.Path[:end], '/') + 1
			if !isName(it.Path[start:end]) {
				return nil, errItem
			}
			parent = s.ancestor(known, r, parent, it.Path[start:end])
		}
		name := it.Path[bytes.LastIndexByte(it.Path, '/')+1:]
		if !isName(name) {
			return nil, errItem
		}
		if parent == nil {
			parent = s.ancestor(known, r, nil, nil)
		}
		d = &Dir{root: r, parent: parent, depth: parent.depth + 1, name: rawdir.MakeName(string(name)), careful: it.Careful, again: it.Again}
	}
	return d, nil
}

// ancestor is the Dir of a name in parent that leads to an item, or of a root. It is
// not entered here, and is no Dir of AddRoots: it only has a name and, later, an
// identity.
func (s *Shared) ancestor(known ancestors, r *root, parent *Dir, name []byte) *Dir {
	d := known[ancestorKey{parent, r.number, string(name)}]
	if d == nil {
		d = &Dir{root: r, name: rawdir.MakeName(r.path)}
		if parent != nil {
			d.parent, d.depth, d.name = parent, parent.depth+1, rawdir.MakeName(string(name))
		}
		known[ancestorKey{parent, r.number, string(name)}] = d
	}
	return d
}

// sumOf is where what is counted in parts of a directory goes. The caller holds mu.
func (s *Shared) sumOf(it *Item) *DirSum {
	d := s.dirs[it.Part.Dir]
	if d == nil {
		d = &DirSum{Root: it.Root, Path: bytes.Clone(it.Path)}
		s.dirs[it.Part.Dir] = d
	}
	return d
}

// takeUp begins with an item.
func (w *worker) takeUp(ctx context.Context, t task) {
	s, d, it := w.p.share, t.dir, t.x.item
	if err := t.x.wrong; err != nil {
		w.itemFailed(ctx, d, it, err)
		return
	}
	if err := s.avoids(d); err != nil {
		w.itemFailed(ctx, d, it, err)
		return
	}
	var pieces []task
	if it.Part != nil {
		for _, n := range it.Part.Names {
			size := s.chunk
			if s.o.Group != nil && !n.Filtered {
				size = math.MaxInt // the names of a group stay together
			}
			chunks, err := decodeNames(n.Records, size)
			if err != nil {
				w.giveUp(ctx, d, it, err)
				return
			}
			for _, c := range chunks {
				pieces = append(pieces, task{dir: d, chunk: c, x: &piece{raw: !n.Filtered}})
			}
		}
		for _, r := range it.Part.Ranges {
			if r.Lo > r.Hi {
				w.giveUp(ctx, d, it, errItem)
				return
			}
			pieces = append(pieces, task{dir: d, x: &piece{ranged: true, r: r}})
		}
	}
	err := w.identify(d.parent)
	opening := err == nil
	if opening {
		_, err = w.open(d)
	}
	switch {
	case err == nil:
	case errors.Is(err, fs.ErrNotExist) || rawdir.IsNotDir(err):
		switch {
		case !it.Must:
			w.giveUp(ctx, d, it, err)
			return
		case it.Part != nil && it.Part.Dir != "":
			w.itemSum(it, FlagVanished)
		case d.parent == nil: // it was not listed: it can not vanish
			w.c.FailedDirs++
			w.report(ctx, d.fail(OpOpen, err))
		default:
			w.c.VanishedDirs++
		}
		w.finished(d)
		return
	case opening && it.Part == nil && w.p.suspects(d) && !isTooMany(err):
		w.leaveOutSnapshot(ctx, d)
		w.finished(d)
		return
	default:
		w.itemFailed(ctx, d, it, err)
		return
	}
	w.enterCall(callStat, d)
	w.fsCall()
	dev, ino, err := d.handle.Identity()
	w.leaveCall()
	if err == nil && it.Inode != 0 && ino != 0 && ino != it.Inode {
		d.release(w.p)
		w.giveUp(ctx, d, it, errOther)
		return
	}
	if it.Part == nil {
		if w.present(ctx, d, false) {
			w.readShared(ctx, d)
		}
		return
	}
	d.dev, d.ino = dev, ino
	if err == nil && d.parent == nil {
		d.root.know(dev, ino)
	}
	w.takeParts(ctx, d, it, pieces)
}

// takeParts goes on with a directory that was entered elsewhere, and is open here.
func (w *worker) takeParts(ctx context.Context, d *Dir, it *Item, pieces []task) {
	s, p := w.p.share, it.Part
	r := new(reading)
	d.reading = r
	wh := &whole{d: d, inode: d.ino, id: p.Dir, sum: &DirSum{}}
	if wh.inode == 0 {
		wh.inode = it.Inode
	}
	r.whole = wh
	r.parts.Store(int32(max(len(pieces), 1)))
	if p.Dir != "" {
		s.mu.Lock()
		wh.sum = s.sumOf(it)
		s.mu.Unlock()
	} else {
		wh.sum.Counts, wh.sum.Flags = p.Counts, p.Flags
		r.dirs.Store(p.Counts.Dirs)
		r.files.Store(p.Counts.Files)
		r.other.Store(p.Counts.Other)
		r.failed.Store(p.Flags&FlagFailed != 0)
		r.vanished.Store(p.Flags&FlagVanished != 0)
		r.untold.Store(p.Flags&FlagUntold != 0)
		r.skipRest.Store(p.Flags&FlagSkipRest != 0)
		r.filtered.Store(p.Flags&FlagFiltered != 0)
	}
	if len(pieces) == 0 {
		w.endPart(ctx, d)
		return
	}
	for _, t := range pieces {
		t.x.of = wh
	}
	slices.Reverse(pieces[1:])
	w.give(pieces[1:]...)
	w.sharedTask(ctx, pieces[0])
}

// itemSum notes something of a directory that others have parts of.
func (w *worker) itemSum(it *Item, flag uint8) {
	s := w.p.share
	s.mu.Lock()
	wh := &whole{id: it.Part.Dir, sum: s.sumOf(it)}
	s.mu.Unlock()
	w.countPart(wh, DirCounts{}, flag)
}

// itemFailed counts an item that is not read.
func (w *worker) itemFailed(ctx context.Context, d *Dir, it *Item, err error) {
	failed := d.fail(OpOpen, err)
	switch {
	case it.Part != nil && it.Part.Dir != "":
		w.itemSum(it, FlagFailed)
	case it.File:
		failed.Dir = false
		w.c.FailedFiles++
	default:
		w.c.FailedDirs++
	}
	w.report(ctx, failed)
	w.finished(d)
}

// giveUp returns an item, or counts it as failed if it must be counted.
func (w *worker) giveUp(ctx context.Context, d *Dir, it *Item, err error) {
	if it.Must {
		w.itemFailed(ctx, d, it, err)
		return
	}
	s := w.p.share
	s.mu.Lock()
	s.returned = append(s.returned, Returned{*it, cause(err)})
	if w.behind() {
		s.open.items = append(s.open.items, *it)
	}
	s.mu.Unlock()
	w.finished(d)
	s.notify()
}

// Returned takes out the items that could not be taken up: the directory, or one
// above it, is gone or is none, or is another than whoever gave it away saw. They
// may be found elsewhere; here they remain, and are in each Cut, until they are
// taken out. While a Cut is open there are none.
func (s *Shared) Returned() []Returned {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open != nil {
		return nil
	}
	r := s.returned
	s.returned = nil
	return r
}

// identify finds out which directories lead to an added one, so that loops and
// other file systems are seen. Each is opened relative to the one above it.
func (w *worker) identify(d *Dir) error {
	if d == nil {
		return nil
	}
	if d.isIdentified() {
		return nil
	}
	err := w.identifyOnce(d)
	if isTooMany(err) {
		w.makeRoom(err)
		err = w.identifyOnce(d)
	}
	return err
}

// isIdentified tells whether an ancestor of an added item has its identity.
func (d *Dir) isIdentified() bool {
	d.root.mu.Lock()
	defer d.root.mu.Unlock()
	return d.identified
}

// identifyOnce leaves d open in w.reopened. Several workers may do it at once: a
// lock is not held while the file system is waited for.
func (w *worker) identifyOnce(d *Dir) error {
	w.reopened.close(w.p)
	var chain []*Dir
	for a := d; a != nil; a = a.parent {
		chain = append(chain, a)
	}
	var at rawdir.Dir
	for _, a := range slices.Backward(chain) {
		w.called()
		w.enterCall(callOpen, a)
		w.fsCall()
		var h rawdir.Dir
		var err error
		if at == nil {
			h, err = w.p.opener(a.name.String(), a.root.follow)
		} else {
			h, _, err = at.OpenDir(a.name)
			at.Close()
		}
		if err == nil && !a.isIdentified() {
			w.fsCall()
			var id identity
			if id.dev, id.ino, err = h.Identity(); err != nil {
				h.Close()
			} else {
				a.identify(id)
			}
		}
		w.leaveCall()
		if err != nil {
			return err
		}
		at = h
	}
	w.reopened.dir, w.reopened.handle = d, at
	w.p.fds.Add(1)
	return nil
}

// identify sets the identity of an ancestor, if nobody did.
func (d *Dir) identify(id identity) {
	r := d.root
	r.mu.Lock()
	defer r.mu.Unlock()
	if d.identified {
		return
	}
	d.dev, d.ino, d.identified = id.dev, id.ino, true
	if d.parent == nil && r.id == (identity{}) {
		r.id = id
	}
}

// avoidKey is a directory by its root and path.
func avoidKey(root int, path []byte) string { return strconv.Itoa(root) + "/" + string(path) }
