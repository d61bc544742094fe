package stats

import (
	"cmp"
	"container/heap"
	"errors"
	"slices"
)

// Sized is something with a path and a size in bytes.
type Sized struct {
	Path string
	Size int64
}

// compare orders by size, the largest first, then by the bytes of the path.
func (s Sized) compare(o Sized) int {
	return cmp.Or(cmp.Compare(o.Size, s.Size), cmp.Compare(s.Path, o.Path))
}

// TopN keeps the n largest of what it is given; of those of one size, the ones
// whose paths sort first. The zero value keeps nothing, and takes n from what is
// merged into it.
type TopN struct {
	n    int
	heap lastFirst
	buf  []byte // of the path that AddPath looks at
}

// NewTopN returns a list for the n largest.
func NewTopN(n int) TopN { return TopN{n: n} }

// Add takes something into account. path is only called if its size is large
// enough, so that nothing is built for the many that are not.
func (t *TopN) Add(size int64, path func() string) {
	switch {
	case len(t.heap) < t.n:
		heap.Push(&t.heap, Sized{path(), size})
	case t.n > 0 && size >= t.heap[0].Size:
		if p := path(); size > t.heap[0].Size || p < t.heap[0].Path {
			t.replace(Sized{p, size})
		}
	}
}

// AddPath is Add for a path that is appended to a buffer, as AppendPath of a
// walk.Entry does. It allocates only for what is kept, also where many are as
// large as the smallest of those.
func (t *TopN) AddPath(size int64, appendPath func([]byte) []byte) {
	switch {
	case len(t.heap) < t.n:
		heap.Push(&t.heap, Sized{string(appendPath(nil)), size})
	case t.n > 0 && size >= t.heap[0].Size:
		t.buf = appendPath(t.buf[:0])
		if size > t.heap[0].Size || string(t.buf) < t.heap[0].Path {
			t.replace(Sized{string(t.buf), size})
		}
	}
}

// replace drops the last, which s comes before.
func (t *TopN) replace(s Sized) {
	t.heap[0] = s
	heap.Fix(&t.heap, 0)
}

// List returns what is kept, the largest first.
func (t *TopN) List() []Sized {
	return slices.SortedFunc(slices.Values(t.heap), Sized.compare)
}

// Equal compares the lists.
func (t TopN) Equal(o TopN) bool { return t.n == o.n && slices.Equal(t.List(), o.List()) }

var errDifferentN = errors.New("lists of the n largest with different n do not merge")

// MergeValue implements [Value]: the largest of both stay. Both have to keep as
// many, unless one is the zero value.
func (t *TopN) MergeValue(from Value) error {
	o, err := as[TopN](from)
	if err != nil {
		return err
	}
	if t.n == 0 {
		t.n = o.n
	} else if o.n != 0 && t.n != o.n {
		return errDifferentN
	}
	for _, s := range o.heap {
		t.Add(s.Size, func() string { return s.Path })
	}
	return nil
}

// ResetValue implements [Resetter]: n stays.
func (t *TopN) ResetValue() { *t = TopN{n: t.n} }

// lastFirst is a heap whose first element is the one to be dropped next.
type lastFirst []Sized

func (h lastFirst) Len() int           { return len(h) }
func (h lastFirst) Less(i, j int) bool { return h[i].compare(h[j]) > 0 }
func (h lastFirst) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *lastFirst) Push(x any)        { *h = append(*h, x.(Sized)) }
func (h *lastFirst) Pop() any {
	last := len(*h) - 1
	s := (*h)[last]
	*h = (*h)[:last]
	return s
}
