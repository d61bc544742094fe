package sim

import (
	"context"
	"fmt"
	"io/fs"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hydrawalk/hydra/internal/client"
	"github.com/hydrawalk/hydra/internal/ledger"
	"github.com/hydrawalk/hydra/internal/wire"
)

// ended waits for the job, which has to be one that the application ended.
func (w *world) ended() error {
	if err := w.waitEnd(job, 5*time.Minute); err != nil {
		return err
	}
	if _, v := w.phase(job); v.State != "stopped" {
		return fmt.Errorf("a handler returned SkipAll, and the job is %+v", v)
	}
	return nil
}

// begin begins the job with one client, and returns when a handler has ended the walk.
func (w *world) begin(ended <-chan struct{}) (*process, error) {
	w.engine.SetFaults(w.faults())
	w.serve()
	first := w.work(2)
	if err := w.submit(w.spec(job)); err != nil {
		return nil, err
	}
	<-ended
	return first, nil
}

func TestAWalkThatAHandlerEndedIsNotCompleteThoughItsClientIsDrained(t *testing.T) {
	err := inBubble(t, quiet(1, 300, 0, 2), nil, func(w *world) error {
		var n atomic.Int64
		skipped := make(chan struct{})
		w.adjust = func(_ *process, _ *view, a *app) {
			a.file = func(string) error {
				switch n.Add(1) {
				case 39:
					time.Sleep(10 * time.Second) // the walk does not end before
				case 40:
					close(skipped)
					return fs.SkipAll
				}
				return nil
			}
		}
		first, err := w.begin(skipped)
		if err != nil {
			return err
		}
		w.sleep(2 * time.Second)
		w.drain(first)
		w.sleep(20 * time.Second)
		w.work(2)
		return w.ended()
	})
	if err != nil {
		t.Error(err)
	}
}

func TestAWalkThatAHandlerEndedIsNotCompleteThoughItsClientIsKilled(t *testing.T) {
	// Before its last record, or after; the entry may be in the one before.
	for after := 500 * time.Microsecond; after < 8*time.Millisecond; after += 500 * time.Microsecond {
		err := inBubble(t, quiet(1, 300, 0, 2), nil, func(w *world) error {
			var n atomic.Int64
			var last atomic.Value // the path that ends the walk
			skipped := make(chan struct{})
			w.adjust = func(_ *process, _ *view, a *app) {
				a.file = func(path string) error {
					if path == last.Load() {
						return fs.SkipAll
					}
					switch n.Add(1) {
					case 39:
						time.Sleep(8 * time.Second) // a cut is due after 5
					case 40:
						time.Sleep(8 * time.Second)
						last.Store(path)
						close(skipped)
						return fs.SkipAll
					}
					return nil
				}
			}
			first, err := w.begin(skipped)
			if err != nil {
				return err
			}
			time.Sleep(after)
			w.kill(first)
			w.sleep(20 * time.Second)
			w.work(2)
			return w.ended()
		})
		if err != nil {
			t.Errorf("killed after %v: %v", after, err)
		}
	}
}

func TestAServerThatIsBehindEndsNoSession(t *testing.T) {
	s := quiet(1, 30_000, 0, 2)
	s.Delay = 50 * time.Millisecond
	for s.Seed = range 5 {
		err := inBubble(t, s, nil, func(w *world) error {
			w.engine.SetFaults(w.faults())
			w.serve()
			behind := w.serve()
			first := w.work(2)
			if err := w.submit(w.spec(job)); err != nil {
				return err
			}
			w.sleep(4 * time.Second)
			if _, err := w.ask(wire.Ask{Kind: wire.AskCancel, Job: job}, time.Minute); err != nil {
				return err
			}
			if err := w.waitEnd(job, time.Minute); err != nil {
				return err
			}
			w.sleep(3 * time.Second)
			w.drain(first)
			w.sleep(2 * time.Second)
			behind.h.Freeze()
			if _, err := w.ask(wire.Ask{Kind: wire.AskResume, Job: job}, time.Minute); err != nil {
				return err
			}
			var clients []*process
			for range 2 {
				a, v := &app{r: &w.Rules, effort: w.Effort}, &view{t: w.tree, r: w.Rules, released: w.over}
				clients = append(clients, w.start(fmt.Sprintf("once%d", len(w.all)), func(ctx context.Context, p *process) error {
					return client.Work(ctx, client.Options{Bus: p.h, Apps: []client.App{a}, Workers: 2, FS: v, Host: p.name, Once: true, Logger: w.log.With("at", p.name)})
				}))
			}
			w.sleep(5 * time.Second)
			behind.h.Thaw()
			w.sleep(3 * time.Second)
			if phase, v := w.phase(job); phase != ledger.Running {
				return fmt.Errorf("the job is %s %+v", phase, v)
			}
			for _, c := range clients {
				select {
				case <-c.ended:
					t.Errorf("seed %d: %s went away, and the job goes on", s.Seed, c.name)
				default:
				}
			}
			return nil
		})
		if err != nil {
			t.Errorf("seed %d: %v", s.Seed, err)
		}
	}
}

func TestAJobThatErrorsEndedHasSomethingLeft(t *testing.T) {
	states := map[string]int{}
	for seed := range uint64(40) {
		s := quiet(seed, 1+int(seed)*4, 2, 2)
		s.Rules.BadFile = 100
		err := inBubble(t, s, nil, func(w *world) error {
			w.engine.SetFaults(w.faults())
			w.serve()
			w.work(2)
			w.work(2)
			spec := w.spec(job)
			spec.MaxErrors = 1 + int64(seed%3)
			if err := w.submit(spec); err != nil {
				return err
			}
			if err := w.waitEnd(job, time.Minute); err != nil {
				return err
			}
			res, err := read(context.Background(), w.own, job)
			if err != nil {
				return err
			}
			states[res.Verdict.State]++
			if done := res.ledger.Done(); done != (res.Verdict.State == "complete") {
				return fmt.Errorf("the job is %+v, done is %v", res.Verdict, done)
			}
			return res.consistent()
		})
		if err != nil {
			t.Errorf("seed %d: %v", seed, err)
		}
	}
	if t.Logf("%v", states); len(states) < 2 {
		t.Errorf("all jobs ended alike: %v", states)
	}
}

func TestErrorsEndAJobBeforeTheyAreInARecord(t *testing.T) {
	s := quiet(1, 3000, 1, 2)
	s.Rules.BadFile = 100
	err := inBubble(t, s, nil, func(w *world) error {
		w.engine.SetFaults(w.faults())
		w.serve()
		w.work(2)
		spec := w.spec(job)
		spec.MaxErrors = 5
		if err := w.submit(spec); err != nil {
			return err
		}
		if err := w.waitEnd(job, time.Minute); err != nil {
			return err
		}
		res, err := read(context.Background(), w.own, job)
		if err != nil {
			return err
		}
		// In time of its own; a client that is alone writes after 5 s.
		if took := res.state.Finished.Sub(res.state.Started); res.Verdict.State != "stopped" || took > 3*time.Second {
			return fmt.Errorf("the job is %+v after %v", res.Verdict, took)
		}
		return res.consistent()
	})
	if err != nil {
		t.Error(err)
	}
}
