package sim

import (
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hydrawalk/hydra/internal/client"
	"github.com/hydrawalk/hydra/walk"
)

var (
	seedFlag  = flag.Uint64("seed", 0, "of the only world to run, which is told")
	firstFlag = flag.Uint64("first", envNumber("HYDRA_SIM_FIRST", 1), "seed of the first world")
	timeFlag  = flag.Duration("time", envTime("HYDRA_SIM_TIME", 8*time.Second), "for how long to run worlds")
)

func envNumber(name string, otherwise uint64) uint64 {
	if n, err := strconv.ParseUint(os.Getenv(name), 10, 64); err == nil {
		return n
	}
	return otherwise
}

func envTime(name string, otherwise time.Duration) time.Duration {
	if d, err := time.ParseDuration(os.Getenv(name)); err == nil {
		return d
	}
	return otherwise
}

func TestMain(m *testing.M) {
	os.Setenv("GOMAXPROCS", strconv.Itoa(runtime.GOMAXPROCS(0))) // no walk changes it
	flag.Parse()
	os.Exit(m.Run())
}

// TestEachFileIsCountedOnceWhateverFails runs worlds.
func TestEachFileIsCountedOnceWhateverFails(t *testing.T) {
	live := func(t *testing.T, seed uint64, out io.Writer) bool {
		s := makeSettings(seed)
		if out != nil {
			fmt.Fprintln(out, s)
		} else if os.Getenv("HYDRA_SIM_TIME") != "" {
			fmt.Printf("world %d\n", seed) // a crash would not tell
		}
		if err := inBubble(t, s, out, (*world).live); err != nil {
			t.Errorf("%v\n%s\nrun it again with -run '^%s$' -seed=%d", err, s, "TestEachFileIsCountedOnceWhateverFails", seed)
			return false
		}
		return true
	}
	if *seedFlag != 0 {
		live(t, *seedFlag, t.Output())
		return
	}
	var next, failed atomic.Uint64
	next.Store(*firstFlag)
	begin := time.Now()
	limit := *timeFlag
	if testing.Short() {
		limit /= 2
	}
	t.Run("worlds", func(t *testing.T) {
		for i := range runtime.GOMAXPROCS(0) {
			t.Run(strconv.Itoa(i), func(t *testing.T) {
				t.Parallel()
				for time.Since(begin) < limit && failed.Load() < 5 {
					if !live(t, next.Add(1)-1, nil) {
						failed.Add(1)
					}
				}
			})
		}
	})
	n := next.Load() - *firstFlag
	t.Logf("%d worlds from seed %d, %.0f a minute", n, *firstFlag, float64(n)/time.Since(begin).Minutes())
}

func TestAWorldIsWhatAWalkOfItCounts(t *testing.T) {
	for seed := range uint64(60) {
		s := makeSettings(seed)
		tr := s.tree()
		want := expect(tr, &s.Rules)
		task, _ := (&app{r: &s.Rules}).Begin(nil, client.Where{})
		var roots []string
		for i := range tr.roots {
			roots = append(roots, tr.rootName(i))
		}
		got, err := walk.Trees(t.Context(), roots, func(id int) (walk.Handler, error) {
			return task.NewHandler(t.Context(), id)
		}, &walk.Options{Workers: 2, FS: &view{t: tr, r: s.Rules}})
		if err != nil {
			t.Fatal(err)
		}
		var sum counts
		for _, w := range taskWorkers(task) {
			sum.add(&w.counts)
		}
		got.Workers, got.FirstError = 0, nil
		if sum != want.counts || got != want.totals {
			t.Fatalf("%s\ncounted %+v %+v\nwant %+v %+v", s, sum, got, want.counts, want.totals)
		}
	}
}

func taskWorkers(t client.Task) map[int]*worker { return t.(*task).workers }
