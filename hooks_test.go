package hydra

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hydrawalk/hydra/internal/bus/membus"
	"github.com/hydrawalk/hydra/internal/client"
	"github.com/hydrawalk/hydra/internal/server"
	"github.com/hydrawalk/hydra/internal/wire"
	"github.com/hydrawalk/hydra/walk"
)

// bubble is a cluster in time of its own, whose processes something happens to.
type bubble struct {
	t      *testing.T
	engine *membus.Engine
	life   context.Context
	wg     sync.WaitGroup
}

// process is a server or a client of it.
type process struct {
	*membus.Handle
	cancel context.CancelFunc
	ended  chan struct{}
}

// kill ends it without a word.
func (p *process) kill() {
	p.Kill()
	p.cancel()
}

func inBubble(t *testing.T, seed uint64, f func(*bubble)) {
	t.Helper()
	t.Setenv("GOMAXPROCS", "2") // no walk changes it
	synctest.Test(t, func(t *testing.T) {
		b := &bubble{t: t, engine: membus.New(rand.New(rand.NewPCG(seed, 2)))}
		var cancel context.CancelFunc
		b.life, cancel = context.WithCancel(context.Background())
		defer func() {
			cancel()
			b.wg.Wait()
			b.engine.Close()
			time.Sleep(time.Minute) // for walks that were abandoned
		}()
		f(b)
	})
}

func (b *bubble) start(f func(context.Context, *membus.Handle) error) *process {
	p := &process{Handle: b.engine.Open(), ended: make(chan struct{})}
	var ctx context.Context
	ctx, p.cancel = context.WithCancel(b.life)
	b.wg.Go(func() {
		defer close(p.ended)
		defer p.Handle.Close()
		if err := f(ctx, p.Handle); err != nil && ctx.Err() == nil {
			b.t.Error(err)
		}
	})
	return p
}

func (b *bubble) serve(app distributed) *process {
	return b.start(func(ctx context.Context, h *membus.Handle) error {
		return server.Run(ctx, server.Options{Bus: h, Apps: []server.App{app.server(nil)}})
	})
}

func (b *bubble) work(app distributed) *process {
	return b.start(func(ctx context.Context, h *membus.Handle) error {
		return client.Work(ctx, client.Options{Bus: h, Apps: []client.App{app.client("")}, Workers: 2, Host: "host"})
	})
}

// submit submits a job from a connection of its own.
func (b *bubble) submit(app Application, root string, o *JobOptions) (*Server, *Job) {
	s := &Server{bus: b.engine.Open(), rank: wire.RankOperator, name: "test"}
	j, err := s.Submit(b.life, app, []string{root}, o)
	if err != nil {
		b.t.Fatal(err)
	}
	return s, j
}

// steps is an application of which it is noted what runs on which server.
type steps struct {
	mu      sync.Mutex
	running int
	most    int
	calls   []string
}

func (s *steps) app(server string, most time.Duration) *App[struct{}, counts] {
	step := func(name string) func(context.Context, *Coordinator[struct{}, counts]) error {
		return func(ctx context.Context, co *Coordinator[struct{}, counts]) error {
			s.mu.Lock()
			s.running++
			s.most = max(s.most, s.running)
			s.calls = append(s.calls, server+" "+name)
			s.mu.Unlock()
			defer func() {
				s.mu.Lock()
				s.running--
				s.mu.Unlock()
			}()
			select {
			case <-time.After(most):
				return co.Attach(ctx, name, server)
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
	return &App[struct{}, counts]{
		Name: "steps", Start: step("start"),
		Phases: []Phase[struct{}, counts]{{"one", step("one")}, {"two", step("two")}},
		NewHandler: func(_ context.Context, w *Worker[struct{}, counts]) (walk.Handler, error) {
			return handler(func(context.Context, *walk.Entry) error {
				w.Stats.Files.Inc()
				return nil
			}), nil
		},
	}
}

// called tells how often something was called.
func (s *steps) called(what string) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.calls {
		if c == what {
			n++
		}
	}
	return n
}

// waitStep waits until the job is at a step.
func (b *bubble) waitStep(s *Server, j *Job, step string) {
	for range 1000 {
		if st, err := s.Status(b.life, j.ID()); err == nil && st.Step == step {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	b.t.Fatalf("the job does not come to %s", step)
}

func TestAPhaseRunsAgainWhenItsServerDied(t *testing.T) {
	root := realTree(t, 5, 3)
	inBubble(t, 1, func(b *bubble) {
		var s steps
		first := b.serve(s.app("first", 20*time.Second))
		b.work(s.app("", 0))
		srv, j := b.submit(s.app("", 0), root, nil)
		b.waitStep(srv, j, "one")
		time.Sleep(5 * time.Second)
		first.kill()
		b.serve(s.app("second", 20*time.Second))
		doc, err := j.Wait(b.life)
		if err != nil {
			b.t.Fatal(err)
		}
		r := doc.(*Result[counts])
		if got := fmt.Sprint(string(r.Phases["start"]), string(r.Phases["one"]), string(r.Phases["two"])); got != `"first""second""second"` || r.Stats.Files != 15 {
			b.t.Errorf("attached %s, %d files", got, r.Stats.Files)
		}
		if want := []string{"first start", "first one", "second one", "second two"}; !slices.Equal(s.calls, want) {
			b.t.Errorf("calls %q, want %q", s.calls, want)
		}
	})
}

func TestTwoServersDoNotRunAPhaseAtOnce(t *testing.T) {
	root := realTree(t, 5, 3)
	for seed := range uint64(8) {
		inBubble(t, seed, func(b *bubble) {
			r := rand.New(rand.NewPCG(seed, 1))
			b.engine.SetFaults(membus.Faults{
				Delay:   func(r *rand.Rand) time.Duration { return time.Duration(r.Int64N(int64(50 * time.Millisecond))) },
				LostPut: 0.05, LatePut: 0.05, LostAck: 0.05, LostRead: 0.05, Timeout: time.Second,
			})
			var s steps
			var servers []*process
			for i := range 3 {
				servers = append(servers, b.serve(s.app(fmt.Sprint("server", i), 15*time.Second)))
			}
			b.work(s.app("", 0))
			_, j := b.submit(s.app("", 0), root, nil)
			// Servers are out of reach for a while, one after the other, and none of them
			// for so long that the job could not end.
			trouble := make(chan struct{})
			b.wg.Go(func() {
				defer close(trouble)
				for range 12 {
					p := servers[r.IntN(len(servers))]
					time.Sleep(time.Duration(r.IntN(8000)) * time.Millisecond)
					p.Cut()
					time.Sleep(time.Duration(r.IntN(12000)) * time.Millisecond)
					p.Heal()
				}
			})
			ctx, cancel := context.WithTimeout(b.life, 30*time.Minute)
			defer cancel()
			doc, err := j.Wait(ctx)
			if err != nil {
				b.t.Errorf("seed %d: %v", seed, err)
				return
			}
			<-trouble
			s.mu.Lock() // a hook that was given up may be ending yet
			defer s.mu.Unlock()
			if s.most != 1 {
				b.t.Errorf("seed %d: %d ran at once: %q", seed, s.most, s.calls)
			}
			if n := len(doc.Common().Phases); n != 3 {
				b.t.Errorf("seed %d: %d hooks have attached something", seed, n)
			}
		})
	}
}

func TestAJobThatIsCancelledInAPhaseGoesOnWithItWhenItIsResumed(t *testing.T) {
	root := realTree(t, 5, 3)
	inBubble(t, 1, func(b *bubble) {
		var s steps
		b.serve(s.app("server", 20*time.Second))
		b.work(s.app("", 0))
		srv, j := b.submit(s.app("", 0), root, nil)
		b.waitStep(srv, j, "two")
		if st, err := j.Status(b.life); err != nil || st.Phase != "finishing" {
			b.t.Errorf("%+v: %v", st, err)
		}
		if err := j.Cancel(b.life); err != nil {
			b.t.Fatal(err)
		}
		var cancelled *CancelledError
		doc, err := j.Wait(b.life)
		if !errors.As(err, &cancelled) || doc.Common().State != Cancelled {
			b.t.Fatalf("%v", err)
		}
		if err := srv.Resume(b.life, j.ID()); err != nil {
			b.t.Fatal(err)
		}
		if doc, err = j.Wait(b.life); err != nil || doc.Common().State != Complete || doc.(*Result[counts]).Stats.Files != 15 {
			b.t.Errorf("%v: %+v", err, doc)
		}
		if s.called("server start") != 1 || s.called("server one") != 1 || s.called("server two") != 2 {
			b.t.Errorf("calls %q", s.calls)
		}
		if err := srv.Resume(b.life, j.ID()); err == nil {
			b.t.Error("a job that is complete was resumed")
		}
	})
}

func TestAPhaseThatFailsFailsTheJob(t *testing.T) {
	root := realTree(t, 5, 3)
	for _, spoil := range []func(*App[struct{}, counts]){
		func(a *App[struct{}, counts]) {
			a.Start = func(context.Context, *Coordinator[struct{}, counts]) error { return errors.New("boom") }
		},
		func(a *App[struct{}, counts]) {
			a.Joined = func(context.Context, *Coordinator[struct{}, counts], ClientInfo) error { panic("boom") }
		},
		func(a *App[struct{}, counts]) {
			a.Phases[1].Run = func(context.Context, *Coordinator[struct{}, counts]) error { return errors.New("boom") }
		},
		func(a *App[struct{}, counts]) {
			a.Client = func(context.Context, *Client[struct{}, counts]) error { return errors.New("boom") }
		},
	} {
		inBubble(t, 1, func(b *bubble) {
			var s steps
			a := s.app("server", time.Second)
			spoil(a)
			b.serve(a)
			b.work(a)
			_, j := b.submit(a, root, nil)
			ctx, cancel := context.WithTimeout(b.life, 5*time.Minute)
			defer cancel()
			doc, err := j.Wait(ctx)
			if err == nil || doc == nil || doc.Common().State != Failed {
				b.t.Errorf("%v, %+v", err, doc)
			}
		})
	}
}

// Clients and the server die while they send each other messages: each report of what
// was counted is heard, the phase hears all clients that are there, and the job ends.
func TestMessagesComeThoughClientsAndServersDie(t *testing.T) {
	root := realTree(t, 60, 4)
	for seed := range uint64(6) {
		inBubble(t, seed, func(b *bubble) {
			r := rand.New(rand.NewPCG(seed, 1))
			b.engine.SetFaults(membus.Faults{
				Delay:   func(r *rand.Rand) time.Duration { return time.Duration(r.Int64N(int64(20 * time.Millisecond))) },
				LostPut: 0.02, LatePut: 0.02, LostAck: 0.02, LostRead: 0.02, Loss: 0.02, Timeout: time.Second,
			})
			k := newTalk()
			k.wait = func(context.Context) { time.Sleep(200 * time.Millisecond) }
			srv := b.serve(k.app)
			var clients []*process
			for range 3 {
				clients = append(clients, b.work(k.app))
			}
			_, j := b.submit(k.app, root, nil)
			if err := k.number.Send(b.life, j, ToWorkers, 7); err != nil {
				b.t.Fatal(err)
			}
			b.wg.Go(func() {
				for range 5 {
					time.Sleep(time.Duration(r.IntN(4000)) * time.Millisecond)
					if i := r.IntN(len(clients) + 1); i < len(clients) {
						clients[i].kill()
						clients[i] = b.work(k.app)
					} else {
						srv.kill()
						srv = b.serve(k.app)
					}
				}
			})
			ctx, cancel := context.WithTimeout(b.life, 30*time.Minute)
			defer cancel()
			doc, err := j.Wait(ctx)
			if err != nil {
				st, _ := j.Status(b.life)
				b.t.Errorf("seed %d: %v: %+v", seed, err, st)
				return
			}
			var attached map[string]int
			if err := json.Unmarshal(doc.Common().Phases["ask"], &attached); err != nil || attached["answers"] == 0 || attached["files"] != 240 {
				b.t.Errorf("seed %d: %s: %v", seed, doc.Common().Phases["ask"], err)
			}
			if k.count("worker got 7") == 0 || k.count("worker got 4") == 0 {
				b.t.Errorf("seed %d: heard %q", seed, k.heard)
			}
		})
	}
}
