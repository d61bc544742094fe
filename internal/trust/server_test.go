package trust

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const day = 24 * time.Hour

// clock is a server's. It stands still.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) move(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// text is what several goroutines write.
type text struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (t *text) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.b.Write(p)
}

func (t *text) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.b.String()
}

// server is an authority in a directory, that has a clock and a log.
type server struct {
	*Authority
	dir     string
	clock   *clock
	log     *text
	address string // once it serves

	mu     sync.Mutex
	failed []string // hosts of those that were refused
}

func newServer(t testing.TB) *server {
	t.Helper()
	s := &server{dir: t.TempDir() + "/trust", clock: &clock{now: time.Now()}, log: new(text)}
	s.reopen(t)
	return s
}

// reopen is what a restart does.
func (s *server) reopen(t testing.TB) {
	t.Helper()
	var err error
	s.Authority, err = Open(s.dir, s.options())
	if err != nil {
		t.Fatal(err)
	}
}

func (s *server) options() Options {
	return Options{Names: []string{"hydra.example", "192.0.2.7"}, Now: s.clock.Now, Log: slog.New(slog.NewTextHandler(s.log, nil))}
}

// serving is a server that listens, as the program's does.
func serving(t testing.TB) *server {
	t.Helper()
	s := newServer(t)
	s.address = s.serve(t, &tls.Config{
		MinVersion:     tls.VersionTLS13,
		GetCertificate: s.Certificate,
		ClientAuth:     tls.VerifyClientCertIfGiven,
		ClientCAs:      s.Pool(),
	})
	return s
}

func (s *server) serve(t testing.TB, config *tls.Config) string {
	t.Helper()
	return serveHTTP(t, config, s.Handler(func(remote string) {
		host, _, _ := net.SplitHostPort(remote)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.failed = append(s.failed, host)
	}))
}

func (s *server) failures() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.failed)
}

// serveHTTP serves until the test ends.
func serveHTTP(t testing.TB, config *tls.Config, h http.Handler) string {
	t.Helper()
	config.NextProtos = []string{"http/1.1"}
	l, err := tls.Listen("tcp", "127.0.0.1:0", config)
	if err != nil {
		t.Fatal(err)
	}
	web := &http.Server{Handler: h, ErrorLog: log.New(io.Discard, "", 0)}
	var done sync.WaitGroup
	done.Go(func() { web.Serve(l) })
	t.Cleanup(func() { web.Close(); done.Wait() })
	return l.Addr().String()
}

// token creates one.
func (s *server) token(t testing.TB, role Role, once bool) Token {
	t.Helper()
	_, text, err := s.CreateToken(role, time.Hour, once)
	if err != nil {
		t.Fatal(err)
	}
	token, err := ParseToken(text)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// member joins.
func (s *server) member(t testing.TB, token Token, host string) *Credential {
	t.Helper()
	c, err := Join(t.Context(), s.address, token, host)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func chainOf(t testing.TB, c *Credential) []*x509.Certificate {
	t.Helper()
	o, err := c.open()
	if err != nil {
		t.Fatal(err)
	}
	return []*x509.Certificate{o.certificate}
}

func identityOf(t testing.TB, c *Credential) Identity {
	t.Helper()
	m, err := c.Identity()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// ask makes any request, with whatever certificate, and gives status and body.
func (s *server) ask(t testing.TB, method, path, contentType, body string, own ...tls.Certificate) (int, string) {
	t.Helper()
	config := clientConfig("", func(tls.ConnectionState) error { return nil }, own...)
	web := &http.Client{Transport: &http.Transport{TLSClientConfig: config, DisableKeepAlives: true}}
	r, err := http.NewRequestWithContext(context.Background(), method, "https://"+s.address+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", contentType)
	answer, err := web.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	got, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(got)
}

// joinBy joins with a certificate request of the caller's making, and a right proof.
func (s *server) joinBy(t testing.TB, token Token, host string, csr []byte) (joinAnswer, error) {
	t.Helper()
	key, err := tokenKey(token.secret[:], token.ca[:], token.id)
	if err != nil {
		t.Fatal(err)
	}
	var answer joinAnswer
	err = exchange(t.Context(), s.address, clientConfig("", func(tls.ConnectionState) error { return nil }), joinPath,
		func(c *tls.ConnectionState) (any, error) {
			bound, err := binding(c)
			return joinRequest{token.id, csr, host, joinProof(key, token.id, csr, host, bound)}, err
		}, &answer)
	return answer, err
}
