package walk

import (
	"cmp"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/hydrawalk/hydra/internal/rawdir"
)

// root is one of the trees of a walk.
type root struct {
	path     string // as it was given, but cleaned
	real     string // where it is: absolute, without symbolic links as far as can be told
	paths    *paths // how it is written
	follow   bool   // it may be a symbolic link
	slash    bool   // it was given with a slash behind it: it has to be a directory
	dir      *Dir
	throttle *Throttle // of the walk
	number   int       // among those that were given

	// In a shared walk:
	mu sync.Mutex // guards id, and the identities of what leads to added items
	id identity   // of dir
}

// keptRoots is how many roots stay open between being looked at and being
// walked.
const keptRoots = 64

// openRoots makes the tasks that the walk begins with. Trees that overlap are
// walked once: a root that lies below another is left to that one, and of two
// names of one directory the first is taken.
func (p *pool) openRoots(paths []string, o *Options) []task {
	roots := make([]*root, 0, len(paths))
	for i, given := range paths {
		roots = append(roots, p.newRoot(i, given, o))
	}
	if p.mounts != nil {
		p.mounts.checkAll(roots)
	}
	if len(roots) > 1 {
		each(roots, p.locate)
		roots = p.withoutNested(roots, o.Prunes)
	}

	// Look at all of them first: which are directories, and which are the same.
	each(roots, p.lookAt)
	var tasks []task
	seen := map[identity]*Dir{}
	for _, r := range roots {
		d := r.dir
		if id := (identity{d.dev, d.ino}); d.depth == 0 && d.ino != 0 {
			if first := seen[id]; first != nil {
				p.log.Info("two roots are one directory: walked once", "root", first.root.path, "also", r.path)
				if d.handle != nil {
					d.release(p)
				}
				continue
			}
			seen[id] = d
		}
		t := task{dir: d}
		if d.depth < 0 {
			t.chunk = []byte(rawdir.MakeName(p.paths.base(r.path)))
		}
		tasks = append(tasks, t)
	}
	if len(seen) > 1 {
		p.isRoot = map[identity]bool{}
		for id := range seen {
			p.isRoot[id] = true
		}
	}
	return tasks
}

func (p *pool) newRoot(number int, given string, o *Options) *root {
	r := &root{number: number, path: given, paths: p.paths, throttle: p.throttle, follow: o.FollowRoots}
	if given != "" { // that is no path: to open it is an error
		r.path = p.paths.clean(given)
		r.slash = len(given) > 1 && p.paths.isSeparator(given[len(given)-1])
		r.follow = r.follow || r.slash
	}
	return r
}

// withoutNested drops roots that are given twice, and those that the walk of
// another comes to.
func (p *pool) withoutNested(roots []*root, prunes func(outer, inner string) bool) []*root {
	// A root's tree follows it when separators sort before all else.
	key := func(r *root) string {
		if r.real == "." {
			return ""
		}
		return strings.ReplaceAll(r.real, p.paths.separator, "\x00")
	}
	order := slices.Clone(roots)
	slices.SortStableFunc(order, func(a, b *root) int { return cmp.Compare(key(a), key(b)) })
	drop := map[*root]bool{}
	var around []*root // each lies below the one before it, or is the same
	for _, r := range order {
		for len(around) > 0 {
			last := around[len(around)-1]
			if r.real == last.real || p.paths.below(r.real, last.real) {
				break
			}
			around = around[:len(around)-1]
		}
		if len(around) > 0 {
			// With a slash it may be an error, and without one a file.
			if last := around[len(around)-1]; r.real == last.real && (r.slash == last.slash || p.paths == &fsPaths) {
				last.follow = last.follow || r.follow
				last.slash = last.slash || r.slash
				drop[r] = true
				continue
			}
		}
		// The nearest one lists it: those around that leave its tree to it.
		if outer := p.nearest(around, r); outer != nil && p.comesTo(outer, r) &&
			(prunes == nil || !prunes(outer.path, p.paths.under(outer.path, r.real, outer.real))) {
			p.log.Info("root lies below another: walked once", "root", r.path, "below", outer.path)
			drop[r] = true
			continue
		}
		around = append(around, r)
	}
	return slices.DeleteFunc(roots, func(r *root) bool { return drop[r] })
}

// nearest is the last of the roots that lie around r, but r itself by another
// name, and what can not be opened.
func (p *pool) nearest(around []*root, r *root) *root {
	for _, outer := range slices.Backward(around) {
		if outer.real == r.real {
			continue
		}
		if h, err := p.opener(outer.path, outer.follow); err == nil {
			h.Close()
			return outer
		}
	}
	return nil
}

// comesTo tells whether a walk of outer does with inner, which lies below it, what
// a walk of inner would: it goes the way that the walk of outer will go. If that
// can not be told of a directory, the answer is no: it is known again by its
// identity.
func (p *pool) comesTo(outer, inner *root) bool {
	h, err := p.opener(outer.path, outer.follow)
	if err != nil {
		return false
	}
	defer func() { h.Close() }()
	names := p.paths.names(inner.real, outer.real)
	from, _, err := h.Identity()
	for depth, name := range names[:len(names)-1] {
		if p.maxDepth > 0 && depth+1 >= p.maxDepth || err != nil {
			return false
		}
		var sub rawdir.Dir
		if !p.entersNamed(h, name) {
			return false
		}
		if sub, _, err = h.OpenDir(rawdir.MakeName(name)); err != nil {
			return false
		}
		h.Close()
		h = sub
		if p.oneFS {
			var dev uint64
			if dev, _, err = h.Identity(); dev != from {
				return false
			}
		}
	}
	var st Stat
	if err := h.Lstat(rawdir.MakeName(names[len(names)-1]), FieldType, &st); err != nil {
		return false
	}
	switch rawdir.TypeOf(st.Mode) {
	case rawdir.Directory:
		// It is not walked as deep from there, or may be on another file system.
		return p.maxDepth == 0 && !p.oneFS && p.entersNamed(h, names[len(names)-1])
	case rawdir.Symlink:
		return !inner.follow
	}
	return !inner.slash // else it is an error
}

// locate sets r.real. What can not be resolved is taken as it is written.
func (p *pool) locate(r *root) {
	r.real = r.path
	if p.paths == &fsPaths || r.path == "" {
		return
	}
	if absolute, err := filepath.Abs(r.path); err == nil {
		r.real = absolute
	}
	if p.mounts != nil || p.within != nil {
		return // the path alone may not answer, or lead anywhere; two names of one directory are seen later
	}
	if r.follow {
		// A link to a file is not followed.
		real, err := filepath.EvalSymlinks(r.path)
		if err == nil {
			real, err = filepath.Abs(real)
		}
		if err == nil {
			if h, err := p.parent(real); err == nil {
				h.Close()
				r.real = real
				return
			}
		}
	}
	dir, name := filepath.Split(r.real)
	if real, err := filepath.EvalSymlinks(dir); err == nil && name != "" {
		r.real = filepath.Join(real, name)
	}
}

// each calls f for the roots, several at a time.
func each(roots []*root, f func(*root)) {
	next := make(chan *root)
	var wg sync.WaitGroup
	for range min(len(roots), 32) {
		wg.Go(func() {
			for r := range next {
				f(r)
			}
		})
	}
	for _, r := range roots {
		next <- r
	}
	close(next)
	wg.Wait()
}

// lookAt sets r.dir. What can not be opened stays as it is: the worker that
// takes it tries again and reports the error.
func (p *pool) lookAt(r *root) {
	d := &Dir{root: r, name: rawdir.MakeName(r.path)}
	r.dir = d
	h, err := p.opener(r.path, r.follow)
	if err != nil {
		if rawdir.IsNotDir(err) && !r.slash {
			d.depth = -1
			d.name = rawdir.MakeName(p.paths.dir(r.path))
		}
		return
	}
	if dev, ino, err := h.Identity(); err == nil {
		d.dev, d.ino = dev, ino
	}
	keep := min(keptRoots, p.maxFDs.Load())
	if p.share != nil {
		keep = 0 // it may never begin at its roots
	}
	if p.fds.Add(1) > keep {
		p.fds.Add(-1)
		if err := h.Close(); err != nil {
			p.log.Warn("close failed", "path", r.path, "err", err)
		}
		return
	}
	d.handle, d.retained = h, true
	d.users.Store(1)
}
