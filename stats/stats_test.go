package stats_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/hydrawalk/hydra/stats"
	"github.com/hydrawalk/hydra/stats/statstest"
)

// everything has a field of each type.
type everything struct {
	Files    stats.Counter                   `json:"files"`
	Deepest  stats.Max                       `json:"deepest"`
	ByDepth  stats.PerDepth                  `json:"by_depth"`
	MaxDepth stats.MaxPerDepth               `json:"max_by_depth"`
	Sizes    stats.Histogram                 `json:"sizes"`
	Largest  stats.TopN[stats.Size]          `json:"largest"`
	Cross    stats.Cross                     `json:"cross"`
	Latest   stats.Latest                    `json:"latest"`
	Took     stats.Duration                  `json:"took"`
	Middle   stats.Quantiles                 `json:"middle"`
	Tree     stats.Tree                      `json:"tree"`
	Kept     stats.GroupN[string]            `json:"kept"`
	Owners   stats.GroupN[uint32]            `json:"owners"`
	Lists    stats.TopBy[uint32, stats.Size] `json:"lists"`
	Inner    struct {
		UID stats.Group[uint32] `json:"uid"`
		Ext stats.Group[string] `json:"ext"`
		Age stats.Group[int8]   `json:"age"`
	} `json:"inner"`
}

// oddKeys are hard to tell apart in JSON.
var oddKeys = []string{"", "txt", "other", `"other"`, "<&>", "ä", "\xff", "\xfe", "\uFFFD", `\xff`, `"\xff"`, `"`, "-", "\n", "\x00"}

func newEverything() *everything {
	s := new(everything)
	s.Sizes = stats.NewHistogram(stats.SizeEdges...)
	s.Largest = stats.NewTopN[stats.Size](7)
	s.Cross = stats.NewCross(stats.AgeEdges, stats.SizeEdges)
	s.Tree = stats.NewTree(2, 4)
	s.Kept = stats.NewGroupN[string](4)
	s.Owners = stats.NewGroupN[uint32](5)
	s.Lists = stats.NewTopBy[uint32, stats.Size](3, 2)
	return s
}

func count(rng *rand.Rand) *everything {
	if rng.IntN(10) == 0 {
		return new(everything)
	}
	s := newEverything()
	for range rng.IntN(30) {
		size := rng.Int64N(1 << rng.IntN(44))
		depth := rng.IntN(5)
		s.Files.Inc()
		s.Deepest.See(int64(depth))
		s.ByDepth.Add(depth, size)
		s.MaxDepth.See(depth, size)
		s.Sizes.Add(size, size)
		// Few sizes, so that paths decide.
		path := fmt.Sprintf("/%c\xff%d", 'a'+rng.IntN(3), rng.IntN(20))
		s.Largest.AddPath(stats.Size{Size: size % 3}, []byte(path))
		s.Cross.Add(rng.Int64N(1<<rng.IntN(40))-5, size, size)
		s.Latest.See(rng.Int64N(1<<rng.IntN(62))-1<<40, uint32(rng.IntN(1e9)))
		s.Took.Add(time.Duration(rng.Int64N(1 << rng.IntN(62))))
		s.Middle.Add(size - 2)
		key := oddKeys[rng.IntN(len(oddKeys))]
		s.Kept.At(key, map[string]string{"txt": "text", "ä": "text"}[key]).Add(1, size, size/2)
		s.Owners.At(uint32(rng.IntN(8)), "").Add(1, size, size/2)
		if list := s.Lists.At(uint32(rng.IntN(5))); list != nil {
			list.AddPath(stats.Size{Size: size % 3}, []byte(path))
		}
		if u := s.Tree.At(depth%3, []byte(path[:2+depth%3])); u != nil {
			u.AddDir(size%2 == 0)
			var newest stats.Latest
			newest.See(size, 7)
			u.AddFiles(stats.Use{Count: 1, Bytes: size, Allocated: size / 2}, newest)
		}
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
	type top struct{ Largest stats.TopN[stats.Size] }
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
		{"field Largest:", stats.Merge(&top{stats.NewTopN[stats.Size](1)}, &top{stats.NewTopN[stats.Size](2)})},
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
	s.Sizes, s.Largest = stats.NewHistogram(5), stats.NewTopN[stats.Size](1)
	for range 2 {
		s.Files.Inc()
		s.ByDepth.Add(2, 3)
		s.Sizes.Add(7, 7)
		s.Largest.AddPath(stats.Size{Size: 7}, []byte("/a"))
		s.Inner.UID.Add(1, 7)
		before := s
		if err := stats.Reset(&s); err != nil {
			t.Fatal(err)
		}
		if s.Files != 0 || len(s.ByDepth) != 0 || len(s.Inner.UID) != 0 || len(s.Largest.List()) != 0 {
			t.Errorf("left: %+v", s)
		}
		if !s.Sizes.Equal(stats.NewHistogram(5)) || !s.Largest.Equal(stats.NewTopN[stats.Size](1)) {
			t.Errorf("edges or n are gone: %+v", s)
		}
		if before.Files != 1 || before.Sizes.Bins()[1].Bytes != 7 || len(before.Largest.List()) != 1 || before.Inner.UID[1].Count != 1 {
			t.Errorf("a copy lost something: %+v", before)
		}
	}
}
