package stats

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"slices"
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

// Histogram counts things, and their bytes, by a number. A number falls into the
// first bin whose edge is not below it, or into one more behind the last edge.
// The zero value has no edges; it can be merged, but not added to.
//
// JSON has it as an array of {"le": edge, "count": n, "bytes": n}; the last
// edge is null.
type Histogram struct {
	edges []int64
	bins  []Bin // one more than edges

	// first is the bin to begin a search at, by the number of bits of what is
	// searched; 64 is for all that is negative. Bins beyond 255 are searched for
	// from there: a byte keeps statistics small.
	first [65]uint8
}

// NewHistogram returns a histogram with edges, which have to ascend.
func NewHistogram(edges ...int64) Histogram {
	if !ascend(edges) {
		panic(fmt.Sprintf("stats: the edges %d of a histogram do not ascend", edges))
	}
	h := Histogram{edges: slices.Clone(edges), bins: make([]Bin, len(edges)+1)}
	for n := range 64 {
		smallest := int64(1) << n >> 1 // of n bits
		bin, _ := slices.BinarySearch(edges, smallest)
		h.first[n] = uint8(min(bin, math.MaxUint8))
	}
	return h
}

// ascend says that each edge is above the one before it.
func ascend(edges []int64) bool {
	for i := 1; i < len(edges); i++ {
		if edges[i-1] >= edges[i] {
			return false
		}
	}
	return true
}

// Add counts one thing.
func (h *Histogram) Add(number, bytes int64) { h.bins[h.Find(number)].Add(1, bytes) }

// Find returns the bin that a number falls into, for AddAt of this and of other
// histograms with the same edges.
func (h *Histogram) Find(number int64) int {
	i := int(h.first[bits.Len64(uint64(number))])
	for i < len(h.edges) && number > h.edges[i] {
		i++
	}
	return i
}

// AddAt counts one thing, of bytes that are not negative, in a bin that Find
// returned.
func (h *Histogram) AddAt(bin int, bytes int64) { h.bins[bin].one(bytes) }

// Edges returns a copy of the edges.
func (h *Histogram) Edges() []int64 { return slices.Clone(h.edges) }

// Bins returns a copy of the bins, one more than there are edges.
func (h *Histogram) Bins() []Bin { return slices.Clone(h.bins) }

// Equal compares edges and counts.
func (h Histogram) Equal(o Histogram) bool {
	return slices.Equal(h.edges, o.edges) && slices.Equal(h.bins, o.bins)
}

var errDifferentEdges = errors.New("histograms with different edges do not merge")

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
		return errDifferentEdges
	}
	for i, b := range o.bins {
		h.bins[i].Add(b.Count, b.Bytes)
	}
	return nil
}

// ResetValue implements [Resetter]: the edges stay.
func (h *Histogram) ResetValue() {
	if h.bins != nil {
		h.bins = make([]Bin, len(h.bins))
	}
}

type jsonBin struct {
	Le *int64 `json:"le"`
	Bin
}

// MarshalJSON implements [json.Marshaler].
func (h Histogram) MarshalJSON() ([]byte, error) { return json.Marshal(h.json()) }

func (h *Histogram) json() []jsonBin {
	out := make([]jsonBin, len(h.bins))
	for i, b := range h.bins {
		out[i].Bin = b
		if i < len(h.edges) {
			out[i].Le = &h.edges[i]
		}
	}
	return out
}

var errEdges = errors.New("stats: a histogram's edges ascend, and the last is null")

// UnmarshalJSON implements [json.Unmarshaler].
func (h *Histogram) UnmarshalJSON(data []byte) error {
	var in []jsonBin
	if err := json.Unmarshal(data, &in); err != nil {
		return err
	}
	return h.set(in)
}

// set makes h of its JSON.
func (h *Histogram) set(in []jsonBin) error {
	if len(in) == 0 {
		*h = Histogram{}
		return nil
	}
	var edges []int64
	for i, b := range in {
		switch last := i == len(in)-1; {
		case last != (b.Le == nil):
			return errEdges
		case !last:
			edges = append(edges, *b.Le)
		}
	}
	if !ascend(edges) {
		return errEdges
	}
	*h = NewHistogram(edges...)
	for i, b := range in {
		h.bins[i] = b.Bin
	}
	return nil
}
