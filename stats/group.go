package stats

import (
	"encoding/json"
	"maps"
	"slices"
)

// Group counts things, and their bytes, by a key such as an owner or an
// extension. It allocates only for a key that is new.
//
// JSON has it as an object, {"0": {"count": n, "bytes": n}}, sorted by key:
// numbers as numbers, strings by their bytes. A string that JSON can not hold,
// because it is not UTF-8, is written as Go would quote it, as in
// "\"jp\\xffg\""; so is one that begins with a quotation mark, to tell them apart.
//
// It grows with the number of keys: bound them where they come from a tree.
type Group[K Key] map[K]*Bin

// Key is what a [Group] counts by.
type Key interface {
	~string |
		~int | ~int8 | ~int16 | ~int32 | ~int64 |
		~uint | ~uint8 | ~uint16 | ~uint32 | ~uint64
}

// Add counts one thing.
func (g *Group[K]) Add(key K, bytes int64) { g.bin(key).Add(1, bytes) }

func (g *Group[K]) bin(key K) *Bin {
	b := (*g)[key]
	if b == nil {
		if *g == nil {
			*g = Group[K]{}
		}
		b = new(Bin)
		(*g)[key] = b
	}
	return b
}

// Equal compares keys and counts.
func (g Group[K]) Equal(o Group[K]) bool {
	return maps.EqualFunc(g, o, func(a, b *Bin) bool { return *a == *b })
}

// MergeValue implements [Value]: it adds key by key.
func (g *Group[K]) MergeValue(from Value) error {
	o, err := as[Group[K]](from)
	if err != nil {
		return err
	}
	for k, b := range *o {
		g.bin(k).Add(b.Count, b.Bytes)
	}
	return nil
}

// MarshalJSON implements [json.Marshaler]; no groups are {}, never null.
func (g Group[K]) MarshalJSON() ([]byte, error) {
	out := []byte{'{'}
	for i, k := range slices.Sorted(maps.Keys(g)) { // encoding/json has 10 before 9
		if i > 0 {
			out = append(out, ',')
		}
		key, err := json.Marshal(keyText(k))
		if err != nil {
			return nil, err
		}
		bin, err := json.Marshal(g[k])
		if err != nil {
			return nil, err
		}
		out = append(out, key...)
		out = append(out, ':')
		out = append(out, bin...)
	}
	return append(out, '}'), nil
}

// UnmarshalJSON implements [json.Unmarshaler].
func (g *Group[K]) UnmarshalJSON(data []byte) error {
	var in map[string]Bin // not by pointers, which could be null
	if err := json.Unmarshal(data, &in); err != nil {
		return err
	}
	var out Group[K]
	for text, b := range in {
		k, err := parseKey[K](text)
		if err != nil {
			return err
		}
		out.bin(k).Add(b.Count, b.Bytes)
	}
	*g = out
	return nil
}
