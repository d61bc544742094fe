package stats

import (
	"cmp"
	"encoding/json"
	"time"
)

// Latest is the latest of the points in time that it has seen. JSON has it in
// RFC 3339 and UTC, or null if there was none. Years beyond 0 to 9999, which no
// clock meant, count as the nearest of these.
type Latest struct {
	sec  int64 // since 1970
	nsec uint32
	seen bool
}

const (
	firstSecond = -62167219200 // 0000-01-01
	lastSecond  = 253402300799 // 9999-12-31 23:59:59
)

// See takes a time into account: seconds since 1970 in UTC, and nanoseconds.
func (l *Latest) See(sec int64, nsec uint32) {
	sec = min(max(sec, firstSecond), lastSecond)
	if !l.seen || sec > l.sec || sec == l.sec && nsec > l.nsec {
		*l = Latest{sec, min(nsec, 1e9-1), true}
	}
}

func (l *Latest) merge(o *Latest) {
	if o.seen {
		l.See(o.sec, o.nsec)
	}
}

// MergeValue implements [Value]: the later one stays.
func (l *Latest) MergeValue(from Value) error {
	o, err := as[Latest](from)
	if err == nil {
		l.merge(o)
	}
	return err
}

// Compare tells which is the earlier one; none is earlier than all.
func (l Latest) Compare(o Latest) int {
	switch {
	case l.seen != o.seen && o.seen:
		return -1
	case l.seen != o.seen:
		return 1
	}
	return cmp.Or(cmp.Compare(l.sec, o.sec), cmp.Compare(l.nsec, o.nsec))
}

// Time is the time in UTC; the zero time if there was none.
func (l Latest) Time() time.Time {
	if !l.seen {
		return time.Time{}
	}
	return time.Unix(l.sec, int64(l.nsec)).UTC()
}

// MarshalJSON implements [json.Marshaler].
func (l Latest) MarshalJSON() ([]byte, error) {
	if !l.seen {
		return []byte("null"), nil
	}
	text := append(make([]byte, 0, len(time.RFC3339Nano)+2), '"')
	return append(l.Time().AppendFormat(text, time.RFC3339Nano), '"'), nil
}

// UnmarshalJSON implements [json.Unmarshaler].
func (l *Latest) UnmarshalJSON(data []byte) error {
	var t *time.Time
	if err := json.Unmarshal(data, &t); err != nil {
		return err
	}
	*l = Latest{}
	if t != nil {
		l.See(t.Unix(), uint32(t.Nanosecond()))
	}
	return nil
}
