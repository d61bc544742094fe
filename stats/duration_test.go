package stats_test

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/hydrawalk/hydra/stats"
)

func TestADurationIsExactInJSON(t *testing.T) {
	for n, want := range map[stats.Duration]string{
		0: "0.000000000", 1: "0.000000001", -1: "-0.000000001", 1e9: "1.000000000", 1_500_000_001: "1.500000001",
		math.MaxInt64: "9223372036.854775807", math.MinInt64: "-9223372036.854775808",
	} {
		if out, err := json.Marshal(n); err != nil || string(out) != want {
			t.Errorf("%d ns is %s, %v, want %s", n, out, err, want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		d := stats.Duration(large(math.MinInt64).Draw(t, "ns"))
		out, err := json.Marshal(d)
		if err != nil {
			t.Fatal(err)
		}
		back := stats.Duration(7)
		if err := json.Unmarshal(out, &back); err != nil || back != d {
			t.Errorf("%d ns is %s, which is %d, %v", d, out, back, err)
		}
		var seconds float64
		if err := json.Unmarshal(out, &seconds); err != nil || math.Abs(seconds-float64(d)/1e9) > 1e-6*math.Abs(seconds) {
			t.Errorf("%s is %v seconds, %v", out, seconds, err)
		}
	})
}

func TestADurationDecodesWhateverOtherProgramsWrite(t *testing.T) {
	for in, want := range map[string]stats.Duration{"null": 0, "1": 1e9, "1.5": 15e8, "1e-9": 1, "2.5E1": 25e9, "-0.0": 0} {
		d := stats.Duration(7)
		if err := json.Unmarshal([]byte(in), &d); err != nil || d != want {
			t.Errorf("%s is %d ns, %v, want %d", in, d, err, want)
		}
	}
	for _, in := range []string{"1e-10", "9223372036.854775808", "1e99", "1e999999999", "-1e-999999999", `"x"`, `{}`, "0.0000000001", "1" + strings.Repeat("0", 400)} {
		d := stats.Duration(7)
		if err := json.Unmarshal([]byte(in), &d); err == nil || d != 7 {
			t.Errorf("%s became %d ns, %v", in, d, err)
		}
	}
}

func TestDurationsStopAtTheirLimit(t *testing.T) {
	d := stats.Duration(math.MaxInt64 - 1)
	d.Add(time.Hour)
	if d != math.MaxInt64 {
		t.Errorf("it is %d", d)
	}
}
