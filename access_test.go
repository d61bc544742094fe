package hydra

import (
	"bytes"
	"cmp"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nkeys"

	"github.com/hydrawalk/hydra/internal/testaddr"
	"github.com/hydrawalk/hydra/walk"
)

// site is the CA of somebody who has one, in files.
type site struct {
	t   *testing.T
	dir string
	ca  *x509.Certificate
	key *ecdsa.PrivateKey
}

func newSite(t *testing.T) *site {
	s := &site{t: t, dir: t.TempDir()}
	s.key, _ = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	s.ca = &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "the site"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, s.ca, s.ca, &s.key.PublicKey, s.key)
	if err != nil {
		t.Fatal(err)
	}
	s.write("ca.pem", "CERTIFICATE", der)
	return s
}

func (s *site) file(name string) string { return filepath.Join(s.dir, name) }

func (s *site) write(name, kind string, der []byte) {
	s.t.Helper()
	if err := os.WriteFile(s.file(name), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// issue makes a certificate, and says where it is.
func (s *site) issue(name string, units ...string) Access {
	s.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		s.t.Fatal(err)
	}
	serial, _ := rand.Int(rand.Reader, big.NewInt(1<<62))
	c := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name, OrganizationalUnit: units}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, c, s.ca, &key.PublicKey, s.key)
	if err != nil {
		s.t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		s.t.Fatal(err)
	}
	s.write(name+".pem", "CERTIFICATE", der)
	s.write(name+".key", "PRIVATE KEY", keyDER)
	return Access{TLSCA: s.file("ca.pem"), TLSCert: s.file(name + ".pem"), TLSKey: s.file(name + ".key")}
}

// served runs a server until the test ends, and returns its address.
func served(t *testing.T, o ServeOptions) string {
	t.Helper()
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	ctx, cancel := context.WithCancel(context.Background())
	ready := make(chan string, 1)
	o.Ready = func(s Serving) { ready <- s.Address }
	if o.NATS == "" {
		o.Listen, o.StateDir = "127.0.0.1:0", filepath.Join(t.TempDir(), "state")
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		defer close(ready)
		if err := Serve(ctx, &o); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { cancel(); wg.Wait() })
	address, ok := <-ready
	if !ok {
		t.FailNow()
	}
	if o.NATS != "" {
		return o.NATS
	}
	return address
}

// works has a client and a command count a tree.
func works(t *testing.T, address string, asClient, asOperator Access) {
	t.Helper()
	root := t.TempDir()
	if err := os.WriteFile(filepath.Join(root, "f"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	app := counter(nil)
	wg.Go(func() {
		if err := Work(ctx, address, &WorkOptions{Access: asClient, Workers: 1}, app); err != nil {
			t.Error(err)
		}
	})
	s, err := Connect(ctx, address, &ConnectOptions{Access: asOperator})
	if err != nil {
		t.Error(err)
		return
	}
	defer s.Close()
	j, err := s.Submit(ctx, app, []string{root}, nil)
	if err != nil {
		t.Error(err)
		return
	}
	doc, err := j.Wait(ctx)
	if err != nil {
		t.Error(err)
		return
	}
	if got := doc.(*Result[counts]).Stats.Files; got != 1 {
		t.Errorf("%d files, want 1", got)
	}
}

func TestTheSitesOwnCertificatesDo(t *testing.T) {
	ours, other := newSite(t), newSite(t)
	address := served(t, ServeOptions{Access: ours.issue("server")})
	client, operator, viewer := ours.issue("nas-1", "storage", "hydra-client"), ours.issue("ann", "hydra-operator"), ours.issue("bob", "hydra-viewer")
	works(t, address, client, operator)

	connect := func(a Access) error {
		s, err := Connect(t.Context(), address, &ConnectOptions{Access: a})
		if err != nil {
			return err
		}
		defer s.Close()
		if _, err := s.Jobs(t.Context()); err != nil {
			t.Errorf("who is let in can not look: %v", err)
		}
		_, err = s.Submit(t.Context(), counter(nil), []string{t.TempDir()}, nil)
		return err
	}
	foreign := other.issue("eve", "hydra-operator")
	foreign.TLSCA = ours.file("ca.pem")
	for who, a := range map[string]Access{
		"a viewer": viewer, "a client": client, "nobody": {}, "one of another CA": foreign, "one who takes another CA for right": other.issue("mallory", "hydra-operator"),
		"one without a role": ours.issue("carl"), "one with two": ours.issue("dora", "hydra-operator", "hydra-viewer"), "one with a role that there is not": ours.issue("emil", "hydra-root"),
	} {
		err := connect(a)
		_, usage := errors.AsType[*UsageError](err) // there is nothing in it to connect as
		if !errors.Is(err, ErrUnauthorized) && !(usage && strings.HasPrefix(who, "one with")) {
			t.Errorf("%s: %v", who, err)
		}
	}
	// And no tokens.
	s, err := Connect(t.Context(), address, &ConnectOptions{Access: ours.issue("root", "hydra-admin")})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, _, err := s.CreateToken(t.Context(), TokenOptions{Role: RoleClient, Life: time.Hour}); err == nil || !strings.Contains(err.Error(), "has no tokens") {
		t.Error(err)
	}
}

// elsewhere starts an engine as somebody else would run it.
func elsewhere(t *testing.T, o *server.Options) string {
	t.Helper()
	at, err := testaddr.Free()
	if err != nil {
		t.Fatal(err)
	}
	host, port, _ := net.SplitHostPort(at)
	fmt.Sscan(port, &o.Port)
	o.Host, o.JetStream, o.StoreDir, o.NoSigs, o.NoLog = host, true, t.TempDir(), true, true
	ns, err := server.NewServer(o)
	if err != nil {
		t.Fatal(err)
	}
	ns.Start()
	t.Cleanup(func() { ns.Shutdown(); ns.WaitForShutdown() })
	if !ns.ReadyForConnections(10 * time.Second) {
		t.Fatal("the engine is not ready")
	}
	return at
}

func secretFile(t *testing.T, text []byte) Access {
	t.Helper()
	name := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(name, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return Access{Creds: name}
}

func TestAnEngineElsewhereTakesAnNKeyOverTLS(t *testing.T) {
	user, err := nkeys.CreateUser()
	if err != nil {
		t.Fatal(err)
	}
	public, _ := user.PublicKey()
	seed, _ := user.Seed()
	ours := newSite(t)
	own := ours.issue("engine")
	pair, err := tls.LoadX509KeyPair(own.TLSCert, own.TLSKey)
	if err != nil {
		t.Fatal(err)
	}
	at := elsewhere(t, &server.Options{
		Nkeys: []*server.NkeyUser{{Nkey: public}}, TLS: true, TLSTimeout: 10,
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS13},
	})
	access := secretFile(t, append(seed, '\n'))
	access.TLSCA = ours.file("ca.pem")
	address := served(t, ServeOptions{NATS: "tls://" + at, Access: access})
	works(t, address, access, access)

	strange := access
	strange.TLSCA = newSite(t).file("ca.pem")
	if _, err := Connect(t.Context(), address, &ConnectOptions{Access: strange}); !errors.Is(err, ErrUnauthorized) {
		t.Errorf("of another CA: %v", err)
	}
	otherUser, _ := nkeys.CreateUser()
	seed, _ = otherUser.Seed()
	wrong := secretFile(t, seed)
	wrong.TLSCA = access.TLSCA
	if _, err := Connect(t.Context(), address, &ConnectOptions{Access: wrong}); !errors.Is(err, ErrUnauthorized) {
		t.Errorf("another nkey: %v", err)
	}
}

func TestAnEngineElsewhereTakesCredsWithAJWT(t *testing.T) {
	operator, _ := nkeys.CreateOperator()
	account, _ := nkeys.CreateAccount()
	user, _ := nkeys.CreateUser()
	public := func(k nkeys.KeyPair) string { p, _ := k.PublicKey(); return p }
	ac := jwt.NewAccountClaims(public(account))
	ac.Limits.JetStreamLimits = jwt.JetStreamLimits{MemoryStorage: -1, DiskStorage: -1, Streams: -1, Consumer: -1}
	accountJWT, err := ac.Encode(operator)
	if err != nil {
		t.Fatal(err)
	}
	userJWT, err := jwt.NewUserClaims(public(user)).Encode(account)
	if err != nil {
		t.Fatal(err)
	}
	seed, _ := user.Seed()
	creds, err := jwt.FormatUserConfig(userJWT, seed)
	if err != nil {
		t.Fatal(err)
	}
	resolver := &server.MemAccResolver{}
	if err := resolver.Store(public(account), accountJWT); err != nil {
		t.Fatal(err)
	}
	system, _ := nkeys.CreateAccount()
	systemJWT, _ := jwt.NewAccountClaims(public(system)).Encode(operator)
	if err := resolver.Store(public(system), systemJWT); err != nil {
		t.Fatal(err)
	}
	at := elsewhere(t, &server.Options{TrustedKeys: []string{public(operator)}, AccountResolver: resolver, SystemAccount: public(system)})
	access := secretFile(t, creds)
	address := served(t, ServeOptions{NATS: "nats://" + at, Access: access})
	works(t, address, access, access)
	if _, err := Connect(t.Context(), address, nil); !errors.Is(err, ErrUnauthorized) {
		t.Errorf("without creds: %v", err)
	}
}

// TestTicketsAreRenewedWhileAJobGoesOn has tickets that are good for moments: connections
// of sessions end again and again, and nothing is lost or counted twice.
func TestTicketsAreRenewedWhileAJobGoesOn(t *testing.T) {
	const life, files = 400 * time.Millisecond, 80
	address := served(t, ServeOptions{ticketLife: life})
	root := t.TempDir()
	for f := range files {
		if err := os.WriteFile(filepath.Join(root, fmt.Sprint(f)), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	// It has to take longer than tickets live, which is a time of real clocks.
	app := counter(func(context.Context, *Worker[struct{}, counts], *walk.Entry) error {
		<-time.After(5 * life / files)
		return nil
	})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	var said bytes.Buffer
	log := slog.New(slog.NewTextHandler(&said, nil))
	wg.Go(func() {
		if err := Work(ctx, address, &WorkOptions{Workers: 1, Logger: log, Once: true}, app); err != nil {
			t.Error(err)
		}
	})
	s, err := Connect(ctx, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	j, err := s.Submit(ctx, app, []string{root}, nil)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := j.Wait(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if got := doc.(*Result[counts]); got.Stats.Files != files || !got.IsComplete() {
		t.Errorf("%d files, want %d; complete is %v", got.Stats.Files, files, got.IsComplete())
	}
	wg.Wait()
	if strings.Contains(said.String(), "lost") {
		t.Errorf("the client said:\n%s", said.String())
	}
}

// TestAnEngineElsewhereNeedsNoMoreThanTheDocsSay has users of an engine with the permissions
// that docs/security.md gives as an example.
func TestAnEngineElsewhereNeedsNoMoreThanTheDocsSay(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("docs", "security.md"))
	if err != nil {
		t.Fatal(err)
	}
	users := map[string]*server.User{}
	user := func(name string) *server.User {
		if users[name] == nil {
			users[name] = &server.User{Username: name, Password: "of " + name, Permissions: &server.Permissions{Publish: &server.SubjectPermission{}, Subscribe: &server.SubjectPermission{}}}
		}
		return users[name]
	}
	for _, line := range regexp.MustCompile(`(?m)^(client|operator)? +(publish|subscribe) +(.*)$`).FindAllStringSubmatch(string(text), -1) {
		name := cmp.Or(line[1], map[bool]string{true: "operator", false: "client"}[users["operator"] != nil])
		to := user(name).Permissions.Publish
		if line[2] == "subscribe" {
			to = user(name).Permissions.Subscribe
		}
		for _, subject := range strings.Fields(line[3]) {
			before, rest, several := strings.Cut(subject, "{")
			names, after, _ := strings.Cut(rest, "}")
			if !several {
				to.Allow = append(to.Allow, subject)
				continue
			}
			for _, name := range strings.Split(names, ",") {
				to.Allow = append(to.Allow, before+name+after)
			}
		}
	}
	all := &server.User{Username: "server", Password: "of server"}
	at := elsewhere(t, &server.Options{Users: []*server.User{user("client"), user("operator"), all}})
	creds := func(name string) Access {
		return secretFile(t, fmt.Appendf(nil, `{"user":%q,"password":"of %s"}`, name, name))
	}
	address := served(t, ServeOptions{NATS: "nats://" + at, Access: creds("server")})
	works(t, address, creds("client"), creds("operator"))
	s, err := Connect(t.Context(), address, &ConnectOptions{Access: creds("client")})
	if err == nil {
		s.Close()
	}
	if !errors.Is(err, ErrUnauthorized) {
		t.Errorf("a client asks as an operator: %v", err)
	}
}
