package stats_test

import (
	"encoding/json"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/hydrawalk/hydra/stats"
)

func TestEachDepthHasItsOwnSumAndMaximum(t *testing.T) {
	type at struct {
		depth int
		n     int64
	}
	rapid.Check(t, func(t *rapid.T) {
		list := rapid.SliceOf(rapid.Custom(func(t *rapid.T) at {
			return at{rapid.IntRange(0, 5000).Draw(t, "depth"), rapid.Int64Range(0, 1<<40).Draw(t, "n")}
		})).Draw(t, "list")
		var sums stats.PerDepth
		var largest stats.MaxPerDepth
		deepest := -1
		for _, a := range list {
			sums.Add(a.depth, a.n)
			largest.See(a.depth, a.n)
			deepest = max(deepest, a.depth)
		}
		wantSums, wantLargest := make(stats.PerDepth, deepest+1), make(stats.MaxPerDepth, deepest+1)
		for _, a := range list {
			wantSums[a.depth] += a.n
			wantLargest[a.depth] = max(wantLargest[a.depth], a.n)
		}
		if !slices.Equal(sums, wantSums) || !slices.Equal(largest, wantLargest) {
			t.Errorf("%v: sums %v and maxima %v, want %v and %v", list, sums, largest, wantSums, wantLargest)
		}
	})
}

func TestNoDepthsAreAnEmptyArray(t *testing.T) {
	for _, v := range []any{stats.PerDepth(nil), stats.MaxPerDepth(nil)} {
		if out, err := json.Marshal(v); err != nil || string(out) != "[]" {
			t.Errorf("%T: %s, %v, want []", v, out, err)
		}
	}
}

func TestDecodingDepthsLeavesCopiesAlone(t *testing.T) {
	sums, largest := stats.PerDepth{1, 2}, stats.MaxPerDepth{1, 2}
	sumsBefore, largestBefore := sums, largest
	if err := json.Unmarshal([]byte("[8,9]"), &sums); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte("[8,9]"), &largest); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(sumsBefore, stats.PerDepth{1, 2}) || !slices.Equal(largestBefore, stats.MaxPerDepth{1, 2}) {
		t.Errorf("the copies are now %v and %v", sumsBefore, largestBefore)
	}
}
