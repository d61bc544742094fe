package trust

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// site is an organisation's own CA.
type site struct {
	ca *x509.Certificate
	do func(*x509.Certificate) *x509.Certificate // signs for a new key
}

func newSite(t *testing.T) site {
	t.Helper()
	ca, caKey, err := newCA(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return site{ca, func(c *x509.Certificate) *x509.Certificate {
		key, err := newKey()
		if err != nil {
			t.Fatal(err)
		}
		signed, err := sign(c, ca, key.Public(), caKey)
		if err != nil {
			t.Fatal(err)
		}
		return signed
	}}
}

func TestTheSitesOwnCertificatesNameARole(t *testing.T) {
	s := newSite(t)
	end := time.Now().Add(day).UTC().Truncate(time.Second)
	base := func() *x509.Certificate {
		return &x509.Certificate{
			Subject:     pkix.Name{CommonName: "node17", Organization: []string{"Example"}, OrganizationalUnit: []string{"Storage", "hydra-client"}},
			NotAfter:    end,
			ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
		}
	}
	with := func(change func(*x509.Certificate)) []*x509.Certificate {
		c := base()
		change(c)
		return []*x509.Certificate{s.do(c), s.ca}
	}
	units := func(units ...string) func(*x509.Certificate) {
		return func(c *x509.Certificate) { c.Subject.OrganizationalUnit = units }
	}
	first, err := Foreign(with(func(*x509.Certificate) {}))
	if err != nil {
		t.Fatal(err)
	}
	want := Identity{ID: first.ID, Role: Client, Host: "node17", NotAfter: end}
	if diff := cmp.Diff(want, first); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if len(first.ID) != 32 || strings.Trim(first.ID, "abcdefghijklmnopqrstuvwxyz234567") != "" {
		t.Errorf("the id is %q", first.ID)
	}
	// Another key, another end, other names: as a renewal by the site has them.
	renewed, err := Foreign(with(func(c *x509.Certificate) {
		c.NotAfter = end.Add(day)
		c.DNSNames = []string{"node17.example"}
	}))
	want.NotAfter, want.Host = end.Add(day), "node17.example"
	if diff := cmp.Diff(want, renewed); diff != "" || err != nil {
		t.Errorf("renewed, %v, -want +got:\n%s", err, diff)
	}
	other, err := Foreign(with(func(c *x509.Certificate) { c.Subject.CommonName = "node18" }))
	if err != nil || other.ID == first.ID {
		t.Errorf("another host: %+v, %v", other, err)
	}
	for _, role := range []Role{Client, Operator, Viewer, Admin} {
		if m, err := Foreign(with(units("hydra-" + string(role)))); err != nil || m.Role != role {
			t.Errorf("%s: %+v, %v", role, m, err)
		}
	}
	nameless, err := Foreign(with(func(c *x509.Certificate) { c.Subject.CommonName = "a\nb" }))
	if err != nil || nameless.Host != "" {
		t.Errorf("a name of two lines: %+v, %v", nameless, err)
	}
	const head = "a certificate of the site's own CA: the certificate"
	for _, c := range []struct {
		chain []*x509.Certificate
		want  string
	}{
		{with(units()), head + " has no role"},
		{with(units("Hydra-client", "client")), head + " has no role"},
		{with(units("hydra-client", "hydra-admin")), head + " has 2 roles"},
		{with(units("hydra-client", "hydra-client")), head + " has 2 roles"},
		{with(units("hydra-clients")), head + `'s unit "hydra-clients" is no role`},
		{with(units("hydra-root", "hydra-client")), head + `'s unit "hydra-root" is no role`},
		{with(func(c *x509.Certificate) { c.ExtKeyUsage = c.ExtKeyUsage[1:] }), head + " is not for client authentication"},
		{with(func(c *x509.Certificate) { c.ExtKeyUsage = nil }), head + " is not for client authentication"},
		{with(func(c *x509.Certificate) { c.IsCA, c.BasicConstraintsValid = true, true }), head + " is that of a CA"},
		{nil, "a certificate of the site's own CA: no certificate was shown"},
	} {
		m, err := Foreign(c.chain)
		if !errors.Is(err, ErrUnknown) || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%+v, %v, want %s", m, err, c.want)
		}
	}
}
