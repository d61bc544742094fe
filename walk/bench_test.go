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

// flat makes a directory of n files.
func flat(tb testing.TB, n int) string {
	tb.Helper()
	dir := tb.TempDir()
	for i := range n {
		if err := os.WriteFile(fmt.Sprintf("%s/file-%06d", dir, i), nil, 0o600); err != nil {
			tb.Fatal(err)
		}
	}
	return dir
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
