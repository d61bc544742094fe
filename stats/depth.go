package stats

import (
	"encoding/json"
	"slices"
)

// PerDepth is a sum for each depth below the root, whose own is 0. It is as long
// as the largest depth asks for. JSON has it as an array.
type PerDepth []int64

// Add adds n at a depth, which is not negative.
func (p *PerDepth) Add(depth int, n int64) {
	if depth >= len(*p) {
		p.grow(depth + 1)
	}
	sum := &(*p)[depth]
	*sum = plus(*sum, n)
}

func (p *PerDepth) grow(n int) {
	if n > len(*p) {
		*p = append(*p, make([]int64, n-len(*p))...)
	}
}

// Equal compares depth by depth.
func (p PerDepth) Equal(o PerDepth) bool { return slices.Equal(p, o) }

// MergeValue implements [Value]: it adds depth by depth.
func (p *PerDepth) MergeValue(from Value) error {
	o, err := as[PerDepth](from)
	if err != nil {
		return err
	}
	p.grow(len(*o))
	for depth, n := range *o {
		p.Add(depth, n)
	}
	return nil
}

// MarshalJSON implements [json.Marshaler].
func (p PerDepth) MarshalJSON() ([]byte, error) { return marshalInts(p), nil }

// UnmarshalJSON implements [json.Unmarshaler].
func (p *PerDepth) UnmarshalJSON(data []byte) error {
	var in []int64 // not *p, whose memory a copy may share
	if err := json.Unmarshal(data, &in); err != nil {
		return err
	}
	*p = in
	return nil
}

// MaxPerDepth is the largest of the numbers seen at each depth, and 0 where none
// was: it is for numbers that are not negative. JSON has it as an array.
type MaxPerDepth []int64

// See takes n into account at a depth, which is not negative.
func (p *MaxPerDepth) See(depth int, n int64) {
	if depth >= len(*p) {
		(*PerDepth)(p).grow(depth + 1)
	}
	largest := &(*p)[depth]
	*largest = max(*largest, n)
}

// Equal compares depth by depth.
func (p MaxPerDepth) Equal(o MaxPerDepth) bool { return slices.Equal(p, o) }

// MergeValue implements [Value]: the larger one stays at each depth.
func (p *MaxPerDepth) MergeValue(from Value) error {
	o, err := as[MaxPerDepth](from)
	if err != nil {
		return err
	}
	(*PerDepth)(p).grow(len(*o))
	for depth, n := range *o {
		p.See(depth, n)
	}
	return nil
}

// MarshalJSON implements [json.Marshaler].
func (p MaxPerDepth) MarshalJSON() ([]byte, error) { return marshalInts(p), nil }

// UnmarshalJSON implements [json.Unmarshaler].
func (p *MaxPerDepth) UnmarshalJSON(data []byte) error {
	var in PerDepth
	if err := json.Unmarshal(data, &in); err != nil {
		return err
	}
	if len(in) > 0 && slices.Min(in) < 0 {
		return errNegative
	}
	*p = MaxPerDepth(in)
	return nil
}
