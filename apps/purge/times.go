package purge

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hydrawalk/hydra/walk"
)

// Times are the timestamps that an age is compared with: one of them is enough.
type Times []string

// The timestamps by name, in the order in which they are written.
var timeNames = []string{"mtime", "atime", "ctime", "btime"}

// String implements [pflag.Value].
func (t *Times) String() string { return strings.Join(*t, ",") }

// Type implements [pflag.Value].
func (t *Times) Type() string { return "TIME" }

// Set implements [pflag.Value].
func (t *Times) Set(text string) error {
	var set Times
	for name := range strings.SplitSeq(text, ",") {
		if err := set.add(name); err != nil {
			return err
		}
	}
	*t = set
	return nil
}

func (t *Times) add(name string) error {
	if !slices.Contains(timeNames, name) {
		return fmt.Errorf("%q is none of %s", name, strings.Join(timeNames, ", "))
	}
	if slices.Contains(*t, name) {
		return nil
	}
	*t = append(slices.Clone(*t), name) // copies of settings share it
	slices.SortFunc(*t, func(a, b string) int { return slices.Index(timeNames, a) - slices.Index(timeNames, b) })
	return nil
}

// age decides whether something is old.
type age struct {
	limited bool // nothing is too young otherwise
	before  walk.Time
	times   Times
}

// newAge is the age of what was older than d at a time.
func newAge(d time.Duration, at time.Time, times Times) age {
	at = at.Add(-d)
	return age{limited: true, before: walk.Time{Sec: at.Unix(), Nsec: uint32(at.Nanosecond())}, times: times}
}

// old tells whether one of the timestamps lies before. One that the file system does
// not tell is none.
func (a *age) old(st *walk.Stat) bool {
	if !a.limited {
		return true
	}
	for _, name := range a.times {
		t, field := &st.Mtime, walk.FieldMtime
		switch name {
		case "atime":
			t, field = &st.Atime, walk.FieldAtime
		case "ctime":
			t, field = &st.Ctime, walk.FieldCtime
		case "btime":
			t, field = &st.Btime, walk.FieldBtime
		}
		if st.Known&field != 0 && (t.Sec < a.before.Sec || t.Sec == a.before.Sec && t.Nsec < a.before.Nsec) {
			return true
		}
	}
	return false
}

// AsOf is a point in time as the value of a flag.
type AsOf struct{ time.Time }

// String implements [pflag.Value].
func (t *AsOf) String() string {
	if t.IsZero() {
		return ""
	}
	return t.Format(time.RFC3339Nano)
}

// Type implements [pflag.Value].
func (t *AsOf) Type() string { return "TIME" }

// Set implements [pflag.Value]. A time without a zone is one of this machine's.
func (t *AsOf) Set(text string) error {
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02T15:04", time.DateTime, "2006-01-02 15:04", time.DateOnly} {
		if parsed, err := time.ParseInLocation(layout, text, time.Local); err == nil && 0 < parsed.Year() && parsed.Year() <= 9999 {
			*t = AsOf{parsed.UTC()}
			return nil
		}
	}
	return fmt.Errorf("%q is no time such as 2026-01-31 or 2026-01-31T12:00:00Z", text)
}
