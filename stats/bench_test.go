package stats_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/hydrawalk/hydra/stats"
)

// sizes are like those of files: of all magnitudes, small ones most often, and
// too many for a processor to foresee.
func sizes() []int64 {
	rng := rand.New(rand.NewPCG(1, 2))
	list := make([]int64, 1<<16)
	for i := range list {
		list[i] = rng.Int64N(1 << rng.IntN(1+rng.IntN(40)))
	}
	return list
}

func BenchmarkCounterAdd(b *testing.B) {
	var c stats.Counter
	b.ReportAllocs()
	for b.Loop() {
		c.Add(3)
	}
}

func BenchmarkPerDepthAdd(b *testing.B) {
	var p stats.PerDepth
	b.ReportAllocs()
	for b.Loop() {
		p.Add(7, 3)
	}
}

func BenchmarkMaxPerDepthSee(b *testing.B) {
	var p stats.MaxPerDepth
	b.ReportAllocs()
	for b.Loop() {
		p.See(7, 3)
	}
}

func BenchmarkHistogramAdd(b *testing.B) {
	for name, edges := range map[string][]int64{"size": stats.SizeEdges, "age": stats.AgeEdges} {
		b.Run(name, func(b *testing.B) {
			h, list := stats.NewHistogram(edges...), sizes()
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				n := list[i&(len(list)-1)]
				h.Add(n, n)
				i++
			}
		})
	}
}

func BenchmarkGroupAdd(b *testing.B) {
	b.Run("uid", func(b *testing.B) {
		var g stats.Group[uint32]
		b.ReportAllocs()
		i := uint32(0)
		for b.Loop() {
			g.Add(1000+i&63, 3)
			i++
		}
	})
	b.Run("extension", func(b *testing.B) {
		var g stats.Group[string]
		b.ReportAllocs()
		i := 0
		for b.Loop() {
			g.Add([]string{".txt", ".go", ".jpg", ""}[i&3], 3)
			i++
		}
	})
}

// BenchmarkTopNAdd adds to a list that is full: files that are smaller than what
// is kept, and files that are as large as the smallest of it.
func BenchmarkTopNAdd(b *testing.B) {
	path := []byte("/some/directory/of/a/tree/zzz")
	appendPath := func(b []byte) []byte { return append(b, path...) }
	for _, tt := range []struct {
		name string
		size int64
	}{{"smaller", 1}, {"equal", 1000}} {
		b.Run(tt.name, func(b *testing.B) {
			top := stats.NewTopN[stats.Size](100)
			for i := range 100 {
				top.AddPath(stats.Size{Size: 1000}, fmt.Append(nil, "/", i))
			}
			b.ReportAllocs()
			for b.Loop() {
				top.Add(stats.Size{Size: tt.size}, appendPath)
			}
		})
	}
}

func BenchmarkMerge(b *testing.B) {
	var sum everything
	s := count(rand.New(rand.NewPCG(1, 1)))
	b.ReportAllocs()
	for b.Loop() {
		if err := stats.Merge(&sum, s); err != nil {
			b.Fatal(err)
		}
	}
}

func TestNothingIsAllocatedPerFile(t *testing.T) {
	h := stats.NewHistogram(stats.SizeEdges...)
	top := stats.NewTopN[stats.Size](1)
	var s everything
	path := []byte("/zzz")
	cross := stats.NewCross(stats.AgeEdges, stats.SizeEdges)
	s.Tree, s.Lists = stats.NewTree(0, 1), stats.NewTopBy[uint32, stats.Size](1, 1)
	file := func() {
		s.Files.Add(1)
		s.Deepest.See(3)
		s.ByDepth.Add(3, 1)
		s.MaxDepth.See(3, 1)
		h.Add(1<<30, 1)
		s.Inner.UID.Add(0, 1)
		s.Inner.Ext.Add(".go", 1)
		top.Add(stats.Size{Size: 1}, func(b []byte) []byte { return append(b, path...) })
		top.AddPath(stats.Size{}, path)
		cross.AddAt(7, h.Find(3), 3)
		s.Latest.See(5, 5)
		s.Middle.Add(5)
		s.Kept.At(".go", "").Add(1, 1, 1)
		s.Lists.At(0).AddPath(stats.Size{Size: 1}, path)
		s.Tree.At(0, path).AddFiles(stats.Use{Count: 1, Bytes: 1, Allocated: 1}, stats.Latest{})
	}
	top.AddPath(stats.Size{Size: 1}, []byte("/a"))
	file()
	if n := testing.AllocsPerRun(1000, file); n != 0 {
		t.Errorf("%v allocations per file, want none", n)
	}
}
