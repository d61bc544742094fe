package sim

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/hydrawalk/hydra/internal/ledger"
	"github.com/hydrawalk/hydra/internal/wire"
	"github.com/hydrawalk/hydra/walk"
)

// quiet are settings of a world without trouble.
func quiet(seed uint64, dirs, clients, workers int) settings {
	return settings{
		Seed: seed, Roots: []int{dirs}, Shape: shape{fan: 6, files: 5}, Stall: time.Minute, Servers: 1,
		Clients: clients, Workers: workers, Effort: effort{Dir: 20 * time.Millisecond}, Delay: time.Millisecond, Timeout: 5 * time.Second,
	}
}

// run runs a job in a world, and compares its result with what is wanted.
func (w *world) run(most time.Duration) error {
	w.engine.SetFaults(w.faults())
	for range w.Servers {
		w.serve()
	}
	for range w.Clients {
		w.work(w.Workers)
	}
	w.sleep(time.Second) // until all have joined
	if err := w.submit(w.spec(job)); err != nil {
		return err
	}
	if err := w.waitEnd(job, most); err != nil {
		return err
	}
	return w.judge()
}

// leaf is a directory of a tree without subdirectories, some way down, and what
// lies on the way.
func leaf(t *tree, seed uint64) string {
	n, path := t.root(0), t.rootName(0)
	for {
		of := t.subdirs(n)
		var there []int
		for i := range of {
			if t.child(n, i, of).size > 0 {
				there = append(there, i)
			}
		}
		if len(there) == 0 {
			return path
		}
		i := there[mix(n.hash, seed)%uint64(len(there))]
		path += "/" + t.name(n, 'd', i)
		n = t.child(n, i, of)
	}
}

var errKilled = errors.New("killed")

func TestADirectoryThatKillsItsClientsBecomesAnError(t *testing.T) {
	for seed := range uint64(6) {
		deaths := 0
		err := inBubble(t, quiet(seed, 300, 4, 2), nil, func(w *world) error {
			poison := leaf(w.tree, seed)
			w.want = expectWith(w.tree, &w.Rules, map[string]string{poison: "failed"})
			born := make(chan bool, 100)
			w.adjust = func(p *process, _ *view, a *app) {
				a.enter = func(path string) error {
					if path != poison {
						return nil
					}
					p.gone = true
					p.h.Kill()
					p.cancel()
					born <- true
					return walk.Fatal(errKilled)
				}
			}
			go func() {
				for {
					select {
					case <-born:
						deaths++
						time.Sleep(time.Second)
						w.work(w.Workers)
					case <-w.over:
						return
					}
				}
			}()
			return w.run(10 * time.Minute)
		})
		if err != nil {
			t.Errorf("seed %d: %v", seed, err)
		}
		if deaths < 2 || deaths > 4 {
			t.Errorf("seed %d: %d clients died", seed, deaths)
		}
		t.Logf("seed %d: %d deaths", seed, deaths)
	}
}

func TestADirectoryThatDoesNotAnswerIsGivenToOthers(t *testing.T) {
	for seed := range uint64(12) {
		everywhere := seed%2 == 0
		s := quiet(seed, 300, 4, 2)
		s.Stall = 5 * time.Second
		err := inBubble(t, s, nil, func(w *world) error {
			hangs := leaf(w.tree, seed)
			if seed > 5 {
				hangs = "r0/d1" // which is given away
			}
			if everywhere {
				w.want = expectWith(w.tree, &w.Rules, map[string]string{hangs: "failed"})
			}
			first := true
			w.adjust = func(_ *process, v *view, _ *app) {
				if everywhere || first {
					v.hangs = map[string]bool{hangs: true}
				}
				first = false
			}
			return w.run(5 * time.Minute)
		})
		if err != nil {
			t.Errorf("seed %d, everywhere %v: %v", seed, everywhere, err)
		}
	}
}

func TestAClientThatDoesNotSeeTheTreeTakesNoPart(t *testing.T) {
	for seed := range uint64(6) {
		err := inBubble(t, quiet(seed, 300, 4, 2), nil, func(w *world) error {
			n := 0
			w.adjust = func(_ *process, v *view, a *app) {
				n++
				if v.unmounted, v.moved = n == 1, n == 2; n > 2 {
					return
				}
				a.enter = func(path string) error { return walk.Fatal(errors.New("it takes part")) }
			}
			if err := w.run(5 * time.Minute); err != nil {
				return err
			}
			res, err := read(context.Background(), w.own, job)
			if err == nil && len(res.state.Refused) != 2 {
				err = errors.New("who was refused: " + strings.Join(values(res.state.Refused), "; "))
			}
			return err
		})
		if err != nil {
			t.Errorf("seed %d: %v", seed, err)
		}
	}
}

func values(m map[ledger.ClientID]string) (all []string) {
	for _, v := range m {
		all = append(all, v)
	}
	return all
}

// The others see the directory, or do not.
func TestADirectoryThatOneClientMissesIsTriedByOthers(t *testing.T) {
	for seed := range uint64(6) {
		everywhere := seed%2 == 0
		err := inBubble(t, quiet(seed, 1000, 0, 1), nil, func(w *world) error {
			missing := "r0/d1"
			if everywhere {
				w.want = expectWith(w.tree, &w.Rules, map[string]string{missing: "vanished"})
			}
			n := 0
			w.adjust = func(_ *process, v *view, _ *app) {
				if n++; n == 2 || everywhere {
					v.missing = map[string]bool{missing: true}
				}
			}
			w.engine.SetFaults(w.faults())
			w.serve()
			w.work(1)
			if err := w.submit(w.spec(job)); err != nil {
				return err
			}
			w.sleep(3 * time.Second)
			w.work(2)
			w.work(2)
			if err := w.waitEnd(job, 5*time.Minute); err != nil {
				return err
			}
			return w.judge()
		})
		if err != nil {
			t.Errorf("seed %d, everywhere %v: %v", seed, everywhere, err)
		}
	}
}

func TestAJobWaitsForAsManyClientsAsItWants(t *testing.T) {
	err := inBubble(t, quiet(1, 100, 2, 1), nil, func(w *world) error {
		w.serve()
		w.work(1)
		w.work(1)
		s := w.spec(job)
		s.Clients = 3
		if err := w.submit(s); err != nil {
			return err
		}
		w.sleep(time.Minute)
		if phase, _ := w.phase(job); phase != ledger.Waiting {
			t.Errorf("with 2 clients of 3 it is %s", phase)
		}
		w.work(1)
		if err := w.waitEnd(job, time.Minute); err != nil {
			return err
		}
		return w.judge()
	})
	if err != nil {
		t.Error(err)
	}
}

func TestJobsShareTheWorkersByTheirPriorities(t *testing.T) {
	err := inBubble(t, quiet(1, 20_000, 4, 4), nil, func(w *world) error {
		w.engine.SetFaults(w.faults())
		w.serve()
		for range w.Clients {
			w.work(w.Workers)
		}
		for i, name := range []string{"job1", "job2", "job3"} {
			s := w.spec(name)
			s.Priority = 10 * (i + 1)
			if err := w.submit(s); err != nil {
				return err
			}
		}
		w.sleep(10 * time.Second)
		before, err := w.ask(wire.Ask{Kind: wire.AskList}, time.Minute)
		if err != nil {
			return err
		}
		w.sleep(10 * time.Second)
		after, err := w.ask(wire.Ask{Kind: wire.AskList}, time.Minute)
		if err != nil {
			return err
		}
		var all, part [3]float64
		sum := 0.0
		for i := range all {
			all[i] = float64(after.Status[i].Totals.ProcessedDirs - before.Status[i].Totals.ProcessedDirs)
			sum += all[i]
		}
		for i := range all {
			part[i] = all[i] / sum
			if want := float64(i+1) / 6; part[i] < 0.8*want || part[i] > 1.2*want {
				t.Errorf("job%d got %.2f of the workers, want %.2f", i+1, part[i], want)
			}
		}
		t.Logf("parts %.2f, %.0f directories in 10 s, 16 workers could do %v", part, sum, 16*10*100)
		for _, name := range []string{"job1", "job2", "job3"} {
			if err := w.waitEnd(name, 5*time.Minute); err != nil {
				return err
			}
		}
		return w.judge()
	})
	if err != nil {
		t.Error(err)
	}
}
