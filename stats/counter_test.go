package stats_test

import (
	"encoding/json"
	"math"
	"math/big"
	"testing"

	"pgregory.net/rapid"

	"github.com/hydrawalk/hydra/stats"
)

// large draws numbers of all magnitudes, the limits among them.
func large(least int64) *rapid.Generator[int64] {
	return rapid.OneOf(rapid.Int64Min(least), rapid.Int64Range(max(least, -9), 9),
		rapid.SampledFrom([]int64{math.MaxInt64, math.MaxInt64 - 1, 1 << 62, max(least, math.MinInt64), max(least, -1)}))
}

func TestACounterStopsAtItsLimits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := large(math.MinInt64).Draw(t, "a"), large(math.MinInt64).Draw(t, "b")
		sum := new(big.Int).Add(big.NewInt(a), big.NewInt(b))
		want := int64(math.MaxInt64)
		if sum.IsInt64() {
			want = sum.Int64()
		} else if sum.Sign() < 0 {
			want = math.MinInt64
		}
		if got := counted(a, b); got != want {
			t.Errorf("%d and %d are %d, want %d", a, b, got, want)
		}
	})
}

// TestSumsAtTheLimitDoNotDependOnTheOrder covers all that adds: the same sum is
// behind each.
func TestSumsAtTheLimitDoNotDependOnTheOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		list := rapid.SliceOfN(large(0), 1, 6).Draw(t, "numbers")
		order := rapid.Permutation(list).Draw(t, "order")
		var depths, ordered stats.PerDepth
		var bin, orderedBin stats.Bin
		for i := range list {
			depths.Add(0, list[i])
			ordered.Add(0, order[i])
			bin.Add(list[i], list[i])
			orderedBin.Add(order[i], order[i])
		}
		n := counted(list...)
		if n != counted(order...) || depths[0] != n || ordered[0] != n || bin != orderedBin || bin != (stats.Bin{Count: n, Bytes: n}) {
			t.Errorf("%v: %d, %v, %v; %v: %d, %v, %v", list, n, depths, bin, order, counted(order...), ordered, orderedBin)
		}
	})
}

func counted(list ...int64) int64 {
	var c stats.Counter
	for _, n := range list {
		c.Add(n)
	}
	return int64(c)
}

func TestAMaximumIsNeverNegative(t *testing.T) {
	var m stats.Max
	for _, tt := range []struct{ n, want int64 }{{-1, 0}, {3, 3}, {2, 3}, {math.MaxInt64, math.MaxInt64}} {
		if m.See(tt.n); int64(m) != tt.want {
			t.Errorf("after %d it is %d, want %d", tt.n, m, tt.want)
		}
	}
	var per stats.MaxPerDepth
	for in, into := range map[string]any{"-1": &m, "[3,-1]": &per} {
		if err := json.Unmarshal([]byte(in), into); err == nil {
			t.Errorf("%s decodes into a %T", in, into)
		}
	}
}
