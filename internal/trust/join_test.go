package trust

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestWhoHasATokenBelongsToTheServer(t *testing.T) {
	s := serving(t)
	for _, role := range []Role{Client, Operator, Viewer} {
		token := s.token(t, role, false)
		c := s.member(t, token, "host of "+string(role)+"/ö?#%")
		chain := chainOf(t, c)
		got, err := s.Identify(chain)
		if err != nil {
			t.Fatal(err)
		}
		now := s.clock.Now().UTC().Truncate(time.Second)
		want := Identity{
			ID: got.ID, Role: role, Host: "host of " + string(role) + "/ö?#%",
			NotAfter: now.Add(90 * day), Token: token.ID(), Joined: now,
		}
		if diff := cmp.Diff(want, got); diff != "" || !isID(got.ID) {
			t.Errorf("-want +got:\n%s", diff)
		}
		want.Token, want.Joined = "", time.Time{} // of these a certificate says nothing
		if diff := cmp.Diff(want, identityOf(t, c)); diff != "" {
			t.Errorf("its own identity, -want +got:\n%s", diff)
		}
		leaf := chain[0]
		if leaf.IsCA || len(leaf.DNSNames)+len(leaf.IPAddresses)+len(leaf.EmailAddresses) > 0 ||
			len(leaf.ExtKeyUsage) != 1 || leaf.ExtKeyUsage[0] != x509.ExtKeyUsageClientAuth ||
			leaf.SerialNumber.BitLen() < 100 || leaf.NotBefore.After(now.Add(-59*time.Minute)) {
			t.Errorf("the certificate is not as it should be: %+v", leaf)
		}
	}
}

func TestAMemberAndTheServerAuthenticateEachOther(t *testing.T) {
	s := newServer(t)
	seen := make(chan Identity, 1)
	config := &tls.Config{
		MinVersion: tls.VersionTLS13, GetCertificate: s.Certificate,
		ClientAuth: tls.VerifyClientCertIfGiven, ClientCAs: s.pool(),
	}
	s.address = serveHTTP(t, config, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == joinPath {
			s.Handler().ServeHTTP(w, r)
			return
		}
		m, err := s.Identify(r.TLS.PeerCertificates)
		if err != nil {
			t.Error(err)
		}
		seen <- m
	}))
	c := s.member(t, s.token(t, Operator, true), "desk")
	own, err := c.Config("a name that the certificate does not know")
	if err != nil {
		t.Fatal(err)
	}
	web := &http.Client{Transport: &http.Transport{TLSClientConfig: own, DisableKeepAlives: true}}
	answer, err := web.Get("https://" + s.address + "/else")
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if m := <-seen; m.ID != identityOf(t, c).ID || m.Role != Operator {
		t.Errorf("the server sees %+v", m)
	}
}

func TestATokenWorksOnceIfItIsForOnce(t *testing.T) {
	s := serving(t)
	token := s.token(t, Client, true)
	const joiners = 8
	errs := make([]error, joiners)
	var all sync.WaitGroup
	for i := range joiners {
		all.Go(func() { _, errs[i] = Join(t.Context(), s.address, token, "host") })
	}
	all.Wait()
	won := 0
	for _, err := range errs {
		switch {
		case err == nil:
			won++
		case !errors.Is(err, ErrRefused):
			t.Error(err)
		}
	}
	if won != 1 {
		t.Errorf("%d of %d joined by a token for one use", won, joiners)
	}
	if got := s.List(); len(got) != 1 || got[0].Status != Used || len(got[0].Identities) != 1 {
		t.Errorf("listed: %+v", got)
	}
	// And after a restart, which knows only what was written.
	s.reopen(t)
	s.address = s.serve(t, &tls.Config{MinVersion: tls.VersionTLS13, GetCertificate: s.Certificate})
	if _, err := Join(t.Context(), s.address, token, "host"); !errors.Is(err, ErrRefused) {
		t.Errorf("after a restart: %v", err)
	}
}

func TestATokenForManyWorksForMany(t *testing.T) {
	s := serving(t)
	token := s.token(t, Client, false)
	ids := map[string]bool{}
	for _, host := range []string{"a", "b", "b"} {
		ids[identityOf(t, s.member(t, token, host)).ID] = true
	}
	if len(ids) != 3 {
		t.Errorf("three joined, and there are %d identities", len(ids))
	}
}

func TestNobodyGetsACertificateThatIsNotWrittenDown(t *testing.T) {
	s := serving(t)
	token := s.token(t, Client, true)
	before, err := os.ReadFile(filepath.Join(s.dir, stateName))
	if err != nil {
		t.Fatal(err)
	}
	keep := s.keep
	s.keep = func(*state) error { return errors.New("no space left") }
	_, err = Join(t.Context(), s.address, token, "host")
	if err == nil || errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "the server answers 500") {
		t.Errorf("joined by what could not be written: %v", err)
	}
	if !strings.Contains(s.log.String(), "no space left") {
		t.Errorf("the log does not say why: %s", s.log)
	}
	if s.failures.Load() != 0 {
		t.Error("a failure of the server counts as one of the joiner")
	}
	if got := s.List(); got[0].Status != Valid || len(got[0].Identities) != 0 {
		t.Errorf("what was not written is listed: %+v", got)
	}
	after, err := os.ReadFile(filepath.Join(s.dir, stateName))
	if err != nil || !bytes.Equal(before, after) {
		t.Errorf("the file has changed (%v)", err)
	}
	s.keep = keep
	s.member(t, token, "host")
}

func TestTheUseOfATokenIsWrittenBeforeItsCertificateIsSent(t *testing.T) {
	s := serving(t)
	token := s.token(t, Client, true)
	keep, killed := s.keep, false
	s.keep = func(next *state) error {
		if err := keep(next); err != nil {
			return err
		}
		killed = true
		panic(http.ErrAbortHandler) // as if the process were killed now
	}
	_, err := Join(t.Context(), s.address, token, "host")
	if err == nil || !strings.Contains(err.Error(), "if the token is for one use it may be used up: then create another") {
		t.Errorf("the joiner is told: %v", err)
	}
	s.reopen(t)
	if got := s.List(); !killed || len(got) != 1 || got[0].Status != Used || len(got[0].Identities) != 1 {
		t.Errorf("after the crash: %+v", got)
	}
}

// refusedToken is one that does not work, and what the log says of it.
type refusedToken struct {
	name, why string
	token     Token
}

// refusedTokens are all kinds of them.
func refusedTokens(t *testing.T, s *server) []refusedToken {
	wrong := s.token(t, Client, false)
	wrong.secret = new([32]byte)
	_, text, err := s.CreateToken(Client, time.Minute, false)
	if err != nil {
		t.Fatal(err)
	}
	expired, err := ParseToken(text)
	if err != nil {
		t.Fatal(err)
	}
	s.clock.move(time.Minute)
	used := s.token(t, Client, true)
	s.member(t, used, "first")
	revoked := s.token(t, Client, false)
	if _, err := s.Revoke(revoked.ID()); err != nil {
		t.Fatal(err)
	}
	return []refusedToken{
		{"unknown", "there is none of that id", newToken(s.caHash, "aaaaaaaaaaaa")},
		{"wrong secret", "the proof is wrong", wrong},
		{"expired", "it is expired", expired},
		{"used", "it is used", used},
		{"revoked", "it is revoked", revoked},
	}
}

func TestATokenOfAnotherRoleIsNotUsedUp(t *testing.T) {
	s := serving(t)
	token := s.token(t, Operator, true)
	_, err := Join(t.Context(), s.address, token, "host", Client)
	if !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "the token is for role operator, and one for role client is needed: it is not used up") {
		t.Error(err)
	}
	cred, err := Join(t.Context(), s.address, token, "host", Operator, Viewer)
	if err != nil {
		t.Fatal(err)
	}
	if m := identityOf(t, cred); m.Role != Operator {
		t.Errorf("it is of role %s", m.Role)
	}
	// What it is for is said to nobody who does not have one that is good.
	for _, r := range refusedTokens(t, s) {
		if _, err := Join(t.Context(), s.address, r.token, "host", Viewer); err == nil || !strings.HasSuffix(err.Error(), refusal) {
			t.Errorf("%s: %v", r.name, err)
		}
	}
}

func TestTheNetworkDoesNotLearnWhatIsWrongWithAToken(t *testing.T) {
	s := serving(t)
	for _, r := range refusedTokens(t, s) {
		before, failed := len(s.log.String()), s.failures.Load()
		_, err := Join(t.Context(), s.address, r.token, "host")
		want := "join the server at " + s.address + ": refused by the server: " + refusal
		if err == nil || err.Error() != want || !errors.Is(err, ErrRefused) {
			t.Errorf("%s: %v, want %s", r.name, err, want)
		}
		if s.failures.Load() != failed+1 {
			t.Errorf("%s: it does not count as a failure", r.name)
		}
		said := s.log.String()[before:]
		if !strings.Contains(said, "token "+r.token.ID()+": "+r.why) {
			t.Errorf("%s: the log does not say %q: %s", r.name, r.why, said)
		}
	}
	for _, secret := range []string{"secret=", "csr=", "proof=", "hydra1."} {
		if strings.Contains(s.log.String(), secret) {
			t.Errorf("the log has %q: %s", secret, s.log)
		}
	}
}

func TestWhatIsNoRequestIsRefused(t *testing.T) {
	s := serving(t)
	token := s.token(t, Client, false)
	request := func(change func(*joinRequest)) string {
		q := joinRequest{Token: token.ID(), CSR: []byte("csr"), Host: "host", Proof: make([]byte, 32)}
		change(&q)
		text, err := json.Marshal(q)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	right := request(func(*joinRequest) {})
	const kind = "application/json"
	for _, c := range []struct {
		name, method, path, kind, body string
		status                         int
		says                           string
	}{
		{"no proof", "POST", joinPath, kind, right, 403, refusal},
		{"short proof", "POST", joinPath, kind, request(func(q *joinRequest) { q.Proof = q.Proof[:8] }), 403, refusal},
		{"empty proof", "POST", joinPath, kind, request(func(q *joinRequest) { q.Proof = nil }), 403, refusal},
		{"other path", "POST", "/v1/join/", kind, right, 404, "there is nothing here but /v1/join and /v1/renew"},
		{"other version", "POST", "/v2/join", kind, right, 404, "there is nothing here but /v1/join and /v1/renew"},
		{"GET", "GET", joinPath, kind, "", 405, "only POST is understood here"},
		{"PUT", "PUT", renewPath, kind, right, 405, "only POST is understood here"},
		{"a form", "POST", joinPath, "application/x-www-form-urlencoded", right, 415, "the content type has to be application/json"},
		{"no type", "POST", joinPath, "", right, 415, "the content type has to be application/json"},
		{"too large", "POST", joinPath, kind, right + strings.Repeat(" ", maxBody), 413, "the request has more than 65536 bytes"},
		{"empty", "POST", joinPath, kind, "", 400, "the request is not the JSON that belongs here"},
		{"half", "POST", joinPath, kind, right[:len(right)/2], 400, "the request is not the JSON that belongs here"},
		{"trailing data", "POST", joinPath, kind, right + "{}", 400, "the request is not the JSON that belongs here"},
		{"trailing noise", "POST", joinPath, kind, right + "]", 400, "the request is not the JSON that belongs here"},
		{"unknown field", "POST", joinPath, kind, `{"role":"admin",` + right[1:], 400, "the request is not the JSON that belongs here"},
		{"a list", "POST", joinPath, kind, "[" + right + "]", 400, "the request is not the JSON that belongs here"},
		{"no base64", "POST", joinPath, kind, `{"token":"aaaaaaaaaaaa","csr":"!"}`, 400, "the request is not the JSON that belongs here"},
		{"deep", "POST", joinPath, kind, strings.Repeat("[", 60000), 400, "the request is not the JSON that belongs here"},
		{"nothing in it", "POST", joinPath, kind, "{}", 400, "token is no id of a token"},
		{"null", "POST", joinPath, kind, "null", 400, "token is no id of a token"},
		{"log injection", "POST", joinPath, kind, request(func(q *joinRequest) { q.Token = "aaaaaaaaaaa\n" }), 400, "token is no id of a token"},
		{"no host", "POST", joinPath, kind, request(func(q *joinRequest) { q.Host = "" }), 400, "the host has no name"},
		{"long host", "POST", joinPath, kind, request(func(q *joinRequest) { q.Host = strings.Repeat("h", 256) }), 400, "the host's name has 256 bytes, and 255 are allowed"},
		{"host of a terminal", "POST", joinPath, kind, request(func(q *joinRequest) { q.Host = "\x1b[31m" }), 400, "the host's name has characters that can not be printed"},
		{"host turned around", "POST", joinPath, kind, request(func(q *joinRequest) { q.Host = "a\u202eb" }), 400, "the host's name has characters that can not be printed"},
		{"renewal without certificate", "POST", renewPath, kind, `{"csr":""}`, 403, "the server does not know this certificate: join with a new token"},
	} {
		failed := s.failures.Load()
		status, body := s.ask(t, c.method, c.path, c.kind, c.body)
		var got errorAnswer
		if err := json.Unmarshal([]byte(body), &got); err != nil {
			t.Errorf("%s: %v: %q", c.name, err, body)
		}
		if status != c.status || got.Error != c.says {
			t.Errorf("%s: %d %q, want %d %q", c.name, status, got.Error, c.status, c.says)
		}
		if s.failures.Load() != failed+1 {
			t.Errorf("%s: it does not count as a failure", c.name)
		}
	}
	if got := s.List()[0].Identities; len(got) > 0 {
		t.Errorf("somebody got in: %+v", got)
	}
}

func TestJoiningNeedsTLS13(t *testing.T) {
	s := newServer(t)
	token := s.token(t, Client, false)
	s.address = s.serve(t, &tls.Config{GetCertificate: s.Certificate, MaxVersion: tls.VersionTLS12})
	if _, err := Join(t.Context(), s.address, token, "host"); err == nil || !strings.Contains(err.Error(), "protocol version") {
		t.Errorf("joined by TLS 1.2: %v", err)
	}
	old := &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12}
	web := &http.Client{Transport: &http.Transport{TLSClientConfig: old, DisableKeepAlives: true}}
	answer, err := web.Post("https://"+s.address+joinPath, "application/json", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	var says errorAnswer
	if err := json.NewDecoder(answer.Body).Decode(&says); err != nil || answer.StatusCode != 400 || says.Error != "TLS 1.3 is needed" {
		t.Errorf("the server answers TLS 1.2 with %d %q, %v", answer.StatusCode, says.Error, err)
	}
}

func requestOf(t testing.TB, key crypto.Signer, r *x509.CertificateRequest) []byte {
	t.Helper()
	der, err := x509.CreateCertificateRequest(rand.Reader, r, key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func TestOfACertificateRequestOnlyTheKeyCounts(t *testing.T) {
	s := serving(t)
	token := s.token(t, Viewer, false)
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	greedy := &x509.CertificateRequest{
		Subject:  pkix.Name{CommonName: "aaaaaaaaaaaa", OrganizationalUnit: []string{"hydra-admin"}},
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtraExtensions: []pkix.Extension{
			{Id: []int{2, 5, 29, 19}, Critical: true, Value: []byte{0x30, 3, 1, 1, 0xff}},       // a CA
			{Id: []int{2, 5, 29, 37}, Value: []byte{0x30, 10, 6, 8, 0x2b, 6, 1, 5, 5, 7, 3, 1}}, // a server
		},
	}
	for _, key := range []crypto.Signer{p384, ed} {
		answer, err := s.joinBy(t, token, "host", requestOf(t, key, greedy))
		if err != nil {
			t.Fatal(err)
		}
		c, m, err := parseMember(answer.Chain[0], s.ca)
		if err != nil {
			t.Fatal(err)
		}
		if m.Role != Viewer || m.ID == "aaaaaaaaaaaa" || c.IsCA || len(c.DNSNames)+len(c.IPAddresses) > 0 ||
			len(c.ExtKeyUsage) != 1 || c.ExtKeyUsage[0] != x509.ExtKeyUsageClientAuth || !samePublic(c.PublicKey, key.Public()) {
			t.Errorf("it got what it asked for: %+v", c)
		}
	}
}

func TestAWeakCertificateRequestIsRefused(t *testing.T) {
	s := serving(t)
	token := s.token(t, Client, true)
	good, err := newKey()
	if err != nil {
		t.Fatal(err)
	}
	forged := requestOf(t, good, &x509.CertificateRequest{})
	forged[len(forged)-1] ^= 1
	p224, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	large, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	for want, csr := range map[string][]byte{
		"the certificate request can not be read":                  nil,
		"the certificate request is not signed with its own key":   forged,
		"the certificate request's key is too short: use P-256":    requestOf(t, p224, &x509.CertificateRequest{}),
		"the certificate request's key has to be ECDSA or Ed25519": requestOf(t, large, &x509.CertificateRequest{}),
	} {
		if _, err := s.joinBy(t, token, "host", csr); err == nil || err.Error() != "the server answers 400: "+want {
			t.Errorf("%v, want %s", err, want)
		}
	}
	if s.List()[0].Status != Valid {
		t.Error("a request that was refused has used the token up")
	}
}

func TestAJoinSaysWhatIsWrongBeforeItConnects(t *testing.T) {
	token := newToken([32]byte{}, "aaaaaaaaaaaa")
	for _, c := range []struct {
		address, host string
		token         Token
		want          string
	}{
		{"127.0.0.1", "h", token, "join the server at 127.0.0.1: this is no address: use HOST:PORT"},
		{":1", "h", token, "join the server at :1: this is no address: use HOST:PORT"},
		{"127.0.0.1:1", "", token, "join the server at 127.0.0.1:1: the host has no name"},
		{"127.0.0.1:1", "h", Token{}, "join the server at 127.0.0.1:1: there is no token"},
	} {
		if _, err := Join(t.Context(), c.address, c.token, c.host); err == nil || err.Error() != c.want {
			t.Errorf("%v, want %s", err, c.want)
		}
	}
	ended, end := context.WithCancel(t.Context())
	end()
	if _, err := Join(ended, "127.0.0.1:1", token, "h"); !errors.Is(err, context.Canceled) {
		t.Errorf("with a context that has ended: %v", err)
	}
}

func TestJoinersAreBounded(t *testing.T) {
	s := serving(t)
	token, other := s.token(t, Client, false), s.token(t, Client, false)
	s.keep = func(*state) error { return nil }
	fill := func(by string, n int) {
		if err := s.change(func(st *state, now time.Time) error {
			for range n {
				id := st.freshID()
				st.members[id] = Identity{ID: id, Role: Client, Host: "h", NotAfter: now.Add(day), Token: by}
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	fill(token.ID(), maxJoined)
	_, err := Join(t.Context(), s.address, token, "host")
	const full = "the server answers 503: too many have joined: revoke a token, or use another one for this host"
	if err == nil || !strings.HasSuffix(err.Error(), full) {
		t.Errorf("one more than a token may let in: %v", err)
	}
	s.member(t, other, "host")
	fill("", maxMembers-maxJoined-1)
	if _, err = Join(t.Context(), s.address, other, "host"); err == nil || !strings.HasSuffix(err.Error(), full) {
		t.Errorf("one more than may belong to the server: %v", err)
	}
	s.clock.move(day + remembered + time.Minute)
	s.member(t, s.token(t, Client, false), "host")
}
