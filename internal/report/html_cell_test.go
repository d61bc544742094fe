package report

import (
	"math"
	"testing"
	"time"
)

func TestCellsAreShort(t *testing.T) {
	for _, c := range []struct {
		v    any
		want string
	}{
		{nil, ""}, {"text", "text"}, {"a\nb", `"a\nb"`}, {Path("/\xff"), `"/\xff"`},
		{int64(0), "0"}, {int64(999), "999"}, {int64(1000), "1,000"}, {int64(-1234567), "-1,234,567"}, {int64(math.MinInt64), "-9,223,372,036,854,775,808"}, {ID(math.MaxUint64), "18446744073709551615"},
		{Bytes(0), "0 B"}, {Bytes(1023), "1023 B"}, {Bytes(1024), "1.0 KiB"}, {Bytes(5476083302), "5.1 GiB"}, {Bytes(1<<20 - 1), "1.0 MiB"},
		{Bytes(100 << 20), "100 MiB"}, {Bytes(math.MaxInt64), "8.0 EiB"}, {Bytes(-2048), "-2.0 KiB"},
		{Share(0), "0.0 %"}, {Share(1e-9), "<0.1 %"}, {Share(0.001), "0.1 %"}, {Share(0.125), "12.5 %"}, {Share(0.99999), ">99.9 %"}, {Share(1), "100.0 %"}, {Share(1.5), "150.0 %"},
		{Seconds(0), "0.0 s"}, {Seconds(0.0123), "12.3 ms"}, {Seconds(12.345), "12.3 s"}, {Seconds(59.97), "1 min 0 s"}, {Seconds(125), "2 min 5 s"}, {Seconds(3599.9), "1 h 0 min"}, {Seconds(90000), "25 h 0 min"},
		{6.6, "6.60"}, {time.Time{}, ""}, {time.Date(2026, 1, 2, 3, 4, 5, 0, time.FixedZone("", 3600)), "2026-01-02 02:04"},
	} {
		if got := newPageCell(c.v).Text; got != c.want {
			t.Errorf("%#v is %q, want %q", c.v, got, c.want)
		}
	}
}

func TestProseShowsWhatIsHidden(t *testing.T) {
	for text, want := range map[string]string{
		"106\u00a0% of 日本":      "106\u00a0% of 日本",
		"one\ntwo":              "one two",
		"/\u202egnp.exe":        `/\u202egnp.exe`,
		"/\xff\x1b[2J\u2028":    `/\xff\x1b[2J\u2028`,
		"\uFFFD is a character": "\uFFFD is a character",
	} {
		if got := prose(text); got != want {
			t.Errorf("%q is %q, want %q", text, got, want)
		}
	}
}
