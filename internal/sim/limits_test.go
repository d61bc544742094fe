package sim

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/hydrawalk/hydra/internal/wire"
)

// meter counts the calls of all clients to the file system, in slots of time.
type meter struct {
	began time.Time
	mu    sync.Mutex
	slots []int
	n     int
}

const slot = 100 * time.Millisecond

// meters makes the clients that come be counted.
func (w *world) meters() *meter {
	m := &meter{began: time.Now()}
	w.adjust = func(p *process, v *view, _ *app) {
		v.call = func(op string) {
			if op != "lstat" { // the walk makes one call of it and open
				m.count()
			}
		}
	}
	return m
}

func (m *meter) count() {
	m.mu.Lock()
	defer m.mu.Unlock()
	i := int(time.Since(m.began) / slot)
	for len(m.slots) <= i {
		m.slots = append(m.slots, 0)
	}
	m.slots[i]++
	m.n++
}

// at is which slot it is now.
func (m *meter) at() int { return int(time.Since(m.began) / slot) }

// between counts the calls from one slot to another.
func (m *meter) between(from, to int) (n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := from; i < min(to, len(m.slots)); i++ {
		n += m.slots[i]
	}
	return n
}

// most is the largest number of calls per second in any window of so many slots.
func (m *meter) most(from, to, window int) (most float64) {
	for ; from+window <= to; from++ {
		most = max(most, float64(m.between(from, from+window)))
	}
	return most / (time.Duration(window) * slot).Seconds()
}

// rate is how many calls per second there were.
func (m *meter) rate(from, to int) float64 {
	return float64(m.between(from, to)) / (time.Duration(to-from) * slot).Seconds()
}

const window = int(5 * time.Second / slot)

// status is that of the job.
func (w *world) status() (*wire.Status, error) {
	a, err := w.ask(wire.Ask{Kind: wire.AskStatus, Job: job}, time.Minute)
	if err != nil {
		return nil, err
	}
	return &a.Status[0], nil
}

func (w *world) set(s *wire.Set) error {
	_, err := w.ask(wire.Ask{Kind: wire.AskSet, Job: job, Set: s}, time.Minute)
	return err
}

func (w *world) limitOps(n float64) error { return w.set(&wire.Set{LimitOps: &n}) }

// beginJob begins a job, with clients of different sizes.
func (w *world) beginJob(spec *wire.Spec) error {
	w.engine.SetFaults(w.faults())
	for range w.Servers {
		w.serve()
	}
	for i := range w.Clients {
		w.work(1 + (i*5)%w.Workers)
	}
	w.sleep(time.Second) // until all have joined
	return w.submit(spec)
}

// first is how long it takes until all sessions have their shares.
const first = 3 * time.Second

// TestAllClientsTogetherKeepToTheLimit has clients come, leave and die, and the server
// too. What a client that was killed may have used is free when it is known to be dead,
// so that less is done for some seconds; more is never done.
func TestAllClientsTogetherKeepToTheLimit(t *testing.T) {
	for _, tt := range []struct {
		limit   float64
		dirs    int
		servers int
		loss    float64
	}{{2000, 120_000, 1, 0}, {50, 4000, 1, 0}, {20_000, 500_000, 1, 0}, {2000, 120_000, 1, 0.1}, {2000, 120_000, 2, 0}} {
		t.Run(fmt.Sprint(tt.limit, tt.servers, tt.loss), func(t *testing.T) {
			if testing.Short() && tt.dirs > 10_000 {
				t.Skip("it makes hundreds of thousands of calls")
			}
			s := quiet(1, tt.dirs, 5, 16)
			s.Effort = effort{}
			s.Servers, s.Loss = tt.servers, tt.loss
			err := inBubble(t, s, nil, func(w *world) error {
				m := w.meters()
				spec := w.spec(job)
				spec.LimitOps = tt.limit
				if err := w.beginJob(spec); err != nil {
					return err
				}
				begun := m.at()
				part := func(name string, d time.Duration, least float64) error {
					from := m.at()
					w.sleep(d)
					st, err := w.status()
					if err != nil {
						return err
					}
					most, rate := m.most(max(from-window, begun+int(first/slot)), m.at(), window)/tt.limit, m.rate(from, m.at())/tt.limit
					t.Logf("%-10s at most %.3f, mean %.3f of the limit; told %.0f of %.0f", name, most, rate, st.OpsNow, st.Limit)
					switch {
					case most > 1.05:
						return fmt.Errorf("%s: in 5 s %.3f of what is allowed were made", name, most)
					case rate < least:
						return fmt.Errorf("%s: only %.3f of what is allowed were made", name, rate)
					case least >= 0.95 && tt.loss == 0 && (st.Limit != tt.limit || st.OpsNow < 0.8*tt.limit || st.OpsNow > 1.2*tt.limit):
						return fmt.Errorf("%s: the status tells of %.0f calls/s of %.0f", name, st.OpsNow, st.Limit)
					}
					return nil
				}
				w.sleep(first)
				if tt.limit < 100 {
					// So few that what is looked at to be given away, all at once, is many calls,
					// which are paid for later: the limit holds over some time.
					from := m.at()
					w.sleep(time.Minute)
					if rate := m.rate(from, m.at()) / tt.limit; rate > 1.15 || rate < 0.8 {
						return fmt.Errorf("in a minute %.3f of what is allowed were made", rate)
					}
					return nil
				}
				enough := 0.95
				if tt.loss > 0 {
					enough = 0.7 // who does not hear of its share waits for it to be told again
				}
				if err := part("five", 10*time.Second, enough); err != nil {
					return err
				}
				late := w.work(9)
				w.work(2)
				if err := part("joined", 10*time.Second, enough); err != nil {
					return err
				}
				w.drain(late)
				w.drain(w.clients[0])
				if err := part("drained", 10*time.Second, enough); err != nil {
					return err
				}
				w.kill(w.clients[1])
				if err := part("killed", 8*time.Second, enough-0.15); err != nil {
					return err
				}
				if err := part("after", 5*time.Second, enough); err != nil {
					return err
				}
				// Clients go on by what they were told.
				w.kill(w.servers[0])
				w.sleep(3 * time.Second)
				w.serve()
				if err := part("restarted", 8*time.Second, enough-0.05); err != nil {
					return err
				}
				if err := part("after", 5*time.Second, enough); err != nil {
					return err
				}
				if err := w.limitOps(0); err != nil {
					return err
				}
				if err := w.waitEnd(job, 10*time.Minute); err != nil {
					return err
				}
				return w.judge()
			})
			if err != nil {
				t.Errorf("%v\n%s", err, s)
			}
		})
	}
}

func TestALimitIsChangedWithinTwoSecondsAndPausingCountsNothing(t *testing.T) {
	if testing.Short() {
		t.Skip("it makes hundreds of thousands of calls")
	}
	s := quiet(2, 300_000, 3, 8)
	s.Effort = effort{Dir: time.Millisecond}
	err := inBubble(t, s, nil, func(w *world) error {
		m := w.meters()
		if err := w.beginJob(w.spec(job)); err != nil {
			return err
		}
		w.sleep(first)
		free := m.rate(m.at()-10, m.at())
		for _, limit := range []float64{1000, 300, 900, 100, 0, 200, 400} {
			if err := w.limitOps(limit); err != nil {
				return err
			}
			w.sleep(2 * time.Second)
			from := m.at()
			w.sleep(5 * time.Second)
			st, err := w.status()
			if err != nil {
				return err
			}
			rate := m.rate(from, m.at())
			t.Logf("limit %.0f: %.1f calls/s, told %.1f of %.0f", limit, rate, st.OpsNow, st.Limit)
			if st.Limit != limit {
				return fmt.Errorf("the status tells the limit %g", st.Limit)
			}
			// After no limit the shares take a while longer to be even: fewer calls, never more.
			if limit == 0 && rate < free/2 || limit > 0 && (rate < 0.9*limit || rate > 1.05*limit) {
				return fmt.Errorf("%.1f calls/s two seconds after the limit was set to %g; without it there were %.0f", rate, limit, free)
			}
			w.sleep(2 * time.Second)
		}
		if _, err := w.ask(wire.Ask{Kind: wire.AskPause, Job: job}, time.Minute); err != nil {
			return err
		}
		w.sleep(pausing)
		from := m.at()
		w.sleep(20 * time.Second)
		st, err := w.status()
		if n := m.between(from, m.at()); err != nil || n > 0 || st.OpsNow > 0 {
			return fmt.Errorf("while it is paused %d calls are made, and %.1f per second told (%v)", n, st.OpsNow, err)
		}
		if err := w.unpause(); err != nil {
			return err
		}
		from = m.at()
		w.sleep(5 * time.Second)
		if rate := m.rate(from, m.at()); rate > 1.05*400 || rate < 0.9*400 {
			return fmt.Errorf("%.1f calls/s after it was resumed, of 400", rate)
		}
		if err := w.limitOps(0); err != nil {
			return err
		}
		if err := w.waitEnd(job, 10*time.Minute); err != nil {
			return err
		}
		return w.judge()
	})
	if err != nil {
		t.Errorf("%v\n%s", err, s)
	}
}

// storage answers later the more calls there are at a time.
type storage struct {
	base  time.Duration
	width float64 // calls at a time that double it

	mu    sync.Mutex
	busy  int
	timed int
	took  time.Duration
}

// call makes a call: clients share it, and wait outside the lock.
func (s *storage) call(op string) {
	if op == "lstat" || op == "open" {
		return
	}
	s.mu.Lock()
	s.busy++
	d := time.Duration(float64(s.base) * (1 + float64(s.busy)/s.width))
	s.timed++
	s.took += d
	s.mu.Unlock()
	time.Sleep(d)
	s.mu.Lock()
	s.busy--
	s.mu.Unlock()
}

// mean is the mean time of calls since it was asked last.
func (s *storage) mean() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer func() { s.timed, s.took = 0, 0 }()
	if s.timed == 0 {
		return 0
	}
	return s.took / time.Duration(s.timed)
}

func TestTheLatencyOfAllClientsIsHeldAtItsTarget(t *testing.T) {
	if testing.Short() {
		t.Skip("it makes hundreds of thousands of calls")
	}
	for _, restart := range []bool{false, true} {
		s := quiet(3, 120_000, 3, 8)
		s.Effort = effort{}
		err := inBubble(t, s, nil, func(w *world) error {
			m := w.meters()
			store := &storage{base: time.Millisecond, width: 8}
			counted := w.adjust
			w.adjust = func(p *process, v *view, a *app) {
				counted(p, v, a)
				count := v.call
				v.call = func(op string) {
					count(op)
					store.call(op)
				}
			}
			w.engine.SetFaults(w.faults())
			server := w.serve()
			for range w.Clients {
				w.work(w.Workers)
			}
			w.sleep(time.Second)
			spec := w.spec(job)
			const target = 2500 * time.Microsecond
			if err := w.submit(spec); err != nil {
				return err
			}
			w.sleep(first)
			store.mean()
			w.sleep(3 * time.Second)
			free := store.mean()
			latency := target
			if err := w.set(&wire.Set{Latency: &latency}); err != nil {
				return err
			}
			w.sleep(15 * time.Second)
			store.mean()
			if restart {
				w.kill(server)
				w.sleep(time.Second)
				w.serve()
			}
			from := m.at()
			w.sleep(15 * time.Second)
			mean, rate := store.mean(), m.rate(from, m.at())
			st, err := w.status()
			if err != nil {
				return err
			}
			t.Logf("latency %v of %v, %v without; %.0f calls/s, told %v and %.0f of %.0f", mean, target, free, rate, st.Latency, st.OpsNow, st.Limit)
			if mean < target*8/10 || mean > target*12/10 {
				return fmt.Errorf("the latency is %v", mean)
			}
			if st.Limit == 0 || st.Target != target || st.Latency < target*7/10 || st.Latency > target*13/10 {
				return fmt.Errorf("the status tells the limit %g, and the latency %v of %v", st.Limit, st.Latency, st.Target)
			}
			if free < target*12/10 {
				return errors.New("the target holds by itself")
			}
			if err := w.waitEnd(job, 10*time.Minute); err != nil {
				return err
			}
			return w.judge()
		})
		if err != nil {
			t.Errorf("restart %v: %v\n%s", restart, err, s)
		}
	}
}

func TestAJobWhoseTargetCanNotBeReachedEnds(t *testing.T) {
	s := quiet(4, 100, 2, 2)
	s.Effort = effort{}
	err := inBubble(t, s, nil, func(w *world) error {
		store := &storage{base: 10 * time.Millisecond, width: 8}
		w.adjust = func(_ *process, v *view, _ *app) { v.call = store.call }
		spec := w.spec(job)
		spec.Latency = time.Millisecond
		if err := w.beginJob(spec); err != nil {
			return err
		}
		if err := w.waitEnd(job, 10*time.Minute); err != nil {
			return err
		}
		t.Logf("it took %v", time.Since(w.began))
		return w.judge()
	})
	if err != nil {
		t.Errorf("%v\n%s", err, s)
	}
}
