package stats

import (
	"encoding/json"
	"errors"
)

// TopBy has a [TopN] for each key, such as the largest files of each owner. Like
// [GroupN] it keeps a bounded number of keys, those with the smallest hashes.
//
// JSON has it as an object of lists; there is also "other", which is null, if
// keys were left out.
type TopBy[K Key, T Ranked[T]] struct {
	n     int // of each list
	lists smallest[K, TopN[T]]
}

// NewTopBy returns lists of the n largest for so many keys at most.
func NewTopBy[K Key, T Ranked[T]](keys, n int) TopBy[K, T] {
	return TopBy[K, T]{n: n, lists: smallest[K, TopN[T]]{n: keys}}
}

// At returns the list of a key, or nil if it is not kept. It is valid until the
// next call of another method.
func (t *TopBy[K, T]) At(key K) *TopN[T] {
	if s := t.lists.m[key]; s != nil {
		return &s.value
	}
	return t.lists.at(key, false, func() TopN[T] { return NewTopN[T](t.n) }, func(*TopN[T]) {})
}

// SetFloors is [TopN.SetFloor] for the lists of all keys.
func (t *TopBy[K, T]) SetFloors(into *TopBy[K, T]) {
	for k, s := range into.lists.m {
		if list := t.At(k); list != nil {
			list.SetFloor(&s.value)
		}
	}
}

// Len is the number of keys that are kept.
func (t *TopBy[K, T]) Len() int { return len(t.lists.m) }

// LeftOut tells whether there are keys that are not kept.
func (t *TopBy[K, T]) LeftOut() bool { return t.lists.over }

// All calls yield for each key, in order, with its list.
func (t *TopBy[K, T]) All(yield func(K, []Item[T]) bool) {
	for _, k := range t.lists.sorted() {
		if !yield(k, t.lists.m[k].value.List()) {
			return
		}
	}
}

// Equal compares keys and lists.
func (t TopBy[K, T]) Equal(o TopBy[K, T]) bool {
	if t.lists.over != o.lists.over || len(t.lists.m) != len(o.lists.m) {
		return false
	}
	for k, s := range t.lists.m {
		if other := o.lists.m[k]; other == nil || !s.value.Equal(other.value) {
			return false
		}
	}
	return true
}

var errDifferentLists = errors.New("lists by key with different limits do not merge")

// MergeValue implements [Value]: it merges list by list.
func (t *TopBy[K, T]) MergeValue(from Value) error {
	o, err := as[TopBy[K, T]](from)
	if err != nil {
		return err
	}
	if t.n != 0 && o.n != 0 && t.n != o.n || t.lists.n != 0 && o.lists.n != 0 && t.lists.n != o.lists.n {
		return errDifferentLists
	}
	if t.n == 0 {
		t.n = o.n
	}
	t.lists.limit(&o.lists, func(*TopN[T]) {})
	for k, s := range o.lists.m {
		if list := t.At(k); list != nil {
			if err := list.merge(&s.value); err != nil {
				return err // can not be: all are of length t.n
			}
		}
	}
	return nil
}

// ResetValue implements [Resetter]: the limits stay.
func (t *TopBy[K, T]) ResetValue() { *t = NewTopBy[K, T](t.lists.n, t.n) }

// MarshalJSON implements [json.Marshaler].
func (t TopBy[K, T]) MarshalJSON() ([]byte, error) {
	return t.lists.marshal(func(l *TopN[T]) any { return l }, nil)
}

// UnmarshalJSON implements [json.Unmarshaler].
func (t *TopBy[K, T]) UnmarshalJSON(data []byte) error {
	var in map[string]*TopN[T]
	if err := json.Unmarshal(data, &in); err != nil {
		return err
	}
	var out TopBy[K, T]
	for text, list := range in {
		if text == restKey {
			out.lists.over = true
			continue
		}
		k, err := parseBounded[K](text)
		switch {
		case err != nil:
			return err
		case list == nil || list.n == 0 || out.n != 0 && out.n != list.n:
			return errDifferentLists
		}
		out.n = list.n
		*out.At(k) = *list
	}
	if out.lists.over {
		out.lists.n = len(out.lists.m)
	}
	*t = out
	return nil
}
