package trust

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/base32"
	"fmt"
	"slices"
	"strings"
)

// Foreign is whom a certificate of the site's own CA names: its role is in one
// organisational unit of its subject, hydra-client, hydra-operator, hydra-viewer or
// hydra-admin. The identity comes from the subject alone, so it is kept on renewal; who
// has the same subject is the same member. The chain has to be verified before, against
// that CA and for client authentication. Ask Identify first, and this only about what is
// ErrForeign: a certificate of the server's own CA that was revoked would pass here.
func Foreign(chain []*x509.Certificate) (Identity, error) {
	m, err := foreign(chain)
	if err != nil {
		return Identity{}, fmt.Errorf("a certificate of the site's own CA: %w", err)
	}
	return m, nil
}

func foreign(chain []*x509.Certificate) (Identity, error) {
	if len(chain) == 0 {
		return Identity{}, fmt.Errorf("no certificate was shown: %w", ErrUnknown)
	}
	leaf := chain[0]
	if leaf.IsCA {
		return Identity{}, fmt.Errorf("the certificate is that of a CA: %w", ErrUnknown)
	}
	if !slices.Contains(leaf.ExtKeyUsage, x509.ExtKeyUsageClientAuth) {
		return Identity{}, fmt.Errorf("the certificate is not for client authentication (extended key usage): %w", ErrUnknown)
	}
	role, err := roleOf(leaf)
	if err != nil {
		return Identity{}, fmt.Errorf("%w: %w", err, ErrUnknown)
	}
	sum := sha256.Sum256(leaf.RawSubject)
	m := Identity{
		// Longer than an identity of our own: the two can not be confused.
		ID:       strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(sum[:20])),
		Role:     role,
		NotAfter: leaf.NotAfter,
	}
	for _, name := range append(slices.Clone(leaf.DNSNames), leaf.Subject.CommonName) {
		if checkHost(name) == nil {
			m.Host = name
			break
		}
	}
	return m, nil
}
