// Package gate lets connections in to the engine of this process: it decides who they
// are and what they may say.
//
// The engine listens nowhere. A connection comes in here, proves who it is, and is
// then joined to one of the engine's own, with the rights of its role:
//
//	accept ─► limits ─► TLS ─┬─ "http/1.1" ─► the HTTP handler: joining
//	          per address    └─ anything else ─► CONNECT ─► rights ─► the engine
//
// All that comes from outside is read here first, line by line, and has a limit: see
// filter.
package gate

import (
	"context"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"syscall"
	"time"

	"golang.org/x/time/rate"

	"github.com/hydrawalk/hydra/internal/natsd"
	"github.com/hydrawalk/hydra/internal/trust"
)

// Options of a gate.
type Options struct {
	// Listen is host:port. Without TLS it has to be of the loopback.
	Listen string
	// TLS is nil, or has certificates and nothing else.
	TLS *tls.Config
	// Verify tells whose chain of certificates a connection has shown; the first one
	// is its own, and that it has the key was proved. Only with TLS.
	Verify func(chain []*x509.Certificate) (trust.Identity, error)
	// Password is asked for without TLS: who knows it is [Local].
	Password string
	// HTTP answers requests on connections that want to speak HTTP. Only with TLS.
	HTTP http.Handler
	// Tickets are those that the server hands out.
	Tickets *Tickets
	Log     *slog.Logger
}

// The roles of names, which are those of identities, and that of a client with a ticket.
const job trust.Role = "job"

// Local is the identity of all who know the password.
const Local = "local"

// may tells whether somebody of one role can connect as another: an admin as any, and an
// operator as a viewer.
func may(is, as trust.Role) bool {
	switch as {
	case trust.Client, job:
		return is == trust.Client || is == trust.Admin
	case trust.Viewer:
		return is == trust.Viewer || is == trust.Operator || is == trust.Admin
	case trust.Operator:
		return is == trust.Operator || is == trust.Admin
	}
	return is == trust.Admin && as == trust.Admin
}

// Gate is open until Close.
type Gate struct {
	o       Options
	log     *slog.Logger
	l       net.Listener
	engine  func() (net.Conn, error)
	http    *http.Server
	knocks  chan net.Conn // for http
	life    context.Context
	end     context.CancelFunc
	wg      sync.WaitGroup
	crowd   crowd
	guesses guesses
	said    *rate.Limiter // lines about those who are not let in

	mu     sync.Mutex
	passes map[string]natsd.Rights // that Login was not asked for yet
}

// New makes a gate that nobody can come through yet: the engine is started with its
// Login, and Open is called then.
func New(o Options) *Gate {
	g := &Gate{o: o, log: o.Log, knocks: make(chan net.Conn), passes: map[string]natsd.Rights{}, said: rate.NewLimiter(rate.Every(10*time.Second), 20)}
	if g.log == nil {
		g.log = slog.New(slog.DiscardHandler)
	}
	g.life, g.end = context.WithCancel(context.Background())
	g.crowd.init()
	g.guesses.init()
	return g
}

// Login is for the engine: the rights of a connection that came through.
func (g *Gate) Login(user, password string) (natsd.Rights, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	r, ok := g.passes[password]
	delete(g.passes, password)
	return r, ok
}

// Open begins to listen. engine makes a connection to the engine.
func (g *Gate) Open(engine func() (net.Conn, error)) error {
	if err := g.check(); err != nil {
		return err
	}
	l, err := net.Listen("tcp", g.o.Listen)
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("listen on %s: address already %w", g.o.Listen, natsd.ErrInUse)
	}
	if err != nil {
		return err
	}
	g.l, g.engine = l, engine
	if g.o.TLS != nil && g.o.HTTP != nil {
		g.serveHTTP()
	}
	g.wg.Go(g.accept)
	return nil
}

// check makes sure that nobody can come in without proof.
func (g *Gate) check() error {
	host, _, err := net.SplitHostPort(g.o.Listen)
	if err != nil {
		return fmt.Errorf("listen on %q: %w", g.o.Listen, err)
	}
	switch {
	case g.o.TLS != nil && g.o.Verify == nil:
		return fmt.Errorf("listen on %s: TLS without a way to tell who connects", g.o.Listen)
	case g.o.TLS != nil:
		return nil
	case g.o.Password == "":
		return fmt.Errorf("listen on %s: a password is needed: this machine may have other users", g.o.Listen)
	}
	// A name could be resolved to any address.
	if ip := net.ParseIP(host); ip == nil || !ip.IsLoopback() {
		return fmt.Errorf("listen on %s: %w", g.o.Listen, natsd.ErrLoopback)
	}
	return nil
}

// Addr is where it listens.
func (g *Gate) Addr() net.Addr { return g.l.Addr() }

// Close ends all connections and waits for that.
func (g *Gate) Close() {
	g.end()
	if g.l != nil {
		g.l.Close()
	}
	if g.http != nil {
		g.http.Close()
	}
	g.crowd.cut(func(*visitor) bool { return true })
	g.wg.Wait()
}

// Cut ends the connections of an identity. It is called when that was revoked.
func (g *Gate) Cut(identity string) {
	g.crowd.cut(func(v *visitor) bool { return v.identity == identity })
}

// accept takes connections in. That the machine has no descriptors left passes.
func (g *Gate) accept() {
	for pause := time.Duration(0); ; {
		conn, err := g.l.Accept()
		if err == nil {
			pause = 0
			g.wg.Go(func() { g.visit(conn) })
			continue
		}
		if g.life.Err() != nil || errors.Is(err, net.ErrClosed) {
			return
		}
		if pause == 0 {
			g.log.Warn("a connection can not be taken", "err", err)
		}
		pause = min(max(2*pause, 5*time.Millisecond), time.Second)
		select {
		case <-time.After(pause):
		case <-g.life.Done():
			return
		}
	}
}

// knockTime is how long a connection may take to prove who it is.
const knockTime = 10 * time.Second

// visit is the life of a connection.
func (g *Gate) visit(conn net.Conn) {
	v := g.crowd.enter(conn)
	if v == nil {
		conn.Close()
		return
	}
	defer g.crowd.leave(v)
	if g.life.Err() != nil {
		return
	}
	_ = conn.SetDeadline(time.Now().Add(knockTime))
	if g.o.TLS != nil {
		secure := tls.Server(conn, g.config())
		if err := secure.HandshakeContext(g.life); err != nil {
			g.log.Debug("no TLS", "from", conn.RemoteAddr(), "err", err)
			return
		}
		v.conn = secure
		if secure.ConnectionState().NegotiatedProtocol == "http/1.1" {
			g.hand(v)
			return
		}
	}
	if err := g.serve(v); err != nil {
		g.log.Debug("connection ended", "from", conn.RemoteAddr(), "identity", v.identity, "err", err)
	}
}

// config is that of one connection. That there is a certificate and whose it is, is
// decided later, where it can be told why not.
func (g *Gate) config() *tls.Config {
	c := g.o.TLS.Clone()
	c.MinVersion = tls.VersionTLS13
	c.ClientAuth = tls.RequestClientCert
	c.NextProtos = []string{Protocol}
	c.SessionTicketsDisabled = true // who was revoked meanwhile begins anew
	if g.o.HTTP != nil {
		c.NextProtos = append(c.NextProtos, "http/1.1")
	}
	return c
}

// Protocol is what connections to the engine name in their handshake. Those that name
// none are taken for such too.
const Protocol = "hydra/1"

// identify tells who has made a connection, from what it says of itself in CONNECT.
func (g *Gate) identify(v *visitor, password string) (trust.Identity, error) {
	secure, ok := v.conn.(*tls.Conn)
	if !ok {
		if subtle.ConstantTimeCompare([]byte(password), []byte(g.o.Password)) != 1 {
			return trust.Identity{}, errors.New("wrong password")
		}
		return trust.Identity{ID: Local, Role: trust.Admin}, nil
	}
	chain := secure.ConnectionState().PeerCertificates
	if len(chain) == 0 {
		return trust.Identity{}, errors.New("no certificate")
	}
	return g.o.Verify(chain)
}

// Messages to somebody who may not come in; the library on the other side knows them.
const (
	refusedText = "Authorization Violation"
	expiredText = "User Authentication Expired"
	revokedText = "User Authentication Revoked"
)

func refusal(err error) string {
	switch {
	case errors.Is(err, trust.ErrExpired):
		return expiredText
	case errors.Is(err, trust.ErrRevoked):
		return revokedText
	}
	return refusedText
}

// refused says that somebody was not let in, or was cut off. Of many not all are worth a
// line.
func (g *Gate) refused(v *visitor, what, as string, why error) {
	level := slog.LevelDebug
	if g.said.Allow() {
		level = slog.LevelWarn
	}
	g.log.Log(context.Background(), level, what, "from", v.raw.RemoteAddr().String(), "as", fmt.Sprintf("%.60q", as), "why", why)
}

// pass makes a password that is good for one connection.
func (g *Gate) pass(r natsd.Rights) string {
	p := randomText()
	g.mu.Lock()
	defer g.mu.Unlock()
	g.passes[p] = r
	return p
}

// void forgets a pass that may not have been used.
func (g *Gate) void(pass string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.passes, pass)
}
