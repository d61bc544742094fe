package stats

// Counter is a sum. It wraps around beyond 2^63-1, which a billion files of
// 8 GiB reach.
type Counter int64

// Add adds n.
func (c *Counter) Add(n int64) { *c += Counter(n) }

// Inc adds 1.
func (c *Counter) Inc() { *c++ }

// MergeValue implements [Value]: it adds.
func (c *Counter) MergeValue(from Value) error {
	o, err := as[Counter](from)
	if err == nil {
		*c += *o
	}
	return err
}

// Max is the largest of the numbers that it has seen, and 0 before any: it is
// for numbers that are not negative.
type Max int64

// See takes n into account.
func (m *Max) See(n int64) {
	if n > int64(*m) {
		*m = Max(n)
	}
}

// MergeValue implements [Value]: the larger one stays.
func (m *Max) MergeValue(from Value) error {
	o, err := as[Max](from)
	if err == nil {
		m.See(int64(*o))
	}
	return err
}
