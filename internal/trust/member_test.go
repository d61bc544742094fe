package trust

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestARenewalKeepsWhoItIs(t *testing.T) {
	s := serving(t)
	s.clock.move(-85 * day) // joined then
	old := s.member(t, s.token(t, Operator, true), "desk")
	was := identityOf(t, old)
	s.clock.move(85 * day)
	if !old.Due(s.clock.Now()) {
		t.Error("after 85 days it is not due")
	}
	renewed, err := old.Renew(t.Context(), s.address)
	if err != nil {
		t.Fatal(err)
	}
	want := was
	want.NotAfter = s.clock.Now().UTC().Truncate(time.Second).Add(90 * day)
	if diff := cmp.Diff(want, identityOf(t, renewed)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if renewed.Due(s.clock.Now()) || renewed.Key == old.Key || renewed.CA != old.CA {
		t.Errorf("it is due again, has the old key, or another CA")
	}
	s.reopen(t) // nothing of it is only in memory
	for _, c := range []*Credential{old, renewed} {
		m, err := s.Identify(chainOf(t, c))
		if err != nil || m.ID != was.ID || m.Role != Operator || !m.NotAfter.Equal(identityOf(t, c).NotAfter) {
			t.Errorf("%+v, %v", m, err)
		}
	}
	if got := s.List()[0].Identities; len(got) != 1 || !got[0].NotAfter.Equal(want.NotAfter) {
		t.Errorf("listed: %+v", got)
	}
}

func TestARenewalIsRefusedToWhoDoesNotBelong(t *testing.T) {
	s := newServer(t)
	certificate, err := s.Certificate(nil)
	if err != nil {
		t.Fatal(err)
	}
	// Whatever is shown is let through: the handler itself decides.
	s.address = s.serve(t, &tls.Config{
		MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{*certificate}, ClientAuth: tls.RequestClientCert,
	})
	token := s.token(t, Client, false)
	revoked, expired, unknown := s.member(t, token, "a"), s.member(t, token, "b"), s.member(t, token, "c")
	if _, err := s.Revoke(identityOf(t, revoked).ID); err != nil {
		t.Fatal(err)
	}
	if err := s.change(func(st *state, _ time.Time) error {
		delete(st.members, identityOf(t, unknown).ID)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	refused := func(c *Credential, want error) {
		t.Helper()
		if _, err := c.Renew(t.Context(), s.address); !errors.Is(err, want) {
			t.Errorf("%v, want %v", err, want)
		}
		if _, err := s.Identify(chainOf(t, c)); !errors.Is(err, want) {
			t.Errorf("identified: %v, want %v", err, want)
		}
	}
	refused(revoked, ErrRevoked)
	refused(unknown, ErrUnknown)
	if _, err := expired.Renew(t.Context(), s.address); err != nil {
		t.Error(err)
	}
	s.clock.move(90*day + time.Second)
	refused(expired, ErrExpired)
	s.clock.move(-91 * day)
	refused(expired, ErrExpired) // not valid yet
}

func TestARevocationWinsOverARenewalOnItsWay(t *testing.T) {
	s := newServer(t)
	c, err := s.Admin("host")
	if err != nil {
		t.Fatal(err)
	}
	m, err := s.Identify(chainOf(t, c)) // as a renewal does first
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Revoke(m.ID); err != nil {
		t.Fatal(err)
	}
	key, err := newKey()
	if err != nil {
		t.Fatal(err)
	}
	var told *requestError
	if issued, err := s.reissue(m.ID, key.Public()); issued != nil || !errors.As(err, &told) || told.says.Reason != "revoked" {
		t.Errorf("revoked meanwhile: %v", err)
	}
	if issued, err := s.reissue("aaaaaaaaaaaa", key.Public()); issued != nil || !errors.As(err, &told) || told.says.Reason != "unknown" {
		t.Errorf("gone meanwhile: %v", err)
	}
}

func TestACertificateOfAnotherCAIsForeign(t *testing.T) {
	s, other := serving(t), serving(t)
	c := other.member(t, other.token(t, Client, true), "host")
	mixed := *c
	mixed.CA = string(certificatePEM(s.ca))
	if _, err := mixed.Renew(t.Context(), s.address); err == nil || !strings.Contains(err.Error(), "the CA did not sign the certificate") {
		t.Errorf("renewed: %v", err)
	}
	if _, err := s.Identify(chainOf(t, c)); !errors.Is(err, ErrForeign) {
		t.Errorf("identified: %v", err)
	}
}

func TestOnlyMembersAreIdentified(t *testing.T) {
	s := newServer(t)
	server, err := s.Certificate(nil)
	if err != nil {
		t.Fatal(err)
	}
	key, err := newKey()
	if err != nil {
		t.Fatal(err)
	}
	c, err := s.Admin("here")
	if err != nil {
		t.Fatal(err)
	}
	m := identityOf(t, c)
	forged := func(change func(*x509.Certificate)) *x509.Certificate {
		template := memberTemplate(m, s.clock.Now())
		change(template)
		c, err := sign(template, s.ca, key.Public(), s.key)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	for name, c := range map[string]*x509.Certificate{
		"the server":    server.Leaf,
		"the CA":        s.ca,
		"another role":  forged(func(c *x509.Certificate) { c.Subject.OrganizationalUnit = []string{"hydra-viewer"} }),
		"two roles":     forged(func(c *x509.Certificate) { c.Subject.OrganizationalUnit = []string{"hydra-admin", "hydra-viewer"} }),
		"no role":       forged(func(c *x509.Certificate) { c.Subject.OrganizationalUnit = nil }),
		"another":       forged(func(c *x509.Certificate) { c.Subject.CommonName = "aaaaaaaaaaaa" }),
		"no usage":      forged(func(c *x509.Certificate) { c.ExtKeyUsage = nil }),
		"both usages":   forged(func(c *x509.Certificate) { c.ExtKeyUsage = append(c.ExtKeyUsage, x509.ExtKeyUsageServerAuth) }),
		"a lesser CA":   forged(func(c *x509.Certificate) { c.IsCA = true }),
		"a broken host": forged(func(c *x509.Certificate) { c.URIs[0].Opaque = "a%0Ab" }),
	} {
		if m, err := s.Identify([]*x509.Certificate{c}); !errors.Is(err, ErrUnknown) {
			t.Errorf("%s: %+v, %v", name, m, err)
		}
	}
	if _, err := s.Identify(nil); !errors.Is(err, ErrUnknown) {
		t.Errorf("nobody: %v", err)
	}
	if got, err := s.Identify([]*x509.Certificate{forged(func(*x509.Certificate) {})}); err != nil || got.ID != m.ID {
		t.Errorf("the check itself fails: %+v, %v", got, err)
	}
}

func TestWhoIsRevokedIsOutAtOnce(t *testing.T) {
	s := serving(t)
	token, other := s.token(t, Client, false), s.token(t, Client, false)
	a, b, c := s.member(t, token, "a"), s.member(t, token, "b"), s.member(t, other, "c")
	var told []string
	s.OnRevoke(func(m Identity) {
		// Whoever asks now gets the answer that holds.
		for _, one := range []*Credential{a, b, c} {
			if identityOf(t, one).ID != m.ID {
				continue
			}
			if _, err := s.Identify(chainOf(t, one)); !errors.Is(err, ErrRevoked) {
				t.Errorf("while it is revoked: %v", err)
			}
		}
		told = append(told, m.Host)
	})
	hosts := func(ms []Identity) (hosts []string) {
		for _, m := range ms {
			hosts = append(hosts, m.Host)
		}
		return hosts
	}
	revoke := func(id string, want ...string) {
		t.Helper()
		told = nil
		gone, err := s.Revoke(id)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, hosts(gone)); diff != "" {
			t.Errorf("revoked, -want +got:\n%s", diff)
		}
		if diff := cmp.Diff(want, told); diff != "" {
			t.Errorf("told, -want +got:\n%s", diff)
		}
	}
	revoke(identityOf(t, a).ID, "a")
	revoke(token.ID(), "b") // a is out already
	revoke(token.ID())
	s.reopen(t)
	for _, one := range []*Credential{a, b} {
		if _, err := s.Identify(chainOf(t, one)); !errors.Is(err, ErrRevoked) {
			t.Errorf("after a restart: %v", err)
		}
	}
	if _, err := s.Identify(chainOf(t, c)); err != nil {
		t.Errorf("another is out too: %v", err)
	}
	list := s.List()
	for _, info := range list {
		want := Valid
		if info.ID == token.ID() {
			want = Revoked
		}
		if info.Status != want {
			t.Errorf("listed: %+v", info)
		}
	}
	for _, id := range []string{"", "aaaaaaaaaaaa", "no id\n"} {
		if _, err := s.Revoke(id); !errors.Is(err, ErrUnknown) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: %v", id, err)
		}
	}
}

func TestARevocationHoldsEvenIfItCanNotBeWritten(t *testing.T) {
	s := serving(t)
	c := s.member(t, s.token(t, Client, true), "host")
	keep, told := s.keep, 0
	s.OnRevoke(func(Identity) { told++ })
	s.keep = func(*state) error { return errors.New("no space left") }
	gone, err := s.Revoke(identityOf(t, c).ID)
	if err == nil || len(gone) != 1 || told != 1 || !strings.Contains(err.Error(), "it is revoked until the server restarts, try again: ") {
		t.Errorf("%+v, %v, told %d", gone, err, told)
	}
	if _, err := s.Identify(chainOf(t, c)); !errors.Is(err, ErrRevoked) {
		t.Errorf("identified: %v", err)
	}
	s.keep = keep
	if _, err := s.Revoke(identityOf(t, c).ID); err != nil {
		t.Fatal(err)
	}
	s.reopen(t)
	if _, err := s.Identify(chainOf(t, c)); !errors.Is(err, ErrRevoked) {
		t.Errorf("tried again, and after a restart: %v", err)
	}
}

func TestTheUserOfTheServerKeepsItsIdentity(t *testing.T) {
	s := newServer(t)
	admin := func(host string) string {
		t.Helper()
		c, err := s.Admin(host)
		if err != nil {
			t.Fatal(err)
		}
		m, err := s.Identify(chainOf(t, c))
		if err != nil || m.Role != Admin || m.Host != host {
			t.Errorf("%+v, %v", m, err)
		}
		return m.ID
	}
	first := admin("here")
	s.reopen(t)
	if again := admin("here"); again != first {
		t.Errorf("after a restart it is %s, and was %s", again, first)
	}
	if there := admin("there"); there == first {
		t.Error("another host has the same identity")
	}
	if got := len(s.state.Load().members); got != 2 {
		t.Errorf("there are %d identities, want 2", got)
	}
	if _, err := s.Revoke(first); err != nil {
		t.Fatal(err)
	}
	if after := admin("here"); after == first {
		t.Error("what was revoked is given again")
	}
	if _, err := s.Admin("a\nb"); err == nil {
		t.Error("a host of two lines is taken")
	}
}

func TestTokensThatCanNotBeAreRefused(t *testing.T) {
	s := newServer(t)
	for _, c := range []struct {
		role Role
		ttl  time.Duration
		want string
	}{
		{Admin, time.Hour, "admin is the user of the server"},
		{"", time.Hour, `there is no role ""`},
		{"Client", time.Hour, `there is no role "Client"`},
		{Client, 0, "it would live 0s"},
		{Client, -time.Hour, "it would live -1h0m0s"},
		{Client, 366 * day, "it would live longer than 365 days"},
	} {
		_, text, err := s.CreateToken(c.role, c.ttl, false)
		if err == nil || !strings.HasPrefix(err.Error(), "create a token: "+c.want) || text != "" {
			t.Errorf("%s for %s: %q, %v", c.role, c.ttl, text, err)
		}
	}
	if got := s.List(); len(got) != 0 {
		t.Errorf("listed: %+v", got)
	}
}

func TestTokensAreListedWithWhatBecameOfThem(t *testing.T) {
	s := serving(t)
	created, text, err := s.CreateToken(Viewer, time.Minute, true)
	if err != nil {
		t.Fatal(err)
	}
	now := s.clock.Now().UTC().Truncate(time.Second)
	want := TokenInfo{
		ID: created.ID, Role: Viewer, Once: true, Status: Valid,
		Created: now, Expires: now.Add(time.Minute), Identities: []Identity{},
	}
	if diff := cmp.Diff(want, created); diff != "" {
		t.Errorf("created, -want +got:\n%s", diff)
	}
	token, err := ParseToken(text)
	if err != nil {
		t.Fatal(err)
	}
	m := identityOf(t, s.member(t, token, "host"))
	m.Token, m.Joined = created.ID, now
	want.Status, want.Used, want.Identities = Used, now, []Identity{m}
	s.clock.move(time.Second)
	second, _, err := s.CreateToken(Client, time.Minute, false)
	if err != nil {
		t.Fatal(err)
	}
	s.clock.move(time.Hour)
	second.Status = Expired
	if diff := cmp.Diff([]TokenInfo{want, second}, s.List()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	before := s.List()
	s.reopen(t)
	if diff := cmp.Diff(before, s.List()); diff != "" {
		t.Errorf("after a restart, -want +got:\n%s", diff)
	}
}

func TestWhatHasEndedIsForgottenAfterAMonth(t *testing.T) {
	s := serving(t)
	token, unused := s.token(t, Client, false), s.token(t, Client, true)
	m := identityOf(t, s.member(t, token, "host"))
	if _, err := s.Revoke(m.ID); err != nil {
		t.Fatal(err)
	}
	left := func() (left []string) {
		// Something has to be written.
		if err := s.change(func(*state, time.Time) error { return nil }); err != nil {
			t.Fatal(err)
		}
		for name, id := range map[string]string{"token": token.ID(), "unused": unused.ID(), "member": m.ID} {
			if s.state.Load().has(id) {
				left = append(left, name)
			}
		}
		return left
	}
	check := func(after time.Duration, want ...string) {
		t.Helper()
		s.clock.move(after)
		got := left()
		if diff := cmp.Diff(sorted(want), sorted(got)); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	}
	check(0, "member", "token", "unused")
	check(30*day, "member", "token", "unused")
	check(2*time.Hour, "member", "token") // a month after the token expired
	check(89*day, "member", "token")      // its certificate has expired by then
	check(day)                            // a month after that
}
