package trust

import (
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"
)

// Credential is what a member has: the CA that it trusts, its certificate, and its key, all
// PEM. It is a secret: however it is printed, only the identity is shown. Encoded as JSON
// it is whole.
type Credential struct {
	CA          string `json:"ca,omitempty"`
	Certificate string `json:"cert,omitempty"`
	Key         string `json:"key,omitempty"`
}

func newCredential(ca, certificate *x509.Certificate, key crypto.Signer) (*Credential, error) {
	text, err := keyPEM(key)
	if err != nil {
		return nil, err
	}
	return &Credential{CA: string(certificatePEM(ca)), Certificate: string(certificatePEM(certificate)), Key: string(text)}, nil
}

// opened is a credential that was understood.
type opened struct {
	ca, certificate *x509.Certificate
	key             crypto.Signer
	member          Identity
}

func (c *Credential) open() (*opened, error) {
	o, err := c.parse()
	if err != nil {
		return nil, fmt.Errorf("this is no credential: %w", err)
	}
	return o, nil
}

func (c *Credential) parse() (*opened, error) {
	o := new(opened)
	found, err := blocks([]byte(c.CA), certificateType)
	if err == nil {
		o.ca, err = parseCA(found[0])
	}
	if err != nil {
		return nil, fmt.Errorf("ca: %w", err)
	}
	if found, err = blocks([]byte(c.Certificate), certificateType); err == nil {
		o.certificate, o.member, err = parseMember(found[0], o.ca)
	}
	if err != nil {
		return nil, fmt.Errorf("cert: %w", err)
	}
	if found, err = blocks([]byte(c.Key), keyType); err == nil {
		o.key, err = parseKey(found[0])
	}
	if err == nil && !samePublic(o.certificate.PublicKey, o.key.Public()) {
		err = errors.New("the key is not that of the certificate")
	}
	if err != nil {
		return nil, fmt.Errorf("key: %w", err)
	}
	return o, nil
}

// parseCA is a certificate that may sign others.
func parseCA(der []byte) (*x509.Certificate, error) {
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("its certificate can not be read: %w", err)
	}
	if !c.IsCA || !c.BasicConstraintsValid {
		return nil, errors.New("its certificate is not that of a CA")
	}
	return c, nil
}

// parseMember is a certificate of the CA, and whom it names.
func parseMember(der []byte, ca *x509.Certificate) (*x509.Certificate, Identity, error) {
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, Identity{}, fmt.Errorf("the certificate can not be read: %w", err)
	}
	if err := c.CheckSignatureFrom(ca); err != nil {
		return nil, Identity{}, errors.New("the CA did not sign the certificate")
	}
	m, err := memberOf(c)
	return c, m, err
}

// Identity is whose credential it is. It may have been revoked, or have expired.
func (c *Credential) Identity() (Identity, error) {
	o, err := c.open()
	if err != nil {
		return Identity{}, err
	}
	return o.member, nil
}

// Due tells whether it is time to renew: two thirds of its life are over, and another one
// could live longer, because the CA does. What can not be read is due.
func (c *Credential) Due(now time.Time) bool {
	o, err := c.open()
	if err != nil {
		return true
	}
	return o.certificate.NotAfter.Before(o.ca.NotAfter) &&
		pastTwoThirds(now, o.certificate.NotBefore, o.certificate.NotAfter)
}

// Config is for connections to the server. It takes whom the CA has made a server, and
// does not compare names: serverName is only what is asked for (SNI), and may be empty.
func (c *Credential) Config(serverName string) (*tls.Config, error) {
	o, err := c.open()
	if err != nil {
		return nil, err
	}
	return clientConfig(serverName, func(s tls.ConnectionState) error {
		return checkServer(s.PeerCertificates, o.ca, time.Now())
	}, tls.Certificate{Certificate: [][]byte{o.certificate.Raw}, PrivateKey: o.key, Leaf: o.certificate}), nil
}

// clientConfig trusts whom verify does.
func clientConfig(serverName string, verify func(tls.ConnectionState) error, own ...tls.Certificate) *tls.Config {
	return &tls.Config{
		MinVersion:   tls.VersionTLS13,
		ServerName:   serverName,
		Certificates: own,
		// Package tls would compare names. verify is called in each handshake instead,
		// also in one that resumes a session, and before anything is sent.
		InsecureSkipVerify: true,
		VerifyConnection:   verify,
	}
}

// String names the identity and hides the key.
func (c Credential) String() string {
	m, err := c.Identity()
	if err != nil {
		return "credential that can not be read"
	}
	return fmt.Sprintf("credential of %s %s", m.Role, m.ID)
}

// Format shows what String does, whatever the verb.
func (c Credential) Format(w fmt.State, _ rune) { io.WriteString(w, c.String()) }

// LogValue shows what String does.
func (c Credential) LogValue() slog.Value { return slog.StringValue(c.String()) }
