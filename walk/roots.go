package walk

import (
	"cmp"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/hydrawalk/hydra/internal/rawdir"
)

// root is one of the trees of a walk.
type root struct {
	path   string // as it was given, but cleaned
	follow bool   // it may be a symbolic link
	slash  bool   // it was given with a slash behind it: it has to be a directory
	dir    *Dir
}

// keptRoots is how many roots stay open between being looked at and being
// walked.
const keptRoots = 64

// openRoots makes the tasks that the walk begins with. Trees that overlap are
// walked once: a root that lies below another is left to that one, and of two
// names of one directory the first is taken.
func (p *pool) openRoots(paths []string, o *Options) []task {
	clean, local := filepath.Clean, true
	if o.FS != nil {
		clean, local = path.Clean, false
	}
	roots := make([]*root, 0, len(paths))
	for _, given := range paths {
		slash := len(given) > 1 && (given[len(given)-1] == '/' || local && given[len(given)-1] == filepath.Separator)
		roots = append(roots, &root{path: clean(given), slash: slash, follow: slash || o.FollowRoots})
	}
	if len(roots) > 1 {
		roots = p.withoutNested(roots, local, o.Prunes)
	}

	// Look at all of them first: which are directories, and which are the same.
	p.eachRoot(roots)
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
			t.chunk = []byte(rawdir.MakeName(base(r.path)))
		}
		tasks = append(tasks, t)
	}
	if len(tasks) > 1 {
		p.isRoot, p.rootInodes = map[identity]bool{}, map[uint64]bool{}
		for id := range seen {
			p.isRoot[id], p.rootInodes[id.ino] = true, true
		}
	}
	return tasks
}

// withoutNested drops roots that are given twice, and those that the walk of
// another comes to.
func (p *pool) withoutNested(roots []*root, local bool, prunes func(outer, inner string) bool) []*root {
	separator := "/"
	if local {
		separator = string(filepath.Separator)
	}
	// A root's tree follows it when slashes sort before all else.
	order := slices.Clone(roots)
	key := func(r *root) string { return strings.ReplaceAll(r.path, separator, "\x00") }
	slices.SortStableFunc(order, func(a, b *root) int { return cmp.Compare(key(a), key(b)) })
	drop := map[*root]bool{}
	var outer *root
	for _, r := range order {
		switch {
		case outer == nil:
		case r.path == outer.path:
			outer.follow = outer.follow || r.follow
			outer.slash = outer.slash || r.slash
			drop[r] = true
			continue
		case below(r.path, outer.path, separator) && p.comesTo(outer, r, local) &&
			(prunes == nil || !prunes(outer.path, r.path)):
			p.log.Info("root lies below another: walked once", "root", r.path, "below", outer.path)
			drop[r] = true
			continue
		}
		outer = r
	}
	return slices.DeleteFunc(roots, func(r *root) bool { return drop[r] })
}

// comesTo tells whether a walk of outer does with inner, which lies below it by
// its path, what a walk of inner would. If it does not tell, and inner is a
// directory, it is known again by its identity.
func (p *pool) comesTo(outer, inner *root, local bool) bool {
	if !p.lists(outer.path, inner.path) || local && !reaches(outer, inner) {
		return false
	}
	if p.maxDepth == 0 && !p.oneFS {
		return true
	}
	// A directory is not walked as deep from another root, or may be on another
	// file system. For a file only the way to it counts.
	rel := strings.TrimPrefix(inner.path, outer.path)
	depth := strings.Count(strings.Trim(filepath.ToSlash(rel), "/"), "/") // of the directory that lists it
	if p.maxDepth > 0 && depth >= p.maxDepth {
		return false
	}
	if h, err := p.opener(inner.path, inner.follow); err == nil {
		h.Close()
		return false
	}
	from, err1 := p.device(outer.path, outer.follow)
	to, err2 := p.device(parentOf(inner.path), true)
	return err1 == nil && err2 == nil && (!p.oneFS || from == to)
}

// lists tells whether all directories from outer down to inner can be read, and
// inner is there, be it a link to nothing. A directory need not be readable for
// what is in it to be.
func (p *pool) lists(outer, inner string) bool {
	for at := inner; at != outer; {
		dir := parentOf(at)
		if dir == at {
			break
		}
		h, err := p.opener(dir, true)
		if err != nil {
			return false
		}
		err = h.Lstat(rawdir.MakeName(base(at)), FieldType, new(Stat))
		h.Close()
		if err != nil {
			return false
		}
		at = dir
	}
	return true
}

// device is that of a directory.
func (p *pool) device(path string, follow bool) (uint64, error) {
	h, err := p.opener(path, follow)
	if err != nil {
		return 0, err
	}
	defer h.Close()
	dev, _, err := h.Identity()
	return dev, err
}

// below tells whether p lies below dir; both are clean.
func below(p, dir, separator string) bool {
	if dir == "." {
		return p != ".." && !strings.HasPrefix(p, ".."+separator) && !filepath.IsAbs(p)
	}
	return strings.HasPrefix(p, strings.TrimSuffix(dir, separator)+separator) && len(p) > len(dir)
}

// reaches tells whether a walk of outer comes to inner, which lies below it by
// its path: not if the way leads through a symbolic link, or if inner is one
// that is to be followed.
func reaches(outer, inner *root) bool {
	from, err := filepath.EvalSymlinks(outer.path)
	if err != nil {
		return false
	}
	to := inner.path
	if !inner.follow {
		to = filepath.Dir(to)
	}
	to, err = filepath.EvalSymlinks(to)
	if err != nil {
		return false
	}
	if !inner.follow {
		to = filepath.Join(to, filepath.Base(inner.path))
	}
	rel, err := filepath.Rel(outer.path, inner.path)
	return err == nil && to == filepath.Join(from, rel)
}

// eachRoot looks at the roots, several at a time.
func (p *pool) eachRoot(roots []*root) {
	next := make(chan *root)
	var wg sync.WaitGroup
	for range min(len(roots), 32) {
		wg.Go(func() {
			for r := range next {
				p.lookAt(r)
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
			d.name = rawdir.MakeName(parentOf(r.path))
		}
		return
	}
	if dev, ino, err := h.Identity(); err == nil {
		d.dev, d.ino = dev, ino
	}
	if p.fds.Add(1) > min(keptRoots, p.maxFDs.Load()) {
		p.fds.Add(-1)
		if err := h.Close(); err != nil {
			p.log.Warn("close failed", "path", r.path, "err", err)
		}
		return
	}
	d.handle, d.retained = h, true
	d.users.Store(1)
}

// parentOf is the directory that a path's last name is in, "." if it names none.
func parentOf(p string) string {
	dir, _ := filepath.Split(p)
	return cmp.Or(strings.TrimRight(dir, string(filepath.Separator)), dir, ".")
}

func base(p string) string {
	_, name := filepath.Split(p)
	return name
}
