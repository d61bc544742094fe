package hydra

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/hydrawalk/hydra/internal/gate"
	"github.com/hydrawalk/hydra/internal/ledger"
	"github.com/hydrawalk/hydra/internal/trust"
	"github.com/hydrawalk/hydra/internal/wire"
)

// door is how others come in at a server of this process.
type door struct {
	gate      *gate.Gate
	tickets   *gate.Tickets
	secure    bool             // there is TLS
	authority *trust.Authority // nil: it gives no certificates
	own       credential       // of commands of the user who runs the server
}

// trustName is the directory with the CA, in the state directory.
const trustName = "trust"

// newDoor makes the door of a server: without TLS on the loopback, else with the site's
// certificates, if there are, or those of a CA of its own.
func newDoor(o *ServeOptions, at *address, log *slog.Logger) (*door, error) {
	d := &door{tickets: gate.NewTickets(cmp.Or(o.ticketLife, gate.TicketTime))}
	g := gate.Options{Listen: at.hostPort(), Tickets: d.tickets, Log: log}
	if net.ParseIP(at.host) == nil {
		return nil, &UsageError{fmt.Errorf("listen on %s: that is no address of this machine: use its number, or 0.0.0.0 for all", at.hostPort())}
	}
	site := o.TLSCA != "" || o.TLSCert != ""
	var err error
	switch d.secure = site || !at.loopback(); {
	case !d.secure:
		if d.own, err = ownCredential(o.StateDir); err != nil {
			return nil, fmt.Errorf("the state directory %s can not be used: %w", o.StateDir, err)
		}
		g.Password = d.own.Password
	case site:
		if o.TLSCA == "" || o.TLSCert == "" || o.TLSKey == "" {
			return nil, &UsageError{errors.New("the site's own certificates are three files: that of the server, its key, and the CA of those who may join")}
		}
		err = d.site(&g, &o.Access)
	default:
		err = d.ours(&g, o.StateDir, log)
	}
	if err != nil {
		return nil, err
	}
	d.gate = gate.New(g)
	if d.authority != nil {
		d.authority.OnRevoke(func(who trust.Identity) { d.gate.Cut(who.ID) })
	}
	return d, nil
}

// site goes by certificates of the site's own CA.
func (d *door) site(g *gate.Options, a *Access) error {
	pool, err := readPool(a.TLSCA)
	if err != nil {
		return &UsageError{err}
	}
	load := func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
		pair, err := tls.LoadX509KeyPair(a.TLSCert, a.TLSKey)
		return &pair, err
	}
	if _, err := load(nil); err != nil {
		return &UsageError{fmt.Errorf("certificate %s with key %s: %w", a.TLSCert, a.TLSKey, err)}
	}
	g.TLS = &tls.Config{GetCertificate: load}
	g.Verify = func(chain []*x509.Certificate) (trust.Identity, error) {
		if err := verify(chain, pool); err != nil {
			return trust.Identity{}, err
		}
		return trust.Foreign(chain)
	}
	return nil
}

// ours goes by certificates of a CA of the server's own.
func (d *door) ours(g *gate.Options, stateDir string, log *slog.Logger) error {
	if err := os.MkdirAll(stateDir, 0o700); err != nil {
		return fmt.Errorf("state directory: %w", err)
	}
	host, _ := os.Hostname()
	var err error
	if d.authority, err = trust.Open(filepath.Join(stateDir, trustName), trust.Options{Log: log}); err != nil {
		return fmt.Errorf("who may join: %w", err)
	}
	admin, err := d.authority.Admin(host)
	if err != nil {
		return fmt.Errorf("who may join: %w", err)
	}
	d.own = credential{Credential: *admin}
	g.TLS = &tls.Config{GetCertificate: d.authority.Certificate}
	g.HTTP = d.authority.Handler()
	g.Verify = d.authority.Identify
	return nil
}

// verify makes sure that a chain of certificates leads to a CA.
func verify(chain []*x509.Certificate, pool *x509.CertPool) error {
	between := x509.NewCertPool()
	for _, c := range chain[1:] {
		between.AddCert(c)
	}
	_, err := chain[0].Verify(x509.VerifyOptions{
		Roots: pool, Intermediates: between, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	if invalid, ok := errors.AsType[x509.CertificateInvalidError](err); ok && invalid.Reason == x509.Expired {
		return trust.ErrExpired
	}
	return err
}

// tell lets commands of this user find the way in.
func (d *door) tell(at *address) error {
	if d.own.Password == "" && d.own.Certificate == "" {
		return nil // the site's certificates are for the site to hand out
	}
	hosts := []string{at.host}
	if ip := net.ParseIP(at.host); ip != nil && ip.IsUnspecified() {
		// All addresses of this machine; commands here use this one.
		hosts = append(hosts, "127.0.0.1", "::1")
		if name, err := os.Hostname(); err == nil {
			hosts = append(hosts, strings.ToLower(name))
		}
	}
	for _, host := range hosts {
		if err := writeCredential(&address{host: host, port: at.port}, d.own, false); err != nil {
			return err
		}
	}
	return nil
}

// keepTold makes a new certificate for commands of this user when that is due.
func (d *door) keepTold(ctx context.Context, at *address, log *slog.Logger) {
	if d.authority == nil {
		return
	}
	tick := time.NewTicker(renewLook)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if !d.own.Due(time.Now()) {
			continue
		}
		host, _ := os.Hostname()
		admin, err := d.authority.Admin(host)
		if err == nil {
			d.own = credential{Credential: *admin}
			err = d.tell(at)
		}
		if err != nil {
			log.Warn("the certificate of the user of this server can not be renewed yet", "err", err)
		}
	}
}

// ticket makes a ticket for a job.
func (d *door) ticket(c ledger.ClientID, job string) string {
	return d.tickets.Issue(string(c), job)
}

// Bounds of what is told of tokens at a time.
const (
	tokenBytes  = 24 << 10
	mostMembers = 150
)

// tokens does what admins want of tokens.
func (d *door) tokens(a *wire.Ask) (wire.Answer, error) {
	var answer wire.Answer
	want := a.Token
	if want == nil {
		want = new(wire.TokenAsk)
	}
	switch a.Kind {
	case wire.AskTokenCreate:
		info, text, err := d.authority.CreateToken(trust.Role(want.Role), want.Life, want.Once)
		if err != nil {
			return answer, err
		}
		answer.Tokens, answer.Secret = []wire.Token{tokenOf(info)}, text
	case wire.AskTokenList:
		// Messages are small.
		size, found := 0, want.ID == ""
		for _, info := range d.authority.List() {
			if !found {
				found = info.ID == want.ID
				continue
			}
			t := tokenOf(info)
			if extra := len(t.Joined) - mostMembers; extra > 0 {
				t.Joined = t.Joined[extra:] // the last ones
			}
			if size += len(ledger.Encode(t)); size > tokenBytes && len(answer.Tokens) > 0 {
				answer.More = true
				break
			}
			answer.Tokens = append(answer.Tokens, t)
		}
	case wire.AskTokenRevoke:
		gone, err := d.authority.Revoke(want.ID)
		if errors.Is(err, trust.ErrUnknown) {
			return answer, fmt.Errorf("there is no token of the ID %.40q, and nobody with it who joined", want.ID)
		}
		if err != nil {
			return answer, err
		}
		t := wire.Token{ID: want.ID}
		for _, who := range gone[:min(len(gone), mostMembers)] {
			t.Joined = append(t.Joined, memberOf(who))
		}
		answer.Tokens = []wire.Token{t}
	}
	return answer, nil
}

func tokenOf(t trust.TokenInfo) wire.Token {
	w := wire.Token{ID: t.ID, Role: string(t.Role), Once: t.Once, Created: t.Created, Until: t.Expires, Used: t.Used, Status: string(t.Status)}
	for _, who := range t.Identities {
		w.Joined = append(w.Joined, memberOf(who))
	}
	return w
}

func memberOf(who trust.Identity) wire.Member {
	return wire.Member{ID: who.ID, Host: who.Host, Joined: who.Joined, Until: who.NotAfter, Revoked: !who.Revoked.IsZero()}
}
