package audit

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/hydrawalk/hydra"
	"github.com/hydrawalk/hydra/stats"
	"github.com/hydrawalk/hydra/stats/statstest"
	"github.com/hydrawalk/hydra/walk"
)

func TestStatisticsMergeInAnyOrder(t *testing.T) {
	statstest.TestMerge(t, 0, func(rng *rand.Rand) *Stats {
		if rng.IntN(10) == 0 {
			return new(Stats)
		}
		few := limits{extensions: 3, owners: 3, ownerLists: 2, treeDirs: 4, linkCounts: 2, dirs: 3}
		s := newStatsWithin(few, Settings{BlockSize: 8192, TreeDepth: 1, Top: 3, AsOf: AsOf{Time: time.Unix(1<<30, 0)}})
		s.ByAtime, s.ByCtime, s.ByMtime = stats.Cross{}, stats.Cross{}, stats.Cross{} // they are long, and like the fourth
		for range rng.IntN(20) {
			size, depth := rng.Int64N(1<<rng.IntN(62)+1), rng.IntN(10)
			path := fmt.Appendf(nil, "/\xff%d", rng.IntN(9))
			f := File{Size: size % 5, Inode: rng.Uint64(), UID: rng.Uint32(), Mode: Mode(rng.IntN(1 << 12))}
			f.Mtime.See(rng.Int64(), rng.Uint32())
			s.Size.Add(size)
			s.Allocated.Add(size)
			s.FilesPerDepth.Add(depth, 1)
			s.SizePerDepth.Add(depth, size)
			s.BySize.Add(size, size)
			s.ByBlocks.Add(roundUp(size, 8192), size)
			s.ByBtime.Add(rng.Int64N(1<<30)-5, size, size)
			s.Sizes.Add(size)
			s.MaxFiles.See(size)
			s.MaxFilesPerDepth.See(depth, size)
			ext := []string{"", "jpg", "other", "\xff", "x", "y", "z"}[rng.IntN(7)]
			s.Extensions.At(ext, map[string]string{"jpg": "image"}[ext]).Add(1, size, size/2)
			s.ByUID.At(uint32(rng.IntN(6)), "").Add(1, size, size/2)
			s.BySID.At(fmt.Sprint("S-1-", rng.IntN(6)), "").Add(1, size, size/2)
			s.ByMode.At(f.Mode, "").Add(1, size, size/2)
			s.ByLinks.At(rng.Uint64N(5), "").Add(1, size, size/2)
			s.Sparse.Add(1, size, size/2)
			s.TopFiles.AddPath(f, path)
			s.TopSparse.AddPath(Sparse{f}, path)
			s.TopEntries.AddPath(Entries{Entries: size % 3, Dirs: size % 2}, path)
			s.TopDepth.AddPath(Depth{int64(depth)}, path)
			if list := s.TopBySID.At(fmt.Sprint("S-1-", rng.IntN(6))); list != nil {
				list.AddPath(f, path)
			}
			if u := s.Tree.At(depth%2, path); u != nil {
				u.AddFiles(stats.Use{Count: 1, Bytes: size, Allocated: size / 2}, f.Mtime)
			}
		}
		return s
	})
}

func TestAveragesDivideWhatWasCounted(t *testing.T) {
	s := newStats(Settings{BlockSize: 8192, Top: 1})
	text, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	var fields map[string]any
	if err := json.Unmarshal(text, &fields); err != nil {
		t.Fatal(err)
	}
	for name, v := range fields {
		if n, isNumber := v.(float64); strings.HasPrefix(name, "average_") && isNumber && n != 0 {
			t.Errorf("%s of nothing is %v", name, n)
		}
	}
	s.Size, s.SizeInBlocks, s.DepthTotal, s.ParentDirs = 300, 600, 6, 2
	s.DirsPerDepth = stats.PerDepth{1, 2, 2}
	s.FilesPerDepth = stats.PerDepth{0, 3}
	s.SizePerDepth = stats.PerDepth{0, 300}
	s.SizeInBlocksPerDepth = stats.PerDepth{0, 600}
	s.ByLinks.At(1, "").Add(1, 100, 1000)
	s.ByLinks.At(2, "").Add(3, 101, 512) // of two files, one of them with a name elsewhere
	want := Derived{
		FileSize: 100, FileSizeInBlocks: 200, Depth: 1.2, Width: 2,
		FileSizePerDepth: []float64{0, 100}, FileSizeInBlocksPerDepth: []float64{0, 200}, FilesPerDepth: []float64{0, 1.5, 0},
		Categories: map[string]stats.Use{},
		Linked:     stats.Use{Count: 3, Bytes: 101, Allocated: 512}, Unique: stats.Use{Count: 1 + 2, Bytes: 100 + 51, Allocated: 1000 + 256},
	}
	if diff := cmp.Diff(want, s.Derived()); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func TestAFileWithNamesElsewhereIsCountedToTheNearest(t *testing.T) {
	for _, tt := range []struct {
		n     int64
		links uint64
		want  int64
	}{
		{5, 0, 5}, {5, 1, 5}, {0, 3, 0}, {1, 3, 0}, {2, 3, 1}, {1, 2, 1}, {3, 2, 2}, {4, 2, 2}, {5, 10, 1}, {4, 10, 0}, {math.MaxInt64, 2, 1 << 62},
		{math.MaxInt64, math.MaxUint64, 0}, {1, math.MaxUint64, 0}, {math.MaxInt64, math.MaxInt64, 1},
	} {
		if got := divide(tt.n, tt.links); got != tt.want {
			t.Errorf("%d names of %d each are %d files, want %d", tt.n, tt.links, got, tt.want)
		}
	}
}

func TestWhatIsNotKeptByItselfCountsAsOther(t *testing.T) {
	s := newStatsWithin(limits{1, 1, 1, 1, 1, 1}, Settings{BlockSize: 8192, Top: 1})
	s.Extensions.At("jpg", "image").Add(1, 10, 100)
	for i, ext := range []string{"a", "b", "c", "d"} {
		s.Extensions.At(ext, "").Add(1<<i, 10<<i, 100<<i)
		s.ByLinks.At(uint64(i+2), "").Add(1, 1, 1)
	}
	d := s.Derived()
	want := map[string]stats.Use{"image": {Count: 1, Bytes: 10, Allocated: 100}, "other": {Count: 15, Bytes: 150, Allocated: 1500}}
	if diff := cmp.Diff(want, d.Categories); diff != "" {
		t.Errorf("categories: -want +got\n%s", diff)
	}
	// Of those whose number of links is not known any more each counts as one;
	// half of one or less is none.
	kept := divide(1, slices.Collect(maps.Keys(maps.Collect(s.ByLinks.All)))[0])
	if d.Linked.Count != 4 || d.Unique.Count != 3+kept {
		t.Errorf("%d names share files, and are %d files, want 4 and %d", d.Linked.Count, d.Unique.Count, 3+kept)
	}
}

// What has no name is told from what nobody asked for.
func TestOwnersWithoutANameAreKnownOnlyIfNamesWereAskedFor(t *testing.T) {
	s := newStats(Settings{BlockSize: 8192, Top: 1})
	s.ByUID.At(0, "").Add(1, 10, 100)
	s.ByUID.At(54321, "").Add(2, 20, 200)
	if d := s.Derived(); d.WithoutOwner != nil || d.WithoutGroup != nil {
		t.Errorf("%+v before names were asked for", d)
	}
	s.UIDNames, s.GIDNames = Names[uint32]{0: "root"}, Names[uint32]{}
	d := s.Derived()
	if want := (stats.Use{Count: 2, Bytes: 20, Allocated: 200}); d.WithoutOwner == nil || *d.WithoutOwner != want {
		t.Errorf("without an owner's name: %+v, want %+v", d.WithoutOwner, want)
	}
	if d.WithoutGroup == nil || *d.WithoutGroup != (stats.Use{}) {
		t.Errorf("without a group's name: %+v, want none", d.WithoutGroup)
	}
	s.NameErrors.Inc() // now nobody knows
	if d := s.Derived(); d.WithoutOwner != nil || d.WithoutGroup == nil {
		t.Errorf("after a lookup of owners failed: %+v and %+v, want nothing and none", d.WithoutOwner, d.WithoutGroup)
	}
}

func TestSizesAreRoundedUpToBlocks(t *testing.T) {
	for _, tt := range []struct{ size, block, want int64 }{
		{0, 8192, 0}, {1, 8192, 8192}, {8192, 8192, 8192}, {8193, 8192, 16384}, {5, 1, 5}, {7, 3, 9},
		{math.MaxInt64 - 1, 8192, math.MaxInt64},
	} {
		if got := roundUp(tt.size, tt.block); got != tt.want {
			t.Errorf("%d in blocks of %d is %d, want %d", tt.size, tt.block, got, tt.want)
		}
	}
}

func TestTheSummaryFits80Columns(t *testing.T) {
	const many = 9_999_999_999
	names := []string{"short", strings.Repeat("n", 255), strings.Repeat("\xff", 255), strings.Repeat("ü", 127), strings.Repeat("日", 85), "new\nline", " "}
	for _, one := range []int64{0, 1 << 50, math.MaxInt64} {
		s := newStats(Settings{BlockSize: 1 << 20, TreeDepth: 1, Top: 100})
		s.Size, s.SizeInBlocks, s.Allocated, s.Symlinks = math.MaxInt64, math.MaxInt64, math.MaxInt64, many
		s.MaxDepth, s.MaxWidth, s.MaxFiles, s.EmptyDirs = 99_999, many, many, many
		s.Fifos, s.OtherFiles, s.Sparse = many, many/2, stats.Use{Count: many, Bytes: math.MaxInt64, Allocated: 1 << 50}
		s.FilesPerDepth, s.DirsPerDepth, s.DepthTotal = stats.PerDepth{many}, stats.PerDepth{many}, math.MaxInt64
		s.BySize.Add(0, 0)
		s.BySize.Add(1<<41, 1<<62)
		s.BySize.Add(one, one)
		s.ByMtime.Add(-1, 3, one)
		s.ByMtime.Add(1<<40, 3, 3)
		s.Sizes.Add(one)
		s.ByLinks.At(math.MaxUint64, "").Add(many, math.MaxInt64, math.MaxInt64)
		s.UIDNames = Names[uint32]{}
		for i, name := range names {
			s.UIDNames[uint32(i)] = name
			s.ByUID.At(uint32(i), "").Add(many, one, one)
			s.ByUID.At(math.MaxUint32-uint32(i), "").Add(many, math.MaxInt64, one)
			s.Extensions.At(fmt.Sprint(i), name).Add(many, math.MaxInt64, 0)
			path := []byte("/" + strings.Repeat(name+"/", 20) + name)
			s.TopFiles.AddPath(File{Size: one}, path)
			for j := range 3 {
				s.Tree.At(1, fmt.Append(path, j)).Bytes = one
			}
		}
		r := &hydra.Result[Stats]{Stats: s}
		r.Walked = walk.Totals{ProcessedDirs: many, ProcessedFiles: many, SkippedFiles: 2 * many, FilteredDirs: many / 2, FilteredFiles: many / 2,
			VanishedDirs: many / 2, VanishedFiles: many / 2, FailedDirs: many / 2, FailedFiles: many / 2}
		var b strings.Builder
		if err := summarize(&b, r); err != nil {
			t.Fatal(err)
		}
		for line := range strings.SplitSeq(b.String(), "\n") {
			if n := utf8.RuneCountInString(line) + strings.Count(line, "日"); n > 80 || strings.TrimRight(line, " ") != line || !utf8.ValidString(line) {
				t.Errorf("%d columns: %q", n, line)
			}
		}
	}
}

func TestTheSummaryListsNoMoreThanThereIs(t *testing.T) {
	for top := 1; top <= 7; top++ {
		s := newStats(Settings{BlockSize: 8192, Top: top})
		s.FilesPerDepth = stats.PerDepth{100}
		for i := range 100 {
			s.TopFiles.AddPath(File{Size: 1}, fmt.Append(nil, "/large file ", i))
		}
		var b strings.Builder
		if err := summarize(&b, &hydra.Result[Stats]{Stats: s}); err != nil {
			t.Fatal(err)
		}
		_, list, _ := strings.Cut(b.String(), "Largest files\n")
		if n, want := strings.Count(list, "/large file "), min(top, listed); n != want || strings.Count(list, "\n") != want {
			t.Errorf("of a list of %d, %d lines, want %d:\n%s", top, n, want, list)
		}
	}
}

// counting is the handler with which the statistics are compared: it only asks
// for what they are made of.
type counting struct{}

func (counting) File(_ context.Context, e *walk.Entry) error {
	_, err := e.Stat()
	return err
}

// BenchmarkAudit shows what the statistics cost beside the walk itself, and that
// they allocate nothing per file.
func BenchmarkAudit(b *testing.B) {
	root := b.TempDir()
	const files = 10_000
	for i := range files {
		if err := os.WriteFile(filepath.Join(root, fmt.Sprint("f", i)), nil, 0o666); err != nil {
			b.Fatal(err)
		}
	}
	b.Run("audit", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := hydra.Run(b.Context(), App(), []string{root}, &hydra.Options{Workers: 1}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("stat", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_, err := walk.Trees(b.Context(), []string{root}, func(int) (walk.Handler, error) { return counting{}, nil }, &walk.Options{Workers: 1})
			if err != nil {
				b.Fatal(err)
			}
		}
	})
}

func TestNothingIsAllocatedPerFile(t *testing.T) {
	run := func(files int) float64 {
		root := t.TempDir()
		for i := range files {
			if err := os.WriteFile(filepath.Join(root, fmt.Sprint("f", i)), nil, 0o666); err != nil {
				t.Fatal(err)
			}
		}
		app := App()
		app.Settings.Top = 1 // what is kept takes memory: files of one size until the first by path is found
		return testing.AllocsPerRun(5, func() {
			o := &hydra.Options{Workers: 1, Rules: []hydra.Rule{{Glob: "*.o"}, {Glob: "x/**/{y,z}"}}}
			if _, err := hydra.Run(context.Background(), app, []string{root}, o); err != nil {
				t.Fatal(err)
			}
		})
	}
	if few, many := run(10), run(5000); runtime.GOOS == "linux" && many-few > 100 {
		t.Errorf("%v allocations for 10 files, %v for 5,000", few, many)
	}
}
