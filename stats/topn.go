package stats

import (
	"bytes"
	"cmp"
	"container/heap"
	"encoding/json"
	"errors"
	"math"
	"slices"
)

// Ranked is what a [TopN] keeps of something, besides its path. Its JSON is an
// object, whose fields stand beside the path.
type Ranked[T any] interface {
	// Rank decides: the largest are kept.
	Rank() int64
	// Compare orders those of one rank and path; 0 is for equal ones.
	Compare(T) int
}

// Size is a [Ranked] of nothing but a size in bytes.
type Size struct {
	Size int64 `json:"size"`
}

// Rank implements [Ranked].
func (s Size) Rank() int64 { return s.Size }

// Compare implements [Ranked].
func (s Size) Compare(o Size) int { return cmp.Compare(s.Size, o.Size) }

// Item is an element of a [TopN].
type Item[T Ranked[T]] struct {
	Path string
	Item T
}

// compare orders by rank, the largest first, then by the bytes of the path.
func (a Item[T]) compare(b Item[T]) int {
	if c := cmp.Compare(b.Item.Rank(), a.Item.Rank()); c != 0 {
		return c
	}
	if c := cmp.Compare(a.Path, b.Path); c != 0 {
		return c
	}
	return a.Item.Compare(b.Item)
}

// TopN keeps the n largest of what it is given; of those of one rank, the ones
// whose paths sort first. The zero value keeps nothing, and takes n from what is
// merged into it.
//
// JSON has it as {"n": n, "list": [{"path": path, ...}]}, the largest first.
type TopN[T Ranked[T]] struct {
	n     int
	heap  lastFirst[T]
	floor int64  // see SetFloor
	least int64  // Takes: the rank of the last if the list is full, else floor
	buf   []byte // of the path that Add looks at
}

// NewTopN returns a list for the n largest.
func NewTopN[T Ranked[T]](n int) TopN[T] {
	t := TopN[T]{n: n, floor: math.MinInt64}
	t.fill()
	return t
}

// SetFloor makes t take nothing that could not come into the list that it will be
// merged into, as that is now.
func (t *TopN[T]) SetFloor(into *TopN[T]) {
	if into.n > 0 && len(into.heap) >= into.n {
		t.floor = into.least
		t.fill()
	}
}

// Takes tells whether Add may keep something of this rank: it saves to ask for
// the rest of most.
func (t *TopN[T]) Takes(rank int64) bool { return rank >= t.least }

// Add takes something into account. Its path is appended to a buffer, as
// AppendPath of a walk.Entry does. It allocates only for what is kept, also where
// many are as large as the smallest of those.
func (t *TopN[T]) Add(item T, appendPath func([]byte) []byte) {
	if !t.Takes(item.Rank()) {
		return
	}
	t.buf = appendPath(t.buf[:0])
	t.AddPath(item, t.buf)
}

// AddPath is Add for a path that is there already; it is copied if it is kept.
func (t *TopN[T]) AddPath(item T, path []byte) {
	rank := item.Rank()
	if t.n <= 0 || !t.Takes(rank) {
		return
	}
	if len(t.heap) == t.n && rank == t.heap[0].Item.Rank() {
		if c := comparePath(path, t.heap[0].Path); c > 0 || c == 0 && item.Compare(t.heap[0].Item) >= 0 {
			return
		}
	}
	t.keep(Item[T]{string(path), item})
}

// keep puts an item into the list, which comes before the last of a full one.
func (t *TopN[T]) keep(item Item[T]) {
	if len(t.heap) < t.n {
		heap.Push(&t.heap, item)
	} else {
		t.heap[0] = item
		heap.Fix(&t.heap, 0)
	}
	t.fill()
}

// comparePath is cmp.Compare of a path in a buffer, which that would copy first.
func comparePath(path []byte, other string) int {
	switch {
	case string(path) < other:
		return -1
	case string(path) > other:
		return 1
	}
	return 0
}

// fill keeps what Takes has to know.
func (t *TopN[T]) fill() {
	switch {
	case t.n <= 0:
		t.least = math.MaxInt64
	case len(t.heap) < t.n:
		t.least = t.floor
	default:
		t.least = max(t.heap[0].Item.Rank(), t.floor)
	}
}

// List returns what is kept, the largest first.
func (t *TopN[T]) List() []Item[T] {
	return slices.SortedFunc(slices.Values(t.heap), Item[T].compare)
}

// N is how many are kept at most.
func (t *TopN[T]) N() int { return t.n }

// Equal compares the lists.
func (t TopN[T]) Equal(o TopN[T]) bool {
	return t.n == o.n && slices.EqualFunc(t.List(), o.List(), func(a, b Item[T]) bool { return a.compare(b) == 0 })
}

var errDifferentN = errors.New("lists of the n largest with different n do not merge")

// MergeValue implements [Value]: the largest of both stay. Both have to keep as
// many, unless one is the zero value.
func (t *TopN[T]) MergeValue(from Value) error {
	o, err := as[TopN[T]](from)
	if err != nil {
		return err
	}
	return t.merge(o)
}

func (t *TopN[T]) merge(o *TopN[T]) error {
	switch {
	case o.n == 0:
		return nil
	case t.n == 0:
		*t = NewTopN[T](o.n)
	case t.n != o.n:
		return errDifferentN
	}
	for _, i := range o.heap {
		if len(t.heap) < t.n || i.compare(t.heap[0]) < 0 {
			t.keep(i)
		}
	}
	return nil
}

// ResetValue implements [Resetter]: n stays.
func (t *TopN[T]) ResetValue() { *t = NewTopN[T](t.n) }

// MarshalJSON implements [json.Marshaler].
func (t TopN[T]) MarshalJSON() ([]byte, error) {
	list := []json.RawMessage{}
	for _, i := range t.List() {
		path, err := json.Marshal(PathOf(i.Path))
		if err != nil {
			return nil, err
		}
		item, err := json.Marshal(i.Item)
		if err != nil {
			return nil, err
		}
		if !bytes.Equal(item, []byte("{}")) {
			path = append(append(path[:len(path)-1], ','), item[1:]...)
		}
		list = append(list, path)
	}
	return json.Marshal(topJSON{t.n, list})
}

type topJSON struct {
	N    int               `json:"n"`
	List []json.RawMessage `json:"list"`
}

var errTop = errors.New("stats: more elements than the list keeps")

// UnmarshalJSON implements [json.Unmarshaler].
func (t *TopN[T]) UnmarshalJSON(data []byte) error {
	var in topJSON
	if err := json.Unmarshal(data, &in); err != nil {
		return err
	}
	if len(in.List) > in.N {
		return errTop
	}
	out := NewTopN[T](in.N)
	for _, text := range in.List {
		var path Path
		var item T
		if err := json.Unmarshal(text, &path); err != nil {
			return err
		}
		if err := json.Unmarshal(text, &item); err != nil {
			return err
		}
		out.AddPath(item, []byte(path.String()))
	}
	*t = out
	return nil
}

// lastFirst is a heap whose first element is the one to be dropped next.
type lastFirst[T Ranked[T]] []Item[T]

func (h lastFirst[T]) Len() int           { return len(h) }
func (h lastFirst[T]) Less(i, j int) bool { return h[i].compare(h[j]) > 0 }
func (h lastFirst[T]) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *lastFirst[T]) Push(x any)        { *h = append(*h, x.(Item[T])) }
func (h *lastFirst[T]) Pop() any {
	last := len(*h) - 1
	s := (*h)[last]
	*h = (*h)[:last]
	return s
}
