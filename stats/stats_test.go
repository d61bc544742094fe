package stats_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/hydrawalk/hydra/stats"
	"github.com/hydrawalk/hydra/stats/statstest"
)

// everything has a field of each type.
type everything struct {
	Files    stats.Counter     `json:"files"`
	Deepest  stats.Max         `json:"deepest"`
	ByDepth  stats.PerDepth    `json:"by_depth"`
	MaxDepth stats.MaxPerDepth `json:"max_by_depth"`
	Sizes    stats.Histogram   `json:"sizes"`
	Largest  stats.TopN        `json:"largest"`
	Inner    struct {
		UID stats.Group[uint32] `json:"uid"`
		Ext stats.Group[string] `json:"ext"`
		Age stats.Group[int8]   `json:"age"`
	} `json:"inner"`
}

// oddKeys are hard to tell apart in JSON.
var oddKeys = []string{"", "txt", "<&>", "ä", "\xff", "\xfe", "\uFFFD", `\xff`, `"\xff"`, `"`, "-", "\n", "\x00"}

func count(rng *rand.Rand) *everything {
	s := new(everything)
	if rng.IntN(10) == 0 {
		return s
	}
	s.Sizes = stats.NewHistogram(stats.SizeEdges...)
	s.Largest = stats.NewTopN(7)
	for range rng.IntN(30) {
		size := rng.Int64N(1 << rng.IntN(44))
		depth := rng.IntN(5)
		s.Files.Inc()
		s.Deepest.See(int64(depth))
		s.ByDepth.Add(depth, size)
		s.MaxDepth.See(depth, size)
		s.Sizes.Add(size, size)
		// Few sizes, so that paths decide.
		s.Largest.Add(size%3, func() string { return fmt.Sprintf("/%c\xff%d", 'a'+rng.IntN(3), rng.IntN(20)) })
		s.Inner.UID.Add(uint32(rng.IntN(12)), size)
		s.Inner.Ext.Add(oddKeys[rng.IntN(len(oddKeys))], size)
		s.Inner.Age.Add(int8(rng.IntN(256)-128), size)
	}
	return s
}

func TestStatisticsMergeInAnyOrder(t *testing.T) { statstest.TestMerge(t, 0, count) }

func TestWhatDoesNotFitIsAnErrorThatNamesTheField(t *testing.T) {
	type odd struct{ Count int }
	type pointer struct{ Count *stats.Counter }
	type hidden struct{ count stats.Counter }
	type nested struct{ Inner odd }
	type hist struct{ Sizes stats.Histogram }
	type top struct{ Largest stats.TopN }
	for _, tt := range []struct {
		field string
		err   error
	}{
		{"field Count ", stats.Merge(&odd{}, &odd{})},
		{"field Count ", stats.Merge(&pointer{}, &pointer{})},
		{"field count ", stats.Merge(&hidden{count: 1}, &hidden{})},
		{"field Inner.Count ", stats.Merge(&nested{}, &nested{})},
		{"field Sizes:", stats.Merge(&hist{stats.NewHistogram(1, 2)}, &hist{stats.NewHistogram(1, 3)})},
		{"field Sizes:", stats.Merge(&hist{stats.NewHistogram()}, &hist{stats.NewHistogram(1)})},
		{"field Largest:", stats.Merge(&top{stats.NewTopN(1)}, &top{stats.NewTopN(2)})},
		{"field Inner.Count ", stats.Reset(&nested{})},
		{"int is not a struct", stats.Merge(new(int), new(int))},
	} {
		if tt.err == nil || !strings.Contains(tt.err.Error(), tt.field) {
			t.Errorf("error %v, want one with %q", tt.err, tt.field)
		}
	}
}

func TestAValueRefusedIsUnchanged(t *testing.T) {
	h, want := stats.NewHistogram(1, 2), stats.NewHistogram(1, 2)
	other := stats.NewHistogram(1, 3)
	other.Add(0, 1)
	var n stats.Counter
	for _, from := range []stats.Value{&other, &n} {
		if err := h.MergeValue(from); err == nil || !h.Equal(want) {
			t.Errorf("merging %T: %v, %v", from, err, h)
		}
	}
}

func TestStatisticsAreNotMergedIntoThemselves(t *testing.T) {
	var s everything
	if err := stats.Merge(&s, &s); err == nil {
		t.Error("no error")
	}
}

func TestAResetKeepsHowToCount(t *testing.T) {
	var s everything
	s.Sizes, s.Largest = stats.NewHistogram(5), stats.NewTopN(1)
	for range 2 {
		s.Files.Inc()
		s.ByDepth.Add(2, 3)
		s.Sizes.Add(7, 7)
		s.Largest.Add(7, func() string { return "/a" })
		s.Inner.UID.Add(1, 7)
		before := s
		if err := stats.Reset(&s); err != nil {
			t.Fatal(err)
		}
		if s.Files != 0 || len(s.ByDepth) != 0 || len(s.Inner.UID) != 0 || len(s.Largest.List()) != 0 {
			t.Errorf("left: %+v", s)
		}
		if !s.Sizes.Equal(stats.NewHistogram(5)) || !s.Largest.Equal(stats.NewTopN(1)) {
			t.Errorf("edges or n are gone: %+v", s)
		}
		if before.Files != 1 || before.Sizes.Bins()[1].Bytes != 7 || len(before.Largest.List()) != 1 || before.Inner.UID[1].Count != 1 {
			t.Errorf("a copy lost something: %+v", before)
		}
	}
}
