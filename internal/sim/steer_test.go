package sim

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hydrawalk/hydra/internal/client"
	"github.com/hydrawalk/hydra/internal/ledger"
	"github.com/hydrawalk/hydra/internal/wire"
)

// pausing is how long after a job was paused a handler may still be called.
const pausing = 3 * time.Second

// steer has a user change something. The engine may make that difficult: then
// nobody knows what became of it.
func (w *world) steer(long time.Duration) {
	a := wire.Ask{Job: job}
	client := func() ledger.ClientID {
		clients, err := w.ask(wire.Ask{Kind: wire.AskClients}, time.Minute)
		if err != nil || len(clients.Clients) == 0 {
			return ""
		}
		return clients.Clients[w.r.IntN(len(clients.Clients))].Client
	}
	switch w.r.IntN(6) {
	case 0, 1:
		a.Kind = wire.AskPause
		w.after(long, func() {
			_, err := w.ask(wire.Ask{Kind: wire.AskResume, Job: job}, time.Minute)
			w.log.Info("RESUME", "err", err)
		})
	case 2:
		a.Kind, a.Workers = wire.AskWorkers, pick(w.r, ledger.Adapt, 0, 1, 2, 5)
	case 3:
		a.Kind, a.Workers, a.Client = wire.AskWorkers, pick(w.r, ledger.Adapt, 0, 1, 3), client()
	case 4:
		a.Kind, a.Job, a.Client = wire.AskDrain, "", client()
		if w.r.IntN(3) > 0 {
			w.after(long, func() { w.work(1 + w.r.IntN(w.Workers)) })
		}
	case 5:
		a.Kind = wire.AskSet
		a.Set = &wire.Set{Priority: 1 + w.r.IntN(20)}
		if got, err := w.ask(wire.Ask{Kind: wire.AskPeers, Job: job}, time.Minute); err == nil && got.Control != nil {
			a.Set.Base = got.Control.SettingsRev
			a.Set.Settings = []byte(strconv.Itoa(w.r.Int()))
		}
	}
	_, err := w.ask(a, time.Minute)
	w.log.Info("STEER", "what", a.Kind, "workers", a.Workers, "client", a.Client, "err", err)
}

// unpause lets a job go on that somebody may have paused.
func (w *world) unpause() error {
	for end := time.Now().Add(5 * time.Minute); ; w.sleep(time.Second) {
		got, err := w.ask(wire.Ask{Kind: wire.AskStatus, Job: job}, time.Minute)
		switch {
		case err != nil && time.Now().After(end):
			return err
		case err != nil:
			continue
		case got.Status[0].Phase != ledger.Paused:
			return nil
		}
		_, err = w.ask(wire.Ask{Kind: wire.AskResume, Job: job}, time.Minute)
		w.log.Info("UNPAUSE", "err", err)
	}
}

// tend undoes what a user did to the job that keeps it from ending. A server that
// was frozen may do it late.
func (w *world) tend() {
	for _, p := range w.clients {
		select {
		case <-p.ended:
			p.gone = true
		default:
		}
	}
	if !slices.ContainsFunc(w.clients, func(p *process) bool { return !p.gone }) {
		w.work(w.Workers)
	}
	if got, err := w.ask(wire.Ask{Kind: wire.AskStatus, Job: job}, time.Second); err == nil && got.Status[0].Phase == ledger.Paused {
		_, err = w.ask(wire.Ask{Kind: wire.AskResume, Job: job}, time.Minute)
		w.log.Info("RESUME", "err", err)
	}
}

// control is what users asked for of the job.
func (w *world) control() (*ledger.Control, error) {
	got, err := w.ask(wire.Ask{Kind: wire.AskPeers, Job: job}, time.Minute)
	if err != nil {
		return nil, err
	}
	return got.Control, nil
}

// calls counts those of handlers in all clients.
func (w *world) calls() *atomic.Int64 {
	var n atomic.Int64
	w.adjust = func(_ *process, _ *view, a *app) {
		a.enter = func(string) error { n.Add(1); return nil }
		a.file = func(string) error { n.Add(1); return nil }
	}
	return &n
}

func TestNoHandlerIsCalledWhileTheJobIsPausedWhateverHappens(t *testing.T) {
	seeds := uint64(6)
	if testing.Short() {
		seeds = 1
	}
	for seed := range seeds {
		s := pausedSettings(seed)
		if err := inBubble(t, s, nil, (*world).pauseThrice); err != nil {
			t.Errorf("%v\n%s", err, s)
		}
	}
}

func TestAClientThatIsDeafToAPauseIsNoticed(t *testing.T) {
	s := pausedSettings(1)
	s.Bug = client.BugDeafToPause
	if err := inBubble(t, s, nil, (*world).pauseThrice); err == nil || !strings.Contains(err.Error(), "handlers were called") {
		t.Errorf("noticed was %v", err)
	}
}

func pausedSettings(seed uint64) settings {
	s := quiet(seed, 3000, 4, 3)
	s.Effort = effort{Dir: 300 * time.Millisecond, File: 50 * time.Millisecond}
	return s
}

// pauseThrice pauses a job, and lets clients and the server die meanwhile.
func (w *world) pauseThrice() error {
	calls := w.calls()
	w.engine.SetFaults(w.faults())
	server := w.serve()
	for range w.Clients {
		w.work(w.Workers)
	}
	if err := w.submit(w.spec(job)); err != nil {
		return err
	}
	w.sleep(5 * time.Second)
	for round := range 3 {
		before := calls.Load()
		if _, err := w.ask(wire.Ask{Kind: wire.AskPause, Job: job}, time.Minute); err != nil {
			return err
		}
		w.sleep(pausing)
		if before == 0 {
			return errors.New("nothing was done before it was paused")
		}
		at := calls.Load()
		w.sleep(2 * time.Second)
		w.kill(w.clients[round]) // its work is not taken up before
		w.sleep(5 * time.Second)
		w.kill(server)
		w.work(w.Workers)
		w.sleep(2 * time.Second)
		server = w.serve()
		w.drain(w.work(w.Workers))
		w.sleep(20 * time.Second)
		if n := calls.Load() - at; n > 0 {
			return fmt.Errorf("while the job was paused handlers were called %d times", n)
		}
		if got, err := w.ask(wire.Ask{Kind: wire.AskStatus, Job: job}, time.Minute); err != nil || got.Status[0].Phase != ledger.Paused {
			return fmt.Errorf("the status is %+v, %v", got, err)
		}
		if _, err := w.ask(wire.Ask{Kind: wire.AskResume, Job: job}, time.Minute); err != nil {
			return err
		}
		w.sleep(3 * time.Second)
		if calls.Load() == at {
			return fmt.Errorf("nothing was done when it was resumed")
		}
	}
	if err := w.waitEnd(job, 10*time.Minute); err != nil {
		return err
	}
	return w.judge()
}

func TestAPausedJobIsCancelledAndResumed(t *testing.T) {
	s := quiet(1, 1000, 3, 2)
	s.Effort.Dir = 200 * time.Millisecond
	err := inBubble(t, s, nil, func(w *world) error {
		w.engine.SetFaults(w.faults())
		w.serve()
		for range w.Clients {
			w.work(w.Workers)
		}
		if err := w.submit(w.spec(job)); err != nil {
			return err
		}
		w.sleep(4 * time.Second)
		for _, kind := range []string{wire.AskPause, wire.AskCancel} {
			if _, err := w.ask(wire.Ask{Kind: kind, Job: job}, time.Minute); err != nil {
				return err
			}
			w.sleep(time.Second)
		}
		if err := w.waitEnd(job, time.Minute); err != nil {
			return err
		}
		if _, v := w.phase(job); v.State != "cancelled" {
			return fmt.Errorf("it is %+v", v)
		}
		res, err := read(context.Background(), w.own, job)
		if err != nil {
			return err
		}
		if err := res.consistent(); err != nil {
			return err
		}
		if _, err := w.ask(wire.Ask{Kind: wire.AskResume, Job: job}, time.Minute); err != nil {
			return err
		}
		if err := w.waitEnd(job, 5*time.Minute); err != nil {
			return err
		}
		return w.judge()
	})
	if err != nil {
		t.Error(err)
	}
}

// soon is how long it may take until all go by what was changed.
const soon = time.Second

func TestSettingsReachEachWorkerWithinASecond(t *testing.T) {
	s := quiet(1, 10_000, 5, 4)
	s.Effort.Dir = 100 * time.Millisecond
	err := inBubble(t, s, nil, func(w *world) error {
		apps := map[*process]*app{}
		w.adjust = func(p *process, _ *view, a *app) { apps[p] = a }
		w.engine.SetFaults(w.faults())
		w.serve()
		for range w.Clients {
			w.work(w.Workers)
		}
		if err := w.submit(w.spec(job)); err != nil {
			return err
		}
		w.sleep(5 * time.Second)
		for rev := range uint64(3) {
			want := fmt.Sprint("settings ", rev+1)
			if rev == 2 { // those that rest too
				if _, err := w.ask(wire.Ask{Kind: wire.AskPause, Job: job}, time.Minute); err != nil {
					return err
				}
				w.sleep(pausing)
			}
			set := &wire.Set{Base: rev, Settings: []byte(want), Said: [][2]string{{"k", want}}}
			if _, err := w.ask(wire.Ask{Kind: wire.AskSet, Job: job, Set: set}, time.Minute); err != nil {
				return err
			}
			if _, err := w.ask(wire.Ask{Kind: wire.AskSet, Job: job, Set: set}, time.Minute); err != nil {
				return fmt.Errorf("the same again: %w", err)
			}
			w.sleep(soon)
			late := w.work(1) // has them from the beginning
			w.sleep(2 * time.Second)
			for p, a := range apps {
				n := 0
				for _, settings := range a.settings() {
					if n++; settings != want {
						return fmt.Errorf("a worker of %s has %q, not %q", p.name, settings, want)
					}
				}
				if n == 0 {
					return fmt.Errorf("%s has no workers", p.name)
				}
			}
			if late.gone {
				return errors.New("the late one is gone")
			}
			other := &wire.Set{Base: rev, Settings: []byte("other")}
			if _, err := w.ask(wire.Ask{Kind: wire.AskSet, Job: job, Set: other}, time.Minute); err == nil {
				return errors.New("settings that were made from old ones were taken")
			}
		}
		c, err := w.control()
		if err != nil || c.Changed != 3 || c.Changes[2].Value != "settings 3" {
			return fmt.Errorf("the changes are %+v, %v", c, err)
		}
		if err := w.unpause(); err != nil {
			return err
		}
		if err := w.waitEnd(job, 10*time.Minute); err != nil {
			return err
		}
		res, err := read(context.Background(), w.own, job)
		if err != nil {
			return err
		}
		revs := map[uint64]int{}
		for _, r := range res.ledger.Records() {
			revs[r.Settings]++
		}
		if revs[3] != len(res.ledger.Records()) {
			return fmt.Errorf("the last records are by the settings %v", slices.Collect(maps.Keys(revs)))
		}
		return w.judge()
	})
	if err != nil {
		t.Error(err)
	}
}

func TestTheNumberOfWorkersIsWhatAUserSays(t *testing.T) {
	s := quiet(1, 5000, 3, 2)
	s.Effort.Dir = 100 * time.Millisecond
	err := inBubble(t, s, nil, func(w *world) error {
		w.engine.SetFaults(w.faults())
		w.serve()
		for range w.Clients {
			w.work(w.Workers)
		}
		if err := w.submit(w.spec(job)); err != nil {
			return err
		}
		w.sleep(5 * time.Second)
		peers := func() (map[ledger.ClientID]int, error) {
			got, err := w.ask(wire.Ask{Kind: wire.AskPeers, Job: job}, time.Minute)
			if err != nil {
				return nil, err
			}
			n := map[ledger.ClientID]int{}
			for _, p := range got.Peers {
				n[p.Client] = p.Workers
			}
			return n, nil
		}
		first, err := peers()
		if err != nil {
			return err
		}
		one := slices.Min(slices.Collect(maps.Keys(first)))
		for _, step := range []struct {
			client  ledger.ClientID
			workers int
			one     int // that this client has then
			others  int
		}{
			{"", 5, 5, 5}, {one, 1, 1, 5}, {one, 7, 7, 5}, {one, 0, 5, 5}, {"", 1, 1, 1}, {"", 0, 2, 2},
		} {
			if _, err := w.ask(wire.Ask{Kind: wire.AskWorkers, Job: job, Client: step.client, Workers: step.workers}, time.Minute); err != nil {
				return err
			}
			w.sleep(2 * time.Second)
			now, err := peers()
			if err != nil {
				return err
			}
			for id, n := range now {
				want := step.others
				if id == one {
					want = step.one
				}
				if n != want {
					return fmt.Errorf("after %+v client %s (one is %s) has %d workers", step, id, one, n)
				}
			}
		}
		if err := w.waitEnd(job, 10*time.Minute); err != nil {
			return err
		}
		return w.judge()
	})
	if err != nil {
		t.Error(err)
	}
}

func TestADrainedClientGivesAllBackAndEnds(t *testing.T) {
	err := inBubble(t, quiet(1, 3000, 3, 2), nil, func(w *world) error {
		w.engine.SetFaults(w.faults())
		w.serve()
		for range w.Clients {
			w.work(w.Workers)
		}
		if err := w.submit(w.spec(job)); err != nil {
			return err
		}
		w.sleep(5 * time.Second)
		got, err := w.ask(wire.Ask{Kind: wire.AskClients}, time.Minute)
		if err != nil || len(got.Clients) != 3 {
			return fmt.Errorf("the clients are %+v, %v", got, err)
		}
		gone := got.Clients[0]
		if _, err := w.ask(wire.Ask{Kind: wire.AskDrain, Client: gone.Client}, time.Minute); err != nil {
			return err
		}
		w.sleep(3 * time.Second)
		ended := 0
		for _, p := range w.clients {
			select {
			case <-p.ended:
				ended++
			default:
			}
		}
		if ended != 1 {
			return fmt.Errorf("%d clients have ended", ended)
		}
		for _, r := range mustRead(w).ledger.Records() {
			if r.Client == gone.Client && r.End != ledger.Closed {
				return fmt.Errorf("the session of the client that was drained ended as %d", r.End)
			}
		}
		if err := w.waitEnd(job, 10*time.Minute); err != nil {
			return err
		}
		return w.judge()
	})
	if err != nil {
		t.Error(err)
	}
}

func mustRead(w *world) *result {
	res, err := read(context.Background(), w.own, job)
	if err != nil {
		panic(err)
	}
	return res
}
