package trust

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

const (
	certificateType = "CERTIFICATE"
	keyType         = "PRIVATE KEY"
	unitPrefix      = "hydra-"      // of a role in the subject
	hostScheme      = "hydra-host"  // of a host in the subject's alternative names
	maxHost         = 255           // bytes
	maxPEM          = 64 << 10      // bytes of one file or field
	caName          = "hydra CA of" // and a random id: no two CAs have one name
)

func newKey() (*ecdsa.PrivateKey, error) {
	return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
}

// newCA makes the key and the certificate of a CA.
func newCA(now time.Time) (*x509.Certificate, crypto.Signer, error) {
	key, err := newKey()
	if err != nil {
		return nil, nil, err
	}
	ca := &x509.Certificate{
		Subject:               pkix.Name{CommonName: caName + " " + newID()},
		NotBefore:             now.Add(-skew),
		NotAfter:              now.Add(caLife),
		IsCA:                  true,
		BasicConstraintsValid: true,
		MaxPathLenZero:        true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	signed, err := sign(ca, ca, key.Public(), key)
	return signed, key, err
}

// sign makes the certificate that a template describes. Its serial is random.
func sign(template, ca *x509.Certificate, public crypto.PublicKey, key crypto.Signer) (*x509.Certificate, error) {
	der, err := x509.CreateCertificate(rand.Reader, template, ca, public, key)
	if err != nil {
		return nil, fmt.Errorf("sign a certificate: %w", err)
	}
	return x509.ParseCertificate(der)
}

// leafEnd is when what is signed now expires: never after its CA.
func leafEnd(now time.Time, ca *x509.Certificate) time.Time {
	if end := now.Add(leafLife).UTC().Truncate(time.Second); end.Before(ca.NotAfter) {
		return end
	}
	return ca.NotAfter
}

// serverTemplate describes the server's own certificate.
func serverTemplate(names []string, now, end time.Time) *x509.Certificate {
	c := &x509.Certificate{
		Subject:               pkix.Name{CommonName: "hydra server"},
		NotBefore:             now.Add(-skew),
		NotAfter:              end,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, n := range names {
		if ip := net.ParseIP(n); ip != nil {
			c.IPAddresses = append(c.IPAddresses, ip)
		} else {
			c.DNSNames = append(c.DNSNames, n)
		}
	}
	return c
}

// memberTemplate describes a member's certificate, which memberOf reads.
func memberTemplate(m Identity, now time.Time) *x509.Certificate {
	return &x509.Certificate{
		Subject:               pkix.Name{CommonName: m.ID, OrganizationalUnit: []string{unitPrefix + string(m.Role)}},
		URIs:                  []*url.URL{{Scheme: hostScheme, Opaque: url.PathEscape(m.Host)}},
		NotBefore:             now.Add(-skew),
		NotAfter:              m.NotAfter,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
}

// memberOf is whom a certificate of the CA names.
func memberOf(c *x509.Certificate) (Identity, error) {
	m := Identity{ID: c.Subject.CommonName, NotAfter: c.NotAfter}
	if !isID(m.ID) {
		return Identity{}, errors.New("the certificate's common name is no identity")
	}
	if c.IsCA || !slices.Equal(c.ExtKeyUsage, []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}) || len(c.UnknownExtKeyUsage) > 0 {
		return Identity{}, errors.New("the certificate is not that of a client")
	}
	var err error
	if m.Role, err = roleOf(c); err != nil {
		return Identity{}, err
	}
	for _, u := range c.URIs {
		if u.Scheme != hostScheme || m.Host != "" {
			continue
		}
		if m.Host, err = url.PathUnescape(u.Opaque); err == nil {
			err = checkHost(m.Host)
		}
		if err != nil {
			return Identity{}, errors.New("the certificate's host is none")
		}
	}
	return m, nil
}

// roleOf is the one role among the units of a subject. Units of others may stand beside
// it.
func roleOf(c *x509.Certificate) (Role, error) {
	var roles []Role
	for _, unit := range c.Subject.OrganizationalUnit {
		name, ours := strings.CutPrefix(unit, unitPrefix)
		if !ours {
			continue
		}
		r := Role(name)
		if !r.known() {
			return "", fmt.Errorf("the certificate's unit %.40q is no role: use hydra-client, hydra-operator, hydra-viewer or hydra-admin", unit)
		}
		roles = append(roles, r)
	}
	switch len(roles) {
	case 0:
		return "", errors.New("the certificate has no role: one of its subject's units (OU) has to be hydra-client, hydra-operator, hydra-viewer or hydra-admin")
	case 1:
		return roles[0], nil
	}
	return "", fmt.Errorf("the certificate has %d roles: only one of its subject's units (OU) may begin with %s", len(roles), unitPrefix)
}

// checkHost tells why a host can not be the label of a member.
func checkHost(host string) error {
	switch {
	case host == "":
		return errors.New("the host has no name")
	case len(host) > maxHost:
		return fmt.Errorf("the host's name has %d bytes, and %d are allowed", len(host), maxHost)
	case !utf8.ValidString(host) || strings.ContainsFunc(host, func(r rune) bool { return !unicode.IsPrint(r) }):
		return errors.New("the host's name has characters that can not be printed")
	}
	return nil
}

// canName tells whether a server's certificate can have this name of a host or this IP
// address in it (RFC 1123, and underscores, which are in use).
func canName(name string) bool {
	if net.ParseIP(name) != nil {
		return true
	}
	const allowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_."
	if len(name) > 253 || strings.Trim(name, allowed) != "" {
		return false
	}
	for label := range strings.SplitSeq(strings.TrimSuffix(name, "."), ".") {
		if label == "" || len(label) > 63 {
			return false
		}
	}
	return true
}

// publicKeyOf is the key that a certificate is requested for. Nothing else of the request
// counts. Call it only for requests whose sender has proved something.
func publicKeyOf(request []byte) (crypto.PublicKey, error) {
	r, err := x509.ParseCertificateRequest(request)
	if err != nil {
		return nil, errors.New("the certificate request can not be read")
	}
	switch key := r.PublicKey.(type) {
	case *ecdsa.PublicKey:
		if key.Curve == elliptic.P224() {
			return nil, errors.New("the certificate request's key is too short: use P-256")
		}
	case ed25519.PublicKey:
	default:
		return nil, errors.New("the certificate request's key has to be ECDSA or Ed25519")
	}
	if err := r.CheckSignature(); err != nil {
		return nil, errors.New("the certificate request is not signed with its own key")
	}
	return r.PublicKey, nil
}

// newRequest is a certificate request for a key.
func newRequest(key crypto.Signer) ([]byte, error) {
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		return nil, fmt.Errorf("make a certificate request: %w", err)
	}
	return der, nil
}

func certificatePEM(c *x509.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: certificateType, Bytes: c.Raw})
}

func keyPEM(key crypto.Signer) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encode a key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: keyType, Bytes: der}), nil
}

// blocks are those of a PEM text, which has to hold nothing else, of the given types, in
// that order.
func blocks(text []byte, types ...string) ([][]byte, error) {
	if len(text) > maxPEM {
		return nil, fmt.Errorf("it has %d bytes, and %d are allowed", len(text), maxPEM)
	}
	var found [][]byte
	for _, want := range types {
		block, rest := pem.Decode(text)
		switch {
		case block == nil:
			return nil, fmt.Errorf("there is no %s in it", want)
		case block.Type != want || len(block.Headers) > 0:
			return nil, fmt.Errorf("there is a %.40q in the place of its %s", block.Type, want)
		case !bytes.HasPrefix(bytes.TrimSpace(text), []byte("-----BEGIN ")):
			return nil, fmt.Errorf("something stands before its %s", want)
		}
		found, text = append(found, block.Bytes), rest
	}
	if len(bytes.TrimSpace(text)) > 0 {
		return nil, fmt.Errorf("something stands behind its %s", types[len(types)-1])
	}
	return found, nil
}

// parseKey is the key of a PKCS #8 block.
func parseKey(der []byte) (crypto.Signer, error) {
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, errors.New("its key can not be read") // the cause could show some of it
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, errors.New("its key can not sign")
	}
	return signer, nil
}

// samePublic tells whether two public keys are one.
func samePublic(a, b crypto.PublicKey) bool {
	k, ok := a.(interface{ Equal(crypto.PublicKey) bool })
	return ok && k.Equal(b)
}

// checkServer tells why a chain from a handshake is not that of the CA's server.
func checkServer(chain []*x509.Certificate, ca *x509.Certificate, now time.Time) error {
	if len(chain) == 0 {
		return errors.New("the server shows no certificate")
	}
	// Package x509 takes a certificate without any usage for one of every usage.
	if !slices.Contains(chain[0].ExtKeyUsage, x509.ExtKeyUsageServerAuth) {
		return errors.New("who answers is not the server: its certificate is not that of a server")
	}
	roots := x509.NewCertPool()
	roots.AddCert(ca)
	_, err := chain[0].Verify(x509.VerifyOptions{
		Roots:       roots,
		KeyUsages:   []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		CurrentTime: now,
	})
	var invalid x509.CertificateInvalidError
	switch {
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return fmt.Errorf("the server's certificate is not valid at this time: compare the clocks of both machines: %w", err)
	case err != nil:
		return fmt.Errorf("who answers is not the server: its certificate is not of the CA that is trusted: %w", err)
	}
	return nil
}
