package audit

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/hydrawalk/hydra"
	"github.com/hydrawalk/hydra/stats"
	"github.com/hydrawalk/hydra/stats/statstest"
	"github.com/hydrawalk/hydra/walk"
)

// grow makes a tree of directories, files of sizes around the edges of the bins,
// and symbolic links.
func grow(t *testing.T, seed uint64) string {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 0))
	root := t.TempDir()
	dirs := []string{root}
	for i := range 40 {
		dir := filepath.Join(dirs[rng.IntN(len(dirs))], fmt.Sprintf("d%d", i))
		if err := os.Mkdir(dir, 0o777); err != nil {
			t.Fatal(err)
		}
		dirs = append(dirs, dir)
	}
	for i := range 400 {
		name := filepath.Join(dirs[rng.IntN(len(dirs))], fmt.Sprintf("f%d", i))
		if i%20 == 0 && runtime.GOOS != "windows" {
			if err := os.Symlink(dirs[rng.IntN(len(dirs))], name); err != nil {
				t.Fatal(err)
			}
			continue
		}
		// Up to 10 GiB: the files are sparse.
		size := max(stats.SizeEdges[rng.IntN(13)]+rng.Int64N(3)-1, 0)
		f, err := os.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Truncate(size); err != nil {
			f.Close()
			os.Remove(name)
			continue // the file system has no files of this size
		}
		if i%40 == 7 { // one that occupies something, on disk now
			if _, err := f.WriteAt(make([]byte, 20_000), 0); err != nil {
				t.Fatal(err)
			}
			if err := f.Sync(); err != nil {
				t.Fatal(err)
			}
		}
		f.Close()
	}
	return root
}

// truth computes the statistics in another way: by filepath.WalkDir, slowly.
func truth(t *testing.T, root string, block int64) *Stats {
	t.Helper()
	want := newStats(Settings{BlockSize: hydra.Size(block)})
	list := func(p *[]int64, depth int) *int64 {
		for len(*p) <= depth {
			*p = append(*p, 0)
		}
		return &(*p)[depth]
	}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		depth := strings.Count(path[len(root):], string(filepath.Separator))
		switch {
		case d.IsDir():
			want.DepthTotal += stats.Counter(depth)
			*list((*[]int64)(&want.DirsPerDepth), depth)++
			want.MaxDepth = max(want.MaxDepth, stats.Max(depth))
			entries, err := os.ReadDir(path)
			if err != nil {
				return err
			}
			var dirs, files int64
			for _, e := range entries {
				if e.IsDir() {
					dirs++
				} else if e.Type().IsRegular() {
					files++
				}
			}
			if dirs > 0 {
				want.ParentDirs++
			}
			want.MaxWidth = max(want.MaxWidth, stats.Max(dirs))
			want.MaxFiles = max(want.MaxFiles, stats.Max(files))
			for _, p := range []*stats.PerDepth{&want.FilesPerDepth, &want.SizePerDepth, &want.SizeInBlocksPerDepth} {
				list((*[]int64)(p), depth)
			}
			most := list((*[]int64)(&want.MaxFilesPerDepth), depth)
			*most = max(*most, files)
		case d.Type()&fs.ModeSymlink != 0:
			want.Symlinks++
		default:
			info, err := d.Info()
			if err != nil {
				return err
			}
			size := info.Size()
			blocks := int64(math.Ceil(float64(size)/float64(block))) * block
			want.Size += stats.Counter(size)
			want.Allocated += stats.Counter(allocated(info))
			want.SizeInBlocks += stats.Counter(blocks)
			*list((*[]int64)(&want.FilesPerDepth), depth-1)++
			*list((*[]int64)(&want.SizePerDepth), depth-1) += size
			*list((*[]int64)(&want.SizeInBlocksPerDepth), depth-1) += blocks
			want.BySize.Add(size, size)
			want.ByBlocks.Add(blocks, blocks)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return want
}

func TestTheNumbersAreThoseOfASlowWalkWithAnyNumberOfWorkers(t *testing.T) {
	for seed := range uint64(5) {
		root := grow(t, seed)
		for _, tt := range []struct {
			workers int
			block   hydra.Size
		}{{1, 8192}, {2, 4096}, {16, 1000}, {0, 1}} {
			app := App()
			app.Settings.BlockSize = tt.block
			r, err := hydra.Run(t.Context(), app, []string{root}, &hydra.Options{Workers: tt.workers})
			if err != nil {
				t.Fatal(err)
			}
			want := truth(t, root, int64(tt.block))
			want.Clients, want.Workers, want.Paths = 1, stats.Counter(r.Workers), 1
			if diff := cmp.Diff(want, r.Stats); diff != "" {
				t.Fatalf("seed %d, %+v: -want +got\n%s", seed, tt, diff)
			}
		}
	}
}

func TestStatisticsMergeInAnyOrder(t *testing.T) {
	statstest.TestMerge(t, 0, func(rng *rand.Rand) *Stats {
		if rng.IntN(10) == 0 {
			return new(Stats)
		}
		s := newStats(Settings{BlockSize: 8192})
		for range rng.IntN(20) {
			size, depth := rng.Int64N(1<<rng.IntN(62)+1), rng.IntN(10)
			s.Size.Add(size)
			s.Allocated.Add(size)
			s.FilesPerDepth.Add(depth, 1)
			s.SizePerDepth.Add(depth, size)
			s.BySize.Add(size, size)
			s.ByBlocks.Add(roundUp(size, 8192), size)
			s.MaxFiles.See(size)
			s.MaxFilesPerDepth.See(depth, size)
		}
		return s
	})
}

func TestAveragesDivideWhatWasCounted(t *testing.T) {
	s := newStats(Settings{BlockSize: 8192})
	text, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Count(string(text), "null") != 2 {
		t.Errorf("nothing is null but the edges of two histograms: %s", text)
	}
	s.Size, s.SizeInBlocks, s.DepthTotal, s.ParentDirs = 300, 600, 6, 2
	s.DirsPerDepth = stats.PerDepth{1, 2, 2}
	s.FilesPerDepth = stats.PerDepth{0, 3}
	s.SizePerDepth = stats.PerDepth{0, 300}
	s.SizeInBlocksPerDepth = stats.PerDepth{0, 600}
	want := Derived{
		FileSize: 100, FileSizeInBlocks: 200, Depth: 1.2, Width: 2,
		FileSizePerDepth: []float64{0, 100}, FileSizeInBlocksPerDepth: []float64{0, 200}, FilesPerDepth: []float64{0, 1.5, 0},
	}
	if diff := cmp.Diff(want, s.Derived()); diff != "" {
		t.Errorf("-want +got\n%s", diff)
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
	s := newStats(Settings{BlockSize: 1 << 20})
	const many = 9_999_999_999
	s.Size, s.SizeInBlocks, s.Allocated, s.Symlinks = math.MaxInt64, math.MaxInt64, math.MaxInt64, many
	s.MaxDepth, s.MaxWidth, s.MaxFiles = 99_999, many, many
	s.FilesPerDepth, s.DirsPerDepth = stats.PerDepth{many}, stats.PerDepth{many}
	r := &hydra.Result[Stats]{Stats: s}
	r.Walked = walk.Totals{ProcessedDirs: many, ProcessedFiles: many, SkippedFiles: 2 * many, FilteredDirs: many, FilteredFiles: many,
		VanishedDirs: many, VanishedFiles: many, FailedDirs: many, FailedFiles: many}
	for _, one := range []int64{0, 1 << 50, math.MaxInt64} {
		s.BySize = stats.NewHistogram(stats.SizeEdges...)
		s.BySize.Add(0, 0)
		s.BySize.Add(1<<41, 1<<62)
		s.BySize.Add(one, one)
		s.BySize.Add(3, 3)
		var b strings.Builder
		if err := summarize(&b, r); err != nil {
			t.Fatal(err)
		}
		for line := range strings.SplitSeq(b.String(), "\n") {
			if n := utf8.RuneCountInString(line); n > 80 || strings.TrimRight(line, " ") != line {
				t.Errorf("%d columns: %q", n, line)
			}
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
		return testing.AllocsPerRun(5, func() {
			o := &hydra.Options{Workers: 1, Rules: []hydra.Rule{{Glob: "*.o"}, {Glob: "x/**/{y,z}"}}}
			if _, err := hydra.Run(context.Background(), App(), []string{root}, o); err != nil {
				t.Fatal(err)
			}
		})
	}
	if few, many := run(10), run(5000); runtime.GOOS == "linux" && many-few > 100 {
		t.Errorf("%v allocations for 10 files, %v for 5,000", few, many)
	}
}
