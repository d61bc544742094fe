package walk

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"github.com/hydrawalk/hydra/internal/rawdir"
)

// errSilent: a mount did not answer in time.
var errSilent = errors.New("it does not answer")

// sight is what a root is, as one mount has it.
type sight struct {
	dev, ino uint64
	typ      uint64
	names    map[string]uint64 // the first entries, with their inodes
}

// see looks at a root through a mount. It may hang.
func (w *way) see() (*sight, error) {
	h, err := w.of.openPath(w.path)
	if err != nil {
		return nil, err
	}
	defer h.Close()
	s := &sight{names: map[string]uint64{}, typ: rawdir.DirType(h)}
	if s.dev, s.ino, err = h.Identity(); err != nil || w.of.key.parent {
		return s, err
	}
	buf := make([]byte, bufSize)
	n, err := h.Read(buf)
	if err != nil {
		return s, nil // whoever reads it is told
	}
	var ent rawdir.Dirent
	for chunk := buf[:n]; ; {
		rest, err := rawdir.Next(chunk, &ent)
		if err != nil || ent.Name == "" {
			break
		}
		s.names[ent.Name.Clone().String()], chunk = ent.Ino, rest
	}
	return s, nil
}

// isLike tells why one sight is not that of the directory of another. The inode alone
// does not tell: roots of file systems have the same ones.
func (s *sight) isLike(ref *sight) error {
	switch {
	case s.ino != ref.ino:
		return fmt.Errorf("it is another directory: inode %d, not %d", s.ino, ref.ino)
	case s.typ != ref.typ:
		return fmt.Errorf("it is on a file system of another type: %#x, not %#x", s.typ, ref.typ)
	case s.dev == ref.dev:
		return nil
	}
	same := 0
	for name, ino := range s.names {
		if had, ok := ref.names[name]; ok && had == ino {
			same++
		}
	}
	few, many := min(len(s.names), len(ref.names)), max(len(s.names), len(ref.names))
	if many > 0 && (few == 0 || 2*same < few) { // some may have come or gone meanwhile
		return fmt.Errorf("it lists other entries: %d of %d are the same", same, many)
	}
	return nil
}

// look is see for at most as long as a mount may take.
func (w *way) look() (*sight, error) {
	type seen struct {
		s   *sight
		err error
	}
	done := make(chan seen, 1)
	go func() {
		s, err := w.see()
		done <- seen{s, err}
	}()
	timer := time.NewTimer(w.of.ms.limit)
	defer timer.Stop()
	select {
	case got := <-done:
		return got.s, got.err
	case <-timer.C:
		return nil, errSilent
	}
}

// use lets a walk open all that it opens by its path through the mounts.
func (ms *Mounts) use(p *pool) {
	p.mounts = ms
	ms.log.CompareAndSwap(nil, p.log)
	open := func(key rootKey) (rawdir.Dir, error) {
		if r := ms.ways(key); r != nil {
			return r.openRoot()
		}
		if key.parent {
			return ms.within.parent()(key.path)
		}
		return ms.within.opener()(key.path, key.follow)
	}
	p.opener = func(path string, follow bool) (rawdir.Dir, error) { return open(rootKey{path: path, follow: follow}) }
	p.parent = func(path string) (rawdir.Dir, error) { return open(rootKey{path: path, parent: true}) }
}

// SetLogger sets what gets notes until a walk's logger does.
func (ms *Mounts) SetLogger(log *slog.Logger) { ms.log.Store(log) }

// ways are the ways to a root, which are looked for if they are not known; nil if it
// lies in no mount.
func (ms *Mounts) ways(key rootKey) *ways {
	ms.mu.Lock()
	r := ms.roots[key]
	ms.mu.Unlock()
	if r == nil {
		return ms.check(key)
	}
	if !r.checked.Load() {
		r.checking.Lock() // somebody is about to
		//lint:ignore SA2001 that is over
		r.checking.Unlock()
	}
	return r
}

// checkAll checks roots before they are opened. The first one comes first: its device
// is the one that is told.
func (ms *Mounts) checkAll(roots []*root) {
	check := func(r *root) { ms.check(rootKey{path: r.path, follow: r.follow}) }
	if len(roots) > 0 {
		check(roots[0])
		each(roots[1:], check)
	}
}

// check finds the ways to a root, also if they were known: a mount may have come.
func (ms *Mounts) check(key rootKey) *ways {
	home, at := ms.home(key.path)
	if home == nil {
		return nil
	}
	ms.mu.Lock()
	r := ms.roots[key]
	fresh := r == nil
	if fresh {
		r = &ways{ms: ms, key: key, at: at}
		r.list = []*way{{of: r, m: home, path: key.path}}
		r.main.Store(r.list[0])
		for _, m := range ms.list {
			if m != home {
				r.list = append(r.list, &way{of: r, m: m, path: filepath.Join(m.path, filepath.FromSlash(at))})
			}
		}
		r.checking.Lock()
		ms.roots[key] = r
	}
	ms.mu.Unlock()
	if !fresh {
		r.checking.Lock()
	}
	defer r.checking.Unlock()
	r.check()
	r.checked.Store(true)
	return r
}

// check finds out which ways lead to the root. The caller holds checking.
func (r *ways) check() {
	ms, itself := r.ms, r.list[0]
	ms.readPoints()
	only := func() { // so it is, whatever others have there
		for _, w := range r.list {
			w.ok.Store(w == itself)
		}
		r.main.Store(itself)
	}
	var ref *sight
	var missing error // the path itself is
	rest := r.list
	for ref == nil && len(rest) > 0 {
		w := rest[0]
		rest = rest[1:]
		if w.m.out.Load() != nil {
			continue
		}
		s, err := w.look()
		known := r.ref.Load()
		if err == nil && known != nil && w != itself {
			err = s.isLike(known)
		}
		switch {
		case err == errSilent:
			if !ms.takeOut(w.m, errSilent.Error()) {
				return // it is the last one
			}
		case err != nil && w == itself:
			if errors.Is(err, fs.ErrPermission) || rawdir.IsNotDir(err) || isTooMany(err) {
				only()
				return
			}
			missing = err
		case err != nil:
			w.leaveOut(err)
		default:
			ref = s
			r.ref.Store(s)
			w.accept(s, s)
			switch {
			case w == itself:
				r.main.Store(itself)
			case missing != nil:
				r.main.Store(w)
				itself.leaveOut(missing)
				if known == nil {
					ms.note("%s is taken for %s", printable(w.path), printable(r.key.path))
				}
			case known == nil:
				ms.note("%s does not answer, so nobody can tell whether %s is the same: it is taken for that", printable(r.key.path), printable(w.path))
			}
		}
	}
	if ref == nil && missing != nil {
		only()
	}
	if ref == nil {
		return
	}
	var wg sync.WaitGroup
	for _, w := range rest {
		if w.m.out.Load() == nil {
			wg.Go(func() { w.compare(ref) })
		}
	}
	wg.Wait()
}

// compare accepts a way that leads to what another did.
func (w *way) compare(ref *sight) {
	s, err := w.look()
	if err == errSilent && w.of.ms.takeOut(w.m, errSilent.Error()) {
		return
	}
	if err == nil {
		err = s.isLike(ref)
	}
	if err != nil {
		w.leaveOut(err)
		return
	}
	w.accept(s, ref)
}

// accept lets a way be used.
func (w *way) accept(s, ref *sight) {
	w.dev.Store(s.dev)
	w.of.ms.stands(s.dev, ref.dev)
	w.said = ""
	w.ok.Store(true)
}

// leaveOut says, once, why a way is not used. Whoever calls it works for the one
// that holds checking, and no two for the same way.
func (w *way) leaveOut(err error) {
	w.ok.Store(false)
	text := cause(err).Error()
	if w.said == text {
		return
	}
	w.said = text
	why := printable(w.path) + ": " + text
	w.m.partly.Store(&why)
	if w.path == w.of.key.path {
		w.of.ms.note("%s is not used: %s", printable(w.path), text)
		return
	}
	w.of.ms.note("%s is not used for %s: %s", printable(w.path), printable(w.of.key.path), text)
}

// answers tells whether a mount that was out can be used again. It may hang.
func (ms *Mounts) answers(m *mount) bool {
	ms.mu.Lock()
	var all []*way
	for _, r := range ms.roots {
		for _, w := range r.list {
			if w.m == m {
				all = append(all, w)
			}
		}
	}
	ms.mu.Unlock()
	for _, w := range all {
		s, err := w.see()
		r := w.of
		r.checking.Lock()
		ref := r.ref.Load()
		switch {
		case ref == nil && err == nil:
			r.ref.Store(s)
			w.accept(s, s)
		case err != nil && w != r.list[0]:
			w.leaveOut(err)
		case err == nil:
			if err := s.isLike(ref); err != nil {
				w.leaveOut(err)
			} else {
				w.accept(s, ref)
			}
		}
		r.checking.Unlock()
	}
	return true
}

// stands notes that a device is that of the same file system as another, which is
// the one that is told, unless one of them stands for another already: what is told
// does not change while a walk is under way.
func (ms *Mounts) stands(dev, known uint64) {
	ms.mu.Lock()
	defer ms.mu.Unlock()
	dev, known = ms.device(dev), ms.device(known)
	if dev == known {
		return
	}
	devs := map[uint64]uint64{}
	if old := ms.devs.Load(); old != nil {
		for from, to := range *old {
			if to == dev {
				to = known // nobody has seen them together until now
			}
			devs[from] = to
		}
	}
	devs[dev] = known
	ms.devs.Store(&devs)
}

// device is the one that a device stands for.
func (ms *Mounts) device(dev uint64) uint64 {
	if devs := ms.devs.Load(); devs != nil {
		if to, ok := (*devs)[dev]; ok {
			return to
		}
	}
	return dev
}

// Look is [Look] through a mount that answers.
func (ms *Mounts) Look(root string, followRoots bool) (Sight, error) {
	path := systemPaths.clean(root)
	slash := len(root) > 1 && systemPaths.isSeparator(root[len(root)-1])
	r := ms.check(rootKey{path: path, follow: followRoots || slash})
	if r == nil {
		return ms.within.Look(root, followRoots)
	}
	w := r.choose(nil)
	if w.m.out.Load() != nil {
		if err := r.silent(); !rawdir.IsNotDir(err) {
			return Sight{Err: err.Error()}, nil
		}
		return Sight{}, nil
	}
	if slash {
		return ms.within.Look(w.path+string(filepath.Separator), followRoots)
	}
	return ms.within.Look(w.path, followRoots)
}
