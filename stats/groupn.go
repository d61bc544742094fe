package stats

import (
	"encoding/json"
	"errors"
)

// GroupN counts files by a key that comes from a tree, such as an extension or
// an owner, so that there may be any number of them: it keeps n keys at most, and
// all others together as a rest. The keys kept are those with the smallest
// hashes: which they are, and what is counted of them, does not depend on the
// order.
//
// A key may belong to a category. Those that do are all kept, and do not count
// towards n.
//
// JSON has it as an object, {"jpg": {"count": n, "bytes": n, "allocated": n,
// "category": "image"}}, with keys as a [Group] has them. The rest is "other",
// and there only if keys were left out; a key of that name is quoted.
type GroupN[K Key] struct {
	groups smallest[K, Grouped]
	rest   Use
}

// Grouped is what a [GroupN] has of a key.
type Grouped struct {
	Use
	Category string `json:"category,omitempty"` // of the key, if it has one
}

// NewGroupN returns a group of n keys at most; 0 sets no limit.
func NewGroupN[K Key](n int) GroupN[K] { return GroupN[K]{groups: smallest[K, Grouped]{n: n}} }

// Lookup returns where a key is counted that is kept already, and nil for others.
// It is valid until the next call of another method.
func (g *GroupN[K]) Lookup(key K) *Use {
	if s := g.groups.m[key]; s != nil {
		return &s.value.Use
	}
	return nil
}

// At returns where a key is counted; category is empty if it belongs to none. It
// is valid until the next call of another method. A key in a buffer is copied if
// it is kept.
func (g *GroupN[K]) At(key K, category string) *Use {
	if u := g.Lookup(key); u != nil {
		return u
	}
	u := g.groups.at(key, category != "", func() Grouped { return Grouped{Category: category} }, g.drop)
	if u == nil {
		return &g.rest
	}
	return &u.Use
}

func (g *GroupN[K]) drop(u *Grouped) { g.rest.merge(&u.Use) }

// Len is the number of keys that are kept.
func (g *GroupN[K]) Len() int { return len(g.groups.m) }

// All calls yield for each key, in order.
func (g *GroupN[K]) All(yield func(K, Grouped) bool) {
	for _, k := range g.groups.sorted() {
		if !yield(k, g.groups.m[k].value) {
			return
		}
	}
}

// Rest is what was counted of keys that are not kept; false if all are.
func (g *GroupN[K]) Rest() (Use, bool) { return g.rest, g.groups.over }

// Equal compares keys and counts.
func (g GroupN[K]) Equal(o GroupN[K]) bool {
	if g.rest != o.rest || g.groups.over != o.groups.over || len(g.groups.m) != len(o.groups.m) {
		return false
	}
	for k, s := range g.groups.m {
		if other := o.groups.m[k]; other == nil || s.value != other.value {
			return false
		}
	}
	return true
}

var errCategories = errors.New("groups with different limits or categories do not merge")

// MergeValue implements [Value]: it adds key by key.
func (g *GroupN[K]) MergeValue(from Value) error {
	o, err := as[GroupN[K]](from)
	if err != nil {
		return err
	}
	if g.groups.n != 0 && o.groups.n != 0 && g.groups.n != o.groups.n {
		return errCategories
	}
	for k, s := range o.groups.m {
		if mine := g.groups.m[k]; mine != nil && mine.value.Category != s.value.Category {
			return errCategories
		}
	}
	g.groups.limit(&o.groups, g.drop)
	for k, s := range o.groups.m {
		g.At(k, s.value.Category).merge(&s.value.Use)
	}
	g.rest.merge(&o.rest)
	return nil
}

// ResetValue implements [Resetter]: the limit stays.
func (g *GroupN[K]) ResetValue() { *g = NewGroupN[K](g.groups.n) }

// MarshalJSON implements [json.Marshaler].
func (g GroupN[K]) MarshalJSON() ([]byte, error) {
	return g.groups.marshal(func(u *Grouped) any { return u }, g.rest)
}

// UnmarshalJSON implements [json.Unmarshaler]. The limit is known if it was
// reached.
func (g *GroupN[K]) UnmarshalJSON(data []byte) error {
	var in map[string]Grouped
	if err := json.Unmarshal(data, &in); err != nil {
		return err
	}
	var out GroupN[K]
	for text, u := range in {
		if text == restKey {
			out.rest, out.groups.over = u.Use, true
			continue
		}
		k, err := parseBounded[K](text)
		if err != nil {
			return err
		}
		out.At(k, u.Category).merge(&u.Use)
	}
	if out.groups.over {
		out.groups.n = len(out.groups.hashes)
	}
	*g = out
	return nil
}
