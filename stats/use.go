package stats

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

func (u *Use) merge(o *Use) { u.Add(o.Count, o.Bytes, o.Allocated) }

// MergeValue implements [Value]: it adds.
func (u *Use) MergeValue(from Value) error {
	o, err := as[Use](from)
	if err == nil {
		u.merge(o)
	}
	return err
}
