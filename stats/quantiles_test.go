package stats_test

import (
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/hydrawalk/hydra/stats"
)

// TestQuantilesAreAtMostOnePercentOff sorts all numbers. They are counted in two
// parts.
func TestQuantilesAreAtMostOnePercentOff(t *testing.T) {
	numbers := rapid.OneOf(large(math.MinInt64), rapid.Map(rapid.IntRange(0, 62), func(bit int) int64 { return 1 << bit }),
		rapid.Map(rapid.IntRange(1, 62), func(bit int) int64 { return 1<<bit - 1 }), rapid.Int64Range(120, 140))
	parts := []float64{0, 0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 1}
	rapid.Check(t, func(t *rapid.T) {
		list := rapid.SliceOfN(numbers, 1, 300).Draw(t, "numbers")
		var q, rest stats.Quantiles
		for i, n := range list {
			if i%3 == 0 {
				rest.Add(n)
			} else {
				q.Add(n)
			}
			list[i] = max(n, 0)
		}
		if err := q.MergeValue(&rest); err != nil {
			t.Fatal(err)
		}
		slices.Sort(list)
		if q.Count() != int64(len(list)) {
			t.Errorf("%d numbers, want %d", q.Count(), len(list))
		}
		for _, part := range parts {
			rank := int(math.Ceil(part * float64(len(list))))
			want := list[max(rank, 1)-1]
			got := q.At(part)
			if part == 0 || part == 1 || want < 128 {
				if got != want {
					t.Errorf("At(%v) is %d, want exactly %d", part, got, want)
				}
				continue
			}
			off := new(big.Int).Sub(big.NewInt(got), big.NewInt(want))
			if off.Abs(off).Mul(off, big.NewInt(100)).Cmp(big.NewInt(want)) > 0 {
				t.Errorf("At(%v) is %d, more than 1 %% from %d", part, got, want)
			}
		}
	})
}

func TestQuantilesOfNothingAreNull(t *testing.T) {
	var q stats.Quantiles
	out, err := json.Marshal(q)
	const want = `{"count":0,"min":null,"p10":null,"p50":null,"p90":null,"p99":null,"max":null,"bins":[]}`
	if err != nil || string(out) != want || q.At(0) != 0 || q.At(0.5) != 0 || q.At(1) != 0 {
		t.Errorf("%s, %v, want %s", out, err, want)
	}
}

// TestBinsHoldTheirNumbers wants bins that ascend, each with the numbers from its
// first to the next one's.
func TestBinsHoldTheirNumbers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := large(0).Draw(t, "n")
		var q stats.Quantiles
		q.Add(n)
		out, err := json.Marshal(q)
		if err != nil {
			t.Fatal(err)
		}
		var doc struct {
			Min, Max int64
			Bins     [][2]int64
		}
		if err := json.Unmarshal(out, &doc); err != nil {
			t.Fatal(err)
		}
		if len(doc.Bins) != 1 || doc.Bins[0][1] != 1 || doc.Min != n || doc.Max != n {
			t.Fatalf("%d is %s", n, out)
		}
		start := doc.Bins[0][0]
		if start > n || n-start > n/64 {
			t.Errorf("%d is in the bin from %d", n, start)
		}
		q = stats.Quantiles{}
		q.Add(start) // the first of a bin is in it
		want := strings.ReplaceAll(`{"count":1,"min":N,"p10":N,"p50":N,"p90":N,"p99":N,"max":N,"bins":[[N,1]]}`, "N", fmt.Sprint(start))
		if again, err := json.Marshal(q); err != nil || string(again) != want {
			t.Errorf("%d, where the bin of %d begins, is %s, %v, want %s", start, n, again, err, want)
		}
	})
}

func TestQuantilesThatAreBrokenDoNotDecode(t *testing.T) {
	for _, in := range []string{
		`{"min":0,"max":0,"bins":[[0,0]]}`, `{"min":0,"max":0,"bins":[[0,-1]]}`, `{"min":-1,"max":0,"bins":[[-1,1]]}`, `{"bins":[[1,1]]}`, `{"min":1,"bins":[[1,1]]}`,
		`{"min":2,"max":1,"bins":[[1,1],[2,1]]}`, `{"min":1,"max":1,"bins":[[1,1],[1,1]]}`, `{"min":1,"max":2,"bins":[[2,1],[1,1]]}`,
		`{"min":129,"max":129,"bins":[[129,1]]}`, `{"min":1,"max":3,"bins":[[1,1],[2,1]]}`, `{"min":0,"max":2,"bins":[[1,1],[2,1]]}`, `[]`,
	} {
		var q stats.Quantiles
		q.Add(5)
		if err := json.Unmarshal([]byte(in), &q); err == nil || q.Count() != 1 || q.At(1) != 5 {
			t.Errorf("%s became %+v, %v, want an error and nothing changed", in, q, err)
		}
	}
}
