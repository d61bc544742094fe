package enemy

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/hydrawalk/hydra"
	"github.com/hydrawalk/hydra/apps/audit"
	"github.com/hydrawalk/hydra/internal/bus"
	"github.com/hydrawalk/hydra/internal/bus/natsbus"
	"github.com/hydrawalk/hydra/internal/gate"
	"github.com/hydrawalk/hydra/internal/trust"
	"github.com/hydrawalk/hydra/internal/wire"
)

// onTime is when a job of the tree has to have ended, whatever is done to the server.
const onTime = 30 * time.Second

func TestMain(m *testing.M) {
	home, err := os.MkdirTemp("", "hydra-enemy-")
	if err != nil {
		panic(err)
	}
	for _, name := range []string{"HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME"} {
		os.Setenv(name, home)
	}
	flag.Parse()
	// Attacks mostly wait.
	if err := flag.Set("test.parallel", "4"); err != nil {
		panic(err)
	}
	code := m.Run()
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.RemoveAll(home)
	os.Exit(code)
}

// world is a server that other hosts could reach, with two clients, and a tree for jobs.
type world struct {
	address string
	admin   *hydra.Server // of the user who runs it
	creds   [2]string     // files of the clients
	root    string
	want    any      // what a job counts of the tree
	archive string   // a job that has ended
	held    string   // a job that waits for more clients than there are
	log     *logText // of the server

	hosts atomic.Int64 // that enemies were on
	jobs  atomic.Int64
}

// dirs and files of the tree.
const (
	dirs      = 240
	filesEach = 12
)

// open makes a world, and has one job done that nobody disturbs.
func open(t *testing.T) *world {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("enemies are on other addresses of the loopback, and here there is one")
	}
	w := &world{root: t.TempDir(), log: new(logText)}
	for d := range dirs {
		dir := filepath.Join(w.root, fmt.Sprint("a", d%8), fmt.Sprint("b", d%40), fmt.Sprint("c", d))
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		for f := range filesEach {
			if err := os.WriteFile(filepath.Join(dir, fmt.Sprint(f)), make([]byte, d+f), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the server's log:\n%s", w.log)
		}
	})
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	t.Cleanup(func() { cancel(); wg.Wait() })
	ready := make(chan hydra.Serving, 1)
	wg.Go(func() {
		err := hydra.Serve(ctx, &hydra.ServeOptions{
			Listen: "0.0.0.0:0", StateDir: filepath.Join(t.TempDir(), "state"), Logger: slog.New(slog.NewTextHandler(w.log, nil)),
			Ready: func(s hydra.Serving) { ready <- s },
		})
		if err != nil {
			t.Error("the server ended:", err)
			close(ready)
		}
	})
	serving := <-ready
	_, port, _ := net.SplitHostPort(serving.Address)
	w.address = "127.0.0.1:" + port
	if !serving.TLS || !serving.Tokens {
		t.Fatalf("%+v", serving)
	}
	var err error
	if w.admin, err = hydra.Connect(t.Context(), w.address, nil); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.admin.Close() })
	for i := range w.creds {
		w.creds[i] = filepath.Join(t.TempDir(), "client.json")
		o := &hydra.WorkOptions{Workers: 2, Access: hydra.Access{Creds: w.creds[i], Token: w.token(t, hydra.RoleClient, false)}}
		wg.Go(func() {
			if err := hydra.Work(ctx, w.address, o, audit.App()); err != nil {
				t.Error("a client ended:", err)
			}
		})
	}
	// The first ones may find one client.
	job, err := w.submit(t.Context(), &hydra.JobOptions{ID: "archive", MinClients: 2})
	if err != nil {
		t.Fatal(err)
	}
	w.archive = job.ID()
	doc, err := job.Wait(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if w.want, err = counted(doc); err != nil {
		t.Fatal(err)
	}
	if got := doc.Common().Walked.ProcessedDirs; got < dirs {
		t.Fatalf("%d directories were found in a tree of more than %d", got, dirs)
	}
	if job, err = w.submit(t.Context(), &hydra.JobOptions{ID: "held", MinClients: 1000}); err != nil {
		t.Fatal(err)
	}
	w.held = job.ID()
	return w
}

// working is the ID of a client that works.
func (w *world) working(t *testing.T) string {
	t.Helper()
	clients, err := w.admin.Clients(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range clients {
		if len(c.Apps) > 0 {
			return c.ID
		}
	}
	t.Fatal("no client works")
	return ""
}

// keep writes a credential into a file.
func keep(t *testing.T, c *trust.Credential) string {
	t.Helper()
	text, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "credential.json")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// token makes a token as its user would.
func (w *world) token(t *testing.T, role hydra.Role, once bool) string {
	t.Helper()
	_, text, err := w.admin.CreateToken(t.Context(), hydra.TokenOptions{Role: role, Life: time.Hour, Once: once})
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// submit submits an audit of the tree.
func (w *world) submit(ctx context.Context, o *hydra.JobOptions) (*hydra.Job, error) {
	app := audit.App()
	app.Settings.AsOf = audit.AsOf{Time: time.Unix(2e9, 0)}
	return w.admin.Submit(ctx, app, []string{w.root}, o)
}

// counted is all of a result that does not depend on who counted, and when.
func counted(doc hydra.Document) (any, error) {
	text, err := doc.MarshalJSON()
	if err != nil {
		return nil, err
	}
	var all map[string]any
	if err := json.Unmarshal(text, &all); err != nil {
		return nil, err
	}
	for _, name := range []string{"job", "started", "finished", "wall_seconds", "clients", "workers"} {
		delete(all, name)
	}
	if stats, ok := all["stats"].(map[string]any); ok {
		maps.DeleteFunc(stats, func(name string, _ any) bool {
			return strings.HasPrefix(name, "time_") || name == "num_workers" || name == "num_clients"
		})
	}
	return all, nil
}

// during has jobs done, one after the other, from before an attack until after it, and
// makes sure that each ends in time with the exact result.
func (w *world) during(t *testing.T, attack func(running string)) {
	t.Helper()
	over := make(chan struct{})
	begun := make(chan string, 1)
	ended := make(chan error, 1)
	go func() {
		defer close(begun)
		for n := 0; ; n++ {
			if err := w.exact(t.Context(), fmt.Sprint("real-", w.jobs.Add(1)), begun); err != nil {
				ended <- err
				return
			}
			select {
			case <-over:
				ended <- nil
				return
			default:
			}
		}
	}()
	running, ok := <-begun
	if ok {
		attack(running)
	}
	close(over)
	if err := <-ended; err != nil {
		t.Error("the job that ran meanwhile:", err)
	}
}

// exact has one job done.
func (w *world) exact(ctx context.Context, id string, begun chan<- string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, onTime, errors.New("it has not ended in time"))
	defer cancel()
	job, err := w.submit(ctx, &hydra.JobOptions{ID: id})
	if err != nil {
		return fmt.Errorf("submit: %w", cmpErr(ctx, err))
	}
	select {
	case begun <- id:
	default:
	}
	doc, err := job.Wait(ctx)
	if err != nil {
		return fmt.Errorf("wait for %s: %w", id, cmpErr(ctx, err))
	}
	got, err := counted(doc)
	if err != nil {
		return err
	}
	if wrong := differences(id, got, w.want); len(wrong) > 0 {
		return fmt.Errorf("it counted something else:\n%s", strings.Join(wrong, "\n"))
	}
	return nil
}

func cmpErr(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// host is the address of a host that nobody else is on: the loopback has many.
func (w *world) host() *enemy {
	n := w.hosts.Add(1)
	return &enemy{w: w, ip: net.IPv4(127, 0, byte(1+n/250), byte(1+n%250))}
}

// relay is an address at which connections to the server come from the enemy's host.
func (e *enemy) relay(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	t.Cleanup(func() { l.Close(); wg.Wait() })
	wg.Go(func() {
		for {
			from, err := l.Accept()
			if err != nil {
				return
			}
			to, err := e.Dial("", "")
			if err != nil {
				from.Close()
				continue
			}
			_ = from.SetDeadline(time.Now().Add(patience))
			pass := func(to, from net.Conn) {
				_, _ = io.Copy(to, from)
				to.Close()
				from.Close()
			}
			wg.Go(func() { pass(to, from) })
			wg.Go(func() { pass(from, to) })
		}
	})
	return l.Addr().String()
}

// stolen is the credential that a client keeps in its file.
func (w *world) stolen(t *testing.T, client int) *trust.Credential {
	t.Helper()
	text, err := os.ReadFile(w.creds[client])
	if err != nil {
		t.Fatal(err)
	}
	cred := new(trust.Credential)
	if err := json.Unmarshal(text, cred); err != nil {
		t.Fatal(err)
	}
	return cred
}

// joined is the credential of who joins with a token.
func (w *world) joined(t *testing.T, role hydra.Role) *trust.Credential {
	t.Helper()
	token, err := trust.ParseToken(w.token(t, role, true))
	if err != nil {
		t.Fatal(err)
	}
	cred, err := trust.Join(t.Context(), w.address, token, "somebody")
	if err != nil {
		t.Fatal(err)
	}
	return cred
}

// table is a job's table as somebody sees it who may read all.
func (w *world) table(t *testing.T, job string) bus.Table {
	t.Helper()
	cred := w.joined(t, hydra.RoleViewer)
	config, err := cred.Config("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	config.NextProtos = []string{gate.Protocol}
	id := named(t, cred, "look")
	b, err := natsbus.Connect(t.Context(), natsbus.Options{URL: "nats://" + w.address, TLS: config, User: gate.Name(trust.Viewer, id), Password: "-", Inbox: gate.Inbox(id)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	table, err := b.Open(t.Context(), wire.Table(job))
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// contents are all values of a table, with their revisions.
func contents(t *testing.T, table bus.Table) []bus.Value {
	t.Helper()
	all, err := table.List(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func identity(t *testing.T, c *trust.Credential) string {
	t.Helper()
	who, err := c.Identity()
	if err != nil {
		t.Fatal(err)
	}
	return who.ID
}

// named is what a connection of somebody may call itself.
func named(t *testing.T, c *trust.Credential, prefix string) string {
	t.Helper()
	return prefix + "-" + identity(t, c)
}

// logText is what a server logs.
type logText struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logText) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logText) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
