package stats

// PerDepth is a sum for each depth below the root, whose own is 0. JSON has it
// as an array.
type PerDepth []int64

// Add adds n at a depth, which is not negative.
func (p *PerDepth) Add(depth int, n int64) {
	if depth >= len(*p) {
		p.grow(depth + 1)
	}
	(*p)[depth] += n
}

func (p *PerDepth) grow(n int) {
	if n > len(*p) {
		*p = append(*p, make([]int64, n-len(*p))...)
	}
}

// MergeValue implements [Value]: it adds depth by depth.
func (p *PerDepth) MergeValue(from Value) error {
	o, err := as[PerDepth](from)
	if err != nil {
		return err
	}
	p.grow(len(*o))
	for depth, n := range *o {
		(*p)[depth] += n
	}
	return nil
}

// MarshalJSON implements [json.Marshaler].
func (p PerDepth) MarshalJSON() ([]byte, error) { return marshalInts(p), nil }

// MaxPerDepth is the largest of the numbers seen at each depth.
type MaxPerDepth []int64

// See takes n, which is not negative, into account at a depth.
func (p *MaxPerDepth) See(depth int, n int64) {
	if depth >= len(*p) {
		(*PerDepth)(p).grow(depth + 1)
	}
	(*p)[depth] = max((*p)[depth], n)
}

// MergeValue implements [Value]: the larger one stays at each depth.
func (p *MaxPerDepth) MergeValue(from Value) error {
	o, err := as[MaxPerDepth](from)
	if err != nil {
		return err
	}
	(*PerDepth)(p).grow(len(*o))
	for depth, n := range *o {
		(*p)[depth] = max((*p)[depth], n)
	}
	return nil
}

// MarshalJSON implements [json.Marshaler].
func (p MaxPerDepth) MarshalJSON() ([]byte, error) { return marshalInts(p), nil }
