package gate

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/hydrawalk/hydra/internal/bus"
	"github.com/hydrawalk/hydra/internal/bus/natsbus"
	"github.com/hydrawalk/hydra/internal/natsd"
	"github.com/hydrawalk/hydra/internal/trust"
)

const password = "the password of the server"

// world is a gate with an engine behind it, and a table in that.
type world struct {
	*testing.T
	gate  *Gate
	url   string
	own   *natsbus.Bus // of the server, which may do all
	table bus.Table    // of the job j
}

func open(t *testing.T, o Options) *world {
	t.Helper()
	if o.Listen == "" {
		o.Listen = "127.0.0.1:0"
	}
	if o.Tickets == nil {
		o.Tickets = NewTickets(time.Hour)
	}
	g := New(o)
	engine, err := natsd.Start(natsd.Options{User: "own", Password: "p", Login: g.Login})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(engine.Shutdown)
	if err := g.Open(engine.InProcessConn); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.Close)
	w := &world{T: t, gate: g, url: "nats://" + g.Addr().String()}
	if w.own, err = natsbus.Connect(t.Context(), natsbus.Options{InProcess: engine, User: "own", Password: "p", Memory: true, Sweeps: true}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.own.Close() })
	if w.table, err = w.own.Create(t.Context(), "job_j"); err != nil {
		t.Fatal(err)
	}
	return w
}

// connect connects with the library that others would use.
func (w *world) connect(name, password string, more ...nats.Option) (*nats.Conn, error) {
	return nats.Connect(w.url, append([]nats.Option{nats.UserInfo(name, password), nats.NoReconnect(), nats.CustomInboxPrefix("_INBOX." + name[strings.IndexByte(name, '.')+1:])}, more...)...)
}

// as is a connection of our own kind.
func (w *world) as(role trust.Role, id, password string) *natsbus.Bus {
	w.Helper()
	b, err := natsbus.Connect(w.Context(), natsbus.Options{URL: w.url, User: Name(role, id), Password: password, Inbox: Inbox(id), AskToSweep: true})
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { b.Close() })
	return b
}

func TestAPasswordIsNeededAndARole(t *testing.T) {
	w := open(t, Options{Password: password})
	for _, c := range [][2]string{
		{"operator.a-local", "x"}, {"operator.a-local", ""}, {"operator.a-other", password}, {"own.x", "p"}, {"hydra.x", password},
		{"job.a-local", password}, {"job.a-local", "e30.e30"}, {"job.a-local", w.gate.o.Tickets.Issue("b-local", "j")},
		{"job.a-local", NewTickets(time.Hour).Issue("a-local", "j")}, {"job.a-local", NewTickets(-time.Second).Issue("a-local", "j")},
	} {
		nc, err := w.connect(c[0], c[1])
		if err == nil {
			nc.Close()
		}
		if !errors.Is(err, nats.ErrAuthorization) {
			t.Errorf("%s with %.20q: %v", c[0], c[1], err)
		}
	}
	for _, role := range []trust.Role{trust.Admin, trust.Operator, trust.Viewer, trust.Client} {
		nc, err := w.connect(Name(role, "a-local"), password)
		if err != nil {
			t.Errorf("%s: %v", role, err)
			continue
		}
		nc.Close()
	}
	expired := NewTickets(-time.Second)
	expired.key = w.gate.o.Tickets.key
	if _, err := w.connect("job.a-local", expired.Issue("a-local", "j")); err == nil || !strings.Contains(err.Error(), expiredText) {
		t.Errorf("with an expired ticket: %v", err)
	}
}

func TestATicketEndsTheConnectionToo(t *testing.T) {
	w := open(t, Options{Password: password, Tickets: NewTickets(200 * time.Millisecond)})
	ended := make(chan error, 2)
	_, err := w.connect("job.a-local", w.gate.o.Tickets.Issue("a-local", "j"),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { ended <- err }),
		nats.ClosedHandler(func(nc *nats.Conn) { ended <- nc.LastError() }))
	if err != nil {
		t.Fatal(err)
	}
	if err := <-ended; !errors.Is(err, nats.ErrAuthExpired) {
		t.Error(err)
	}
}

// TestAClientReachesOnlyWhatIsItsOwn has a client with a ticket do all that a session
// does, and try what it may not.
func TestAClientReachesOnlyWhatIsItsOwn(t *testing.T) {
	w := open(t, Options{Password: password})
	other, err := w.own.Create(t.Context(), "job_k")
	if err != nil {
		t.Fatal(err)
	}
	for key, table := range map[string]bus.Table{"spec": w.table, "l.state": w.table, "l.s.b-local.s1": w.table, "l.s.a-local.x": other} {
		if _, err := table.Put(t.Context(), key, []byte("theirs"), 0); err != nil {
			t.Fatal(err)
		}
	}
	b := w.as(job, "a-local", w.gate.o.Tickets.Issue("a-local", "j"))
	table, err := b.Open(t.Context(), "job_j")
	if err != nil {
		t.Fatal(err)
	}
	watch, err := table.Watch(t.Context(), "l.")
	if err != nil {
		t.Fatal(err)
	}
	defer watch.Stop()
	large := []byte(strings.Repeat("0123456789abcdef", 1<<18)) // compressed, and in parts if it is not
	for i := range large {
		large[i] += byte(i * i >> 7)
	}
	for _, key := range []string{"l.s.a-local.s1", "d.a-local.s1.1", "e.a-local.s1.0", "x.a-local.s1.000000000001", "o.a-local.s1.0", "m.s.a-local.s1-1.1", "m.u.a-local.s1-1.1", "m.c.all.a-local.s1-1.1", "m.c.b-local.a-local.s1-1.1", "m.n"} {
		rev, err := table.Put(t.Context(), key, large, 0)
		if err == nil {
			_, err = table.Put(t.Context(), key, large[1:], rev)
		}
		if err != nil {
			t.Errorf("put %s: %v", key, err)
		}
	}
	if err := table.Delete(t.Context(), "d.a-local.s1.1"); err != nil {
		t.Error(err)
	}
	for _, key := range []string{"spec", "l.state", "l.s.b-local.s1", "l.s.a-local.s1"} {
		if _, err := table.Get(t.Context(), key); err != nil {
			t.Errorf("get %s: %v", key, err)
		}
	}
	if all, err := table.List(t.Context(), "l."); err != nil || len(all) != 3 {
		t.Errorf("%d keys, %v", len(all), err)
	}
	for v := range watch.Updates() {
		if v.Key == "l.s.a-local.s1" {
			break
		}
	}

	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for _, key := range []string{"spec", "l.state", "l.s.b-local.s1", "l.s.ab-local.s1", "d.b-local.s1.1", "x.b-local.s1.000000000001", "m.s.b-local.s1-1.1", "m.u.x", "claim.s", "a.x"} {
		v, _ := w.table.Get(ctx, key)
		if _, err := table.Put(ctx, key, []byte("mine"), v.Rev); !errors.Is(err, bus.ErrAuth) || errors.Is(err, bus.ErrUnknown) {
			t.Errorf("put %s: %v", key, err)
		}
		if now, _ := w.table.Get(ctx, key); now.Rev != v.Rev {
			t.Errorf("%s was written", key)
		}
	}
	if _, err := b.Request(ctx, "hydra.ask.operator.a-local", nil); !errors.Is(err, bus.ErrAuth) {
		t.Errorf("to ask as an operator: %v", err)
	}

	// What a client of NATS could try that does not go by our rules.
	nc, err := w.connect("job.a-local", w.gate.o.Tickets.Issue("a-local", "j"))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	for _, subject := range []string{
		"$JS.API.STREAM.DELETE.HYDRA_job_j", "$JS.API.STREAM.PURGE.HYDRA_job_j", "$JS.API.STREAM.UPDATE.HYDRA_job_j", "$JS.API.STREAM.CREATE.X",
		"$JS.API.STREAM.MSG.DELETE.HYDRA_job_j", "$JS.API.STREAM.NAMES", "$JS.API.STREAM.LIST", "$JS.API.CONSUMER.NAMES.HYDRA_job_j", "$JS.API.INFO",
		"$JS.API.STREAM.INFO.HYDRA_job_k", "$JS.API.STREAM.MSG.GET.HYDRA_job_k", "$JS.API.CONSUMER.CREATE.HYDRA_job_k.c.hydra.t.>", "$JS.API.DIRECT.GET.HYDRA_job_k",
		"$JS.API.CONSUMER.DURABLE.CREATE.HYDRA_job_j.d", "$SYS.REQ.SERVER.PING", "hydra.m.hydra.beat.a-local", "hydra.m.hydra.order.b-local", "hydra.sweep.job_j.x.l.state",
	} {
		if err := refusedBy(nc, subject); err != nil {
			t.Errorf("%s: %v", subject, err)
		}
	}
	if _, err := w.own.Open(t.Context(), "job_j"); err != nil {
		t.Error(err)
	}
	for _, subject := range []string{"hydra.m.>", "_INBOX.>", "_INBOX.b-local.>", "hydra.t.>", "$JS.>", "$SYS.>", ">"} {
		if err := deafTo(nc, subject); err != nil {
			t.Errorf("%s: %v", subject, err)
		}
	}
}

// refusedBy tells whether the engine refuses a message, and with a word for it.
func refusedBy(nc *nats.Conn, subject string) error {
	said := make(chan error, 8)
	nc.SetErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { said <- err })
	if err := nc.PublishRequest(subject, nc.NewRespInbox(), []byte("{}")); err != nil {
		return err
	}
	return isRefused(said)
}

func deafTo(nc *nats.Conn, subject string) error {
	said := make(chan error, 8)
	nc.SetErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { said <- err })
	sub, err := nc.SubscribeSync(subject)
	if err != nil {
		return err
	}
	defer sub.Unsubscribe()
	return isRefused(said)
}

func isRefused(said <-chan error) error {
	select {
	case err := <-said:
		if !errors.Is(err, nats.ErrPermissionViolation) {
			return err
		}
		return nil
	case <-time.After(10 * time.Second):
		return errors.New("not refused")
	}
}

func TestAViewerOnlyReads(t *testing.T) {
	w := open(t, Options{Password: password})
	if _, err := w.table.Put(t.Context(), "l.state", []byte("s"), 0); err != nil {
		t.Fatal(err)
	}
	table, err := w.as(trust.Viewer, "v-local", password).Open(t.Context(), "job_j")
	if err != nil {
		t.Fatal(err)
	}
	if v, err := table.Get(t.Context(), "l.state"); err != nil || string(v.Data) != "s" {
		t.Errorf("%q, %v", v.Data, err)
	}
	for _, key := range []string{"l.state", "m.n", "o.a-local.s1.0", "m.s.u1.1"} {
		if _, err := table.Put(t.Context(), key, nil, 0); !errors.Is(err, bus.ErrAuth) {
			t.Errorf("put %s: %v", key, err)
		}
	}
	table, err = w.as(trust.Operator, "o-local", password).Open(t.Context(), "job_j")
	if err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]error{"l.state": bus.ErrAuth, "l.s.a-local.s1": bus.ErrAuth, "x.a-local.s1.1": bus.ErrAuth, "spec": bus.ErrAuth, "m.n": nil, "m.s.u1.1": nil, "o.a-local.s1.0": nil} {
		if _, err := table.Put(t.Context(), key, nil, 0); !errors.Is(err, want) {
			t.Errorf("an operator puts %s: %v", key, err)
		}
	}
}

func TestOnlyTheLoopbackIsListenedOnWithoutTLS(t *testing.T) {
	for _, listen := range []string{"0.0.0.0:0", ":0", "[::]:0", "192.0.2.1:4222", "localhost:4222", "[::ffff:192.0.2.1]:0"} {
		if err := New(Options{Listen: listen, Password: password}).Open(nil); !errors.Is(err, natsd.ErrLoopback) {
			t.Errorf("%s: %v", listen, err)
		}
	}
	if err := New(Options{Listen: "127.0.0.1:0"}).Open(nil); err == nil || !strings.Contains(err.Error(), "password") {
		t.Errorf("without a password: %v", err)
	}
}
