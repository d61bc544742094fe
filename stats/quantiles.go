package stats

import (
	"encoding/json"
	"errors"
	"math"
	"math/bits"
	"slices"
)

// Quantiles tells what part of the numbers that it has seen is below which
// value. Its answers are at most 1 % off, and exact below 128; the smallest and
// the largest number are exact. It is for numbers that are not negative:
// negative ones count as 0.
//
// It counts in bins, 64 for each power of two, so merging loses nothing and the
// bins of any order of merges are the same. The layout is that of HdrHistogram
// (https://hdrhistogram.org); all is integers, so that it is the same on every
// processor, which logarithms are not.
//
// JSON has the usual quantiles, null if nothing was counted, and the bins as
// [smallest number of the bin, count].
type Quantiles struct {
	bins     []int64 // as many as are needed
	min, max int64
}

const (
	binBits    = 6
	binsPerBit = 1 << binBits
)

// binOf is the bin of a number; binStart its smallest number.
func binOf(n int64) int {
	if n < 2*binsPerBit {
		return int(n)
	}
	shift := bits.Len64(uint64(n)) - binBits - 1
	return shift<<binBits + int(n>>shift)
}

func binStart(bin int) int64 {
	if bin < 2*binsPerBit {
		return int64(bin)
	}
	shift := bin>>binBits - 1
	return int64(bin-shift<<binBits) << shift
}

// Add counts one number.
func (q *Quantiles) Add(n int64) {
	n = max(n, 0)
	bin := binOf(n)
	if bin >= len(q.bins) {
		q.grow(bin, n)
	}
	q.bins[bin]++
	q.min, q.max = min(q.min, n), max(q.max, n)
}

// grow makes a bin for n, which is the first number or larger than all so far.
func (q *Quantiles) grow(bin int, n int64) {
	if len(q.bins) == 0 {
		q.min = n
	}
	q.bins = append(q.bins, make([]int64, bin+1-len(q.bins))...)
}

// Count is how many numbers were counted.
func (q *Quantiles) Count() int64 {
	var count int64
	for _, n := range q.bins {
		count = plus(count, n)
	}
	return count
}

// At returns the number that a part of all, from 0 to 1, does not exceed: At(0.5)
// is the median. Without numbers it is 0.
func (q *Quantiles) At(part float64) int64 {
	if len(q.bins) == 0 {
		return 0
	}
	if part <= 0 {
		return q.min
	}
	if part >= 1 {
		return q.max
	}
	rank := max(int64(math.Ceil(part*float64(q.Count()))), 1)
	var seen int64
	for bin, n := range q.bins {
		if seen = plus(seen, n); seen >= rank {
			low := binStart(bin)
			middle := low
			if bin >= 2*binsPerBit {
				middle += int64(1) << (bin>>binBits - 1) / 2
			}
			return min(max(middle, q.min), q.max)
		}
	}
	return q.max
}

// Equal compares what was counted.
func (q Quantiles) Equal(o Quantiles) bool {
	return q.min == o.min && q.max == o.max && slices.Equal(q.bins, o.bins)
}

// MergeValue implements [Value]: it adds bin by bin.
func (q *Quantiles) MergeValue(from Value) error {
	o, err := as[Quantiles](from)
	if err != nil || len(o.bins) == 0 {
		return err
	}
	if last := len(o.bins) - 1; last >= len(q.bins) {
		q.grow(last, o.min)
	}
	for bin, n := range o.bins {
		q.bins[bin] = plus(q.bins[bin], n)
	}
	q.min, q.max = min(q.min, o.min), max(q.max, o.max)
	return nil
}

type quantilesJSON struct {
	Count int64      `json:"count"`
	Min   *int64     `json:"min"`
	P10   *int64     `json:"p10"`
	P50   *int64     `json:"p50"`
	P90   *int64     `json:"p90"`
	P99   *int64     `json:"p99"`
	Max   *int64     `json:"max"`
	Bins  [][2]int64 `json:"bins"`
}

// MarshalJSON implements [json.Marshaler].
func (q Quantiles) MarshalJSON() ([]byte, error) {
	out := quantilesJSON{Count: q.Count(), Bins: [][2]int64{}}
	if out.Count > 0 {
		at := func(part float64) *int64 { n := q.At(part); return &n }
		out.Min, out.P10, out.P50, out.P90, out.P99, out.Max = &q.min, at(0.1), at(0.5), at(0.9), at(0.99), &q.max
	}
	for bin, n := range q.bins {
		if n > 0 {
			out.Bins = append(out.Bins, [2]int64{binStart(bin), n})
		}
	}
	return json.Marshal(out)
}

var errQuantiles = errors.New("stats: bins of quantiles ascend, and hold what is counted")

// UnmarshalJSON implements [json.Unmarshaler].
func (q *Quantiles) UnmarshalJSON(data []byte) error {
	var in quantilesJSON
	if err := json.Unmarshal(data, &in); err != nil {
		return err
	}
	var out Quantiles
	first, last := -1, -1
	for _, b := range in.Bins {
		start, n := b[0], b[1]
		if start < 0 || n <= 0 {
			return errQuantiles
		}
		bin := binOf(start)
		if binStart(bin) != start || bin <= last {
			return errQuantiles
		}
		if last < 0 {
			first = bin
		}
		last = bin
		out.grow(bin, 0)
		out.bins[bin] = n
	}
	if last >= 0 {
		if in.Min == nil || in.Max == nil || *in.Min < 0 || *in.Max < *in.Min ||
			binOf(*in.Min) != first || binOf(*in.Max) != last {
			return errQuantiles
		}
		out.min, out.max = *in.Min, *in.Max
	}
	*q = out
	return nil
}
