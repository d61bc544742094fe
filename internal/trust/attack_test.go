package trust

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// between accepts one connection after the other, and hands each to do, until the test
// ends.
func between(t *testing.T, do func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var done sync.WaitGroup
	done.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			do(c)
			c.Close()
		}
	})
	t.Cleanup(func() { l.Close(); done.Wait() })
	return l.Addr().String()
}

func TestAJoinCanPassThroughWhoOnlyForwardsBytes(t *testing.T) {
	s := serving(t)
	address := between(t, func(c net.Conn) {
		on, err := net.Dial("tcp", s.address)
		if err != nil {
			t.Error(err)
			return
		}
		var back sync.WaitGroup
		back.Go(func() { io.Copy(c, on); c.Close() })
		io.Copy(on, c)
		on.Close()
		back.Wait()
	})
	if _, err := Join(t.Context(), address, s.token(t, Client, true), "host"); err != nil {
		t.Error(err)
	}
}

// The one in the middle has even stolen the server's own certificate and its key.
func TestAJoinCanNotBeRelayedOverTwoConnections(t *testing.T) {
	s := serving(t)
	token := s.token(t, Client, true)
	relayed := 0
	address := serveHTTP(t, &tls.Config{MinVersion: tls.VersionTLS13, GetCertificate: s.Certificate},
		http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(r.Body)
			if err != nil {
				t.Error(err)
			}
			relayed++
			status, text := s.ask(t, r.Method, r.URL.Path, r.Header.Get("Content-Type"), string(body))
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(status)
			io.WriteString(w, text)
		}))
	_, err := Join(t.Context(), address, token, "host")
	if !errors.Is(err, ErrRefused) || relayed != 1 {
		t.Errorf("relayed %d times: %v", relayed, err)
	}
	if !strings.Contains(s.log.String(), "token "+token.ID()+": the proof is wrong") {
		t.Errorf("the server says: %s", s.log)
	}
	if got := s.List()[0]; got.Status != Valid {
		t.Errorf("the one in the middle has used the token up: %+v", got)
	}
	s.member(t, token, "host")
}

func TestNothingIsSentToWhoIsNotTheServer(t *testing.T) {
	s := serving(t)
	token := s.token(t, Client, true)
	member := s.member(t, s.token(t, Client, true), "a member")
	opened, err := member.open()
	if err != nil {
		t.Fatal(err)
	}
	other := newServer(t)
	foreign, err := other.Certificate(nil)
	if err != nil {
		t.Fatal(err)
	}
	key, err := newKey()
	if err != nil {
		t.Fatal(err)
	}
	own := func(change func(*x509.Certificate)) tls.Certificate {
		c := serverTemplate(s.names, time.Now(), time.Now().Add(day))
		change(c)
		leaf, err := sign(c, s.ca, key.Public(), s.key)
		if err != nil {
			t.Fatal(err)
		}
		return tls.Certificate{Certificate: [][]byte{leaf.Raw, s.ca.Raw}, PrivateKey: key}
	}
	const (
		notOurCA    = "who answers is not the server that made the token: its CA is another one"
		notSigned   = "its certificate is not of the CA that is trusted"
		notAServer  = "its certificate is not that of a server"
		otherClocks = "compare the clocks of both machines"
	)
	for _, c := range []struct {
		name    string
		shows   tls.Certificate
		joiner  string // what is told
		renewer string
	}{
		{"another CA", *foreign, notOurCA, notSigned},
		{"another CA, and the right one behind it", tls.Certificate{Certificate: [][]byte{foreign.Certificate[0], s.ca.Raw}, PrivateKey: foreign.PrivateKey}, notSigned, notSigned},
		{"a member", tls.Certificate{Certificate: [][]byte{opened.certificate.Raw, s.ca.Raw}, PrivateKey: opened.key}, notAServer, notAServer},
		{"no usage at all", own(func(c *x509.Certificate) { c.ExtKeyUsage = nil }), notAServer, notAServer},
		{"expired", own(func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }), otherClocks, otherClocks},
		{"no CA", tls.Certificate{Certificate: [][]byte{own(func(*x509.Certificate) {}).Certificate[0]}, PrivateKey: key}, notOurCA, ""},
	} {
		got := make(chan []byte, 1)
		address := between(t, func(conn net.Conn) {
			server := tls.Server(conn, &tls.Config{
				MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{c.shows}, NextProtos: []string{"http/1.1"},
				ClientAuth: tls.RequestClientCert,
			})
			b, _ := io.ReadAll(server) // it ends with the error of the handshake
			got <- b
		})
		if _, err := Join(t.Context(), address, token, "host"); err == nil || !strings.Contains(err.Error(), c.joiner) {
			t.Errorf("%s: joined: %v", c.name, err)
		}
		sent := <-got
		if c.renewer != "" {
			if _, err := member.Renew(t.Context(), address); err == nil || !strings.Contains(err.Error(), c.renewer) {
				t.Errorf("%s: renewed: %v", c.name, err)
			}
			sent = append(sent, <-got...)
		}
		if len(sent) > 0 {
			t.Errorf("%s: it got %q", c.name, sent)
		}
	}
	s.member(t, token, "host") // which is not used up
}

// Who has the CA's server certificate, but does not know the token.
func TestAnAnswerOfWhoDoesNotKnowTheTokenIsRefused(t *testing.T) {
	s := newServer(t)
	token := s.token(t, Client, false)
	right, err := tokenKey(token.secret[:], token.ca[:], token.id)
	if err != nil {
		t.Fatal(err)
	}
	type told struct {
		q     joinRequest
		chain [][]byte
		bound []byte
	}
	for name, prove := range map[string]func(told) []byte{
		"nothing":          func(told) []byte { return nil },
		"the joiner's own": func(x told) []byte { return x.q.Proof },
		"another key": func(x told) []byte {
			return joinedProof(make([]byte, 32), x.q.Token, x.q.Proof, x.chain[0], x.chain[1], x.bound)
		},
		"another connection": func(x told) []byte {
			return joinedProof(right, x.q.Token, x.q.Proof, x.chain[0], x.chain[1], make([]byte, 32))
		},
		"another join": func(x told) []byte {
			return joinedProof(right, x.q.Token, make([]byte, 32), x.chain[0], x.chain[1], x.bound)
		},
		"another certificate": func(x told) []byte {
			return joinedProof(right, x.q.Token, x.q.Proof, x.chain[1], x.chain[1], x.bound)
		},
		"": func(x told) []byte {
			return joinedProof(right, x.q.Token, x.q.Proof, x.chain[0], x.chain[1], x.bound)
		},
	} {
		address := serveHTTP(t, &tls.Config{MinVersion: tls.VersionTLS13, GetCertificate: s.Certificate},
			http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				var x told
				if err := json.NewDecoder(r.Body).Decode(&x.q); err != nil {
					t.Error(err)
				}
				public, err := publicKeyOf(x.q.CSR)
				if err != nil {
					t.Error(err)
				}
				now := time.Now()
				leaf, err := s.issue(Identity{ID: newID(), Role: Client, Host: "h", NotAfter: now.Add(day)}, public, now)
				if err != nil {
					t.Error(err)
				}
				x.chain = [][]byte{leaf.Raw, s.ca.Raw}
				if x.bound, err = binding(r.TLS); err != nil {
					t.Error(err)
				}
				answer(w, 200, joinAnswer{x.chain, prove(x)})
			}))
		_, err := Join(t.Context(), address, token, "host")
		if name == "" && err != nil {
			t.Errorf("the right answer: %v", err)
		} else if name != "" && (err == nil || !strings.HasSuffix(err.Error(), "the answer is not of who knows the token")) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAnAnswerOfAnyKindIsTold(t *testing.T) {
	s := newServer(t)
	token := s.token(t, Client, false)
	for _, c := range []struct {
		name   string
		answer http.HandlerFunc
		want   string
	}{
		{"no JSON", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "hello") }, "the answer is not what a server of hydra says"},
		{"nothing", func(http.ResponseWriter, *http.Request) {}, "the answer is not what a server of hydra says: unexpected EOF"},
		{"too much", func(w http.ResponseWriter, _ *http.Request) { w.Write(bytes.Repeat([]byte(" "), maxBody+1)) }, "the answer has more than 65536 bytes"},
		{"busy", func(w http.ResponseWriter, _ *http.Request) {
			answer(w, 429, errorAnswer{Error: "too many failures, try again\x1b[2J in a minute"})
		}, "the server answers 429: too many failures, try again [2J in a minute"},
		{"a page", func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "<html>", http.StatusBadGateway) }, "the server answers 502: it gives no reason"},
		{"elsewhere", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://127.0.0.1:1/", http.StatusTemporaryRedirect)
		}, "the server answers 307: it gives no reason"},
		{"a long reason", func(w http.ResponseWriter, _ *http.Request) {
			answer(w, 500, errorAnswer{Error: strings.Repeat("ö", 500)})
		},
			"the server answers 500: " + strings.Repeat("ö", 150) + " ..."},
		{"half", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			io.WriteString(w, "{")
		}, `the server's answer did not come: unexpected EOF; if the token is for one use it may be used up: then create another with "hydra token create"`},
	} {
		address := serveHTTP(t, &tls.Config{MinVersion: tls.VersionTLS13, GetCertificate: s.Certificate}, c.answer)
		_, err := Join(t.Context(), address, token, "host")
		if want := "join the server at " + address + ": " + c.want; err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v, want %s", c.name, err, want)
		}
	}
}

func TestACertificateThatWasNotAskedForIsRefused(t *testing.T) {
	s, other := newServer(t), newServer(t)
	key, err := newKey()
	if err != nil {
		t.Fatal(err)
	}
	stranger, err := newKey()
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	m := Identity{ID: newID(), Role: Client, Host: "h", NotAfter: now.Add(day)}
	issue := func(s *server, m Identity, public any) []byte {
		c, err := s.issue(m, public, now)
		if err != nil {
			t.Fatal(err)
		}
		return c.Raw
	}
	right := issue(s, m, key.Public())
	noRole := m
	noRole.Role = "root"
	server, err := s.Certificate(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name  string
		chain [][]byte
		want  string
	}{
		{"right", [][]byte{right, s.ca.Raw}, ""},
		{"no CA", [][]byte{right}, "the answer is not a certificate and that of the CA"},
		{"another CA", [][]byte{right, other.ca.Raw}, "the answer is not a certificate and that of the CA"},
		{"three", [][]byte{right, s.ca.Raw, s.ca.Raw}, "the answer is not a certificate and that of the CA"},
		{"of another CA", [][]byte{issue(other, m, key.Public()), s.ca.Raw}, "the answer: the CA did not sign the certificate"},
		{"another key", [][]byte{issue(s, m, stranger.Public()), s.ca.Raw}, "the answer is a certificate for another key"},
		{"no role", [][]byte{issue(s, noRole, key.Public()), s.ca.Raw}, "the answer: the certificate's unit \"hydra-root\" is no role"},
		{"a server's", [][]byte{server.Certificate[0], s.ca.Raw}, "the answer: the certificate's common name is no identity"},
		{"noise", [][]byte{[]byte("noise"), s.ca.Raw}, "the answer: the certificate can not be read"},
	} {
		_, err := credentialOf(c.chain, s.ca, key)
		if (err == nil) != (c.want == "") || err != nil && !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}

func TestARenewalThatIsOfSomebodyElseIsRefused(t *testing.T) {
	s := newServer(t)
	c, err := s.Admin("host")
	if err != nil {
		t.Fatal(err)
	}
	m := identityOf(t, c)
	for name, change := range map[string]func(*Identity){
		"":             func(*Identity) {},
		"another id":   func(m *Identity) { m.ID = "aaaaaaaaaaaa" },
		"another role": func(m *Identity) { m.Role = Viewer },
	} {
		given := m
		change(&given)
		address := serveHTTP(t, &tls.Config{MinVersion: tls.VersionTLS13, GetCertificate: s.Certificate},
			http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				var q renewRequest
				if err := json.NewDecoder(r.Body).Decode(&q); err != nil {
					t.Error(err)
				}
				public, err := publicKeyOf(q.CSR)
				if err != nil {
					t.Error(err)
				}
				leaf, err := s.issue(given, public, time.Now())
				if err != nil {
					t.Error(err)
				}
				answer(w, 200, renewAnswer{[][]byte{leaf.Raw, s.ca.Raw}})
			}))
		_, err := c.Renew(t.Context(), address)
		if name == "" && err != nil {
			t.Errorf("of itself: %v", err)
		} else if name != "" && (err == nil || !strings.HasSuffix(err.Error(), "the answer is a certificate of somebody else")) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
