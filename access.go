package hydra

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	mathrand "math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hydrawalk/hydra/internal/bus"
	"github.com/hydrawalk/hydra/internal/bus/natsbus"
	"github.com/hydrawalk/hydra/internal/gate"
	"github.com/hydrawalk/hydra/internal/ledger"
	"github.com/hydrawalk/hydra/internal/trust"
	"github.com/hydrawalk/hydra/internal/wire"
)

// Access says how to prove to a server who one is. The zero value is the credential that
// the user has for its address: one that a server of the same user made, or that a token
// was given for.
type Access struct {
	// Creds is a file with the credential, instead of the user's own.
	Creds string
	// Token is the text of a token, with which the server is joined if there is no
	// credential yet, or none that it takes. The new one is kept in Creds, or as the
	// user's own, so a token is needed once.
	Token string
	// TLSCert and TLSKey are files with a certificate of the site's own CA and its key,
	// in PEM, and TLSCA one with that CA, for servers that go by such: see
	// [ServeOptions]. For an engine that runs elsewhere each of them may be left out.
	TLSCA, TLSCert, TLSKey string
}

// check tells what does not fit together.
func (a *Access) check() error {
	switch {
	case (a.TLSCert == "") != (a.TLSKey == ""):
		return &UsageError{errors.New("a certificate and its key belong together: give both files")}
	case a.Token != "" && a.TLSCert != "":
		return &UsageError{errors.New("a token is for a certificate of the server's own CA, and there is one of another already: give one of them")}
	}
	if a.Token != "" {
		if _, err := trust.ParseToken(a.Token); err != nil {
			return &UsageError{err}
		}
	}
	return nil
}

// guest is this process at a server or an engine.
type guest struct {
	at     *address
	access Access
	role   trust.Role // Client; "": a command, whose role is that of the credential
	name   string     // of the connection, for people
	log    *slog.Logger

	mu   sync.Mutex
	cred credential // as it was found last
	who  trust.Identity
	id   string // of this process, in the name of who

	stranger atomic.Pointer[error] // why the other side is not the server
}

// connection is one to a server, with what it needs.
type connection struct {
	bus.Bus
	guest *guest
	end   func() // of the renewal
}

// Close implements [bus.Bus].
func (c *connection) Close() error {
	c.end()
	return c.Bus.Close()
}

// rank is what a command may ask for.
func (g *guest) rank() wire.Rank {
	if g.who.Role == "" {
		return wire.RankOperator // who may do what is for the engine to say
	}
	return wire.Rank(g.who.Role)
}

// dial connects. The credential is looked for before each attempt: a server that starts
// for the first time makes it.
func (g *guest) dial(ctx context.Context, wait bool, over func(error)) (*connection, error) {
	if err := g.access.check(); err != nil {
		return nil, err
	}
	said, saidAt := "", time.Now()
	for pause := 100 * time.Millisecond; ; pause = min(2*pause, 5*time.Second) {
		b, err := g.attempt(ctx, over)
		if err == nil {
			return b, nil
		}
		if _, usage := errors.AsType[*UsageError](err); usage {
			return nil, err
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if !wait || errors.Is(err, bus.ErrRevoked) || errors.Is(err, errRole) || errors.Is(err, errNoCredential) && !g.at.loopback() || g.access.Token != "" && errors.Is(err, ErrUnauthorized) {
			return nil, fmt.Errorf("server %s: %w", g.at.shown(), err)
		}
		// Not each attempt is worth a line.
		if text := err.Error(); text != said || time.Since(saidAt) >= time.Minute {
			said, saidAt = text, time.Now()
			log := g.log.With("address", g.at.shown())
			if g.access.Creds != "" && errors.Is(err, bus.ErrAuth) {
				log = log.With("creds", g.access.Creds)
			}
			log.Warn("waiting for the server", "err", err)
		}
		jitter := time.Duration(mathrand.Int64N(int64(pause)/4 + 1))
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(pause + jitter):
		}
	}
}

// attempt looks for a credential, or joins, and connects once.
func (g *guest) attempt(ctx context.Context, over func(error)) (*connection, error) {
	if g.at.scheme == "" {
		if err := g.find(ctx); err != nil {
			return nil, err
		}
	}
	o, err := g.options()
	if err != nil {
		return nil, err
	}
	var said atomic.Int64 // when, of an error that comes with each attempt
	o.Refused = func(err error) {
		if now := time.Now().Unix(); now-said.Load() >= 60 {
			said.Store(now)
			g.log.Error("the server does not let us in again", "err", err)
		}
		if over != nil && errors.Is(err, bus.ErrRevoked) {
			over(fmt.Errorf("server %s: %w", g.at.shown(), err))
		}
	}
	b, err := natsbus.Connect(ctx, *o)
	if stranger := g.stranger.Load(); err != nil && stranger != nil {
		return nil, fmt.Errorf("%w: %w: this is not the server that the credential is of; if it was set up anew, join it with a new token", ErrUnauthorized, *stranger)
	}
	if err != nil {
		return nil, err
	}
	c := &connection{Bus: b, guest: g, end: func() {}}
	if g.cred.Certificate != "" {
		c.end = g.keepRenewed()
	}
	return c, nil
}

// options are those of a connection: who we are, and how that is shown.
func (g *guest) options() (*natsbus.Options, error) {
	o := &natsbus.Options{URL: g.at.url(), Shown: g.at.shown(), Name: "hydra " + g.name, AskToSweep: true}
	if g.at.scheme != "" {
		return o, g.elsewhere(o)
	}
	as := g.who.Role
	if g.role == trust.Client {
		as = trust.Client
	}
	o.Inbox = gate.Inbox(g.id)
	o.Login = func() (user, password string) { return gate.Name(as, g.id), g.password() }
	var err error
	o.TLS, err = g.tls()
	return o, err
}

// find finds out who we are, and joins if that is wanted and due.
func (g *guest) find(ctx context.Context) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.access.TLSCert != "" {
		who, err := ownCertificate(&g.access)
		if err != nil {
			return &UsageError{err}
		}
		return g.am(who)
	}
	cred, err := findCredential(g.at, g.access.Creds, g.role == trust.Client)
	missing := errors.Is(err, errNoCredential) || g.access.Creds != "" && errors.Is(err, fs.ErrNotExist)
	if g.access.Token != "" && (missing || err == nil && !g.fits(&cred)) {
		if cred, err = g.join(ctx); err != nil {
			return err
		}
	}
	switch {
	case errors.Is(err, errNoCredential):
		return g.nobody(ctx, err)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w: %w", ErrUnauthorized, err)
	case err != nil:
		return &UsageError{err}
	}
	g.cred = cred
	switch {
	case cred.Certificate != "":
		who, err := cred.Identity()
		if err != nil {
			return fmt.Errorf("%w: %w", ErrUnauthorized, err)
		}
		return g.am(who)
	case !g.at.loopback():
		return fmt.Errorf("%w: the credential for %s has no certificate, and without one only a server on the loopback is talked to", ErrUnauthorized, g.at.shown())
	}
	return g.am(trust.Identity{ID: gate.Local, Role: trust.Admin})
}

// errRole is of a credential that will never do.
var errRole = errors.New("it is for something else")

// am notes who we are.
func (g *guest) am(who trust.Identity) error {
	switch {
	case g.role == trust.Client && who.Role != trust.Client && who.Role != trust.Admin:
		return fmt.Errorf("%w: %w: the one for %s is of role %s, and a client needs one of role client", ErrUnauthorized, errRole, g.at.shown(), who.Role)
	case g.role == "" && who.Role == trust.Client:
		return fmt.Errorf("%w: %w: the one for %s is of role client, and a command needs one of role operator, or viewer to look", ErrUnauthorized, errRole, g.at.shown())
	}
	if g.who.ID != who.ID {
		g.id = gate.NewID(who.ID)
	}
	g.who = who
	return nil
}

// fits tells whether a credential is of the server that a token is for, and good.
func (g *guest) fits(c *credential) bool {
	if c.Certificate == "" {
		return c.Password != "" // of a server on the loopback, which has no tokens
	}
	t, err := trust.ParseToken(g.access.Token)
	if err != nil || !t.Of(&c.Credential) {
		return false
	}
	who, err := c.Identity()
	return err == nil && time.Now().Before(who.NotAfter)
}

// nobody is why there is no connection without a credential.
func (g *guest) nobody(ctx context.Context, why error) error {
	dialer := net.Dialer{Timeout: 5 * time.Second}
	conn, err := dialer.DialContext(ctx, "tcp", g.at.hostPort())
	if err != nil {
		return fmt.Errorf("connect to %s: %w: %w", g.at.hostPort(), ErrUnreachable, err)
	}
	conn.Close()
	return fmt.Errorf("%w: %w", ErrUnauthorized, why)
}

// join gets a certificate for a token, and keeps it.
func (g *guest) join(ctx context.Context) (credential, error) {
	t, err := trust.ParseToken(g.access.Token)
	if err != nil {
		return credential{}, &UsageError{err}
	}
	// A token may be good for once: first whether there is room for what it is for.
	if err := g.canKeep(); err != nil {
		return credential{}, &UsageError{fmt.Errorf("there is no place for the credential that the token is for: %w", err)}
	}
	host, _ := os.Hostname()
	roles := []trust.Role{trust.Operator, trust.Viewer}
	if g.role == trust.Client {
		roles = []trust.Role{trust.Client}
	}
	got, err := trust.Join(ctx, g.at.hostPort(), t, host, roles...)
	if err != nil {
		return credential{}, joinError(err)
	}
	who, err := got.Identity()
	if err != nil {
		return credential{}, err
	}
	cred := credential{Credential: *got}
	if err := g.keep(cred, who.Role == trust.Client); err != nil {
		return credential{}, &UsageError{fmt.Errorf("keep the credential that the server gave: %w", err)}
	}
	g.log.Info("joined with a token", "address", g.at.shown(), "as", who.Role, "identity", who.ID)
	return cred, nil
}

// joinError tells what may be better in a moment from what will not.
func joinError(err error) error {
	if errors.Is(err, trust.ErrRefused) || errors.Is(err, trust.ErrForeign) {
		return fmt.Errorf("%w: %w", ErrUnauthorized, err)
	}
	return fmt.Errorf("%w: %w", ErrUnreachable, err)
}

// keep keeps a credential.
func (g *guest) keep(c credential, client bool) error {
	if g.access.Creds != "" {
		return writePrivate(g.access.Creds, c)
	}
	return writeCredential(g.at, c, client)
}

// canKeep tells whether a credential could be kept.
func (g *guest) canKeep() error {
	file := g.access.Creds
	if file == "" {
		var err error
		if file, err = credentialFile(g.at, true); err != nil {
			return err
		}
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			return err
		}
	}
	f, err := os.CreateTemp(filepath.Dir(file), ".credential-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(make([]byte, 4<<10))
	return errors.Join(err, f.Close())
}

// password is what a server on the loopback wants to hear. One whose state directory was
// lost makes another.
func (g *guest) password() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.cred.Password == "" {
		return ""
	}
	if c, err := findCredential(g.at, g.access.Creds, g.role == trust.Client); err == nil && c.Password != "" {
		g.cred = c
	}
	return g.cred.Password
}

// tls is what a connection begins with; nil: nothing, on the loopback.
func (g *guest) tls() (*tls.Config, error) {
	if g.access.TLSCert != "" {
		return g.access.config()
	}
	g.mu.Lock()
	cred := g.cred
	g.mu.Unlock()
	if cred.Certificate == "" {
		return nil, nil
	}
	c, err := cred.Config(g.at.host)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnauthorized, err)
	}
	c.NextProtos = []string{gate.Protocol}
	verify := c.VerifyConnection
	c.VerifyConnection = func(s tls.ConnectionState) error {
		err := verify(s)
		if g.stranger.Store(nil); err != nil {
			g.stranger.Store(&err) // the library keeps only its text
		}
		return err
	}
	// Each new connection takes the newest one.
	c.Certificates = nil
	c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		g.mu.Lock()
		cred := g.cred
		g.mu.Unlock()
		pair, err := tls.X509KeyPair([]byte(cred.Certificate), []byte(cred.Key))
		return &pair, err
	}
	return c, nil
}

// ticketed makes a connection for one job, with the newest ticket.
func (g *guest) ticketed(ctx context.Context, ticket func() string) (bus.Bus, error) {
	o, err := g.options()
	if err != nil {
		return nil, err
	}
	o.Name += " job"
	o.Login = func() (user, password string) { return gate.JobName(g.id), ticket() }
	return natsbus.Connect(ctx, *o)
}

// renewLook is how often it is looked whether the certificate is due, and renewTime how
// long it may take to renew it.
const (
	renewLook = time.Hour
	renewTime = 10 * time.Second
)

// keepRenewed renews the certificate when two thirds of its life are over, until the
// function that it returns is called.
func (g *guest) keepRenewed() (end func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		tick := time.NewTicker(renewLook)
		defer tick.Stop()
		for {
			if err := g.renew(); err != nil && ctx.Err() == nil {
				g.log.Warn("the certificate can not be renewed yet", "address", g.at.shown(), "err", err)
			}
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
		}
	})
	return func() { cancel(); wg.Wait() }
}

// renew renews the certificate if that is due. It is not given up when the connection
// ends: of a short command it would come to nothing otherwise.
func (g *guest) renew() error {
	g.mu.Lock()
	cred := g.cred
	g.mu.Unlock()
	if !cred.Due(time.Now()) {
		return nil
	}
	// Another process of the user may have done it.
	if other, err := findCredential(g.at, g.access.Creds, g.role == trust.Client); err == nil && other.Certificate != "" && !other.Due(time.Now()) {
		g.mu.Lock()
		g.cred = other
		g.mu.Unlock()
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), renewTime)
	defer cancel()
	got, err := cred.Renew(ctx, g.at.hostPort())
	if err != nil {
		return err
	}
	next := credential{Credential: *got}
	if err := g.keep(next, g.who.Role == trust.Client); err != nil {
		return err // the old one is good for a while
	}
	g.mu.Lock()
	g.cred = next
	g.mu.Unlock()
	return nil
}

// elsewhere is for an engine that runs elsewhere: who we are is its business.
func (g *guest) elsewhere(o *natsbus.Options) error {
	cred, err := findCredential(g.at, g.access.Creds, g.role == trust.Client)
	switch {
	case errors.Is(err, errNoCredential): // perhaps it asks for none
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w: %w", ErrUnauthorized, err)
	case err != nil:
		return &UsageError{err}
	}
	o.Sweeps = g.name == "server"
	o.AskToSweep = !o.Sweeps
	o.Token, o.CredsFile, o.NKeyFile = cred.Token, cred.file, cred.nkey
	if cred.User != "" {
		o.Login = func() (user, password string) {
			if c, err := findCredential(g.at, g.access.Creds, g.role == trust.Client); err == nil && c.User != "" {
				return c.User, c.Password
			}
			return cred.User, cred.Password
		}
	}
	g.id = strings.ToLower(rand.Text()[:16])
	if g.at.scheme == "tls" || g.access.TLSCA != "" || g.access.TLSCert != "" {
		o.TLSLater = true
		var err error
		if o.TLS, err = g.access.config(); err != nil {
			return err
		}
	}
	return nil
}

// config is that of TLS with the site's own certificates. They are read anew for each
// connection, as somebody renews them.
func (a *Access) config() (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS13}
	if a.TLSCA != "" {
		pool, err := readPool(a.TLSCA)
		if err != nil {
			return nil, &UsageError{err}
		}
		c.RootCAs = pool
	}
	if a.TLSCert != "" {
		if _, err := tls.LoadX509KeyPair(a.TLSCert, a.TLSKey); err != nil {
			return nil, &UsageError{fmt.Errorf("certificate %s with key %s: %w", a.TLSCert, a.TLSKey, err)}
		}
		c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			pair, err := tls.LoadX509KeyPair(a.TLSCert, a.TLSKey)
			return &pair, err
		}
	}
	return c, nil
}

func readPool(file string) (*x509.CertPool, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("%s: there is no certificate in PEM in it", file)
	}
	return pool, nil
}

// ownCertificate is who the certificate of the site's own CA says that we are.
func ownCertificate(a *Access) (trust.Identity, error) {
	pair, err := tls.LoadX509KeyPair(a.TLSCert, a.TLSKey)
	if err != nil {
		return trust.Identity{}, fmt.Errorf("certificate %s with key %s: %w", a.TLSCert, a.TLSKey, err)
	}
	leaf, err := x509.ParseCertificate(pair.Certificate[0])
	if err != nil {
		return trust.Identity{}, fmt.Errorf("certificate %s: %w", a.TLSCert, err)
	}
	return trust.Foreign([]*x509.Certificate{leaf})
}

// clientID is how a client calls itself.
func (g *guest) clientID() ledger.ClientID { return ledger.ClientID(g.id) }
