// Package tree makes directory trees that are the same for the same seed.
package tree

import (
	"fmt"
	"math"
	"slices"
)

// Kind names the shape of a tree.
type Kind string

// The kinds of trees.
const (
	// Realistic has 1,000,000 files in 60,000 directories whose sizes are
	// skewed as those of people's trees are: most hold a few entries, the
	// largest about 9,000, and 9,000 hold nothing.
	Realistic Kind = "realistic"
	// Huge is one directory of 1,000,000 files.
	Huge Kind = "huge"
	// Chain has 200,000 directories of one or two files, and beside them a
	// chain of 2,000 directories, whose paths outgrow PATH_MAX.
	Chain Kind = "chain"
)

// Kinds lists them all.
var Kinds = []Kind{Realistic, Huge, Chain}

// Spec is all that a tree depends on.
type Spec struct {
	Kind  Kind    `json:"kind"`
	Seed  uint64  `json:"seed"`
	Scale float64 `json:"scale"` // of the number of files and directories; 1 is full size
}

// Name is the tree's directory in the place where trees are kept.
func (s Spec) Name() string {
	n := string(s.Kind)
	if s.Scale != 1 {
		n += fmt.Sprintf("-%g", s.Scale)
	}
	if s.Seed != 1 {
		n += fmt.Sprintf("-seed%d", s.Seed)
	}
	return n
}

// dir is a planned directory. Its parent comes before it in the plan.
type dir struct {
	parent int32 // index in the plan; the root's is -1
	depth  int32
	files  int32
	name   string
}

const (
	realisticFiles   = 1_000_000
	realisticDirs    = 60_000
	realisticEmpty   = 9_000
	realisticLargest = 9_000
	realisticDepth   = 12

	hugeFiles = 1_000_000

	chainDepth  = 2_000
	chainLeaves = 200_000
	chainGroup  = 1_000 // leaves in one directory
)

// plan lays out the directories of a tree.
func (s Spec) plan() ([]dir, error) {
	if s.Scale <= 0 || s.Scale > 100 {
		return nil, fmt.Errorf("tree: scale %g is not in (0, 100]", s.Scale)
	}
	scaled := func(n, least int) int { return max(least, int(float64(n)*s.Scale+0.5)) }
	switch s.Kind {
	case Realistic:
		return realistic(s.Seed, scaled(realisticDirs, 4*realisticDepth), scaled(realisticFiles, 20*realisticDepth),
			scaled(realisticEmpty, realisticDepth/2), scaled(realisticLargest, 16)), nil
	case Huge:
		return []dir{{parent: -1, files: int32(scaled(hugeFiles, 1))}}, nil
	case Chain:
		// A scaled chain still has to outgrow PATH_MAX, so it is never shorter
		// than 1,000.
		return chain(s.Seed, max(chainDepth/2, min(scaled(chainDepth, 1), chainDepth)), scaled(chainLeaves, 10)), nil
	}
	return nil, fmt.Errorf("tree: no such kind: %q", s.Kind)
}

// realistic first draws the directories, one level after the other, then
// shares out the files among those that are not to stay empty.
func realistic(seed uint64, dirs, files, empty, largest int) []dir {
	r := rng{seed}
	// How many of 64 directories lie at each depth below the root.
	weights := [realisticDepth]int{1, 2, 4, 8, 11, 12, 10, 7, 4, 2, 2, 1}
	plan := make([]dir, 1, dirs)
	plan[0].parent = -1
	level := []int32{0}
	for depth := 1; depth <= realisticDepth; depth++ {
		n := max(1, (dirs-1)*weights[depth-1]/64)
		if depth == realisticDepth {
			n = dirs - len(plan)
		}
		n = min(n, dirs-len(plan))
		next := make([]int32, 0, n)
		for range n {
			// The square favours the first ones: they get many children, and
			// many others get none.
			u := r.float()
			parent := level[int(u*u*float64(len(level)))]
			next = append(next, int32(len(plan)))
			plan = append(plan, dir{
				parent: parent, depth: int32(depth),
				name: fmt.Sprintf("%s-%x", word(r.next(), 3, 12), len(plan)),
			})
		}
		level = next
	}

	hasChild := make([]bool, len(plan))
	for _, d := range plan[1:] {
		hasChild[d.parent] = true
	}
	var leaves []int
	for i := range plan {
		if !hasChild[i] {
			leaves = append(leaves, i)
		}
	}
	for i := range leaves {
		j := i + int(r.next()%uint64(len(leaves)-i))
		leaves[i], leaves[j] = leaves[j], leaves[i]
	}
	stays := make([]bool, len(plan))
	for _, i := range leaves[:min(empty, len(leaves))] {
		stays[i] = true
	}
	var full []int
	for i := range plan {
		if !stays[i] {
			full = append(full, i)
		}
	}
	for k, n := range shares(&r, len(full), files, largest) {
		plan[full[k]].files = int32(n)
	}
	return plan
}

// shares splits total into n parts of at least 1, Pareto distributed, of which
// the largest is about largest. From the draw on it computes with integers, so
// that every machine gets the same.
func shares(r *rng, n, total, largest int) []int {
	weights := make([]uint64, n)
	for i := range weights {
		// A Pareto distribution of exponent 4/3; square roots are exact
		// everywhere, powers are not.
		root := math.Sqrt(r.float())
		weights[i] = uint64(1000 / (root * math.Sqrt(root)))
	}
	rest := uint64(max(0, total-n))
	// Cut the tail where it would exceed largest. Each cut lowers the sum, which
	// raises the others; it settles after a few rounds.
	for range 64 {
		var sum uint64
		for _, w := range weights {
			sum += w
		}
		limit := max(1, uint64(largest)*sum/max(1, rest))
		if slices.Max(weights) <= limit+limit/100 {
			break
		}
		for i := range weights {
			weights[i] = min(weights[i], limit)
		}
	}
	var sum, before, cum uint64
	for _, w := range weights {
		sum += w
	}
	out := make([]int, n)
	for i, w := range weights {
		cum += w
		upTo := cum * rest / sum
		out[i] = 1 + int(upTo-before)
		before = upTo
	}
	return out
}

func chain(seed uint64, depth, leaves int) []dir {
	r := rng{seed}
	plan := []dir{{parent: -1}}
	at := int32(0)
	for i := range depth {
		plan = append(plan, dir{parent: at, depth: int32(i + 1), files: 1, name: fmt.Sprintf("c%04d", i)})
		at = int32(len(plan) - 1)
	}
	group := int32(0)
	for i := range leaves {
		if i%chainGroup == 0 {
			group = int32(len(plan))
			plan = append(plan, dir{depth: 1, name: fmt.Sprintf("group-%04d", i/chainGroup)})
		}
		plan = append(plan, dir{
			parent: group, depth: 2, files: 1 + int32(r.next()&1),
			name: fmt.Sprintf("%s-%d", word(r.next(), 3, 10), i),
		})
	}
	return plan
}

var extensions = []string{
	"", "", ".c", ".h", ".go", ".py", ".js", ".txt", ".md", ".html", ".json", ".xml", ".csv", ".log", ".jpg", ".png",
	".gif", ".mp4", ".mp3", ".wav", ".pdf", ".doc", ".xlsx", ".zip", ".tar.gz", ".gz", ".so", ".o", ".bin", ".dat", ".h5", ".tmp",
}

// file derives the name and the size of the i-th file of a directory.
func (s Spec) file(buf []byte, d, i int) (name []byte, size int64) {
	r := rng{s.Seed ^ uint64(d+1)<<32 ^ uint64(i)}
	name = append(buf[:0], word(r.next(), 3, 16)...)
	name = fmt.Appendf(name, "_%x", i)
	name = append(name, extensions[r.next()%uint64(len(extensions))]...)

	// The number of bits is bell shaped: the median is 16 KiB, one file in
	// thousands has hundreds of MiB, one in 32 is empty.
	h := r.next()
	if h%32 == 0 {
		return name, 0
	}
	bits := uint(h>>8&7 + h>>16&7 + h>>24&7 + h>>32&7)
	return name, int64(1<<bits | r.next()&(1<<bits-1))
}

// rng is splitmix64: a hash as well as a generator, with one word of state.
type rng struct{ state uint64 }

func (r *rng) next() uint64 {
	r.state += 0x9e3779b97f4a7c15
	z := r.state
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// float is in (0, 1).
func (r *rng) float() float64 { return (float64(r.next()>>12) + 0.5) / (1 << 52) }

// word makes a pronounceable name of least to most letters from the bits of h.
func word(h uint64, least, most int) string {
	const consonants, vowels = "bcdfghklmnprstvz", "aeiouaei"
	n := least + int(h%uint64(most-least+1))
	h /= 16
	b := make([]byte, n)
	for i := range b {
		if i%2 == 0 {
			b[i] = consonants[h&15]
			h = h>>4 | h<<60
		} else {
			b[i] = vowels[h&7]
			h = h>>3 | h<<61
		}
	}
	return string(b)
}
