package walk

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/hydrawalk/hydra/internal/rawdir"
)

// rootKey is a root as it is opened.
type rootKey struct {
	path   string
	follow bool
	parent bool // only for what is in it: see pool.parent
}

// ways are the ways to one root: a path for each mount.
type ways struct {
	ms   *Mounts
	key  rootKey
	at   string // below the mounts, names joined with '/'
	list []*way // that of the path itself first

	checking sync.Mutex // by one at a time
	checked  atomic.Bool
	ref      atomic.Pointer[sight]
	main     atomic.Pointer[way]
}

// home is the way that decides where others can not: the path itself, unless that is
// not there on this machine.
func (r *ways) home() *way { return r.main.Load() }

// way is a root by way of one mount.
type way struct {
	of   *ways
	m    *mount
	path string
	dev  atomic.Uint64 // of the root, as this mount has it
	ok   atomic.Bool   // it is the root
	said string        // why it is not; guarded by ways.checking
}

func (w *way) isUsable() bool { return w.ok.Load() && w.m.out.Load() == nil }

// openPath opens a directory by its path, without a look at what it is.
func (r *ways) openPath(path string) (rawdir.Dir, error) {
	if r.key.parent {
		return r.ms.within.parent()(path)
	}
	return r.ms.within.opener()(path, r.key.follow)
}

// errElse: a mount has something else at a path.
var errElse = errors.New("another directory than through other mounts")

// open opens the root. Through another mount than its home it has to be what it was
// when it was checked: the mount may be gone.
func (w *way) open() (*mountDir, error) {
	c := w.m.begin()
	h, err := w.of.openPath(w.path)
	var dev, ino uint64
	if err == nil {
		dev, ino, err = h.Identity()
		if err != nil {
			h.Close()
		}
	}
	w.m.end(c)
	if err != nil {
		return nil, err
	}
	ref := w.of.ref.Load()
	itself := w == w.of.list[0]
	if !itself && (ref == nil || ref.ino != ino || w.dev.Load() != dev) {
		h.Close()
		return nil, errElse
	}
	if itself {
		w.dev.Store(dev)
	}
	return &mountDir{Dir: h, w: w, at: w.of.at}, nil
}

// openRoot opens the root through one of the mounts.
func (r *ways) openRoot() (rawdir.Dir, error) {
	home := r.home()
	first := r.choose(nil)
	if first.m.out.Load() != nil {
		return nil, r.silent()
	}
	h, err := first.open()
	if err == nil {
		return h, nil
	}
	if first != home && home.m.out.Load() == nil && !isTooMany(err) {
		if h, err = home.open(); err == nil {
			return h, nil
		}
	}
	return nil, err
}

// silent is the error of a root to which no way leads. That it is a directory at all
// can be told through another mount.
func (r *ways) silent() error {
	for _, w := range r.list {
		if w.m.out.Load() != nil {
			continue
		}
		h, err := r.openPath(w.path)
		if err == nil {
			h.Close()
		} else if rawdir.IsNotDir(err) {
			return err
		}
	}
	return fmt.Errorf("the mount %s does not answer", printable(r.home().m.path))
}

// mountDir is a directory that was opened through a mount. What it tells of devices
// is as if there was but one mount.
type mountDir struct {
	rawdir.Dir
	w     *way
	at    string // below the mounts
	fixed bool   // below another file system, which only its home is known to have
}

// openIn opens d in its open parent.
func openIn(parent rawdir.Dir, d *Dir) (rawdir.Dir, bool, error) {
	if m, ok := parent.(*mountDir); ok {
		return m.open(d.name, d.listed)
	}
	return parent.OpenDir(d.name)
}

func (d *mountDir) OpenDir(name rawdir.Name) (rawdir.Dir, bool, error) { return d.open(name, 0) }

// open opens a subdirectory through the mount that is likely to answer first. listed
// is its inode as d lists it, 0 if that is not known.
func (d *mountDir) open(name rawdir.Name, listed uint64) (rawdir.Dir, bool, error) {
	r := d.w.of
	at := name.Clone().String()
	if d.at != "" {
		at = d.at + "/" + at
	}
	if d.fixed {
		return d.within(name, at)
	}
	if r.ms.isPoint(at) {
		return d.throughHome(name, at)
	}
	to := r.choose(d.w)
	if to != d.w {
		h, err := to.beneath(at, listed)
		if err == nil {
			return h, true, nil
		}
		// Here it may be open still, and who listed it knows best.
		if isTooMany(err) || d.w.m.out.Load() != nil {
			return nil, false, asGone(err)
		}
	}
	h, sameMount, err := d.within(name, at)
	if err == nil || isTooMany(err) || errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) || rawdir.IsNotDir(err) {
		return h, sameMount, err
	}
	// It may be the mount that has failed.
	for _, w := range r.list {
		if w != d.w && w != to && w.isUsable() {
			if h, err := w.beneath(at, listed); err == nil {
				return h, true, nil
			}
		}
	}
	return nil, false, err
}

// asGone is the error of a name that another directory has now.
func asGone(err error) error {
	if errors.Is(err, errElse) {
		return fs.ErrNotExist
	}
	return err
}

// within opens a subdirectory relative to d.
func (d *mountDir) within(name rawdir.Name, at string) (rawdir.Dir, bool, error) {
	c := d.w.m.begin()
	h, sameMount, err := d.Dir.OpenDir(name)
	crossed := false
	if err == nil && !sameMount && !d.fixed {
		// Either the system can not tell, or a file system is mounted here.
		var dev uint64
		if dev, _, err = h.Identity(); err != nil {
			h.Close()
		}
		crossed = dev != d.w.dev.Load()
	}
	d.w.m.end(c)
	switch {
	case err != nil:
		return nil, false, err
	case crossed && d.w != d.w.of.home():
		h.Close()
		return d.throughHome(name, at)
	}
	return &mountDir{Dir: h, w: d.w, at: at, fixed: d.fixed || crossed}, sameMount, nil
}

// throughHome opens a directory on which a file system is mounted, or may be.
func (d *mountDir) throughHome(name rawdir.Name, at string) (rawdir.Dir, bool, error) {
	r := d.w.of
	home := r.home()
	if d.w == home {
		c := d.w.m.begin()
		h, sameMount, err := d.Dir.OpenDir(name)
		d.w.m.end(c)
		if err != nil {
			return nil, false, err
		}
		return &mountDir{Dir: h, w: d.w, at: at, fixed: true}, sameMount, nil
	}
	if why := home.m.out.Load(); why != nil {
		return nil, false, fmt.Errorf("another file system is mounted here, which can only be reached through %s, and that does not answer", printable(home.m.path))
	}
	root, err := home.open()
	if err != nil {
		return nil, false, err
	}
	h := root.Dir
	c := home.m.begin()
	defer home.m.end(c)
	sameMount := false
	for n := range strings.SplitSeq(r.below(at), "/") {
		var sub rawdir.Dir
		sub, sameMount, err = h.OpenDir(rawdir.MakeName(n))
		h.Close()
		if err != nil {
			return nil, false, err
		}
		h = sub
	}
	return &mountDir{Dir: h, w: home, at: at, fixed: true}, sameMount, nil
}

// below is a path below the root, of one below the mounts.
func (r *ways) below(at string) string { return strings.TrimPrefix(at[len(r.at):], "/") }

// beneath opens a directory below the root through this mount, which has to be the
// one that was listed.
func (w *way) beneath(at string, listed uint64) (rawdir.Dir, error) {
	root, err := w.open()
	if err != nil {
		return nil, err
	}
	c := w.m.begin()
	h, err := rawdir.OpenBeneath(root.Dir, w.of.below(at))
	root.Dir.Close()
	var dev, ino uint64
	if err == nil {
		if dev, ino, err = h.Identity(); err != nil {
			h.Close()
		}
	}
	w.m.end(c)
	if err != nil {
		return nil, err
	}
	if dev != w.dev.Load() || listed != 0 && listed != noInode && listed != ino {
		h.Close()
		return nil, errElse
	}
	return &mountDir{Dir: h, w: w, at: at}, nil
}

func (d *mountDir) Read(buf []byte) (int, error) {
	c := d.w.m.begin()
	defer d.w.m.end(c)
	return d.Dir.Read(buf)
}

func (d *mountDir) Again() (rawdir.Dir, error) {
	c := d.w.m.begin()
	defer d.w.m.end(c)
	h, err := d.Dir.Again()
	if err != nil {
		return nil, err
	}
	return &mountDir{Dir: h, w: d.w, at: d.at, fixed: d.fixed}, nil
}

func (d *mountDir) Lstat(name rawdir.Name, want Fields, st *Stat) error {
	c := d.w.m.begin()
	err := d.Dir.Lstat(name, want, st)
	d.w.m.end(c)
	st.Dev = d.w.of.ms.device(st.Dev)
	return err
}

func (d *mountDir) Stat(want Fields, st *Stat) error {
	c := d.w.m.begin()
	err := d.Dir.Stat(want, st)
	d.w.m.end(c)
	st.Dev = d.w.of.ms.device(st.Dev)
	return err
}

func (d *mountDir) Identity() (dev, ino uint64, err error) {
	c := d.w.m.begin()
	dev, ino, err = d.Dir.Identity()
	d.w.m.end(c)
	return d.w.of.ms.device(dev), ino, err
}

// opened counts a directory by the mount through which it was opened.
func (p *pool) opened(h rawdir.Dir) {
	if p.mounts == nil {
		return
	}
	if d, ok := h.(*mountDir); ok {
		d.w.m.dirs.Add(1)
	}
}
