package trust

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

// offline is a credential of a server that does not listen.
func offline(t testing.TB) (*server, *Credential) {
	t.Helper()
	s := newServer(t)
	c, err := s.Admin("host")
	if err != nil {
		t.Fatal(err)
	}
	return s, c
}

func TestACredentialIsReadAsItWasWritten(t *testing.T) {
	_, c := offline(t)
	text, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	for _, field := range []string{`{"ca":"`, `","cert":"`, `","key":"`} {
		if !strings.Contains(string(text), field) {
			t.Errorf("there is no %s", field)
		}
	}
	got := new(Credential)
	if err := json.Unmarshal(text, got); err != nil {
		t.Fatal(err)
	}
	if *got != *c {
		t.Error("another one is read")
	}
}

func TestACredentialDoesNotPrintItsKey(t *testing.T) {
	_, c := offline(t)
	all := prints(c)
	for way, s := range prints(*c) {
		all["value "+way] = s
	}
	line := strings.Split(c.Key, "\n")[1]
	for way, s := range all {
		for _, form := range []string{"PRIVATE", line[:20], fmt.Sprintf("%x", line[:8]), fmt.Sprintf("%X", line[:8])} {
			if strings.Contains(s, form) {
				t.Errorf("%s shows the key: %q", way, s)
			}
		}
	}
	m := identityOf(t, c)
	if got, want := fmt.Sprintf("%v", c), "credential of admin "+m.ID; got != want {
		t.Errorf("printed as %q, want %q", got, want)
	}
	if got := fmt.Sprint(Credential{Key: c.Key}); got != "credential that can not be read" {
		t.Errorf("a broken one is printed as %q", got)
	}
}

func TestABrokenCredentialSaysWhatIsWrong(t *testing.T) {
	s, c := offline(t)
	other, err := s.Admin("other")
	if err != nil {
		t.Fatal(err)
	}
	_, foreign := offline(t)
	with := func(change func(*Credential)) *Credential {
		broken := *c
		change(&broken)
		return &broken
	}
	for _, one := range []struct {
		c    *Credential
		want string
	}{
		{&Credential{}, "ca: there is no CERTIFICATE in it"},
		{with(func(c *Credential) { c.CA += c.CA }), "ca: something stands behind its CERTIFICATE"},
		{with(func(c *Credential) { c.CA = c.Key }), `ca: there is a "PRIVATE KEY" in the place of its CERTIFICATE`},
		{with(func(c *Credential) { c.CA = c.Certificate }), "ca: its certificate is not that of a CA"},
		{with(func(c *Credential) { c.CA = strings.Repeat("x", maxPEM+1) }), "ca: it has 65537 bytes, and 65536 are allowed"},
		{with(func(c *Credential) { c.Certificate = "" }), "cert: there is no CERTIFICATE in it"},
		{with(func(c *Credential) { c.Certificate = foreign.Certificate }), "cert: the CA did not sign the certificate"},
		{with(func(c *Credential) { c.Certificate = c.CA }), "cert: the certificate's common name is no identity"},
		{with(func(c *Credential) { c.Key = "" }), "key: there is no PRIVATE KEY in it"},
		{with(func(c *Credential) { c.Key = other.Key }), "key: the key is not that of the certificate"},
		{with(func(c *Credential) { c.Key = strings.Replace(c.Key, "MIG", "AIG", 1) }), "key: its key can not be read"},
	} {
		want := "this is no credential: " + one.want
		_, identity := one.c.Identity()
		_, config := one.c.Config("")
		_, renew := one.c.Renew(t.Context(), "127.0.0.1:1")
		for _, err := range []error{identity, config} {
			if err == nil || err.Error() != want {
				t.Errorf("%v, want %s", err, want)
			}
		}
		if renew == nil || renew.Error() != "renew the certificate at 127.0.0.1:1: "+want {
			t.Errorf("%v, want %s", renew, want)
		}
		if !one.c.Due(time.Now()) {
			t.Errorf("%s: it is not due", want)
		}
	}
}

func TestACredentialIsDueAfterTwoThirdsOfItsLife(t *testing.T) {
	s, c := offline(t)
	now := s.clock.Now()
	for _, x := range []struct {
		after time.Duration
		want  bool
	}{{0, false}, {59 * day, false}, {61 * day, true}, {90 * day, true}, {900 * day, true}} {
		if got := c.Due(now.Add(x.after)); got != x.want {
			t.Errorf("after %s it is due: %t", x.after, got)
		}
	}
	// What ends with its CA can not be replaced by what lives longer.
	s.clock.move(s.ca.NotAfter.Sub(s.clock.Now()) - 80*day)
	last, err := s.Admin("host")
	if err != nil {
		t.Fatal(err)
	}
	if !identityOf(t, last).NotAfter.Equal(s.ca.NotAfter) || last.Due(s.ca.NotAfter.Add(-time.Hour)) {
		t.Error("the last one of a CA is due")
	}
}

func FuzzCredential(f *testing.F) {
	_, c := offline(f)
	f.Add("", "", "")
	f.Add(c.CA, c.Certificate, c.Key)
	f.Add(c.CA, c.CA, c.Key)
	f.Add(c.CA[:40], c.Certificate+"x", strings.Replace(c.Key, "M", "N", 1))
	f.Fuzz(func(t *testing.T, ca, certificate, key string) {
		parsed := &Credential{ca, certificate, key}
		m, identity := parsed.Identity()
		_, config := parsed.Config("host")
		if (identity == nil) != (config == nil) {
			t.Errorf("identity: %v, config: %v", identity, config)
		}
		if identity == nil && (!isID(m.ID) || !m.Role.known()) {
			t.Errorf("%+v is nobody", m)
		}
		parsed.Due(time.Now())
		if strings.Contains(parsed.String(), "PRIVATE") {
			t.Error(parsed.String())
		}
	})
}
