package stats

import "math"

// Bin is one bin of a [Histogram], or one group of a [Group].
type Bin struct {
	Count int64 `json:"count"` // things
	Bytes int64 `json:"bytes"` // of all of them
}

// Add counts n things of so many bytes in all.
func (b *Bin) Add(n, bytes int64) {
	b.Count = plus(b.Count, n)
	b.Bytes = plus(b.Bytes, bytes)
}

// one adds one thing of a size that is not negative. No tree has so many that
// their count overflows.
func (b *Bin) one(bytes int64) {
	b.Count++
	if b.Bytes += bytes; b.Bytes < 0 {
		b.Bytes = math.MaxInt64
	}
}
