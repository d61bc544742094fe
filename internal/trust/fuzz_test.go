package trust

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"net"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// handshake gives the server's end of one, as http.Request.TLS has it.
func handshake(f *testing.F, s *server, own tls.Certificate) *tls.ConnectionState {
	f.Helper()
	near, far := net.Pipe()
	server := tls.Server(near, &tls.Config{
		MinVersion: tls.VersionTLS13, GetCertificate: s.Certificate,
		ClientAuth: tls.VerifyClientCertIfGiven, ClientCAs: s.pool(), SessionTicketsDisabled: true,
	})
	client := tls.Client(far, clientConfig("", func(tls.ConnectionState) error { return nil }, own))
	var done sync.WaitGroup
	defer done.Wait()
	defer near.Close()
	defer far.Close()
	done.Go(func() { client.Handshake() })
	if err := server.Handshake(); err != nil {
		f.Fatal(err)
	}
	state := server.ConnectionState()
	return &state
}

func FuzzJoin(f *testing.F) {
	s := newServer(f)
	token := s.token(f, Client, false)
	key, err := tokenKey(token.secret[:], token.ca[:], token.id)
	if err != nil {
		f.Fatal(err)
	}
	c, err := s.Admin("host")
	if err != nil {
		f.Fatal(err)
	}
	opened, err := c.open()
	if err != nil {
		f.Fatal(err)
	}
	connection := handshake(f, s, tls.Certificate{Certificate: [][]byte{opened.certificate.Raw}, PrivateKey: opened.key})
	bound, err := binding(connection)
	if err != nil {
		f.Fatal(err)
	}
	_, csr, err := newKeyAndRequest()
	if err != nil {
		f.Fatal(err)
	}
	right, err := json.Marshal(joinRequest{token.id, csr, "host", joinProof(key, token.id, csr, "host", bound), nil})
	if err != nil {
		f.Fatal(err)
	}
	renewal, err := json.Marshal(renewRequest{csr})
	if err != nil {
		f.Fatal(err)
	}
	s.keep = func(*state) error { return nil }
	for _, body := range []string{string(right), string(renewal), "", "{}", "null", "[]", `{"token":"aaaaaaaaaaaa"}`, string(right[:100])} {
		f.Add(body, false, false)
		f.Add(body, true, false)
	}
	// With a right proof, so that noise comes to what reads certificate requests.
	f.Add(string(csr), false, true)
	f.Add("noise", false, true)
	handler := s.Handler()
	f.Fuzz(func(t *testing.T, body string, renew, proved bool) {
		if proved {
			text, err := json.Marshal(joinRequest{token.id, []byte(body), "host", joinProof(key, token.id, []byte(body), "host", bound), nil})
			if err != nil {
				t.Fatal(err)
			}
			body = string(text)
		}
		path := joinPath
		if renew {
			path = renewPath
		}
		r := httptest.NewRequest("POST", path, strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		r.TLS = connection
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		switch {
		case w.Code == 200:
			var got joinAnswer
			if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || len(got.Chain) != 2 {
				t.Fatalf("%v: %s", err, w.Body)
			}
			leaf, err := x509.ParseCertificate(got.Chain[0])
			if err != nil {
				t.Fatal(err)
			}
			m, err := s.Identify([]*x509.Certificate{leaf})
			if err != nil || !renew && (m.Role != Client || m.Token != token.id) || renew && m.Role != Admin || m.NotAfter.After(time.Now().Add(leafLife)) {
				t.Errorf("%+v, %v", m, err)
			}
		case w.Code >= 500:
			t.Errorf("%d: %s", w.Code, w.Body)
		default:
			var got errorAnswer
			if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || got.Error == "" {
				t.Errorf("%v: %s", err, w.Body)
			}
		}
	})
}

func FuzzState(f *testing.F) {
	s := newServer(f)
	s.token(f, Client, true)
	if _, err := s.Admin("host"); err != nil {
		f.Fatal(err)
	}
	text, err := s.state.Load().encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add([]byte("{}"))
	f.Add([]byte(`{"format":1,"tokens":null,"identities":null}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		read, err := decodeState(text)
		if err != nil {
			return
		}
		written, err := read.encode()
		if err != nil {
			t.Fatal(err)
		}
		again, err := decodeState(written)
		if err != nil {
			t.Fatalf("%v: %s", err, written)
		}
		if second, err := again.encode(); err != nil || string(second) != string(written) {
			t.Errorf("%v: %s and %s", err, written, second)
		}
		read.forget(time.Now())
	})
}
