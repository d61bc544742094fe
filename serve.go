package hydra

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/hydrawalk/hydra/internal/bus"
	"github.com/hydrawalk/hydra/internal/client"
	"github.com/hydrawalk/hydra/internal/natsd"
	"github.com/hydrawalk/hydra/internal/server"
	"github.com/hydrawalk/hydra/internal/trust"
	"github.com/hydrawalk/hydra/internal/wire"
)

// DefaultAddress is where a server listens if nothing else is said.
const DefaultAddress = "127.0.0.1:8101"

// These errors tell why there is no connection to a server, or no server.
var (
	// ErrInUse: another server has the address or the state directory.
	ErrInUse = natsd.ErrInUse
	// ErrUnreachable: nobody answers there.
	ErrUnreachable = bus.ErrUnreachable
	// ErrUnauthorized: the server refuses the credential, or there is none.
	ErrUnauthorized = bus.ErrAuth
)

// ServeOptions of a server.
type ServeOptions struct {
	// Listen is host:port, "" for [DefaultAddress]. On the loopback a credential is asked
	// for, which commands and clients of the same user find. On any other address there
	// is TLS, with certificates on both sides: see TLSCert, and [Server.CreateToken].
	Listen string
	// StateDir holds the jobs. "" is a directory of the user's own, which Serve
	// puts here before it calls Ready.
	StateDir string
	// NATS is the URL of an engine that runs elsewhere. It is used instead of an
	// own one, and Listen and StateDir are not.
	NATS string
	// Access is for NATS. Without that, TLSCert and TLSKey are the certificate of the
	// server and TLSCA is whose certificates are taken: all three, or none, which is a
	// CA of the server's own. The role of such a certificate is an organisational unit of
	// its subject: hydra-client, hydra-operator, hydra-viewer or hydra-admin.
	Access
	// Apps are applications of which a part runs on the server: see [App.Server].
	Apps []Application
	// Ready is called when clients can join.
	Ready func(Serving)
	// Logger gets what the server does: a line when something changes.
	Logger *slog.Logger

	ticketLife time.Duration // of the tickets that clients get; 0: as is right
}

// Serving says how a server can be reached.
type Serving struct {
	Address string // that clients and commands need
	TLS     bool   // who joins needs a certificate
	Tokens  bool   // which the server gives for a token
}

// Serve runs a server until ctx is cancelled, and returns nil then. Jobs that it
// had when it ended before, however that was, go on.
func Serve(ctx context.Context, o *ServeOptions) error {
	if o == nil {
		o = &ServeOptions{}
	}
	log := (&Options{Logger: o.Logger}).logger("server")
	var apps []server.App
	for _, app := range o.Apps {
		d, err := isDistributed(app)
		if err != nil {
			return err
		}
		apps = append(apps, d.server(o.Logger))
	}
	so := server.Options{Logger: o.Logger, Apps: apps}
	if o.NATS != "" {
		return serveElsewhere(ctx, o, so, log)
	}
	if o.Token != "" {
		return &UsageError{errors.New("a token is for those who join a server, and not for the server")}
	}

	if o.Listen == "" {
		o.Listen = DefaultAddress
	}
	at, err := resolve(o.Listen)
	if err != nil {
		return err
	}
	if o.StateDir == "" {
		if o.StateDir, err = stateDir(at); err != nil {
			return err
		}
	}
	// Nobody else is to change what is there from here on.
	if err := os.MkdirAll(o.StateDir, 0o700); err != nil {
		return fmt.Errorf("the state directory %s can not be used: %w", o.StateDir, err)
	}
	locked, err := natsd.Lock(o.StateDir)
	if err != nil {
		return err
	}
	door, err := newDoor(o, at, log)
	if err != nil {
		locked.Close()
		return err
	}
	engine, err := startEngine(o.StateDir, locked, door.gate, log)
	switch {
	case errors.Is(err, natsd.ErrLoopback):
		return &UsageError{err}
	case err != nil:
		return err
	}
	defer engine.Shutdown()
	at.setPort(engine.gate.Addr())
	if err := door.tell(at); err != nil {
		return err
	}
	b, err := engine.connect(ctx, "server")
	if err != nil {
		return err
	}
	defer b.Close()
	if o.Ready != nil {
		o.Ready(Serving{Address: at.shown(), TLS: door.secure, Tokens: door.authority != nil})
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	wg.Go(func() {
		// It answers no writes any more.
		select {
		case <-engine.Failed():
			cancel()
		case <-ctx.Done():
		}
	})
	wg.Go(func() { door.keepTold(ctx, at, log) })
	so.Bus, so.Own = b, namedDirs(o.StateDir)
	so.Ticket, so.TicketLife = door.ticket, door.tickets.Life()
	if door.authority != nil {
		so.Tokens = door.tokens
	}
	return cmp.Or(server.Run(ctx, so), engine.Err())
}

// serveElsewhere serves with an engine that runs elsewhere.
func serveElsewhere(ctx context.Context, o *ServeOptions, so server.Options, log *slog.Logger) error {
	at, err := resolve(o.NATS)
	if err != nil {
		return err
	}
	if at.scheme == "" {
		return &UsageError{fmt.Errorf("%s is no engine that runs elsewhere: use nats://HOST:PORT or tls://HOST:PORT", o.NATS)}
	}
	g := &guest{at: at, access: o.Access, name: "server", log: log}
	b, err := g.dial(ctx, true, nil)
	if err != nil {
		if ctx.Err() != nil {
			return nil // it had not begun
		}
		return err
	}
	defer b.Close()
	if o.Ready != nil {
		o.Ready(Serving{Address: at.shown()})
	}
	so.Bus = b
	return server.Run(ctx, so)
}

// WorkOptions of a client.
type WorkOptions struct {
	// Workers is the number of directories that are read at a time; 0 adapts.
	Workers int
	// Once ends the client when a job that it worked on has ended.
	Once bool
	// Access is how to prove to the server that this is a client.
	Access
	// Records is a directory for what applications record: see [Worker.Record].
	// "": nothing is recorded.
	Records string
	// Allow names the applications that may change something on this host. Those that
	// change nothing (see [App.Changes]) always run, and so do dry runs (see [App.DryRun]);
	// the client refuses other jobs, whatever the server says of them.
	Allow []string
	// Root is a directory in which all paths of jobs have to lie; the client refuses other
	// jobs. It is opened once, when the client starts, and nothing leads out of it, as
	// [walk.Within] says. Commands that jobs run are not confined. "": no bound.
	Root string
	// RunAs is the user, by name or number, as whom commands run: those of exec, and of
	// other applications that keep to [Worker.RunAs]. It is looked up once, when the client
	// starts, which has to be root, or to have the capabilities for it. "": they run as
	// whoever runs the client.
	RunAs string
	// Joined, when set, is called each time when a server has taken the client in.
	Joined func()
	// Logger gets what the client does: a line when something changes.
	Logger *slog.Logger
}

// Work works on the jobs of a server, those of the given applications, until ctx
// is cancelled; then it gives its work back and returns nil. address is
// HOST[:PORT] or a URL. It waits for a server that is not there.
func Work(ctx context.Context, address string, o *WorkOptions, apps ...Application) error {
	if o == nil {
		o = &WorkOptions{}
	}
	log := (&Options{Logger: o.Logger}).logger("client")
	if err := checkRecords(o.Records); err != nil {
		return err
	}
	rules, err := newHostRules(ctx, o, apps)
	if err != nil {
		return err
	}
	defer rules.root.Close()
	if rules.runAs == nil && os.Geteuid() == 0 && rules.runsCommands(apps) {
		log.Warn("whoever may submit jobs can run commands as root on this host: --run-as USER takes that away")
	}
	var known []client.App
	for _, app := range apps {
		d, err := isDistributed(app)
		if err != nil {
			return err
		}
		known = append(known, d.clientUnder(rules, o.Records))
	}
	at, err := resolve(address)
	if err != nil {
		return err
	}
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	g := &guest{at: at, access: o.Access, role: trust.Client, name: "client", log: log}
	b, err := g.dial(ctx, true, end)
	if err != nil {
		if ctx.Err() != nil {
			return nil // it had nothing yet
		}
		return err
	}
	defer b.Close()
	co := client.Options{Bus: b, Apps: known, Workers: o.Workers, Once: o.Once, Joined: o.Joined, Logger: o.Logger, ID: g.clientID()}
	if at.scheme == "" {
		co.Dial = g.ticketed
	}
	err = client.Work(ctx, co)
	if why := context.Cause(ctx); errors.Is(why, bus.ErrRevoked) {
		return why
	}
	return err
}

// ConnectOptions of a connection to a server.
type ConnectOptions struct {
	// Access is how to prove to the server who one is.
	Access
	// Wait waits for a server that is not there.
	Wait bool
	// Logger gets what goes wrong meanwhile.
	Logger *slog.Logger
}

// Connect connects to a server: HOST[:PORT] or a URL. The error is
// [ErrUnreachable] or [ErrUnauthorized], or ctx's.
func Connect(ctx context.Context, address string, o *ConnectOptions) (*Server, error) {
	if o == nil {
		o = &ConnectOptions{}
	}
	at, err := resolve(address)
	if err != nil {
		return nil, err
	}
	log := (&Options{Logger: o.Logger}).logger("hydra")
	g := &guest{at: at, access: o.Access, name: "command", log: log}
	b, err := g.dial(ctx, o.Wait, nil)
	if err != nil {
		return nil, err
	}
	s := &Server{bus: b, rank: g.rank(), name: g.id, address: at.shown(), log: log}
	if err := s.find(ctx, o.Wait); err != nil {
		b.Close()
		return nil, err
	}
	return s, nil
}

// findTime is how long a server may be missing where its engine is: it may be
// starting.
const findTime = 10 * time.Second

// find makes sure that beside the engine there is a server.
func (s *Server) find(ctx context.Context, wait bool) error {
	if !wait {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, findTime, fmt.Errorf("%w: there is an engine at %s, but no hydra server answers", ErrUnreachable, s.address))
		defer cancel()
	}
	answer, err := s.exchange(ctx, wire.Ask{Kind: wire.AskStatus})
	if answer != nil {
		return nil // whatever it says: there is no job without a name
	}
	return err
}
