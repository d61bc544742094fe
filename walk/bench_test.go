package walk

import (
	"context"
	"fmt"
	"os"
	"testing"
)

// statEach reads the attributes of every entry if it is set.
type statEach bool

func (s statEach) File(_ context.Context, e *Entry) error {
	if !s {
		return nil
	}
	_, err := e.Stat()
	return err
}

// flat is a directory of n empty files.
func flat(tb testing.TB, n int) string {
	tb.Helper()
	dir := tb.TempDir()
	touch := emptyFiles(tb)
	for i := range n {
		touch(fmt.Sprintf("%s/file-%06d", dir, i))
	}
	return dir
}

// emptyFiles makes empty files below one directory, which share inodes: after many files
// were removed, ext4 looks for a free inode for so long that a new one takes a millisecond.
func emptyFiles(tb testing.TB) (touch func(path string)) {
	const most = 30_000 // links of one inode; ext4 has 65,000
	of, links := "", most
	return func(path string) {
		var err error
		if links++; links <= most {
			err = os.Link(of, path)
		} else {
			err = os.WriteFile(path, nil, 0o600)
			of, links = path, 1
		}
		if err != nil {
			tb.Helper()
			tb.Fatal(err)
		}
	}
}

func walkOnce(tb testing.TB, dir string, stat statEach) {
	if t, err := Trees(tb.Context(), []string{dir}, func(int) (Handler, error) { return stat, nil }, &Options{Workers: 1}); err != nil || !t.Complete() {
		tb.Fatalf("%+v, %v", t, err)
	}
}

// BenchmarkTrees walks one directory of 10,000 files; its allocations are those
// of the walk as a whole.
func BenchmarkTrees(b *testing.B) {
	const files = 10_000
	dir := flat(b, files)
	for _, stat := range []statEach{false, true} {
		b.Run(fmt.Sprintf("stat=%v", stat), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				walkOnce(b, dir, stat)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/files, "ns/entry")
		})
	}
}

func TestNothingIsAllocatedPerEntryOrStat(t *testing.T) {
	small, large := flat(t, 1000), flat(t, 4000)
	for _, stat := range []statEach{false, true} {
		few := testing.AllocsPerRun(10, func() { walkOnce(t, small, stat) })
		many := testing.AllocsPerRun(10, func() { walkOnce(t, large, stat) })
		if many-few > 30 {
			t.Errorf("stat=%v: %v allocations for 1,000 entries, %v for 4,000", stat, few, many)
		}
	}
}
