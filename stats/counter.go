package stats

import (
	"encoding/json"
	"errors"
	"math"
)

// Counter is a sum.
type Counter int64

// Add adds n.
func (c *Counter) Add(n int64) { *c = Counter(plus(int64(*c), n)) }

// Inc adds 1.
func (c *Counter) Inc() { c.Add(1) }

// MergeValue implements [Value]: it adds.
func (c *Counter) MergeValue(from Value) error {
	o, err := as[Counter](from)
	if err == nil {
		c.Add(int64(*o))
	}
	return err
}

// plus is a + b, or the limit that the sum is beyond.
func plus(a, b int64) int64 {
	sum := a + b
	if (a^sum)&(b^sum) < 0 { // only if a and b have one sign, and sum has the other
		return limit(a)
	}
	return sum
}

// limit is not a part of plus, so that the compiler inlines that.
func limit(sign int64) int64 {
	if sign < 0 {
		return math.MinInt64
	}
	return math.MaxInt64
}

// Max is the largest of the numbers that it has seen, and 0 before any: it is
// for numbers that are not negative.
type Max int64

// See takes n into account.
func (m *Max) See(n int64) { *m = max(*m, Max(n)) }

// MergeValue implements [Value]: the larger one stays.
func (m *Max) MergeValue(from Value) error {
	o, err := as[Max](from)
	if err == nil {
		m.See(int64(*o))
	}
	return err
}

var errNegative = errors.New("stats: a maximum is not negative")

// UnmarshalJSON implements [json.Unmarshaler].
func (m *Max) UnmarshalJSON(data []byte) error {
	var in int64
	if err := json.Unmarshal(data, &in); err != nil {
		return err
	}
	if in < 0 {
		return errNegative
	}
	*m = Max(in)
	return nil
}
