package stats_test

import (
	"encoding/json"
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/hydrawalk/hydra/stats"
)

// The range of years that RFC 3339 has.
var (
	firstTime = time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC)
	lastTime  = time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)
)

// TestTheLatestTimeStays compares with package time, and with times that JSON
// can not hold.
func TestTheLatestTimeStays(t *testing.T) {
	seconds := rapid.OneOf(large(math.MinInt64), rapid.Int64Range(-3, 3), rapid.Int64Range(firstTime.Unix()-2, firstTime.Unix()+2), rapid.Int64Range(lastTime.Unix()-2, lastTime.Unix()+2))
	rapid.Check(t, func(t *rapid.T) {
		var one, two stats.Latest
		var want time.Time
		for i, sec := range rapid.SliceOfN(seconds, 1, 6).Draw(t, "seconds") {
			nsec := rapid.Uint32Range(0, 1e9-1).Draw(t, "nsec")
			if i%2 == 0 {
				one.See(sec, nsec)
			} else {
				two.See(sec, nsec)
			}
			at := time.Unix(min(max(sec, firstTime.Unix()), lastTime.Unix()), int64(nsec)).UTC()
			if i == 0 || at.After(want) {
				want = at
			}
		}
		if err := one.MergeValue(&two); err != nil {
			t.Fatal(err)
		}
		if got := one.Time(); !got.Equal(want) {
			t.Errorf("the latest is %v, want %v", got, want)
		}
		out, err := json.Marshal(one)
		if err != nil || string(out) != `"`+want.Format(time.RFC3339Nano)+`"` {
			t.Errorf("%s, %v, want %v", out, err, want)
		}
		var back stats.Latest
		if err := json.Unmarshal(out, &back); err != nil || back != one {
			t.Errorf("%s became %v, %v", out, back, err)
		}
	})
}

func TestNoTimeIsNullAndEarlierThanAll(t *testing.T) {
	var none, first, later stats.Latest
	if out, err := json.Marshal(none); err != nil || string(out) != "null" || !none.Time().IsZero() {
		t.Errorf("%s, %v, %v", out, err, none.Time())
	}
	first.See(math.MinInt64, 0)
	later.See(math.MinInt64, 1)
	for i, a := range []stats.Latest{none, first, later} {
		for j, b := range []stats.Latest{none, first, later} {
			if got, want := a.Compare(b), min(max(i-j, -1), 1); got != want {
				t.Errorf("%v compared with %v is %d, want %d", a, b, got, want)
			}
		}
	}
	if err := json.Unmarshal([]byte("null"), &later); err != nil || later != none {
		t.Errorf("null became %v, %v", later, err)
	}
	for _, in := range []string{`""`, `1`, `"2026-01-31"`, `"10000-01-01T00:00:00Z"`} {
		if err := json.Unmarshal([]byte(in), &first); err == nil {
			t.Errorf("%s became %v", in, first)
		}
	}
}
