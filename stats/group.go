package stats

import (
	"cmp"
	"encoding/json"
	"maps"
)

// Group counts things, and their bytes, by a key such as an owner or an
// extension. JSON has it as an object; encoding/json sorts its keys.
//
// It grows with the number of keys: bound them where they come from a tree.
type Group[K cmp.Ordered] map[K]*Bin

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

// UnmarshalJSON implements [json.Unmarshaler].
func (g *Group[K]) UnmarshalJSON(data []byte) error {
	var in map[K]Bin // not by pointers, which could be null
	if err := json.Unmarshal(data, &in); err != nil {
		return err
	}
	*g = nil
	for k, b := range in {
		g.bin(k).Add(b.Count, b.Bytes)
	}
	return nil
}

// MarshalJSON implements [json.Marshaler]; no groups are {}, never null.
func (g Group[K]) MarshalJSON() ([]byte, error) {
	if g == nil {
		return []byte("{}"), nil
	}
	return json.Marshal(map[K]*Bin(g))
}
