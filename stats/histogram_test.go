package stats_test

import (
	"encoding/json"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/hydrawalk/hydra/stats"
)

// TestANumberFallsIntoTheFirstBinThatHoldsIt searches bins one by one.
func TestANumberFallsIntoTheFirstBinThatHoldsIt(t *testing.T) {
	many := make([]int64, 1000) // more than a byte counts
	for i := range many {
		many[i] = int64(i) * 3
	}
	edgeSets := rapid.OneOf(
		rapid.SampledFrom([][]int64{stats.SizeEdges, stats.AgeEdges, many, {}, {math.MinInt64, math.MaxInt64}}),
		rapid.Map(rapid.SliceOf(large(math.MinInt64)), func(list []int64) []int64 { return slices.Compact(slices.Sorted(slices.Values(list))) }))
	rapid.Check(t, func(t *rapid.T) {
		edges := edgeSets.Draw(t, "edges")
		n := large(math.MinInt64).Draw(t, "number")
		if len(edges) > 0 && rapid.Bool().Draw(t, "near an edge") {
			edge := rapid.SampledFrom(edges).Draw(t, "edge")
			n = edge + rapid.Int64Range(-1, 1).Draw(t, "beside") // may wrap around, which is a number too
		}
		h := stats.NewHistogram(edges...)
		h.Add(n, 7)
		want := make([]stats.Bin, len(edges)+1)
		i := slices.IndexFunc(edges, func(edge int64) bool { return n <= edge })
		if i < 0 {
			i = len(edges)
		}
		want[i] = stats.Bin{Count: 1, Bytes: 7}
		if !slices.Equal(h.Bins(), want) {
			t.Errorf("%d among %d: %v, want bin %d", n, edges, h.Bins(), i)
		}
	})
}

func TestEdgesAreThoseOfTheDocuments(t *testing.T) {
	const k, year = 1024, 365 * 86400
	for _, tt := range []struct {
		name      string
		got, want []int64
	}{
		{"size", stats.SizeEdges, []int64{0, k, 4 * k, 8 * k, 16 * k, 32 * k, 64 * k, 128 * k,
			k * k, 10 * k * k, 100 * k * k, k * k * k, 10 * k * k * k, 100 * k * k * k, k * k * k * k}},
		{"age", stats.AgeEdges, []int64{0, 60, 3600, 86400, 172800, 604800, 30 * 86400, 60 * 86400, 90 * 86400, 180 * 86400,
			year, 2 * year, 3 * year, 4 * year, 5 * year, 10 * year}},
	} {
		if !slices.Equal(tt.got, tt.want) {
			t.Errorf("%s: %d, want %d", tt.name, tt.got, tt.want)
		}
	}
}

func TestEdgesThatDoNotAscendAreRefused(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	stats.NewHistogram(1, 1)
}

func TestAHistogramIsItsOwn(t *testing.T) {
	edges := []int64{1, 2}
	h := stats.NewHistogram(edges...)
	h.Add(1, 1)
	edges[0] = 9
	h.Edges()[0], h.Bins()[0] = 9, stats.Bin{}
	out, err := json.Marshal(h)
	const want = `[{"le":1,"count":1,"bytes":1},{"le":2,"count":0,"bytes":0},{"le":null,"count":0,"bytes":0}]`
	if err != nil || string(out) != want {
		t.Errorf("%s, %v, want %s", out, err, want)
	}
}

func TestHistogramsThatAreBrokenDoNotDecode(t *testing.T) {
	for _, in := range []string{
		`[{"le":1}]`, `[{"le":null},{"le":null}]`, `[{"le":2},{"le":1},{"le":null}]`, `[{"le":1},{"le":1},{"le":null}]`,
		`[{"le":null},{"le":1}]`, `{}`, `[1]`, `[{"le":1.5},{"le":null}]`, `[{"le":1},{"le":9223372036854775808},{"le":null}]`,
	} {
		h := stats.NewHistogram(5)
		if err := json.Unmarshal([]byte(in), &h); err == nil || !h.Equal(stats.NewHistogram(5)) {
			t.Errorf("%s became %+v, %v, want an error and nothing changed", in, h, err)
		}
	}
}
