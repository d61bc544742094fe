package stats

import (
	"encoding/json"
	"errors"
	"slices"
)

// Cross is a [Histogram] by two numbers: how many things, and their bytes, fall
// into each bin of the one and each bin of the other.
//
// JSON has it as the histogram by the first number, in which each bin has
// "by_size", the histogram by the second.
type Cross struct {
	rows, columns Histogram // only edges: nothing is in their bins
	cells         []Bin     // row by row
}

// NewCross returns a histogram with edges for the two numbers.
func NewCross(first, second []int64) Cross {
	c := Cross{rows: NewHistogram(first...), columns: NewHistogram(second...)}
	c.ResetValue()
	return c
}

// Add counts one thing by two numbers.
func (c *Cross) Add(first, second, bytes int64) {
	c.cells[c.Row(first)*len(c.columns.bins)+c.columns.Find(second)].Add(1, bytes)
}

// Row returns the bin that a first number falls into, for AddAt of this and of
// others with the same edges.
func (c *Cross) Row(first int64) int { return c.rows.Find(first) }

// AddAt counts one thing, of bytes that are not negative, in bins that are known, that of the second number from
// [Histogram.Find] of one with the same edges.
func (c *Cross) AddAt(row, column int, bytes int64) {
	c.cells[row*len(c.columns.bins)+column].one(bytes)
}

// Rows returns the histogram by the first number.
func (c *Cross) Rows() Histogram {
	h := c.rows
	h.bins = make([]Bin, len(c.rows.bins))
	for i := range h.bins {
		for _, b := range c.row(i) {
			h.bins[i].Add(b.Count, b.Bytes)
		}
	}
	return h
}

// InRow returns the histogram by the second number in a bin of the first.
func (c *Cross) InRow(bin int) Histogram {
	h := c.columns
	h.bins = slices.Clone(c.row(bin))
	return h
}

func (c *Cross) row(i int) []Bin {
	n := len(c.columns.bins)
	return c.cells[i*n : (i+1)*n]
}

// Equal compares edges and counts.
func (c Cross) Equal(o Cross) bool { return c.sameEdges(&o) && slices.Equal(c.cells, o.cells) }

func (c *Cross) sameEdges(o *Cross) bool {
	return slices.Equal(c.rows.edges, o.rows.edges) && slices.Equal(c.columns.edges, o.columns.edges)
}

// MergeValue implements [Value]: it adds bin by bin. The edges have to be the
// same, unless one of the two has none.
func (c *Cross) MergeValue(from Value) error {
	o, err := as[Cross](from)
	switch {
	case err != nil:
		return err
	case o.cells == nil:
		return nil
	case c.cells == nil:
		*c = NewCross(o.rows.edges, o.columns.edges)
	case !c.sameEdges(o):
		return errDifferentEdges
	}
	for i, b := range o.cells {
		c.cells[i].Add(b.Count, b.Bytes)
	}
	return nil
}

// ResetValue implements [Resetter]: the edges stay.
func (c *Cross) ResetValue() {
	if n := len(c.rows.bins) * len(c.columns.bins); n > 0 {
		c.cells = make([]Bin, n)
	}
}

type jsonRow struct {
	jsonBin
	BySize Histogram `json:"by_size"`
}

// MarshalJSON implements [json.Marshaler].
func (c Cross) MarshalJSON() ([]byte, error) {
	rows := c.Rows()
	out := make([]jsonRow, len(rows.bins))
	for i, b := range rows.json() {
		out[i] = jsonRow{b, c.InRow(i)}
	}
	return json.Marshal(out)
}

var errCross = errors.New("stats: all rows of a histogram by two numbers have the same edges, and their sum is in it")

// UnmarshalJSON implements [json.Unmarshaler].
func (c *Cross) UnmarshalJSON(data []byte) error {
	var in []jsonRow
	if err := json.Unmarshal(data, &in); err != nil {
		return err
	}
	if len(in) == 0 {
		*c = Cross{}
		return nil
	}
	var bins []jsonBin
	for _, row := range in {
		bins = append(bins, row.jsonBin)
	}
	var rows Histogram
	if err := rows.set(bins); err != nil {
		return err
	}
	if in[0].BySize.bins == nil {
		return errCross
	}
	out := NewCross(rows.edges, in[0].BySize.edges)
	for i, row := range in {
		if !slices.Equal(row.BySize.edges, out.columns.edges) || row.BySize.bins == nil {
			return errCross
		}
		copy(out.row(i), row.BySize.bins)
	}
	if sums := out.Rows(); !sums.Equal(rows) {
		return errCross
	}
	*c = out
	return nil
}
