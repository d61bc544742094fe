package trust

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
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

	failures atomic.Int64 // requests that were refused
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
	return Options{Now: s.clock.Now, Log: slog.New(slog.NewTextHandler(s.log, nil))}
}

// serving is a server that listens, as the program's does.
func serving(t testing.TB) *server {
	t.Helper()
	s := newServer(t)
	s.address = s.serve(t, &tls.Config{
		MinVersion:     tls.VersionTLS13,
		GetCertificate: s.Certificate,
		ClientAuth:     tls.VerifyClientCertIfGiven,
		ClientCAs:      s.pool(),
	})
	return s
}

func (s *server) serve(t testing.TB, config *tls.Config) string {
	t.Helper()
	return serveHTTP(t, config, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.Handler().ServeHTTP(counter{w, &s.failures}, r)
	}))
}

// counter counts the requests that were refused, as the gate does.
type counter struct {
	http.ResponseWriter
	n *atomic.Int64
}

func (c counter) WriteHeader(status int) {
	if status >= 400 && status < 500 {
		c.n.Add(1)
	}
	c.ResponseWriter.WriteHeader(status)
}

// pool holds the CA alone.
func (s *server) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(s.ca)
	return pool
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
			return joinRequest{token.id, csr, host, joinProof(key, token.id, csr, host, bound), nil}, err
		}, &answer)
	return answer, err
}
