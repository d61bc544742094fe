package sim

import (
	"strconv"
	"strings"
)

// tree is a tree that takes no memory: what is in a directory follows from its
// path.
type tree struct {
	seed  uint64
	roots []int // directories of each; 0: it is a file
	shape shape
}

// shape says how a tree looks. Chances are per thousand directories.
type shape struct {
	fan   int // subdirectories, at most, of most directories
	chain int // have one subdirectory
	wide  int // have as many as there are, up to wideFan
	files int // entries that are not directories, at most, in most directories
	big   int // have more than fit into a chunk
	huge  int // have so many that only hashes divide them
	odd   int // names that are not UTF-8
}

const (
	wideFan  = 1500
	maxDepth = 300 // of chains
	longName = 235 // bytes, where there are many
	bigOf    = 400 // entries
	hugeOf   = 3000
)

// node is a directory.
type node struct {
	hash  uint64
	size  int // directories in it, and itself
	depth int
}

func mix(h, v uint64) uint64 {
	h ^= v * 0x9e3779b97f4a7c15
	h ^= h >> 32
	h *= 0xd6e8feb86659fd93
	h ^= h >> 32
	h *= 0xd6e8feb86659fd93
	return h ^ h>>32
}

// chance says whether one of a thousand things is so of h.
func chance(h uint64, salt uint64, perThousand int) bool {
	return perThousand > 0 && int(mix(h, salt)%1000) < perThousand
}

func (t *tree) root(i int) node { return node{mix(t.seed, uint64(i)), t.roots[i], 0} }

// subdirs is how many places for subdirectories there are. Some may be empty.
func (t *tree) subdirs(n node) int {
	below := n.size - 1
	switch {
	case below <= 0:
		return 0
	case n.depth < maxDepth && chance(n.hash, 1, t.shape.chain):
		return 1
	case chance(n.hash, 2, t.shape.wide):
		return min(below, wideFan)
	case n.depth >= maxDepth:
		return min(below, wideFan)
	}
	return min(below, 2+int(mix(n.hash, 3)%uint64(max(t.shape.fan-1, 1))))
}

// child is a subdirectory; its size is 0 if the place is empty.
func (t *tree) child(n node, i, of int) node {
	a := 1 + int(mix(n.hash, 4)%3) // how unequal they are
	size := t.until(n, i+1, of, a) - t.until(n, i, of, a)
	return node{mix(n.hash, 1000+uint64(i)), size, n.depth + 1}
}

// until is how many directories there are in the subdirectories before i.
func (t *tree) until(n node, i, of, a int) int {
	below := n.size - 1
	if below <= of {
		return min(i, below)
	}
	p, q := 1, 1
	for range a {
		p, q = p*i, q*of
	}
	// Each has one; the rest is dealt.
	return i + int(uint64(below-of)/uint64(q))*p + int(uint64(below-of)%uint64(q)*uint64(p)/uint64(q))
}

// files is how many entries that are not directories there are.
func (t *tree) files(n node) int {
	switch {
	case chance(n.hash, 5, t.shape.huge):
		return hugeOf
	case chance(n.hash, 6, t.shape.big):
		return bigOf
	}
	return int(mix(n.hash, 7) % uint64(t.shape.files+1))
}

// long tells whether names are long in a directory.
func (t *tree) long(n node) bool {
	return chance(n.hash, 5, t.shape.huge) || chance(n.hash, 6, t.shape.big)
}

var (
	longTail = "-" + strings.Repeat("x", longName)
	oddTail  = "\xff\n"
)

// name is that of an entry: kind is 'd' or 'f'.
func (t *tree) name(n node, kind byte, i int) string {
	b := strconv.AppendInt([]byte{kind}, int64(i), 10)
	if kind == 'f' && t.long(n) {
		b = append(b, longTail...)
	}
	if chance(n.hash+uint64(i), 8, t.shape.odd) {
		b = append(b, oddTail...)
	}
	return string(b)
}

// find resolves a path. file is -1 if it leads to a directory.
func (t *tree) find(path string) (n node, file int, ok bool) {
	name, rest, more := strings.Cut(path, "/")
	i, ok := number(name, 'r')
	if !ok || i >= len(t.roots) || t.roots[i] == 0 {
		i, ok = number(name, 'x')
		return node{}, i, ok && !more && i < len(t.roots) && t.roots[i] == 0
	}
	n = t.root(i)
	for more {
		name, rest, more = strings.Cut(rest, "/")
		if i, ok := number(name, 'd'); ok {
			of := t.subdirs(n)
			if i >= of || t.name(n, 'd', i) != name {
				return n, 0, false
			}
			if n = t.child(n, i, of); n.size == 0 {
				return n, 0, false
			}
			continue
		}
		i, ok := number(name, 'f')
		return n, i, ok && !more && i < t.files(n) && t.name(n, 'f', i) == name
	}
	return n, -1, true
}

// number reads the digits after the kind in a name.
func number(name string, kind byte) (n int, ok bool) {
	if len(name) < 2 || name[0] != kind {
		return 0, false
	}
	for _, c := range []byte(name[1:]) {
		if c < '0' || c > '9' {
			break
		}
		n = 10*n + int(c-'0')
	}
	return n, true
}

// rootName is how a root is given.
func (t *tree) rootName(i int) string {
	if t.roots[i] == 0 {
		return "x" + strconv.Itoa(i)
	}
	return "r" + strconv.Itoa(i)
}
