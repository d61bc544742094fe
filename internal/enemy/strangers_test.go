package enemy

import (
	"bufio"
	"crypto/rand"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hydrawalk/hydra"
	"github.com/hydrawalk/hydra/internal/gate"
	"github.com/hydrawalk/hydra/internal/trust"
)

// refusedText is what the engine says to those who may not come in.
const refusedText = "Authorization Violation"

// strangers are attacks of those who do not belong, or do not any more.
var strangers = []attack{
	{"no certificate", func(t *testing.T, w *world, _ string) {
		e := w.host()
		if text, err := connect(e.secure(t, config(gate.Protocol)), "admin.x-y", "hydra"); !strings.Contains(text, refusedText) {
			t.Errorf("%q, %v", text, err)
		}
		// The password of the engine itself, or none, without TLS.
		if text, err := says(e.plain(t), "CONNECT {\"user\":\"hydra\",\"pass\":\"\"}\r\nPING\r\n"); err == nil && strings.Contains(text, "PONG") {
			t.Errorf("without TLS: %q", text)
		}
	}},
	{"no token", func(t *testing.T, w *world, _ string) {
		e := w.host()
		for body, want := range map[string]int{
			`{}`: 400, `{"token":"aaaaaaaaaaaa","csr":"","host":"h","proof":""}`: 403, `{"token":"../../etc/pw","csr":"","host":"h","proof":""}`: 400,
		} {
			if status, err := e.post(t, "/v1/join", body); status != want {
				t.Errorf("%s: %d, %v", body, status, err)
			}
		}
		if status, err := e.post(t, "/v1/renew", `{"csr":""}`); status != 403 {
			t.Errorf("renewal without a certificate: %d, %v", status, err)
		}
	}},
	{"an expired token", func(t *testing.T, w *world, _ string) {
		_, text, err := w.admin.CreateToken(t.Context(), hydra.TokenOptions{Role: hydra.RoleOperator, Life: time.Second})
		if err != nil {
			t.Fatal(err)
		}
		// Its time is told in whole seconds, so it may be over at once.
		refusedAtLast(t, w, text)
	}},
	{"a revoked token", func(t *testing.T, w *world, _ string) {
		token, text, err := w.admin.CreateToken(t.Context(), hydra.TokenOptions{Role: hydra.RoleOperator, Life: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.admin.RevokeToken(t.Context(), token.ID); err != nil {
			t.Fatal(err)
		}
		w.refuses(t, text)
	}},
	{"a token of once used twice", func(t *testing.T, w *world, _ string) {
		text := w.token(t, hydra.RoleClient, true)
		token, err := trust.ParseToken(text)
		if err != nil {
			t.Fatal(err)
		}
		// At the same moment.
		address := w.host().relay(t)
		var joined atomic.Int64
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				_, err := trust.Join(t.Context(), address, token, "h")
				if err == nil {
					joined.Add(1)
				} else if !errors.Is(err, trust.ErrRefused) && !strings.Contains(err.Error(), "429") {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if joined.Load() != 1 {
			t.Errorf("%d joined with a token for one", joined.Load())
		}
		w.refuses(t, text)
	}},
	{"a token of another server, and a certificate", func(t *testing.T, w *world, _ string) {
		other, err := trust.Open(filepath.Join(t.TempDir(), "other"), trust.Options{})
		if err != nil {
			t.Fatal(err)
		}
		_, text, err := other.CreateToken(trust.Client, time.Hour, false)
		if err != nil {
			t.Fatal(err)
		}
		token, err := trust.ParseToken(text)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := trust.Join(t.Context(), w.host().relay(t), token, "h"); err == nil || !strings.Contains(err.Error(), "its CA is another one") {
			t.Errorf("to join with the token of another server: %v", err)
		}
		theirs, err := other.Admin("h")
		if err != nil {
			t.Fatal(err)
		}
		id := identity(t, theirs)
		e := w.host()
		for _, user := range []string{"admin.a-" + id, "operator.a-" + id, "client.a-" + id} {
			if nc, err := e.inside(t, certificate(t, theirs), user, ""); err == nil {
				nc.Close()
				t.Errorf("%s came in with a certificate of another CA", user)
			}
		}
		if status, err := e.post(t, "/v1/renew", `{"csr":""}`, certificate(t, theirs)); status != 403 {
			t.Errorf("renewal of a certificate of another CA: %d, %v", status, err)
		}
		// The right CA behind one's own certificate, which it did not sign.
		forged := certificate(t, theirs)
		forged.Certificate = append(forged.Certificate[:1:1], certificate(t, w.stolen(t, 0)).Certificate...)
		if nc, err := e.inside(t, forged, "admin.a-"+id, ""); err == nil {
			nc.Close()
			t.Error("a certificate of another CA came in before one of the right CA")
		}
	}},
	{"the server's own certificate as that of a client", func(t *testing.T, w *world, _ string) {
		// Everybody sees it, and nobody has its key; so it is only shown.
		e := w.host()
		conn := e.secure(t, config(gate.Protocol))
		shown := conn.ConnectionState().PeerCertificates
		pair := certificate(t, w.stolen(t, 0))
		pair.Certificate = [][]byte{shown[0].Raw, shown[1].Raw}
		if _, err := e.inside(t, pair, "admin.x-y", ""); err == nil {
			t.Error("a certificate without its key came in")
		}
		if text, err := rest(tls.Client(e.plain(t), config(gate.Protocol, pair))); err == nil && strings.Contains(text, "INFO") {
			t.Errorf("%q", text)
		}
	}},
	{"a revoked identity", func(t *testing.T, w *world, _ string) {
		cred, e := w.joined(t, hydra.RoleClient), w.host()
		id, pair := identity(t, cred), certificate(t, cred)
		nc, err := e.inside(t, pair, "client.a-"+id, "")
		if err != nil {
			t.Fatal(err)
		}
		at, ticket := e.ticketed(t, cred, "busy", w.held)
		if _, err := w.admin.RevokeToken(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		if _, err := rest(at.conn); err != nil {
			t.Error("a connection with a ticket of who was revoked:", err)
		}
		if text, err := connect(e.secure(t, config(gate.Protocol, pair)), at.user, ticket); strings.Contains(text, "PONG") {
			t.Errorf("who was revoked came back with a ticket: %q, %v", text, err)
		}
		if err := ended(t.Context(), nc); err != nil {
			t.Error("a connection of who was revoked:", err)
		}
		if nc, err := e.inside(t, pair, "client.b-"+id, ""); err == nil {
			nc.Close()
			t.Error("who was revoked came back")
		}
		if _, err := cred.Renew(t.Context(), e.relay(t)); !errors.Is(err, trust.ErrRevoked) {
			t.Errorf("to renew a certificate that was revoked: %v", err)
		}
	}},
	{"TLS of an old version", func(t *testing.T, w *world, _ string) {
		e := w.host()
		for _, version := range []uint16{tls.VersionTLS10, tls.VersionTLS11, tls.VersionTLS12} {
			c := config(gate.Protocol, certificate(t, w.stolen(t, 0)))
			c.MinVersion, c.MaxVersion = version, version
			if err := tls.Client(e.plain(t), c).Handshake(); err == nil {
				t.Errorf("%s was taken", tls.VersionName(version))
			}
		}
		if _, err := trust.ParseToken("hydra0." + strings.SplitN(w.token(t, hydra.RoleClient, false), ".", 2)[1]); err == nil || !strings.Contains(err.Error(), "another version") {
			t.Errorf("an old token: %v", err)
		}
		conn := tls.Client(e.plain(t), config("hydra/0", certificate(t, w.stolen(t, 0))))
		if err := conn.Handshake(); err == nil {
			t.Errorf("a protocol that does not exist was taken: %q", conn.ConnectionState().NegotiatedProtocol)
		}
	}},
	{"a token guessed many times", guess},
}

// refuses makes sure that nobody can join with a token any more.
func (w *world) refuses(t *testing.T, text string) {
	t.Helper()
	token, err := trust.ParseToken(text)
	if err != nil {
		t.Fatal(err)
	}
	cred, err := trust.Join(t.Context(), w.host().relay(t), token, "h")
	if cred != nil || !errors.Is(err, trust.ErrRefused) && !strings.Contains(fmt.Sprint(err), "429") {
		t.Errorf("joined with it: %v, %v", cred, err)
	}
}

// refusedAtLast joins until the token has expired.
func refusedAtLast(t *testing.T, w *world, text string) {
	t.Helper()
	token, err := trust.ParseToken(text)
	if err != nil {
		t.Fatal(err)
	}
	address := w.host().relay(t)
	until := time.NewTimer(patience)
	defer until.Stop()
	again := time.NewTicker(200 * time.Millisecond)
	defer again.Stop()
	for {
		_, err := trust.Join(t.Context(), address, token, "h")
		if errors.Is(err, trust.ErrRefused) {
			return
		}
		select {
		case <-again.C:
		case <-until.C:
			t.Fatalf("a token of one second: %v", err)
		}
	}
}

// post sends a request for joining, and returns its status.
func (e *enemy) post(t *testing.T, path, body string, own ...tls.Certificate) (int, error) {
	t.Helper()
	return e.request(config("http/1.1", own...), fmt.Sprintf("POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", path, len(body), body))
}

// request sends a request as it is.
func (e *enemy) request(c *tls.Config, text string) (int, error) {
	raw, err := e.Dial("", "")
	if err != nil {
		return 0, err
	}
	defer raw.Close()
	conn := tls.Client(raw, c)
	if _, err := io.WriteString(conn, text); err != nil {
		return 0, err
	}
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return 0, err
	}
	defer answer.Body.Close()
	_, err = io.Copy(io.Discard, answer.Body)
	return answer.StatusCode, err
}

// guess guesses the secret of a token that there is, from one address, and joins with the
// right one from another meanwhile.
func guess(t *testing.T, w *world, _ string) {
	text := w.token(t, hydra.RoleOperator, false)
	id := strings.Split(text, ".")[2]
	times := 1000
	if os.Getenv("HYDRA_TEST_ALL") != "" {
		times = 10_000
	}
	e := w.host()
	c := config("http/1.1")
	c.CurvePreferences = []tls.CurveID{tls.X25519}
	var next, asked, limited, unheard atomic.Int64
	var joined atomic.Bool
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for next.Add(1) <= int64(times) {
				secret := make([]byte, 32)
				rand.Read(secret)
				body, err := json.Marshal(map[string]string{"token": id, "csr": "", "host": "h", "proof": base64.StdEncoding.EncodeToString(secret)})
				if err != nil {
					t.Error(err)
					return
				}
				status, err := e.request(c, fmt.Sprintf("POST /v1/join HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body))
				switch {
				case status == http.StatusOK:
					joined.Store(true)
				case status == http.StatusTooManyRequests:
					limited.Add(1)
				case err != nil:
					unheard.Add(1)
				default:
					asked.Add(1)
				}
			}
		})
	}
	token, err := trust.ParseToken(text)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := trust.Join(t.Context(), w.address, token, "colleague"); err != nil {
		t.Error("another host could not join meanwhile:", err)
	}
	wg.Wait()
	// Ten at once, and one each six seconds: more than that a slow machine can not add.
	if most := int64(10 + 4 + patience/(6*time.Second)*3); joined.Load() || asked.Load() > most || limited.Load()+unheard.Load() < int64(times)-most {
		t.Errorf("of %d guesses %d were looked at, %d were too many, %d were not heard; joined: %t", times, asked.Load(), limited.Load(), unheard.Load(), joined.Load())
	}
}
