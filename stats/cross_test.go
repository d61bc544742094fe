package stats_test

import (
	"encoding/json"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/hydrawalk/hydra/stats"
)

// TestACrossHasAHistogramForEachBin counts in one histogram for each bin.
func TestACrossHasAHistogramForEachBin(t *testing.T) {
	first, second := []int64{-5, 0, 60}, []int64{0, 1024}
	edges := rapid.SampledFrom([]int64{math.MinInt64, -6, -5, -4, 0, 1, 59, 60, 61, 1023, 1024, 1025, math.MaxInt64})
	rapid.Check(t, func(t *rapid.T) {
		one, two := stats.NewCross(first, second), stats.NewCross(first, second)
		rows := make([]stats.Histogram, 4)
		for i := range rows {
			rows[i] = stats.NewHistogram(second...)
		}
		all := stats.NewHistogram(first...)
		for i, a := range rapid.SliceOf(edges).Draw(t, "first") {
			b, bytes := edges.Draw(t, "second"), int64(1)<<(i%40)
			if i%2 == 0 {
				one.Add(a, b, bytes)
			} else {
				two.AddAt(two.Row(a), rows[0].Find(b), bytes)
			}
			rows[all.Find(a)].Add(b, bytes)
			all.Add(a, bytes)
		}
		if err := one.MergeValue(&two); err != nil {
			t.Fatal(err)
		}
		if got := one.Rows(); !got.Equal(all) {
			t.Errorf("rows are %v, want %v", got, all)
		}
		for i := range rows {
			if got := one.InRow(i); !got.Equal(rows[i]) {
				t.Errorf("row %d is %v, want %v", i, got, rows[i])
			}
		}
	})
}

func TestARowOfACrossIsItsOwn(t *testing.T) {
	c := stats.NewCross([]int64{1}, []int64{1})
	c.Add(1, 1, 1)
	row := c.InRow(0)
	row.Add(1, 1)
	before := c
	c.ResetValue()
	c.Add(2, 2, 2)
	if rows, all := before.Rows(), c.Rows(); !slices.Equal(rows.Bins(), []stats.Bin{{Count: 1, Bytes: 1}, {}}) || !slices.Equal(all.Bins(), []stats.Bin{{}, {Count: 1, Bytes: 2}}) {
		t.Errorf("before the reset %v, after it %v", rows, all)
	}
}

func TestCrossesThatAreBrokenDoNotDecode(t *testing.T) {
	const row = `{"le":1,"count":1,"bytes":2,"by_size":[{"le":null,"count":1,"bytes":2}]}`
	for _, in := range []string{
		`[` + row + `]`, `[{"le":null,"count":1,"bytes":2}]`, `[{"le":null,"count":1,"bytes":2,"by_size":[]}]`, `{}`,
		`[{"le":null,"count":2,"bytes":2,"by_size":[{"le":null,"count":1,"bytes":2}]}]`, `[{"le":null,"count":1,"bytes":1,"by_size":[{"le":null,"count":1,"bytes":2}]}]`,
		`[` + row + `,{"le":null,"by_size":[{"le":5},{"le":null}]}]`, `[` + row + `,{"le":null}]`, `[` + row + `,` + row + `,{"le":null,"by_size":[{"le":null}]}]`,
	} {
		c := stats.NewCross([]int64{1}, []int64{1})
		if err := json.Unmarshal([]byte(in), &c); err == nil || !c.Equal(stats.NewCross([]int64{1}, []int64{1})) {
			t.Errorf("%s became %+v, %v, want an error and nothing changed", in, c, err)
		}
	}
	var c stats.Cross
	if err := json.Unmarshal([]byte(`[`+row+`,{"le":null,"by_size":[{"le":null}]}]`), &c); err != nil {
		t.Error(err)
	}
}

func TestCrossesOfDifferentEdgesDoNotMerge(t *testing.T) {
	for _, o := range []stats.Cross{stats.NewCross([]int64{1}, []int64{2}), stats.NewCross([]int64{2}, []int64{1}), stats.NewCross(nil, []int64{1})} {
		c := stats.NewCross([]int64{1}, []int64{1})
		if err := c.MergeValue(&o); err == nil {
			t.Errorf("%+v merges", o)
		}
	}
}
