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
	rows  Histogram   // only its edges: what is in its bins is the sum of cells
	cells []Histogram // one for each bin of rows
}

// NewCross returns a histogram with edges for the two numbers.
func NewCross(first, second []int64) Cross {
	c := Cross{rows: NewHistogram(first...)}
	one := NewHistogram(second...)
	for range c.rows.bins {
		h := one
		h.bins = make([]Bin, len(one.bins))
		c.cells = append(c.cells, h)
	}
	return c
}

// Add counts one thing by two numbers.
func (c *Cross) Add(first, second, bytes int64) {
	c.cells[c.rows.find(first)].Add(second, bytes)
}

// AddAt is Add for a second number whose bin is known, from [Histogram.Find]
// with the same edges.
func (c *Cross) AddAt(first int64, bin int, bytes int64) {
	c.cells[c.rows.find(first)].bins[bin].one(bytes)
}

// Rows returns the histogram by the first number.
func (c *Cross) Rows() Histogram {
	h := c.rows
	h.bins = make([]Bin, len(c.cells))
	for i, row := range c.cells {
		for _, b := range row.bins {
			h.bins[i].Add(b.Count, b.Bytes)
		}
	}
	return h
}

// Row is the histogram by the second number in a bin of the first.
func (c *Cross) Row(bin int) *Histogram { return &c.cells[bin] }

// Equal compares edges and counts.
func (c Cross) Equal(o Cross) bool {
	return slices.Equal(c.rows.edges, o.rows.edges) && slices.EqualFunc(c.cells, o.cells, Histogram.Equal)
}

// MergeValue implements [Value]: it adds bin by bin. The edges have to be the
// same, unless one of the two has none.
func (c *Cross) MergeValue(from Value) error {
	o, err := as[Cross](from)
	switch {
	case err != nil:
		return err
	case len(o.cells) == 0:
		return nil
	case len(c.cells) == 0:
		*c = NewCross(o.rows.edges, o.cells[0].edges)
	case !slices.Equal(c.rows.edges, o.rows.edges) || !slices.Equal(c.cells[0].edges, o.cells[0].edges):
		return errDifferentEdges
	}
	for i, row := range o.cells {
		for j, b := range row.bins {
			c.cells[i].bins[j].Add(b.Count, b.Bytes)
		}
	}
	return nil
}

// ResetValue implements [Resetter]: the edges stay.
func (c *Cross) ResetValue() {
	if len(c.cells) > 0 {
		*c = NewCross(c.rows.edges, c.cells[0].edges)
	}
}

type jsonRow struct {
	jsonBin
	BySize Histogram `json:"by_size"`
}

// MarshalJSON implements [json.Marshaler].
func (c Cross) MarshalJSON() ([]byte, error) {
	out := make([]jsonRow, len(c.cells))
	rows := c.Rows()
	for i, b := range rows.json() {
		out[i] = jsonRow{b, c.cells[i]}
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
	var out Cross
	var bins []jsonBin
	for _, row := range in {
		if len(row.BySize.bins) == 0 || !slices.Equal(row.BySize.edges, in[0].BySize.edges) {
			return errCross
		}
		bins = append(bins, row.jsonBin)
		out.cells = append(out.cells, row.BySize)
	}
	if err := out.rows.set(bins); err != nil {
		return err
	}
	if rows := out.Rows(); !rows.Equal(out.rows) {
		return errCross
	}
	clear(out.rows.bins)
	*c = out
	return nil
}
