package stats

import (
	"container/heap"
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// smallest keeps values by key, for n keys at most: those with the smallest
// hashes. Which they are does not depend on the order of what is counted: a key
// that was pushed out by smaller ones would not be let in again, so what is kept
// was counted from its first time on. Keys that are pinned stay, and do not
// count.
//
// This is known as a bottom-k sample.
type smallest[K Key, V any] struct {
	n      int // 0: without limit, until it is known from what is merged
	m      map[K]*slot[V]
	hashes largestFirst[K] // of those that count
	over   bool            // some key was pushed out
}

type slot[V any] struct {
	value  V
	pinned bool
}

type hashed[K Key] struct {
	hash uint64
	key  K
}

// at returns the value of a key, made by add if it is new; nil if the key is not
// kept. It calls drop with a value that is pushed out. A key of a new value is
// copied.
func (s *smallest[K, V]) at(key K, pinned bool, add func() V, drop func(*V)) *V {
	if slot := s.m[key]; slot != nil {
		return &slot.value
	}
	if s.m == nil {
		s.m = map[K]*slot[V]{}
	}
	if pinned {
		slot := &slot[V]{value: add(), pinned: true}
		s.m[clone(key)] = slot
		return &slot.value
	}
	h := hashed[K]{hashOf(key), key}
	if s.n > 0 && len(s.hashes) >= s.n {
		s.over = true
		if h.less(s.hashes[0]) {
			s.shrink(s.n-1, drop)
		} else {
			return nil
		}
	}
	h.key = clone(key)
	slot := &slot[V]{value: add()}
	s.m[h.key] = slot
	heap.Push(&s.hashes, h)
	return &slot.value
}

// shrink pushes out what is more than n.
func (s *smallest[K, V]) shrink(n int, drop func(*V)) {
	for len(s.hashes) > n {
		s.over = true
		h := heap.Pop(&s.hashes).(hashed[K])
		drop(&s.m[h.key].value)
		delete(s.m, h.key)
	}
}

// limit takes n from what is merged in.
func (s *smallest[K, V]) limit(o *smallest[K, V], drop func(*V)) {
	if s.n == 0 {
		s.n = o.n
		if s.n > 0 {
			s.shrink(s.n, drop)
		}
	}
	s.over = s.over || o.over
}

func (s *smallest[K, V]) sorted() []K { return slices.Sorted(maps.Keys(s.m)) }

// clone copies a key that may lie in a buffer.
func clone[K Key](key K) K {
	if v := reflect.ValueOf(&key).Elem(); v.Kind() == reflect.String {
		v.SetString(strings.Clone(v.String()))
	}
	return key
}

// hashOf is FNV-1a of the key's text, with the last step of MurmurHash3, which
// mixes all bits.
//
// Sources: RFC 9923; https://github.com/aappleby/smhasher.
func hashOf[K Key](key K) uint64 {
	h := uint64(0xcbf29ce484222325)
	for _, b := range []byte(keyText(key)) {
		h = (h ^ uint64(b)) * 0x100000001b3
	}
	h = (h ^ h>>33) * 0xff51afd7ed558ccd
	h = (h ^ h>>33) * 0xc4ceb9fe1a85ec53
	return h ^ h>>33
}

func (a hashed[K]) less(b hashed[K]) bool {
	return a.hash < b.hash || a.hash == b.hash && a.key < b.key
}

type largestFirst[K Key] []hashed[K]

func (h largestFirst[K]) Len() int           { return len(h) }
func (h largestFirst[K]) Less(i, j int) bool { return h[j].less(h[i]) }
func (h largestFirst[K]) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *largestFirst[K]) Push(x any)        { *h = append(*h, x.(hashed[K])) }
func (h *largestFirst[K]) Pop() any {
	last := len(*h) - 1
	x := (*h)[last]
	*h = (*h)[:last]
	return x
}

// restKey is what JSON calls the keys that are not kept. A key of that text is
// quoted there.
const restKey = "other"

// boundedText is keyText for groups in which a rest may stand.
func boundedText[K Key](k K) string {
	text := keyText(k)
	if text == restKey {
		return `"` + restKey + `"`
	}
	return text
}

func parseBounded[K Key](text string) (K, error) {
	if text == `"`+restKey+`"` {
		k, err := parseKey[K](restKey)
		if err == nil {
			return k, nil
		}
	}
	return parseKey[K](text)
}

// marshal is an object of the keys in order, and of the rest if there is
// one.
func (s *smallest[K, V]) marshal(value func(*V) any, rest any) ([]byte, error) {
	out := []byte{'{'}
	field := func(text string, v any) error {
		key, err := json.Marshal(text)
		if err != nil {
			return err
		}
		data, err := json.Marshal(v)
		if err != nil {
			return err
		}
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = append(append(append(out, key...), ':'), data...)
		return nil
	}
	for _, k := range s.sorted() {
		if err := field(boundedText(k), value(&s.m[k].value)); err != nil {
			return nil, err
		}
	}
	if s.over {
		if err := field(restKey, rest); err != nil {
			return nil, err
		}
	}
	return append(out, '}'), nil
}
