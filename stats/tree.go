package stats

import (
	"encoding/json"
	"errors"
	"iter"
	"maps"
	"slices"
)

// DirUse is what lies in a directory and below it.
type DirUse struct {
	Files     int64  `json:"files"`
	Dirs      int64  `json:"dirs"`       // with itself
	EmptyDirs int64  `json:"empty_dirs"` // of these, those that list nothing
	Bytes     int64  `json:"bytes"`      // of files
	Allocated int64  `json:"allocated"`  // of files, on disk
	Newest    Latest `json:"newest_mtime"`
}

// AddFiles counts files, of which the latest mtime is newest.
func (u *DirUse) AddFiles(files Use, newest Latest) {
	u.Files = plus(u.Files, files.Count)
	u.Bytes = plus(u.Bytes, files.Bytes)
	u.Allocated = plus(u.Allocated, files.Allocated)
	u.Newest.merge(&newest)
}

// AddDir counts a directory.
func (u *DirUse) AddDir(empty bool) {
	u.Dirs = plus(u.Dirs, 1)
	if empty {
		u.EmptyDirs = plus(u.EmptyDirs, 1)
	}
}

func (u *DirUse) merge(o *DirUse) {
	u.Files = plus(u.Files, o.Files)
	u.Dirs = plus(u.Dirs, o.Dirs)
	u.EmptyDirs = plus(u.EmptyDirs, o.EmptyDirs)
	u.Bytes = plus(u.Bytes, o.Bytes)
	u.Allocated = plus(u.Allocated, o.Allocated)
	u.Newest.merge(&o.Newest)
}

// Tree counts use by directory, down to a depth; roots have depth 0. What lies
// in a directory is counted in each one above it too, so all depths are exact by
// themselves. A depth with more than a limit of directories is left out whole,
// which does not depend on the order in which they are found. The zero value
// takes depth and limit from what is merged into it.
//
// JSON has it as {"depth": n, "left_out": [the depths that are], "list":
// [{"depth": n, "path": path, "files": n ...}]}, by depth and path.
type Tree struct {
	limit  int // 0: none, until it is known from what is merged
	depths []depthUse
}

type depthUse struct {
	dirs map[string]*DirUse
	over bool
}

// NewTree returns a tree to a depth, with so many directories at each one at
// most.
func NewTree(depth, limit int) Tree { return Tree{limit, make([]depthUse, depth+1)} }

// Depth is the depth to which directories are counted; -1 for the zero value.
func (t *Tree) Depth() int { return len(t.depths) - 1 }

// At returns where the directory of a path is counted, nil if its depth is left
// out. The path is copied if it is kept. What At returned before a depth was left
// out may still be used, to no effect.
func (t *Tree) At(depth int, path []byte) *DirUse {
	d := &t.depths[depth]
	if d.over {
		return nil
	}
	u := d.dirs[string(path)]
	if u == nil {
		if d.dirs == nil {
			d.dirs = map[string]*DirUse{}
		}
		u = new(DirUse)
		d.dirs[string(path)] = u
		if d.bound(t.limit); d.over {
			return nil
		}
	}
	return u
}

// bound leaves the depth out if it has too many directories.
func (d *depthUse) bound(limit int) {
	if limit > 0 && len(d.dirs) > limit {
		*d = depthUse{over: true}
	}
}

// LeftOut tells whether a depth has more directories than the limit.
func (t *Tree) LeftOut(depth int) bool { return t.depths[depth].over }

// Limit is how many directories a depth has at most; 0 if that is not known.
func (t *Tree) Limit() int { return t.limit }

// Len is the number of directories that are kept.
func (t *Tree) Len() int {
	n := 0
	for i := range t.depths {
		n += len(t.depths[i].dirs)
	}
	return n
}

// All ranges over the directories at a depth, in the order of their paths.
func (t *Tree) All(depth int) iter.Seq2[string, *DirUse] {
	return func(yield func(string, *DirUse) bool) {
		dirs := t.depths[depth].dirs
		for _, path := range slices.Sorted(maps.Keys(dirs)) {
			if !yield(path, dirs[path]) {
				return
			}
		}
	}
}

// Equal compares what was counted.
func (t Tree) Equal(o Tree) bool {
	return slices.EqualFunc(t.depths, o.depths, func(a, b depthUse) bool {
		return a.over == b.over && maps.EqualFunc(a.dirs, b.dirs, func(x, y *DirUse) bool { return *x == *y })
	})
}

var errTrees = errors.New("trees of different depths or limits do not merge")

// MergeValue implements [Value]: it adds directory by directory.
func (t *Tree) MergeValue(from Value) error {
	o, err := as[Tree](from)
	switch {
	case err != nil:
		return err
	case len(o.depths) == 0:
		return nil
	case len(t.depths) == 0:
		t.depths = make([]depthUse, len(o.depths))
	case len(t.depths) != len(o.depths) || t.limit != 0 && o.limit != 0 && t.limit != o.limit:
		return errTrees
	}
	t.limit = max(t.limit, o.limit)
	for depth := range o.depths {
		d, from := &t.depths[depth], &o.depths[depth]
		if d.over || from.over {
			*d = depthUse{over: true}
			continue
		}
		d.bound(t.limit)
		for path, u := range from.dirs {
			if at := t.At(depth, []byte(path)); at != nil {
				at.merge(u)
			}
		}
	}
	return nil
}

// ResetValue implements [Resetter]: depth and limit stay.
func (t *Tree) ResetValue() { *t = Tree{t.limit, make([]depthUse, len(t.depths))} }

type treeJSON struct {
	Depth   int       `json:"depth"`
	LeftOut []int     `json:"left_out"`
	List    []dirJSON `json:"list"`
}

type dirJSON struct {
	Depth int `json:"depth"`
	Path
	DirUse
}

// MarshalJSON implements [json.Marshaler].
func (t Tree) MarshalJSON() ([]byte, error) {
	out := treeJSON{Depth: t.Depth(), LeftOut: []int{}, List: []dirJSON{}}
	for depth := range t.depths {
		if t.depths[depth].over {
			out.LeftOut = append(out.LeftOut, depth)
		}
		for path, u := range t.All(depth) {
			out.List = append(out.List, dirJSON{depth, PathOf(path), *u})
		}
	}
	return json.Marshal(out)
}

var errTree = errors.New("stats: a tree has directories beyond its depth, or one twice")

// maxDepth bounds what a document can make a Tree allocate.
const maxDepth = 1 << 16

// UnmarshalJSON implements [json.Unmarshaler].
func (t *Tree) UnmarshalJSON(data []byte) error {
	in := treeJSON{Depth: -1}
	if err := json.Unmarshal(data, &in); err != nil {
		return err
	}
	if in.Depth < -1 || in.Depth > maxDepth {
		return errTree
	}
	out := NewTree(in.Depth, 0)
	for _, depth := range in.LeftOut {
		if depth < 0 || depth > in.Depth {
			return errTree
		}
		out.depths[depth].over = true
	}
	for _, d := range in.List {
		if d.Depth < 0 || d.Depth > in.Depth || out.depths[d.Depth].over || out.depths[d.Depth].dirs[d.String()] != nil {
			return errTree
		}
		*out.At(d.Depth, []byte(d.String())) = d.DirUse
	}
	*t = out
	return nil
}
