package stats

import (
	"encoding/binary"
	"errors"
)

// In binary, numbers are varints.

// varints reads numbers. After one that there is not, all are 0 and bad is set.
type varints struct {
	data []byte
	bad  bool
}

func (v *varints) next() int64 {
	n, size := binary.Varint(v.data)
	if size <= 0 {
		v.bad, v.data = true, nil
		return 0
	}
	v.data = v.data[size:]
	return n
}

// count reads how many things follow, which take a byte each at least.
func (v *varints) count() int {
	n := v.next()
	if n < 0 || n > int64(len(v.data)) {
		v.bad, v.data = true, nil
		return 0
	}
	return int(n)
}

// bytes takes n bytes.
func (v *varints) bytes(n int64) []byte {
	if n < 0 || n > int64(len(v.data)) {
		v.bad, v.data = true, nil
		return nil
	}
	b := v.data[:n]
	v.data = v.data[n:]
	return b
}

// ended tells whether all was read, and was good.
func (v *varints) ended() bool { return !v.bad && len(v.data) == 0 }

func appendNumbers(b []byte, numbers ...int64) []byte {
	for _, n := range numbers {
		b = binary.AppendVarint(b, n)
	}
	return b
}

// appendEdges writes how many edges there are, and the edges.
func appendEdges(b []byte, edges []int64) []byte {
	return appendNumbers(appendNumbers(b, int64(len(edges))), edges...)
}

func (v *varints) edges() []int64 {
	edges := make([]int64, v.count())
	for i := range edges {
		edges[i] = v.next()
	}
	if !ascend(edges) {
		v.bad = true
	}
	return edges
}

var (
	errBinaryCross     = errors.New("stats: this is no histogram by two numbers")
	errBinaryQuantiles = errors.New("stats: these are no quantiles")
)

// AppendBinary implements [encoding.BinaryAppender]: whether there are edges, the
// edges of both numbers, then count and bytes of each cell, row by row.
func (c Cross) AppendBinary(b []byte) ([]byte, error) {
	if c.cells == nil {
		return appendNumbers(b, 0), nil
	}
	b = appendEdges(appendEdges(appendNumbers(b, 1), c.rows.edges), c.columns.edges)
	for _, cell := range c.cells {
		b = appendNumbers(b, cell.Count, cell.Bytes)
	}
	return b, nil
}

// UnmarshalBinary implements [encoding.BinaryUnmarshaler]. The bytes may be
// anybody's.
func (c *Cross) UnmarshalBinary(data []byte) error {
	v := &varints{data: data}
	if v.next() == 0 {
		if !v.ended() {
			return errBinaryCross
		}
		*c = Cross{}
		return nil
	}
	rows, columns := v.edges(), v.edges()
	if v.bad || 2*(len(rows)+1)*(len(columns)+1) > len(v.data) {
		return errBinaryCross
	}
	out := NewCross(rows, columns)
	for i := range out.cells {
		if out.cells[i] = (Bin{Count: v.next(), Bytes: v.next()}); out.cells[i].Count < 0 || out.cells[i].Bytes < 0 {
			return errBinaryCross
		}
	}
	if !v.ended() {
		return errBinaryCross
	}
	*c = out
	return nil
}

// AppendBinary implements [encoding.BinaryAppender]: how many bins hold something,
// and for each of them how many are between it and the one before, and its count;
// then the smallest and the largest number, if there is a bin.
func (q Quantiles) AppendBinary(b []byte) ([]byte, error) {
	full := 0
	for _, n := range q.bins {
		if n > 0 {
			full++
		}
	}
	b = appendNumbers(b, int64(full))
	last := -1
	for bin, n := range q.bins {
		if n > 0 {
			b = appendNumbers(b, int64(bin-last-1), n)
			last = bin
		}
	}
	if full > 0 {
		b = appendNumbers(b, q.min, q.max)
	}
	return b, nil
}

// UnmarshalBinary implements [encoding.BinaryUnmarshaler]. The bytes may be
// anybody's.
func (q *Quantiles) UnmarshalBinary(data []byte) error {
	v := &varints{data: data}
	var out Quantiles
	first, last, most := -1, -1, int64(binOf(1<<63-1))
	for range v.count() {
		between, n := v.next(), v.next()
		if v.bad || between < 0 || between > most || n <= 0 || int64(last)+1+between > most {
			return errBinaryQuantiles
		}
		last += 1 + int(between)
		if first < 0 {
			first = last
		}
		out.grow(last, 0)
		out.bins[last] = n
	}
	if last >= 0 {
		if out.min, out.max = v.next(), v.next(); out.min < 0 || out.max < out.min || binOf(out.min) != first || binOf(out.max) != last {
			return errBinaryQuantiles
		}
	}
	if !v.ended() {
		return errBinaryQuantiles
	}
	*q = out
	return nil
}
