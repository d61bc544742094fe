package hydra

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/hydrawalk/hydra/walk"
)

// talk is an application whose parties send each other messages in all directions.
type talk struct {
	app *App[struct{}, counts]

	number Topic[int]    // to clients and workers
	report Topic[string] // to the server
	answer Topic[string] // to the user

	mu      sync.Mutex
	heard   []string // by the server
	starts  atomic.Int64
	joined  atomic.Int64
	clients atomic.Int64
	wait    func(ctx context.Context) // in each file; may be nil
}

type talkWorker struct {
	t *talk
	w *Worker[struct{}, counts]
	n int
}

func (h *talkWorker) File(ctx context.Context, e *walk.Entry) error {
	h.w.Stats.Files.Inc()
	if h.t.wait != nil {
		h.t.wait(ctx)
	}
	return nil
}

func (h *talkWorker) Flush(ctx context.Context) error {
	h.n++
	return h.t.report.Send(ctx, h.w, ToServer, "flush")
}

func newTalk() *talk {
	t := &talk{number: Topic[int]{"number"}, report: Topic[string]{"report"}, answer: Topic[string]{"answer"}}
	t.app = &App[struct{}, counts]{
		Name:   "talk",
		Topics: []TopicInfo{t.number.Info(), t.report.Info(), t.answer.Info()},
		Server: func(_ context.Context, co *Coordinator[struct{}, counts]) error {
			return t.report.Receive(co, func(_ context.Context, m Message[string]) error {
				t.hear(m)
				return nil
			})
		},
		Start: func(ctx context.Context, co *Coordinator[struct{}, counts]) error {
			t.starts.Add(1)
			return t.number.Send(ctx, co, ToClients, 1)
		},
		Joined: func(ctx context.Context, co *Coordinator[struct{}, counts], c ClientInfo) error {
			t.joined.Add(1)
			return t.number.Send(ctx, co, ToClient(c.ID), 2)
		},
		Client: func(_ context.Context, c *Client[struct{}, counts]) error {
			t.clients.Add(1)
			return t.number.Receive(c, func(ctx context.Context, m Message[int]) error {
				if m.Value == 3 { // asked by the phase
					return t.report.Send(ctx, c, ToServer, "answer")
				}
				return t.answer.Send(ctx, c, ToUser, fmt.Sprint("got ", m.Value))
			})
		},
		NewHandler: func(ctx context.Context, w *Worker[struct{}, counts]) (walk.Handler, error) {
			h := &talkWorker{t: t, w: w}
			return h, t.number.Receive(w, func(ctx context.Context, m Message[int]) error {
				return t.report.Send(ctx, w, ToServer, fmt.Sprint("worker got ", m.Value))
			})
		},
		Phases: []Phase[struct{}, counts]{{"ask", func(ctx context.Context, co *Coordinator[struct{}, counts]) error {
			s, err := co.Stats(ctx)
			if err != nil {
				return err
			}
			answers := make(chan Message[string], 100)
			if err := t.report.Receive(co, func(_ context.Context, m Message[string]) error {
				t.hear(m)
				answers <- m
				return nil
			}); err != nil {
				return err
			}
			// Asks all clients, or a worker of each, and waits for what they say.
			ask := func(n int, to Address, answer string) (int, error) {
				if err := t.number.Send(ctx, co, to, n); err != nil {
					return 0, err
				}
				who := map[string]bool{}
				for slices.ContainsFunc(co.Clients(), func(c ClientInfo) bool { return !who[c.ID] }) {
					select {
					case m := <-answers:
						if m.Value == answer {
							who[m.From.Client] = true
						}
					case <-time.After(time.Second): // who is waited for may be gone
					case <-ctx.Done():
						return 0, context.Cause(ctx)
					}
				}
				return len(who), nil
			}
			got, err := ask(3, ToClients, "answer")
			if err == nil && co.Clients()[0].ID != localClient {
				_, err = ask(4, ToWorkers, "worker got 4")
			}
			if err != nil {
				return err
			}
			return co.Attach(ctx, "ask", map[string]any{"answers": got, "files": s.Files})
		}}},
	}
	return t
}

func (t *talk) hear(m Message[string]) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.heard = append(t.heard, m.Value)
}

func (t *talk) count(text string) (n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, h := range t.heard {
		if h == text {
			n++
		}
	}
	return n
}

func TestAllPartiesOfARunInThisProcessTalk(t *testing.T) {
	k := newTalk()
	u := NewUser(k.app)
	var once sync.Once
	k.wait = func(ctx context.Context) {
		once.Do(func() {
			if err := k.number.Send(ctx, u, ToWorkers, 7); err != nil {
				t.Error(err)
			}
		})
	}
	var mu sync.Mutex
	var got, shown []string
	if err := k.answer.Receive(u, func(_ context.Context, m Message[string]) error {
		mu.Lock()
		defer mu.Unlock()
		got = append(got, m.Value)
		if m.From.String() != "client local" {
			t.Errorf("from %s", m.From)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	r, err := Run(t.Context(), k.app, []string{"."}, &Options{FS: tree(50, 20), Workers: 2, User: u, Messages: func(m UserMessage) {
		shown = append(shown, string(m.Value))
	}})
	if err != nil {
		t.Fatal(err)
	}
	if r.Stats.Files != 1000 || k.starts.Load() != 1 || k.joined.Load() != 1 || k.clients.Load() != 1 {
		t.Errorf("%d files, %d starts, %d joined, %d clients", r.Stats.Files, k.starts.Load(), k.joined.Load(), k.clients.Load())
	}
	if want := []string{"got 1", "got 2"}; !slices.Equal(got, want) || len(shown) != 2 {
		t.Errorf("the user got %q and was shown %q, want %q", got, shown, want)
	}
	if n, f := k.count("worker got 7"), k.count("flush"); n != r.Workers || f != r.Workers {
		t.Errorf("%d of %d workers got the number, %d flushed", n, r.Workers, f)
	}
	var attached map[string]int
	if err := json.Unmarshal(r.Phases["ask"], &attached); err != nil || attached["answers"] != 1 || attached["files"] != 1000 {
		t.Errorf("attached %s: %v", r.Phases["ask"], err)
	}
	if err := k.number.Send(t.Context(), u, ToWorkers, 8); err == nil {
		t.Error("somebody took a message after the run")
	}
}

func TestAHookThatFailsFailsTheRun(t *testing.T) {
	boom := errors.New("boom")
	for name, spoil := range map[string]func(*App[struct{}, counts]){
		"server": func(a *App[struct{}, counts]) {
			a.Server = func(context.Context, *Coordinator[struct{}, counts]) error { return boom }
		},
		"start": func(a *App[struct{}, counts]) {
			a.Start = func(context.Context, *Coordinator[struct{}, counts]) error { return boom }
		},
		"client": func(a *App[struct{}, counts]) {
			a.Client = func(context.Context, *Client[struct{}, counts]) error { return boom }
		},
		"phase": func(a *App[struct{}, counts]) {
			a.Phases[0].Run = func(context.Context, *Coordinator[struct{}, counts]) error { return boom }
		},
	} {
		k := newTalk()
		spoil(k.app)
		r, err := Run(t.Context(), k.app, []string{"."}, &Options{FS: fstest.MapFS{"a": &fstest.MapFile{Mode: fs.ModePerm}}})
		if !errors.Is(err, boom) || r != nil && r.State != Failed {
			t.Errorf("%s: %v, %+v", name, err, r)
		}
	}
}

// realTree makes a tree on disk.
func realTree(t *testing.T, dirs, files int) string {
	root := t.TempDir()
	for name := range tree(dirs, files) {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func TestAllPartiesOfAJobTalk(t *testing.T) {
	k := newTalk()
	c := newCluster(t)
	c.apps = []distributed{k.app}
	c.serve()
	const clients = 3
	root := realTree(t, 50, 20)
	all := make(chan struct{}) // closed when all clients take part
	joined := k.app.Joined
	k.app.Joined = func(ctx context.Context, co *Coordinator[struct{}, counts], info ClientInfo) error {
		err := joined(ctx, co, info)
		if k.joined.Load() == clients {
			close(all)
		}
		return err
	}
	k.wait = func(ctx context.Context) {
		select {
		case <-all:
		case <-ctx.Done():
		}
	}
	for range clients {
		c.work(nil, 2, k.app)
	}
	var mu sync.Mutex
	var got, shown []string
	j, err := c.connect().Submit(t.Context(), k.app, []string{root}, &JobOptions{MinClients: clients, Options: Options{Messages: func(m UserMessage) {
		shown = append(shown, string(m.Value))
	}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := k.number.Send(t.Context(), j, ToWorkers, 7); err != nil {
		t.Fatal(err)
	}
	if err := k.answer.Receive(j, func(_ context.Context, m Message[string]) error {
		mu.Lock()
		defer mu.Unlock()
		got = append(got, m.Value)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	doc, err := j.Wait(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	r := doc.(*Result[counts])
	if r.Stats.Files != 1000 || k.starts.Load() != 1 || k.joined.Load() != clients || k.clients.Load() != clients {
		t.Errorf("%d files, %d starts, %d joined, %d clients", r.Stats.Files, k.starts.Load(), k.joined.Load(), k.clients.Load())
	}
	slices.Sort(got)
	if want := []string{"got 1", "got 1", "got 1", "got 2", "got 2", "got 2"}; !slices.Equal(got, want) || len(shown) != len(want) {
		t.Errorf("the user got %q and was shown %q, want %q", got, shown, want)
	}
	if n := k.count("worker got 7"); n == 0 {
		t.Error("no worker got the number")
	}
	var attached map[string]int
	if err := json.Unmarshal(r.Phases["ask"], &attached); err != nil || attached["answers"] != clients || attached["files"] != 1000 {
		t.Errorf("attached %s: %v", r.Phases["ask"], err)
	}
}
