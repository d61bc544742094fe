// Package natsd runs a NATS server inside this process.
package natsd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// Options are what Start needs.
type Options struct {
	// Listen is host:port of the loopback, by number; port 0: any that is free. Whoever
	// has User and Password may do all there. It is for tests, in which this is an
	// engine that runs elsewhere. "": the server is reached in this process only.
	Listen string
	// StateDir is where tables are; it is made if need be, with mode 0700. "": a
	// directory that is removed at shutdown.
	StateDir string
	// User and Password are required of all connections that may do all, also those of
	// this process, if there is an address to listen on, or Login.
	User, Password string
	// Login tells what another user may do. Any goroutine calls it, once for each
	// connection.
	Login func(user, password string) (Rights, bool)
	// Locked is the state directory's lock, from Lock, if the caller has it already. It is
	// the server's from then on.
	Locked *os.File
	// MaxPayload is the size of the largest message in bytes; 0: 8 MiB.
	MaxPayload int
	// Log takes what the server has to say; nil: nothing is said.
	Log *slog.Logger
}

// These errors tell what to do about Start.
var (
	ErrInUse    = errors.New("in use: is another server running?") // address or state directory
	ErrLoopback = errors.New("only a loopback address is listened on without TLS")
)

// A Server runs until Shutdown.
type Server struct {
	s      *server.Server
	log    *logger
	lock   *os.File
	remove string // directory to remove at last
}

// Start returns when connections are accepted and the tables of the state
// directory are there.
func Start(o Options) (*Server, error) {
	so := &server.Options{
		ServerName:             "hydra",
		DontListen:             o.Listen == "",
		Username:               o.User,
		Password:               o.Password,
		MaxPayload:             8 << 20,
		NoSigs:                 true,
		NoLog:                  true,
		DisableJetStreamBanner: true,
		JetStream:              true,
		JetStreamMaxMemory:     math.MaxInt64 / 4, // the disk itself is the limit, and not a
		JetStreamMaxStore:      math.MaxInt64 / 4, // part of what was free at the start
		SyncAlways:             true,
		// A client that is busy may leave a large value unread for a while.
		MaxPending:    64 << 20,
		AuthTimeout:   15, // seconds; who comes from outside has less time at the gate
		WriteDeadline: time.Minute,
		PingInterval:  20 * time.Second, // a client that is gone is noticed within a minute
	}
	if o.MaxPayload > 0 {
		so.MaxPayload = int32(min(o.MaxPayload, math.MaxInt32))
	}
	if o.Login != nil {
		so.CustomClientAuthentication = &logins{o}
		so.Username, so.Password = "", ""
	}
	if o.Listen != "" {
		host, port, err := loopback(o.Listen)
		if err != nil {
			return nil, err
		}
		if o.User == "" || o.Password == "" {
			return nil, fmt.Errorf("listen on %s: a user and a password are needed: this machine may have other users", o.Listen)
		}
		so.Host, so.Port = host, port
	}
	srv := &Server{lock: o.Locked}
	err := srv.claim(o.StateDir, so)
	if err == nil {
		err = srv.start(so, o.Log)
	}
	if err != nil {
		srv.Shutdown()
		return nil, err
	}
	return srv, nil
}

func loopback(listen string) (host string, port int, err error) {
	host, p, err := net.SplitHostPort(listen)
	if err != nil {
		return "", 0, fmt.Errorf("listen on %q: %w", listen, err)
	}
	number, err := strconv.ParseUint(p, 10, 16)
	if err != nil {
		return "", 0, fmt.Errorf("listen on %q: port: %w", listen, err)
	}
	// A name could be resolved to any address.
	if ip, err := netip.ParseAddr(host); err != nil || !ip.IsLoopback() {
		return "", 0, fmt.Errorf("listen on %s: %w", listen, ErrLoopback)
	}
	if number == 0 {
		return host, server.RANDOM_PORT, nil
	}
	return host, int(number), nil
}

// claim takes the state directory for this server alone.
func (s *Server) claim(dir string, so *server.Options) error {
	if dir == "" {
		temp, err := os.MkdirTemp("", "hydra-natsd-")
		if err != nil {
			return err
		}
		dir, s.remove = temp, temp
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("state directory: %w", err)
	}
	// It is not changed: it may be one that others need.
	if st, err := os.Stat(dir); err != nil {
		return fmt.Errorf("state directory: %w", err)
	} else if runtime.GOOS != "windows" && st.Mode().Perm()&0o077 != 0 {
		return fmt.Errorf("state directory: others can read %s: chmod 700 it, or name another one", dir)
	}
	if s.lock == nil {
		f, err := Lock(dir)
		if err != nil {
			return err
		}
		s.lock = f
	}
	so.StoreDir = dir
	return nil
}

// LockFile is the file of a state directory that its server has locked.
const LockFile = "lock"

// Lock takes a state directory, as a server does, until the file is closed.
func Lock(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, LockFile), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("state directory: %w", err)
	}
	if err := lock(f); err != nil {
		f.Close()
		return nil, fmt.Errorf("state directory %s: %w", dir, err)
	}
	return f, nil
}

func (s *Server) start(so *server.Options, log *slog.Logger) error {
	ns, err := server.NewServer(so)
	if err != nil {
		return fmt.Errorf("start NATS server: %w", err)
	}
	s.s = ns
	s.log = newLogger(log)
	ns.SetLoggerV2(s.log, s.log.log.Enabled(context.Background(), slog.LevelDebug), false, false)
	ns.Start()
	switch err := s.log.fatal(); {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("listen on %s:%d: address already %w", so.Host, so.Port, ErrInUse)
	case err != nil:
		return fmt.Errorf("start NATS server: %w", err)
	}
	if !ns.ReadyForConnections(10 * time.Second) {
		return errors.New("start NATS server: it is not ready")
	}
	return nil
}

// Addr is the address that is listened on, nil if there is none.
func (s *Server) Addr() net.Addr { return s.s.Addr() }

// URL is what clients on this machine connect to, "" if they can not.
func (s *Server) URL() string {
	if a := s.Addr(); a != nil {
		return "nats://" + a.String()
	}
	return ""
}

// InProcessConn is a connection of this process: the server itself serves as
// nats.InProcessConnProvider.
func (s *Server) InProcessConn() (net.Conn, error) { return s.s.InProcessConn() }

// Failed is closed when the server can not write to its disk any more, and Err says
// why. It answers no writes from then on, and does not tell its clients.
func (s *Server) Failed() <-chan struct{} { return s.log.failed }

// Err is nil until Failed is closed.
func (s *Server) Err() error {
	if err := s.log.fatal(); err != nil {
		return fmt.Errorf("NATS server: %w", err)
	}
	return nil
}

// Shutdown ends all connections, closes the tables, and waits for that.
func (s *Server) Shutdown() {
	if s.s != nil {
		if s.s.Running() {
			s.logTraffic()
		}
		s.s.Shutdown()
		s.s.WaitForShutdown()
	}
	if s.lock != nil {
		s.lock.Close() // which unlocks it
		s.lock = nil
	}
	if s.remove != "" {
		os.RemoveAll(s.remove)
		s.remove = ""
	}
}
