package hydra

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"net"
	"time"

	"github.com/hydrawalk/hydra/internal/bus"
	"github.com/hydrawalk/hydra/internal/bus/natsbus"
	"github.com/hydrawalk/hydra/internal/client"
	"github.com/hydrawalk/hydra/internal/natsd"
	"github.com/hydrawalk/hydra/internal/server"
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
	// Listen is host:port, "" for [DefaultAddress]. Only addresses of the loopback
	// are listened on, for there is no encryption yet.
	Listen string
	// StateDir holds the jobs. "" is a directory of the user's own, which Serve
	// puts here before it calls Ready.
	StateDir string
	// NATS is the URL of an engine that runs elsewhere. It is used instead of an
	// own one, and Listen and StateDir are not.
	NATS string
	// Creds is a file with the credential for NATS, if the user has no own one
	// for its address.
	Creds string
	// Apps are applications of which a part runs on the server: see [App.Server].
	Apps []Application
	// Ready is called when clients can join, with the address that they need.
	Ready func(address string)
	// Logger gets what the server does: a line when something changes.
	Logger *slog.Logger
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
	if o.NATS != "" {
		at, err := resolve(o.NATS)
		if err != nil {
			return err
		}
		b, err := dial(ctx, at, o.Creds, "server", true, log)
		if err != nil {
			if ctx.Err() != nil {
				return nil // it had not begun
			}
			return err
		}
		defer b.Close()
		if o.Ready != nil {
			o.Ready(at.shown())
		}
		return server.Run(ctx, server.Options{Bus: b, Logger: o.Logger, Apps: apps})
	}

	if o.Listen == "" {
		o.Listen = DefaultAddress
	}
	at, err := resolve(o.Listen)
	if err != nil {
		return err
	}
	if ip := net.ParseIP(at.host); ip == nil || !ip.IsLoopback() {
		return &UsageError{fmt.Errorf("listen on %s: %w", o.Listen, natsd.ErrLoopback)}
	}
	if o.StateDir == "" {
		if o.StateDir, err = stateDir(at); err != nil {
			return err
		}
	}
	cred, err := ownCredential(o.StateDir)
	if err != nil {
		return fmt.Errorf("the state directory %s can not be used: %w", o.StateDir, err)
	}
	engine, err := natsd.Start(natsd.Options{
		Listen: at.hostPort(), StateDir: o.StateDir, User: cred.User, Password: cred.Password, Log: log,
	})
	switch {
	case errors.Is(err, natsd.ErrLoopback):
		return &UsageError{err}
	case err != nil:
		return err
	}
	defer engine.Shutdown()
	at.setPort(engine.Addr())
	if err := writeCredential(at, cred); err != nil {
		return err
	}
	b, err := natsbus.Connect(ctx, natsbus.Options{InProcess: engine, User: cred.User, Password: cred.Password, Name: "server"})
	if err != nil {
		return err
	}
	defer b.Close()
	if o.Ready != nil {
		o.Ready(at.shown())
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		// It answers no writes any more.
		select {
		case <-engine.Failed():
			cancel()
		case <-ctx.Done():
		}
	}()
	so := server.Options{Bus: b, Logger: o.Logger, Apps: apps, Own: namedDirs(o.StateDir)}
	return cmp.Or(server.Run(ctx, so), engine.Err())
}

// WorkOptions of a client.
type WorkOptions struct {
	// Workers is the number of directories that are read at a time; 0 adapts.
	Workers int
	// Once ends the client when a job that it worked on has ended.
	Once bool
	// Creds is a file with the credential for the server, if the user has no own
	// one for its address.
	Creds string
	// Records is a directory for what applications record: see [Worker.Record].
	// "": nothing is recorded.
	Records string
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
	var known []client.App
	for _, app := range apps {
		d, err := isDistributed(app)
		if err != nil {
			return err
		}
		known = append(known, d.client(o.Records))
	}
	at, err := resolve(address)
	if err != nil {
		return err
	}
	b, err := dial(ctx, at, o.Creds, "client", true, log)
	if err != nil {
		if ctx.Err() != nil {
			return nil // it had nothing yet
		}
		return err
	}
	defer b.Close()
	return client.Work(ctx, client.Options{Bus: b, Apps: known, Workers: o.Workers, Once: o.Once, Joined: o.Joined, Logger: o.Logger})
}

// ConnectOptions of a connection to a server.
type ConnectOptions struct {
	// Creds is a file with the credential for the server, if the user has no own
	// one for its address.
	Creds string
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
	b, err := dial(ctx, at, o.Creds, "command", o.Wait, log)
	if err != nil {
		return nil, err
	}
	s := &Server{bus: b, address: at.shown(), log: log}
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

// dial connects to an engine. The credential is looked for before each attempt:
// a server that starts for the first time makes it.
func dial(ctx context.Context, at *address, creds, name string, wait bool, log *slog.Logger) (bus.Bus, error) {
	said, saidAt := "", time.Now()
	for pause := 100 * time.Millisecond; ; pause = min(2*pause, 5*time.Second) {
		cred, err := findCredential(at, creds)
		if err != nil && creds != "" {
			if errors.Is(err, fs.ErrPermission) {
				return nil, fmt.Errorf("%w: %w", ErrUnauthorized, err)
			}
			return nil, &UsageError{err}
		}
		o := natsbus.Options{URL: at.url(), Token: cred.Token, CredsFile: cred.file, Name: "hydra " + name}
		if cred.User != "" {
			// A server whose state directory was lost makes another one.
			o.Login = func() (user, password string) {
				if c, err := findCredential(at, creds); err == nil && c.User != "" {
					return c.User, c.Password
				}
				return cred.User, cred.Password
			}
		}
		b, dialErr := natsbus.Connect(ctx, o)
		if dialErr == nil {
			return b, nil
		}
		if err != nil && errors.Is(dialErr, bus.ErrAuth) {
			dialErr = fmt.Errorf("%w: %w", dialErr, err)
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if !wait {
			return nil, fmt.Errorf("server %s: %w", at.shown(), dialErr)
		}
		// Not each attempt is worth a line.
		if text := dialErr.Error(); text != said || time.Since(saidAt) >= time.Minute {
			said, saidAt = text, time.Now()
			log := log.With("address", at.shown())
			if creds != "" && errors.Is(dialErr, bus.ErrAuth) {
				log = log.With("creds", creds)
			}
			log.Warn("waiting for the server", "err", dialErr)
		}
		jitter := time.Duration(rand.Int64N(int64(pause)/4 + 1))
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(pause + jitter):
		}
	}
}
