package hydra

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hydrawalk/hydra/internal/bus"
	"github.com/hydrawalk/hydra/internal/bus/membus"
	"github.com/hydrawalk/hydra/internal/client"
	"github.com/hydrawalk/hydra/internal/ledger"
	"github.com/hydrawalk/hydra/internal/wire"
	"github.com/hydrawalk/hydra/walk"
)

type wiperSettings struct {
	Wipe bool `json:"wipe"`
}

// wiper is an application that removes all files with Wipe, and otherwise counts them.
type wiper struct {
	w    *Worker[wiperSettings, counts]
	plan bool // also without Wipe, as one does that is wrong about its dry run
}

func (h *wiper) File(ctx context.Context, e *walk.Entry) error {
	h.w.Stats.Files++
	if h.w.Settings.Wipe || h.plan {
		return h.w.Plan(ctx, e, "remove", "")
	}
	return nil
}

func (h *wiper) Act(_ context.Context, held *walk.Held, a *Act) {
	a.Result = ActDone
	if err := held.Remove(); err != nil {
		a.Result, a.Error = ActFailed, err.Error()
	}
}

func wiperApp(plan bool) *App[wiperSettings, counts] {
	return &App[wiperSettings, counts]{
		Name: "wiper", Changes: true, Acted: func(*counts, *Act) {},
		DryRun: func(s wiperSettings) bool { return !s.Wipe },
		NewHandler: func(_ context.Context, w *Worker[wiperSettings, counts]) (walk.Handler, error) {
			return &wiper{w, plan}, nil
		},
	}
}

// liar is a server that sends a client what it likes.
type liar struct {
	b     *bubble
	h     *membus.Handle
	table bus.Table
	state *ledger.State
	rev   uint64
	job   string
	a     uint64 // the last delivery

	mu      sync.Mutex
	client  ledger.ClientID
	session ledger.SessionID // the last one
	seen    []string         // why the client takes no part
}

func (b *bubble) lie() *liar {
	l := &liar{b: b, h: b.engine.Open()}
	for subject, f := range map[string]func(bus.Msg){
		wire.PatternHello: func(m bus.Msg) {
			if m.Reply != nil {
				_ = m.Reply(ledger.Encode(wire.Welcome{Server: "liar"}))
			}
		},
		wire.PatternBeat: func(m bus.Msg) {
			var beat wire.Beat
			if ledger.Decode(m.Data, &beat) != nil {
				return
			}
			l.mu.Lock()
			defer l.mu.Unlock()
			l.client, l.session = beat.Client, ""
			for _, p := range beat.Sessions {
				l.session = p.Session
			}
		},
		wire.PatternSight: func(m bus.Msg) {
			var seen wire.Seen
			if ledger.Decode(m.Data, &seen) == nil {
				l.mu.Lock()
				l.seen = append(l.seen, seen.Err)
				l.mu.Unlock()
			}
		},
	} {
		if _, err := l.h.Subscribe(subject, f); err != nil {
			b.t.Fatal(err)
		}
	}
	return l
}

// submit makes a job of the wiper, which is said to change nothing.
func (l *liar) submit(job, root string, settings wiperSettings) {
	text, err := json.Marshal(settings)
	if err != nil {
		l.b.t.Fatal(err)
	}
	if l.table, err = l.h.Create(l.b.life, wire.Table(job)); err != nil {
		l.b.t.Fatal(err)
	}
	l.job, l.state, l.rev = job, ledger.NewState(), 0
	l.write()
	spec := wire.Spec{
		Job: job, App: "wiper", Settings: text, Roots: [][]byte{[]byte(root)}, Options: []byte("{}"),
		Changes: true, Priority: 1, Stall: time.Minute,
	}
	if _, err := l.table.Put(l.b.life, wire.KeySpec, ledger.Encode(spec), 0); err != nil {
		l.b.t.Fatal(err)
	}
}

func (l *liar) write() {
	rev, err := l.table.Put(l.b.life, wire.KeyState, ledger.Encode(l.state), l.rev)
	if err != nil {
		l.b.t.Fatal(err)
	}
	l.rev = rev
}

// set changes the settings of the job.
func (l *liar) set(settings wiperSettings) {
	text, err := json.Marshal(settings)
	if err != nil {
		l.b.t.Fatal(err)
	}
	l.state.Control.Rev++
	l.state.Control.SettingsRev++
	l.state.Control.Settings = text
	l.write()
}

// order sends an order, and waits until it was carried out.
func (l *liar) order(o wire.Order) {
	l.mu.Lock()
	o.Job = l.job
	to := l.client
	if !o.Look && !o.Open {
		o.Session = l.session
	}
	l.mu.Unlock()
	if err := l.h.Publish(wire.SubjectOrder(to), ledger.Encode(o)); err != nil {
		l.b.t.Fatal(err)
	}
	time.Sleep(3 * time.Second) // of the bubble
}

// begin gives the session the roots.
func (l *liar) begin() {
	l.a++
	l.order(wire.Order{Control: l.state.Control.Rev, Deliveries: []wire.Delivery{{A: l.a, Ref: ledger.Ref{K: 1}, Bag: &ledger.Bag{K: 1, Roots: true}}}})
}

// told returns what the client said of why it takes no part since this was asked last,
// and its session.
func (l *liar) told() (seen []string, session ledger.SessionID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	seen, l.seen = l.seen, nil
	return seen, l.session
}

// aClient joins with the wiper, under rules.
func (l *liar) aClient(app *App[wiperSettings, counts], rules *hostRules) {
	l.b.start(func(ctx context.Context, h *membus.Handle) error {
		return client.Work(ctx, client.Options{Bus: h, Apps: []client.App{app.clientUnder(rules, "")}, Workers: 1, Host: "host"})
	})
	time.Sleep(2 * time.Second) // of the bubble
}

// victim is a tree with a file that the wiper would remove.
func victim(t *testing.T) (root string, lives func() bool) {
	root = t.TempDir()
	file := filepath.Join(root, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	return root, func() bool {
		_, err := os.Lstat(file)
		return err == nil
	}
}

const wiperNotAllowed = "does not allow wiper: start the client with --allow wiper"

func TestALyingServerOpensNoSessionThatTheClientDoesNotAllow(t *testing.T) {
	root, lives := victim(t)
	inBubble(t, 1, func(b *bubble) {
		l := b.lie()
		l.submit("j", root, wiperSettings{Wipe: true})
		l.aClient(wiperApp(false), &hostRules{})
		for _, o := range []wire.Order{{Look: true}, {Open: true}, {Open: true}} {
			l.order(o)
			if seen, session := l.told(); len(seen) != 1 || seen[0] != wiperNotAllowed || session != "" {
				t.Errorf("%+v: session %q, told %q", o, session, seen)
			}
		}
	})
	if !lives() {
		t.Error("the file is gone")
	}
}

func TestADryRunDoesNotBecomeAChangeWhereThatIsNotAllowed(t *testing.T) {
	root, lives := victim(t)
	inBubble(t, 1, func(b *bubble) {
		l := b.lie()
		l.submit("j", root, wiperSettings{})
		l.aClient(wiperApp(false), &hostRules{})
		l.order(wire.Order{Open: true})
		seen, session := l.told()
		if len(seen) != 0 || session == "" {
			t.Fatalf("a dry run has session %q, told %q", session, seen)
		}
		l.set(wiperSettings{Wipe: true})
		l.begin()
		if _, session := l.told(); session != "" {
			t.Errorf("session %s goes on", session)
		}
		l.order(wire.Order{Open: true})
		if seen, session := l.told(); len(seen) != 1 || seen[0] != wiperNotAllowed || session != "" {
			t.Errorf("it is opened again as %q, told %q", session, seen)
		}
	})
	if !lives() {
		t.Error("the file is gone")
	}
}

// TestWhatIsOnlyCountedIsNotDone has an application that is wrong about its dry run.
func TestWhatIsOnlyCountedIsNotDone(t *testing.T) {
	for _, allow := range []bool{false, true} {
		root, lives := victim(t)
		rules := &hostRules{}
		if allow {
			rules.allow = []string{"wiper"}
		}
		inBubble(t, 1, func(b *bubble) {
			l := b.lie()
			l.submit("j", root, wiperSettings{})
			l.aClient(wiperApp(true), rules)
			l.order(wire.Order{Open: true})
			l.begin()
		})
		if lives() == allow {
			t.Errorf("allowed %v: the file is there: %v", allow, lives())
		}
	}
}

func TestWhatIsAllowedHasToBeThere(t *testing.T) {
	err := Work(t.Context(), "127.0.0.1:1", &WorkOptions{Allow: []string{"wiper", "purge"}}, wiperApp(false), counter(nil))
	var usage *UsageError
	if !errors.As(err, &usage) || !strings.HasSuffix(err.Error(), `"purge" can not be allowed, for there is no such application: there are counter, wiper`) {
		t.Errorf("got %v", err)
	}
}

func TestALyingServerHasNothingReadOutsideOfTheRoot(t *testing.T) {
	root, lives := victim(t)
	inside := t.TempDir()
	if err := os.Symlink(root, filepath.Join(inside, "link")); err != nil {
		t.Skip(err)
	}
	within, err := walk.OpenWithin(inside)
	if err != nil {
		t.Fatal(err)
	}
	defer within.Close()
	rules := &hostRules{allow: []string{"wiper"}, root: within}
	inBubble(t, 1, func(b *bubble) {
		l := b.lie()
		// The words of a path tell.
		l.submit("outside", root, wiperSettings{Wipe: true})
		l.aClient(wiperApp(false), rules)
		want := root + " does not lie in " + inside + ", to which --root confines the client"
		for _, o := range []wire.Order{{Look: true}, {Open: true}} {
			l.order(o)
			if seen, session := l.told(); len(seen) != 1 || seen[0] != want || session != "" {
				t.Errorf("%+v: session %q, told %q", o, session, seen)
			}
		}
		// Those of a link do not.
		l.submit("link", inside+"/link/", wiperSettings{Wipe: true})
		l.order(wire.Order{Look: true})
		if seen, _ := l.told(); len(seen) != 1 || seen[0] != inside+"/link/: "+walk.ErrOutside.Error() {
			t.Errorf("told %q", seen)
		}
		l.order(wire.Order{Open: true})
		l.begin()
		if _, session := l.told(); session == "" {
			t.Error("there was no session to begin with")
		}
	})
	if !lives() {
		t.Error("the file is gone")
	}
}
