package check

import (
	"bytes"
	"slices"
	"unicode"
	"unicode/utf8"

	"github.com/hydrawalk/hydra/walk"
	"golang.org/x/text/unicode/norm"
)

// key is the key of the group of names that one has to look at together: names that are
// the same but for case or normalisation have one. It returns the name itself, or appends
// to buf. Bytes that are not UTF-8 stay as they are.
func key(buf, name []byte) []byte {
	for i, b := range name {
		if b >= utf8.RuneSelf {
			return anyKey(buf, name)
		}
		if 'A' <= b && b <= 'Z' {
			buf = append(buf, name...)
			lower := buf[len(buf)-len(name):]
			for j := i; j < len(lower); j++ {
				switch b := lower[j]; {
				case b >= utf8.RuneSelf:
					return anyKey(buf[:len(buf)-len(name)], name)
				case 'A' <= b && b <= 'Z':
					lower[j] = b + 'a' - 'A'
				}
			}
			return buf
		}
	}
	return name
}

// anyKey is key for any name. It is decomposed before it is folded, for what folds may be
// part of a composed character, and after it.
func anyKey(buf, name []byte) []byte {
	if norm.NFD.IsNormal(name) {
		return norm.NFD.Append(buf, appendFold(nil, name)...)
	}
	return norm.NFD.Append(buf, appendFold(nil, norm.NFD.Bytes(name))...)
}

// appendFold appends text without differences of case: each character becomes the least
// one of those that it is the same as, one for one, as file systems do it.
func appendFold(b, text []byte) []byte {
	for len(text) > 0 {
		r, size := utf8.DecodeRune(text)
		if r == utf8.RuneError && size == 1 {
			b = append(b, text[0])
		} else {
			b = utf8.AppendRune(b, fold(r))
		}
		text = text[size:]
	}
	return b
}

func fold(r rune) rune {
	if r < utf8.RuneSelf {
		if 'A' <= r && r <= 'Z' {
			r += 'a' - 'A'
		}
		return r
	}
	least := r
	for o := unicode.SimpleFold(r); o != r; o = unicode.SimpleFold(o) {
		least = min(least, o)
	}
	if 'A' <= least && least <= 'Z' {
		least += 'a' - 'A'
	}
	return least
}

// table is a set of hashes that is used again and again without being made new.
type table struct {
	slots []slot
	turn  uint32
}

type slot struct {
	hash uint64
	turn uint32 // in which it was used
	at   int32  // the first entry with the hash
}

// begin makes room for n entries.
func (t *table) begin(n int) {
	size := 64
	for size < 2*n {
		size *= 2
	}
	t.turn++
	if len(t.slots) < size || t.turn == 0 {
		t.slots, t.turn = make([]slot, size), 1
	}
}

// add returns the first entry with the hash, and whether that is another one.
func (t *table) add(hash uint64, at int) (first int, another bool) {
	mask := uint64(len(t.slots) - 1)
	for i := hash & mask; ; i = (i + 1) & mask {
		s := &t.slots[i]
		if s.turn != t.turn {
			*s = slot{hash, t.turn, int32(at)}
			return at, false
		}
		if s.hash == hash {
			return int(s.at), true
		}
	}
}

// hashKey is FNV-1a with a finaliser.
func hashKey(key []byte) uint64 {
	h := uint64(0xcbf29ce484222325)
	for _, c := range key {
		h = (h ^ uint64(c)) * 0x100000001b3
	}
	h ^= h >> 32
	h *= 0xd6e8feb86659fd93
	return h ^ h>>32
}

// collisions finds the names among entries that have one key. Those of one directory that
// have one are all there: see App.Group.
func (c *checker) collisions(entries []walk.Entry) {
	c.table.begin(len(entries))
	c.alike = c.alike[:0]
	for i := range entries {
		k := key(c.key[:0], entries[i].NameBytes())
		if cap(k) <= mostKey && cap(k) > cap(c.key) && len(k) > 0 && &k[0] != &entries[i].NameBytes()[0] {
			c.key = k[:0]
		}
		if first, another := c.table.add(hashKey(k), i); another {
			c.alike = append(c.alike, pair{first, i})
		}
	}
	if len(c.alike) == 0 {
		return
	}
	groups := map[string][]*walk.Entry{}
	add := func(i int) {
		k := string(key(nil, entries[i].NameBytes()))
		groups[k] = append(groups[k], &entries[i])
	}
	slices.SortFunc(c.alike, func(a, b pair) int { return a.first - b.first })
	for i, p := range c.alike {
		if i == 0 || c.alike[i-1].first != p.first {
			add(p.first)
		}
		add(p.i)
	}
	for _, group := range groups {
		c.group(group)
	}
}

// pair is an entry, and the first that has the same hash.
type pair struct{ first, i int }

// mostKey is the most memory that is kept for keys.
const mostKey = 4 << 10

// group tells of names with one key what they share with one that comes before.
func (c *checker) group(group []*walk.Entry) {
	if len(group) < 2 {
		return // another key has the same hash
	}
	slices.SortFunc(group, func(a, b *walk.Entry) int { return bytes.Compare(a.NameBytes(), b.NameBytes()) })
	folded, composed := map[string]*walk.Entry{}, map[string]*walk.Entry{}
	for i, e := range group {
		f, n := string(appendFold(nil, e.NameBytes())), string(norm.NFC.Bytes(e.NameBytes()))
		byCase, byForm := folded[f], composed[n]
		if byCase == nil {
			folded[f] = e
		} else if c.on.has(caseDupe) {
			c.find(caseDupe, e, finding{Detail: "differs only by case", other: byCase})
		}
		if byForm == nil {
			composed[n] = e
		} else if c.on.has(normalization) {
			c.find(normalization, e, finding{Detail: "is the same text in another normal form", other: byForm})
		}
		if i > 0 && byCase == nil && byForm == nil && c.on.has(normalization) {
			c.find(normalization, e, finding{Detail: "differs by case and normal form", other: group[0]})
		}
	}
}
