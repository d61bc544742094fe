package walk

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// BenchmarkShared compares a Shared of one worker with Trees, by the processors'
// time of both in turn: other processes have little influence on that.
func BenchmarkShared(b *testing.B) {
	bushy := b.TempDir()
	for d := range 300 {
		dir := filepath.Join(bushy, fmt.Sprint(d%20), fmt.Sprint(d))
		if err := os.MkdirAll(dir, 0o755); err != nil {
			b.Fatal(err)
		}
		for f := range 30 {
			if err := os.WriteFile(filepath.Join(dir, fmt.Sprint("file-", f)), nil, 0o600); err != nil {
				b.Fatal(err)
			}
		}
	}
	for _, c := range []struct {
		name, dir string
		stall     time.Duration
	}{
		{"bushy", bushy, 0},
		{"bushy, with marks", bushy, time.Minute},
		{"large", flat(b, 10_000), 0},
	} {
		b.Run(c.name, func(b *testing.B) {
			var trees, shared time.Duration
			var entries int64
			for b.Loop() {
				t0 := usage().cpu
				walkOnce(b, c.dir, true)
				t1 := usage().cpu
				entries = sharedOnce(b, c.dir, c.stall)
				t2 := usage().cpu
				trees, shared = trees+t1-t0, shared+t2-t1
			}
			n := float64(entries) * float64(b.N)
			b.ReportMetric(float64(trees)/n, "trees-cpu-ns/entry")
			b.ReportMetric(float64(shared)/n, "shared-cpu-ns/entry")
			b.ReportMetric(float64(shared)/float64(trees), "times")
		})
	}
}

func sharedOnce(tb testing.TB, dir string, stall time.Duration) int64 {
	changed := make(chan struct{}, 1)
	s, err := NewShared(tb.Context(), &ShareOptions{
		Options: Options{Workers: 1}, Roots: []string{dir}, Name: "x", Stall: stall,
		NewHandler: func(int) (Handler, error) { return statEach(true), nil },
		Notify: func() {
			select {
			case changed <- struct{}{}:
			default:
			}
		},
	})
	if err != nil {
		tb.Fatal(err)
	}
	s.AddRoots(false)
	for s.Load().Pending > 0 {
		<-changed
	}
	s.Stop()
	last, err := s.Wait()
	if err != nil || len(last.Items) > 0 {
		tb.Fatalf("%+v, %v", last, err)
	}
	return last.Totals.Entries()
}

func BenchmarkCallMark(b *testing.B) {
	w, d := &worker{}, new(Dir)
	for _, on := range []bool{false, true} {
		b.Run(fmt.Sprint("on=", on), func(b *testing.B) {
			w.call.on = on
			for b.Loop() {
				w.enterCall(callStat, d)
				w.leaveCall()
			}
		})
	}
}
