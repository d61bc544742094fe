package sim

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hydrawalk/hydra/internal/bus"
	"github.com/hydrawalk/hydra/internal/bus/membus"
	"github.com/hydrawalk/hydra/internal/client"
	"github.com/hydrawalk/hydra/internal/ledger"
	"github.com/hydrawalk/hydra/internal/server"
	"github.com/hydrawalk/hydra/internal/wire"
)

// world is an engine, servers and clients, in a bubble.
type world struct {
	settings
	r      *rand.Rand
	tree   *tree
	want   *expected
	engine *membus.Engine // nil: see newWorldOn
	open   func() handle
	own    handle // of who looks on
	log    *slog.Logger
	began  time.Time

	servers, clients []*process
	all              []*process
	pending          []later
	calmed           bool          // there is no trouble any more
	over             chan struct{} // closed at the end of the world
	err              error         // what a process should not have said
	stops            atomic.Bool   // the application has ended the walk somewhere
	adjust           func(*process, *view, *app)
	bug              atomic.Pointer[string] // that a process found in itself
}

// confessor notes when a process says that it has found a bug in itself.
type confessor struct {
	slog.Handler
	bug *atomic.Pointer[string]
}

func (h *confessor) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelError || h.Handler.Enabled(ctx, level)
}

func (h *confessor) Handle(ctx context.Context, r slog.Record) error {
	if strings.Contains(r.Message, "this is a bug") {
		text := r.Message
		r.Attrs(func(a slog.Attr) bool { text += " " + a.String(); return true })
		h.bug.Store(&text)
	}
	return h.Handler.Handle(ctx, r)
}

func (h *confessor) WithAttrs(as []slog.Attr) slog.Handler {
	return &confessor{h.Handler.WithAttrs(as), h.bug}
}

func (h *confessor) WithGroup(name string) slog.Handler {
	return &confessor{h.Handler.WithGroup(name), h.bug}
}

// process is a server or a client.
type process struct {
	name   string
	h      handle
	cancel context.CancelFunc
	ended  chan struct{}
	gone   bool // killed, or told to end
}

// handle is a connection to the engine that something can happen to.
type handle interface {
	bus.Bus
	Kill()
	Cut()
	Heal()
	Freeze()
	Thaw()
}

func newWorld(s settings, out io.Writer) *world {
	engine := membus.New(rand.New(rand.NewPCG(s.Seed, 2)))
	w := newWorldOn(s, out, func() handle { return engine.Open() })
	w.engine = engine
	return w
}

// newWorldOn makes a world with another engine, whose connections open makes.
func newWorldOn(s settings, out io.Writer, open func() handle) *world {
	w := &world{
		open:     open,
		settings: s,
		r:        rand.New(rand.NewPCG(s.Seed, 1)),
		tree:     s.tree(),
		over:     make(chan struct{}),
		began:    time.Now(),
	}
	h := slog.DiscardHandler
	if out != nil {
		h = slog.NewTextHandler(out, &slog.HandlerOptions{Level: slog.LevelDebug})
	}
	w.log = slog.New(&confessor{h, &w.bug})
	w.own = open()
	w.want = expect(w.tree, &w.Rules)
	return w
}

// start runs f as a process until it is killed or drained.
func (w *world) start(name string, f func(context.Context, *process) error) *process {
	ctx, cancel := context.WithCancel(context.Background())
	p := &process{name: name, h: w.open(), cancel: cancel, ended: make(chan struct{})}
	w.all = append(w.all, p)
	w.log.Info("START", "process", name)
	go func() {
		defer close(p.ended)
		defer p.h.Kill()
		err := f(ctx, p)
		// A client that a user drained while there was trouble may not manage.
		drained := w.Steer && err != nil && strings.Contains(err.Error(), "not all work could be given back in time")
		if err != nil && !p.gone && !drained {
			w.log.Error("ENDED", "process", name, "err", err)
			if w.err == nil {
				w.err = fmt.Errorf("%s: %w", name, err)
			}
		}
	}()
	return p
}

func (w *world) serve() *process {
	p := w.start(fmt.Sprintf("server%d", len(w.all)), func(ctx context.Context, p *process) error {
		return server.Run(ctx, server.Options{Bus: p.h, Logger: w.log.With("at", p.name)})
	})
	w.servers = append(w.servers, p)
	return p
}

func (w *world) work(workers int) *process {
	n := len(w.all)
	var p *process
	v := &view{t: w.tree, seed: mix(w.Seed, uint64(n)), r: w.Rules, released: w.over, delay: w.OpenTime}
	a := &app{r: &w.Rules, effort: w.Effort}
	ready := make(chan struct{})
	p = w.start(fmt.Sprintf("client%d", n), func(ctx context.Context, p *process) error {
		<-ready
		return client.Work(ctx, client.Options{
			Bus: p.h, Apps: []client.App{a}, Workers: workers, FS: v, Host: p.name, Bug: w.Bug,
			Logger: w.log.With("at", p.name),
		})
	})
	if w.adjust != nil {
		w.adjust(p, v, a)
	}
	close(ready)
	w.clients = append(w.clients, p)
	return p
}

// kill ends a process without a word.
func (w *world) kill(p *process) {
	w.log.Info("KILL", "process", p.name)
	p.gone = true
	p.h.Kill()
	p.cancel()
}

// drain tells a process to end.
func (w *world) drain(p *process) {
	w.log.Info("DRAIN", "process", p.name)
	p.gone = true
	p.cancel()
}

// spec is a job over the whole tree.
func (w *world) spec(job string) *wire.Spec {
	s := &wire.Spec{Job: job, App: appID.Name, Version: appID.Version, Key: w.Seed, Priority: 10, Stall: w.Stall, AllErrors: true}
	for i := range w.tree.roots {
		s.Roots = append(s.Roots, []byte(w.tree.rootName(i)))
	}
	return s
}

// ask asks until there is an answer, or the time is over.
func (w *world) ask(a wire.Ask, most time.Duration) (*wire.Answer, error) {
	ctx, cancel := context.WithTimeout(context.Background(), most)
	defer cancel()
	for {
		try, done := context.WithTimeout(ctx, 3*time.Second)
		data, err := w.own.Request(try, wire.SubjectAsk(wire.RankOperator, "test"), ledger.Encode(a))
		done()
		if err == nil {
			answer := new(wire.Answer)
			if err := ledger.Decode(data, answer); err != nil {
				return nil, err
			}
			if answer.Err != "" {
				return answer, errors.New(answer.Err)
			}
			return answer, nil
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("no answer to %s: %w", a.Kind, err)
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// submit submits a job. The engine may make that difficult.
func (w *world) submit(spec *wire.Spec) error {
	for end := time.Now().Add(5 * time.Minute); ; {
		_, err := w.ask(wire.Ask{Kind: wire.AskSubmit, Job: spec.Job, Spec: spec}, time.Minute)
		if err == nil || time.Now().After(end) {
			return err
		}
		time.Sleep(time.Second)
	}
}

// phase is that of a job, as its table tells.
func (w *world) phase(job string) (ledger.Phase, ledger.Verdict) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second) // the engine may be down
	defer cancel()
	table, err := w.own.Open(ctx, wire.Table(job))
	if err != nil {
		return "", ledger.Verdict{}
	}
	v, err := table.Get(ctx, wire.KeyState)
	if err != nil {
		return "", ledger.Verdict{}
	}
	var s ledger.State
	if ledger.Decode(v.Data, &s) != nil {
		return "", ledger.Verdict{}
	}
	return s.Phase, s.Verdict
}

// waitEnd waits until a job has ended.
func (w *world) waitEnd(job string, most time.Duration) error {
	for end := time.Now().Add(most); ; {
		if phase, _ := w.phase(job); phase == ledger.Ended {
			return nil
		}
		if w.err != nil {
			return w.err
		}
		if time.Now().After(end) {
			return fmt.Errorf("the job has not ended in %v:\n%s", most, w.picture(job))
		}
		w.sleep(500 * time.Millisecond)
		if w.Steer && w.calmed {
			w.tend()
		}
	}
}

// picture says how a job stands, for whoever has to find out why it stands still.
func (w *world) picture(job string) string {
	res, err := read(context.Background(), w.own, job)
	if err != nil {
		return err.Error()
	}
	text := fmt.Sprintf("phase %s %+v, %+v\nwant %+v\nfree %v done %v broken %q\n", res.state.Phase, res.Verdict, res.Totals, w.want.totals,
		res.ledger.Free(), res.ledger.Done(), res.ledger.Broken())
	for _, r := range res.ledger.Records() {
		if r.End == ledger.Live || len(r.Held) > 0 || len(r.Outs) > 0 {
			text += fmt.Sprintf("session %s of %s on %s: N %d, end %d, in %d, holds %d, outs %d, member %+v\n",
				r.Session, r.Client, r.Host, r.N, r.End, r.In, len(r.Held), len(r.Outs), res.state.Members[r.Session])
		}
	}
	for id, why := range res.state.Refused {
		text += fmt.Sprintf("refused %s: %s\n", id, why)
	}
	return text
}

// end ends the world.
func (w *world) end() {
	close(w.over)
	for _, p := range w.all {
		p.gone = true
		p.h.Thaw()
		p.cancel()
	}
	for _, p := range w.all {
		<-p.ended
	}
	if w.own.Kill(); w.engine != nil {
		w.engine.Close()
	}
	time.Sleep(time.Minute) // for walks that were abandoned, which nobody waits for
}

// inBubble runs a world in time of its own.
func inBubble(t *testing.T, s settings, out io.Writer, f func(*world) error) error {
	t.Helper()
	var err error
	defer func() {
		if e := recover(); e != nil {
			t.Logf("panic in %s", s)
			panic(e)
		}
	}()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(s, out)
		defer w.end()
		if out != nil {
			go w.trace(job)
		}
		err = f(w)
		if err == nil {
			err = w.err
		}
		if bug := w.bug.Load(); err == nil && bug != nil {
			err = errors.New(*bug)
		}
	})
	return err
}
