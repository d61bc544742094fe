package sim

import (
	"github.com/hydrawalk/hydra/walk"
)

// rules are what goes wrong in a tree, and what the application wants of it.
// Numbers are per thousand.
type rules struct {
	Closed   int // directories that can not be opened
	Broken   int // directories whose listing ends with an error
	Refused  int // directories of which EnterDir returns an error
	Skipped  int // directories that EnterDir skips
	BadLeave int // directories of which LeaveDir returns an error
	BadFile  int // files that are errors
	SkipFile int // files that are skipped
	Dropped  int // entries that Filter drops
	Filter   bool
	Panics   int // files of which the handler panics
}

func (r *rules) closed(path string) bool { return chance(hashOf(path), 20, r.Closed) }
func (r *rules) broken(t *tree, n node) bool {
	return !t.long(n) && chance(n.hash, 21, r.Broken)
}

// hashOf is the hash of a path, the same in each process.
func hashOf(path string) uint64 {
	h := uint64(0xcbf29ce484222325)
	for i := range len(path) {
		h = (h ^ uint64(path[i])) * 0x100000001b3
	}
	return mix(h, 77)
}

// counts are what the application counts. Sums are of hashes of paths: who counts
// a path twice or not at all has another sum.
type counts struct {
	Files, FileSum   uint64
	Enters, EnterSum uint64
	Leaves, LeaveSum uint64
	Listed           uint64 // what LeaveDir says that directories have, mixed with their paths
	Errors, ErrorSum uint64
	Shown, ShownSum  uint64 // to Filter
}

func (c *counts) add(o *counts) {
	c.Files += o.Files
	c.FileSum += o.FileSum
	c.Enters += o.Enters
	c.EnterSum += o.EnterSum
	c.Leaves += o.Leaves
	c.LeaveSum += o.LeaveSum
	c.Listed += o.Listed
	c.Errors += o.Errors
	c.ErrorSum += o.ErrorSum
	c.Shown += o.Shown
	c.ShownSum += o.ShownSum
}

func (c *counts) file(h uint64)  { c.Files++; c.FileSum += h }
func (c *counts) enter(h uint64) { c.Enters++; c.EnterSum += h }
func (c *counts) show(h uint64)  { c.Shown++; c.ShownSum += h }
func (c *counts) fail(h uint64)  { c.Errors++; c.ErrorSum += h }
func (c *counts) leave(h uint64, of walk.DirCounts, whole bool) {
	c.Leaves++
	c.LeaveSum += h
	listed := mix(h, uint64(of.Dirs)<<40|uint64(of.Files)<<10|uint64(of.Other))
	if !whole {
		listed = mix(listed, 1)
	}
	c.Listed += listed
}

// expected is what a walk of a tree counts that nobody disturbs.
type expected struct {
	counts counts
	totals walk.Totals
	work   int // calls of the handler
	r      *rules
	t      *tree
	path   []byte
	fate   map[string]string // of directories: "failed" or "vanished", instead of being entered
}

func expect(t *tree, r *rules) *expected { return expectWith(t, r, nil) }

func expectWith(t *tree, r *rules, fate map[string]string) *expected {
	x := &expected{t: t, r: r, fate: fate}
	for i, size := range t.roots {
		x.path = append(x.path[:0], t.rootName(i)...)
		if size == 0 {
			x.file(hashOf(string(x.path)))
			continue
		}
		x.totals.FoundDirs++
		x.dir(t.root(i))
	}
	return x
}

func (x *expected) dir(n node) {
	h := hashOf(string(x.path))
	x.work++
	switch {
	case x.fate[string(x.path)] == "vanished":
		x.totals.VanishedDirs++
		return
	case x.fate[string(x.path)] == "failed", x.r.closed(string(x.path)):
		x.totals.FailedDirs++
		x.fail(h)
		return
	case chance(h, 22, x.r.Refused):
		x.counts.enter(h)
		x.totals.FailedDirs++
		x.fail(h)
		return
	case chance(h, 23, x.r.Skipped):
		x.counts.enter(h)
		x.totals.FilteredDirs++
		return
	}
	x.counts.enter(h)
	failed := false
	if x.r.broken(x.t, n) {
		failed = true
		x.fail(h)
	}
	var of walk.DirCounts
	length := len(x.path)
	subs := x.t.subdirs(n)
	for i := range subs {
		c := x.t.child(n, i, subs)
		if c.size == 0 {
			continue
		}
		x.totals.FoundDirs++
		x.path = append(append(x.path[:length], '/'), x.t.name(n, 'd', i)...)
		if x.drops() {
			x.totals.FilteredDirs++
			continue
		}
		of.Dirs++
		x.dir(c)
	}
	for i := range x.t.files(n) {
		x.path = append(append(x.path[:length], '/'), x.t.name(n, 'f', i)...)
		if x.drops() {
			x.totals.FilteredFiles++
			continue
		}
		of.Files++
		x.file(hashOf(string(x.path)))
	}
	x.path = x.path[:length]
	x.counts.leave(h, of, !failed)
	if chance(h, 24, x.r.BadLeave) {
		failed = true
		x.fail(h)
	}
	if failed {
		x.totals.FailedDirs++
	} else {
		x.totals.ProcessedDirs++
	}
}

func (x *expected) drops() bool {
	if !x.r.Filter {
		return false
	}
	h := hashOf(string(x.path))
	x.counts.show(h)
	return chance(h, 25, x.r.Dropped)
}

func (x *expected) file(h uint64) {
	x.work++
	x.counts.file(h)
	switch {
	case chance(h, 26, x.r.BadFile), chance(h, 27, x.r.Panics):
		x.totals.FailedFiles++
		x.fail(h)
	case chance(h, 28, x.r.SkipFile):
		x.totals.SkippedFiles++
	default:
		x.totals.ProcessedFiles++
	}
}

func (x *expected) fail(h uint64) {
	x.totals.Errors++
	x.counts.fail(h)
}
