package stats_test

import (
	"encoding/json"
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
	} `json:"inner"`
}

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
		s.Inner.Ext.Add([]string{"", "txt", "<&>", "ä"}[rng.IntN(4)], size)
	}
	return s
}

func TestStatisticsMergeInAnyOrder(t *testing.T) { statstest.TestMerge(t, 0, count) }

func TestANumberFallsIntoTheFirstBinThatHoldsIt(t *testing.T) {
	h := stats.NewHistogram(stats.SizeEdges...)
	for _, edge := range stats.SizeEdges {
		h.Add(edge, 1)
		h.Add(edge+1, 100)
	}
	for i, b := range h.Bins() {
		want := stats.Bin{Count: 2, Bytes: 101}
		switch i {
		case 0:
			want = stats.Bin{Count: 1, Bytes: 1}
		case len(stats.SizeEdges):
			want = stats.Bin{Count: 1, Bytes: 100}
		}
		if b != want {
			t.Errorf("bin %d is %+v, want %+v", i, b, want)
		}
	}
}

func TestWhatDoesNotFitIsAnErrorThatNamesTheField(t *testing.T) {
	type odd struct{ Count int }
	type hidden struct{ count stats.Counter }
	type hist struct{ Sizes stats.Histogram }
	a, b := hist{stats.NewHistogram(1, 2)}, hist{stats.NewHistogram(1, 3)}
	for field, err := range map[string]error{
		"Count": stats.Merge(&odd{}, &odd{}),
		"count": stats.Merge(&hidden{count: 1}, &hidden{}),
		"Sizes": stats.Merge(&a, &b),
	} {
		if err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("error %v, want one that names %s", err, field)
		}
	}
}

func TestPathsKeepTheirBytesInJSON(t *testing.T) {
	for _, p := range []string{"", "/plain", "/\xff\xfe", "/new\nline", "/ä", "\xed\xa0\x80"} {
		data, err := json.Marshal(stats.PathOf(p))
		if err != nil {
			t.Fatal(err)
		}
		var back stats.Path
		if err := json.Unmarshal(data, &back); err != nil || back.String() != p {
			t.Errorf("%q became %s and then %q, %v", p, data, back.String(), err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for i := range 5 {
		data, err := json.Marshal(count(rand.New(rand.NewPCG(1, uint64(i)))))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte(`{"sizes":[{"le":1},{"le":1},{"le":null}]}`))
	f.Add([]byte(`{"inner":{"uid":{"1":null}}}`))
	f.Add([]byte(`{"largest":{"n":-1,"list":[]}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var s everything
		if json.Unmarshal(data, &s) != nil {
			return
		}
		var sum everything
		if err := stats.Merge(&sum, &s); err != nil {
			t.Fatalf("decoded, but does not merge: %v", err)
		}
		if _, err := json.Marshal(sum); err != nil {
			t.Fatal(err)
		}
	})
}

func ExampleMerge() {
	type Stats struct {
		Files stats.Counter       `json:"files"`
		Owner stats.Group[uint32] `json:"owner"`
	}
	var worker1, worker2, all Stats
	worker1.Files.Inc()
	worker1.Owner.Add(0, 4096)
	worker2.Files.Inc()
	worker2.Owner.Add(1000, 12)
	for _, w := range []*Stats{&worker1, &worker2} {
		if err := stats.Merge(&all, w); err != nil {
			fmt.Println(err)
		}
	}
	out, _ := json.Marshal(all)
	fmt.Println(string(out))
	// Output: {"files":2,"owner":{"0":{"count":1,"bytes":4096},"1000":{"count":1,"bytes":12}}}
}

func BenchmarkAdd(b *testing.B) {
	h := stats.NewHistogram(stats.SizeEdges...)
	var c stats.Counter
	var d stats.PerDepth
	top := stats.NewTopN(100)
	b.ReportAllocs()
	size := int64(1)
	for b.Loop() {
		size = (size*1103515245 + 12345) & (1<<22 - 1)
		c.Add(size)
		d.Add(5, size)
		h.Add(size, size)
		top.Add(size, func() string { return "/path" })
	}
}
