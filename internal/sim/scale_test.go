package sim

import (
	"context"
	"encoding/csv"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hydrawalk/hydra/internal/bus/membus"
	"github.com/hydrawalk/hydra/internal/ledger"
)

// scaled is a job that is as fast as its workers allow, or not.
type scaled struct {
	dirs, clients, workers int

	wall       time.Duration
	efficiency float64
	busy       []int // workers, each tenth of a second
	records    int
	rampUp     time.Duration // until 9 of 10 workers are busy
	tail       time.Duration // since 9 of 10 workers were busy for the last time
}

const perDir = 10 * time.Millisecond

// run runs it in a bubble. Messages and writes take 2 ms.
func (s *scaled) run(t *testing.T) {
	o := quiet(uint64(s.dirs), s.dirs, s.clients, s.workers)
	o.Shape = shape{fan: 12, wide: 1}
	o.Effort, o.Stall = effort{}, 0
	err := inBubble(t, o, nil, func(w *world) error {
		var busy atomic.Int64
		w.adjust = func(_ *process, _ *view, a *app) {
			a.enter = func(string) error {
				busy.Add(1)
				time.Sleep(perDir)
				busy.Add(-1)
				return nil
			}
		}
		w.engine.SetFaults(membus.Faults{Delay: func(*rand.Rand) time.Duration { return time.Millisecond }})
		w.serve()
		for range s.clients {
			w.work(s.workers)
		}
		w.sleep(3 * time.Second)
		if err := w.submit(w.spec(job)); err != nil {
			return err
		}
		end := time.Now().Add(time.Duration(s.dirs)*perDir/time.Duration(s.clients*s.workers)*4 + time.Minute)
		for n := 0; ; n++ {
			if n%5 == 0 {
				phase, _ := w.phase(job)
				if phase == ledger.Ended {
					break
				}
				if time.Now().After(end) {
					return fmt.Errorf("it takes too long:\n%.3000s", w.picture(job))
				}
			}
			if phase := n; phase >= 0 {
				s.busy = append(s.busy, int(busy.Load()))
			}
			time.Sleep(100 * time.Millisecond)
		}
		res, err := read(context.Background(), w.own, job)
		if err != nil {
			return err
		}
		for _, r := range res.ledger.Records() {
			s.records += int(r.N)
		}
		s.wall = res.state.Finished.Sub(res.state.Started)
		return res.compare(w.want)
	})
	if err != nil {
		t.Error(err)
		return
	}
	all := s.clients * s.workers
	s.efficiency = float64(s.dirs) * perDir.Seconds() / (float64(all) * s.wall.Seconds())
	first, begun, last := -1, -1, 0
	for i, n := range s.busy {
		if n > 0 && begun < 0 {
			begun = i
		}
		if 10*n >= 9*all {
			if first < 0 {
				first = i
			}
			last = i
		}
	}
	s.rampUp, s.tail = time.Duration(first-begun)*100*time.Millisecond, time.Duration(len(s.busy)-last)*100*time.Millisecond
	t.Logf("%d directories, %d x %d workers: %v, efficiency %.3f, %d records, 90 %% busy after %v, the last %v",
		s.dirs, s.clients, s.workers, s.wall, s.efficiency, s.records, s.rampUp, s.tail)
}

// csv writes the busy workers over time.
func writeBusy(path string, runs []*scaled) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	w := csv.NewWriter(f)
	_ = w.Write(strings.Split("dirs,clients,workers,efficiency,seconds,busy", ","))
	for _, s := range runs {
		for i, n := range s.busy {
			_ = w.Write([]string{
				strconv.Itoa(s.dirs), strconv.Itoa(s.clients), strconv.Itoa(s.workers),
				fmt.Sprintf("%.4f", s.efficiency), fmt.Sprintf("%.1f", float64(i)/10), strconv.Itoa(n),
			})
		}
	}
	if w.Flush(); w.Error() != nil {
		return w.Error()
	}
	return f.Close()
}

func TestTwiceTheClientsTakeHalfTheTime(t *testing.T) {
	if testing.Short() {
		t.Skip("it walks large trees")
	}
	for _, s := range []*scaled{{dirs: 50_000, clients: 1, workers: 8}, {dirs: 100_000, clients: 4, workers: 8}, {dirs: 200_000, clients: 10, workers: 8}} {
		if s.run(t); s.efficiency < 0.9 {
			t.Errorf("%d clients have an efficiency of %.3f, want 0.9", s.clients, s.efficiency)
		}
	}
}

// TestScale is for `make scale`: it takes some minutes, and writes what a plot
// needs.
func TestScale(t *testing.T) {
	if os.Getenv("HYDRA_TEST_SCALE") == "" {
		t.Skip("takes long: HYDRA_TEST_SCALE=1")
	}
	var runs []*scaled
	for _, s := range []*scaled{
		{dirs: 200_000, clients: 1, workers: 8},
		{dirs: 2_000_000, clients: 10, workers: 8},
		{dirs: 20_000_000, clients: 100, workers: 8},
		{dirs: 20_000_000, clients: 1000, workers: 8},
	} {
		s.run(t)
		runs = append(runs, s)
		if bar := map[bool]float64{true: 0.85, false: 0.95}[s.clients > 100]; s.efficiency < bar {
			t.Errorf("%d clients have an efficiency of %.3f, want %.2f", s.clients, s.efficiency, bar)
		}
	}
	path := os.Getenv("HYDRA_SCALE_CSV")
	if path == "" {
		path = "scale.csv"
	}
	if err := writeBusy(path, runs); err != nil {
		t.Fatal(err)
	}
}
