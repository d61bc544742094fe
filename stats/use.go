package stats

import "math"

// Use is what files take up.
type Use struct {
	Count     int64 `json:"count"`     // files
	Bytes     int64 `json:"bytes"`     // their logical sizes
	Allocated int64 `json:"allocated"` // bytes on disk
}

// Add adds files.
func (u *Use) Add(n, bytes, allocated int64) {
	u.Count = plus(u.Count, n)
	u.Bytes = plus(u.Bytes, bytes)
	u.Allocated = plus(u.Allocated, allocated)
}

// One adds one file, of sizes that are not negative.
func (u *Use) One(bytes, allocated int64) {
	u.Count++
	if u.Bytes += bytes; u.Bytes < 0 {
		u.Bytes = math.MaxInt64
	}
	if u.Allocated += allocated; u.Allocated < 0 {
		u.Allocated = math.MaxInt64
	}
}

func (u *Use) merge(o *Use) { u.Add(o.Count, o.Bytes, o.Allocated) }

// MergeValue implements [Value]: it adds.
func (u *Use) MergeValue(from Value) error {
	o, err := as[Use](from)
	if err == nil {
		u.merge(o)
	}
	return err
}
