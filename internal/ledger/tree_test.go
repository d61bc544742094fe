package ledger

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"math/rand/v2"

	"github.com/hydrawalk/hydra/walk"
)

// units is a set of what is to be counted once: the end of each directory, each
// of its entries, each root that is a file.
type units [4]uint64

const mostUnits = 4 * 64

func (u *units) add(i int)     { u[i/64] |= 1 << (i % 64) }
func (u units) has(i int) bool { return u[i/64]>>(i%64)&1 == 1 }

func (u units) size() (n int) {
	for _, w := range u {
		n += bits.OnesCount64(w)
	}
	return n
}

// join adds what must not be there yet, and tells whether that was so.
func (u *units) join(o units) bool {
	apart := true
	for i := range u {
		apart = apart && u[i]&o[i] == 0
		u[i] |= o[i]
	}
	return apart
}

func (u units) bytes() []byte {
	var b []byte
	for _, w := range u {
		b = binary.LittleEndian.AppendUint64(b, w)
	}
	return b
}

func unitsOf(b []byte) (u units) {
	for i := range u {
		if len(b) >= 8*(i+1) {
			u[i] = binary.LittleEndian.Uint64(b[8*i:])
		}
	}
	return u
}

// node is a directory: Ranges of a walk.Part are of the numbers of its entries.
type node struct {
	path    string
	entries []int // numbers of directories; -1: a file
	first   int   // the unit of its end; those of its entries follow
	below   units // its own and those of all below
}

// tree is root 0; the roots after it are files.
type tree struct {
	dirs      []node
	numbers   map[string]int
	fileRoots int
	all       units
}

func newTree(r *rand.Rand) *tree {
	t := &tree{dirs: []node{{}}, numbers: map[string]int{"": 0}}
	most := 1 + r.IntN(40)
	size := 1
	deep, wide := r.Float64(), r.Float64()
	for len(t.dirs) < most {
		parent := r.IntN(len(t.dirs))
		switch {
		case r.Float64() < deep/2:
			parent = len(t.dirs) - 1
		case r.Float64() < wide/2:
			parent = 0
		}
		p := &t.dirs[parent]
		path := fmt.Sprintf("%c\xff%d", 'a'+rune(len(t.dirs)%3), len(t.dirs))
		if p.path != "" {
			path = p.path + "/" + path
		}
		p.entries = append(p.entries, len(t.dirs))
		t.numbers[path] = len(t.dirs)
		t.dirs = append(t.dirs, node{path: path})
		size += 2
	}
	t.fileRoots = max(0, r.IntN(5)-2)
	for i := range t.dirs {
		n := r.IntN(4)
		if r.IntN(10) == 0 {
			n = 20
		}
		for ; n > 0 && size < mostUnits-4; n-- {
			t.dirs[i].entries = append(t.dirs[i].entries, -1)
			size++
		}
		e := t.dirs[i].entries
		r.Shuffle(len(e), func(a, b int) { e[a], e[b] = e[b], e[a] })
	}
	next := t.fileRoots
	for i := range t.dirs {
		t.dirs[i].first = next
		next += 1 + len(t.dirs[i].entries)
	}
	for i := range next {
		t.all.add(i)
	}
	for i := len(t.dirs) - 1; i >= 0; i-- { // children have larger numbers
		d := &t.dirs[i]
		d.below.add(d.first)
		for e := range d.entries {
			d.below.join(t.entry(i, e))
		}
	}
	return t
}

// entry is an entry and all below it.
func (t *tree) entry(dir, e int) (u units) {
	d := &t.dirs[dir]
	u.add(d.first + 1 + e)
	if c := d.entries[e]; c >= 0 {
		u.join(t.dirs[c].below)
	}
	return u
}

// roots are what the walk begins with.
func (t *tree) roots() []walk.Item {
	items := []walk.Item{{Path: []byte{}}}
	for i := range t.fileRoots {
		items = append(items, walk.Item{Root: 1 + i, Path: []byte{}, File: true})
	}
	return items
}

// expand are the units that an item stands for, but the end of a shared
// directory.
func (t *tree) expand(item walk.Item) (u units) {
	if item.File {
		u.add(item.Root - 1)
		return u
	}
	dir := t.dir(item)
	if item.Part == nil {
		return t.dirs[dir].below
	}
	if item.Part.Dir == "" {
		u.add(t.dirs[dir].first)
	}
	for _, rg := range item.Part.Ranges {
		for e := rg.Lo; e <= rg.Hi; e++ {
			if !u.join(t.entry(dir, int(e))) {
				fail("an item has an entry twice: %+v", item)
			}
		}
	}
	return u
}

func (t *tree) dir(item walk.Item) int {
	n, ok := t.numbers[string(item.Path)]
	if !ok || item.Root != 0 {
		fail("no such directory: %+v", item)
	}
	return n
}

// whole is what has to be known of a directory when it is left.
func (t *tree) whole(dir int) (c walk.DirCounts, flags uint8) {
	for e := range t.dirs[dir].entries {
		t.count(dir, e, &c, &flags)
	}
	return c, flags
}

func (t *tree) count(dir, e int, c *walk.DirCounts, flags *uint8) {
	switch {
	case t.dirs[dir].entries[e] >= 0:
		c.Dirs++
	case e%5 == 3:
		c.Other++
	default:
		c.Files++
	}
	if e%7 == 6 {
		*flags |= walk.FlagFailed
	}
	if e%11 == 10 {
		*flags |= walk.FlagUntold
	}
}

// failure is what a history ends with if a promise was broken.
type failure string

func fail(format string, args ...any) { panic(failure(fmt.Sprintf(format, args...))) }
