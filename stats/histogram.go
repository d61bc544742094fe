package stats

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"sort"
)

// SizeEdges are the usual edges of file sizes, in bytes.
var SizeEdges = []int64{
	0, 1 << 10, 4 << 10, 8 << 10, 16 << 10, 32 << 10, 64 << 10, 128 << 10,
	1 << 20, 10 << 20, 100 << 20, 1 << 30, 10 << 30, 100 << 30, 1 << 40,
}

const day = 24 * 60 * 60

// AgeEdges are the usual edges of ages, in seconds: 0 (in the future), a minute,
// an hour, 1, 2, 7, 30, 60, 90 and 180 days, 1 to 5 and 10 years of 365 days.
var AgeEdges = []int64{
	0, 60, 3600, day, 2 * day, 7 * day, 30 * day, 60 * day, 90 * day, 180 * day,
	365 * day, 2 * 365 * day, 3 * 365 * day, 4 * 365 * day, 5 * 365 * day, 10 * 365 * day,
}

// Bin is one bin of a [Histogram], or one group of a [Group].
type Bin struct {
	Count int64 `json:"count"`
	Bytes int64 `json:"bytes"`
}

// Add counts n things of so many bytes in all.
func (b *Bin) Add(n, bytes int64) {
	b.Count += n
	b.Bytes += bytes
}

// Histogram counts things, and their bytes, by a number. A number falls into the
// first bin whose edge is not below it, or into one more behind the last edge.
// The zero value has no edges; it can be merged, but not added to.
//
// JSON has it as an array of {"le": edge, "count": n, "bytes": n}; the last
// edge is null.
type Histogram struct {
	edges []int64
	bins  []Bin
}

// NewHistogram returns a histogram with edges, which ascend.
func NewHistogram(edges ...int64) Histogram {
	for i := 1; i < len(edges); i++ {
		if edges[i-1] >= edges[i] {
			panic(fmt.Sprintf("stats: edge %d of a histogram does not ascend", edges[i]))
		}
	}
	return Histogram{edges: slices.Clone(edges), bins: make([]Bin, len(edges)+1)}
}

// Add counts one thing.
func (h *Histogram) Add(number, bytes int64) {
	// Most files are small, and the bins are few: a scan beats a search.
	i := 0
	for i < len(h.edges) && number > h.edges[i] {
		i++
	}
	b := &h.bins[i]
	b.Count++
	b.Bytes += bytes
}

// Edges returns a copy of the edges.
func (h *Histogram) Edges() []int64 { return slices.Clone(h.edges) }

// Bins returns a copy of the bins, one more than there are edges.
func (h *Histogram) Bins() []Bin { return slices.Clone(h.bins) }

// Equal compares edges and counts.
func (h Histogram) Equal(o Histogram) bool {
	return slices.Equal(h.edges, o.edges) && slices.Equal(h.bins, o.bins)
}

// MergeValue implements [Value]: it adds bin by bin. The edges have to be the
// same, unless one of the two has none.
func (h *Histogram) MergeValue(from Value) error {
	o, err := as[Histogram](from)
	switch {
	case err != nil:
		return err
	case o.bins == nil:
		return nil
	case h.bins == nil:
		*h = NewHistogram(o.edges...)
	case !slices.Equal(h.edges, o.edges):
		return errors.New("histograms with different edges do not merge")
	}
	for i, b := range o.bins {
		h.bins[i].Add(b.Count, b.Bytes)
	}
	return nil
}

type jsonBin struct {
	Le *int64 `json:"le"`
	Bin
}

// MarshalJSON implements [json.Marshaler].
func (h Histogram) MarshalJSON() ([]byte, error) {
	out := make([]jsonBin, len(h.bins))
	for i, b := range h.bins {
		out[i].Bin = b
		if i < len(h.edges) {
			out[i].Le = &h.edges[i]
		}
	}
	return json.Marshal(out)
}

// UnmarshalJSON implements [json.Unmarshaler].
func (h *Histogram) UnmarshalJSON(data []byte) error {
	var in []jsonBin
	if err := json.Unmarshal(data, &in); err != nil {
		return err
	}
	*h = Histogram{}
	if len(in) == 0 {
		return nil
	}
	last := len(in) - 1
	ascending := sort.SliceIsSorted(in[:last], func(i, j int) bool { return in[i].edge() <= in[j].edge() })
	if in[last].Le != nil || slices.ContainsFunc(in[:last], func(b jsonBin) bool { return b.Le == nil }) || !ascending {
		return errors.New("stats: a histogram's edges ascend, and the last is null")
	}
	h.edges, h.bins = make([]int64, last), make([]Bin, len(in))
	for i, b := range in {
		h.bins[i] = b.Bin
		if i < last {
			h.edges[i] = *b.Le
		}
	}
	return nil
}

func (b jsonBin) edge() int64 {
	if b.Le == nil {
		return math.MaxInt64
	}
	return *b.Le
}
