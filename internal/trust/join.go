package trust

import (
	"bytes"
	"context"
	"crypto"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode"
)

// patience is how long a join or a renewal may take.
const patience = 30 * time.Second

// Join makes a key and gets a certificate for it from the server at an address, HOST:PORT,
// which has to be the one that made the token. host is what others call this machine. A
// token of another role than roles, if there are any, is not used. It is ErrRefused if the
// server does not take the token, and ErrForeign if it is another one. After another error,
// a token for one use may be used up.
func Join(ctx context.Context, address string, t Token, host string, roles ...Role) (*Credential, error) {
	c, err := join(ctx, address, t, host, roles)
	if err != nil {
		return nil, fmt.Errorf("join the server at %s: %w", address, err)
	}
	return c, nil
}

func join(ctx context.Context, address string, t Token, host string, roles []Role) (*Credential, error) {
	if t.secret == nil {
		return nil, errors.New("there is no token")
	}
	if err := checkHost(host); err != nil {
		return nil, err
	}
	secret, err := tokenKey(t.secret[:], t.ca[:], t.id)
	if err != nil {
		return nil, err
	}
	key, csr, err := newKeyAndRequest()
	if err != nil {
		return nil, err
	}
	var ca *x509.Certificate
	config := clientConfig(nameOf(address), func(s tls.ConnectionState) error {
		if ca = pinned(s.PeerCertificates, t.ca); ca == nil {
			return &strangerError{"who answers is not the server that made the token: its CA is another one; " +
				"look at the address, or get a new token if the server was set up anew"}
		}
		return checkServer(s.PeerCertificates, ca, time.Now())
	})
	var bound, proof []byte
	var answer joinAnswer
	err = exchange(ctx, address, config, joinPath, func(s *tls.ConnectionState) (any, error) {
		var err error
		if bound, err = binding(s); err != nil {
			return nil, err
		}
		proof = joinProof(secret, t.id, csr, host, bound)
		return joinRequest{Token: t.id, CSR: csr, Host: host, Proof: proof, Roles: roles}, nil
	}, &answer)
	var lost *lostError
	if errors.As(err, &lost) {
		return nil, fmt.Errorf("%w; if the token is for one use it may be used up: then create another with \"hydra token create\"", err)
	} else if err != nil {
		return nil, err
	}
	if len(answer.Chain) != 2 || !hmac.Equal(answer.Proof, joinedProof(secret, t.id, proof, answer.Chain[0], answer.Chain[1], bound)) {
		return nil, errors.New("the answer is not of who knows the token")
	}
	return credentialOf(answer.Chain, ca, key)
}

// Renew gets another certificate, for a new key, of the same identity. The old one stays
// valid until it expires. It is ErrRevoked, ErrExpired or ErrUnknown if the server says so.
func (c *Credential) Renew(ctx context.Context, address string) (*Credential, error) {
	renewed, err := c.renew(ctx, address)
	if err != nil {
		return nil, fmt.Errorf("renew the certificate at %s: %w", address, err)
	}
	return renewed, nil
}

func (c *Credential) renew(ctx context.Context, address string) (*Credential, error) {
	old, err := c.open()
	if err != nil {
		return nil, err
	}
	config, err := c.Config(nameOf(address))
	if err != nil {
		return nil, err
	}
	key, csr, err := newKeyAndRequest()
	if err != nil {
		return nil, err
	}
	var answer renewAnswer
	if err := exchange(ctx, address, config, renewPath, func(*tls.ConnectionState) (any, error) {
		return renewRequest{CSR: csr}, nil
	}, &answer); err != nil {
		return nil, err
	}
	renewed, err := credentialOf(answer.Chain, old.ca, key)
	if err != nil {
		return nil, err
	}
	if m, err := renewed.Identity(); err != nil || m.ID != old.member.ID || m.Role != old.member.Role {
		return nil, errors.New("the answer is a certificate of somebody else")
	}
	return renewed, nil
}

// strangerError is ErrForeign, in words for who has a token.
type strangerError struct{ text string }

func (e *strangerError) Error() string { return e.text }
func (e *strangerError) Unwrap() error { return ErrForeign }

func newKeyAndRequest() (crypto.Signer, []byte, error) {
	key, err := newKey()
	if err != nil {
		return nil, nil, err
	}
	csr, err := newRequest(key)
	return key, csr, err
}

// nameOf is the host of an address; exchange says what is wrong with one that has none.
func nameOf(address string) string {
	host, _, _ := net.SplitHostPort(address)
	return host
}

// pinned is the certificate of a chain with that hash, or nil.
func pinned(chain []*x509.Certificate, hash [sha256.Size]byte) *x509.Certificate {
	i := slices.IndexFunc(chain, func(c *x509.Certificate) bool { return sha256.Sum256(c.Raw) == hash })
	if i < 0 {
		return nil
	}
	return chain[i]
}

// credentialOf checks that a chain is what was asked for.
func credentialOf(chain [][]byte, ca *x509.Certificate, key crypto.Signer) (*Credential, error) {
	if len(chain) != 2 || !bytes.Equal(chain[1], ca.Raw) {
		return nil, errors.New("the answer is not a certificate and that of the CA")
	}
	certificate, _, err := parseMember(chain[0], ca)
	if err != nil {
		return nil, fmt.Errorf("the answer: %w", err)
	}
	if !samePublic(certificate.PublicKey, key.Public()) {
		return nil, errors.New("the answer is a certificate for another key")
	}
	return newCredential(ca, certificate, key)
}

// lostError is of a request that was sent, and whose answer did not come.
type lostError struct{ err error }

func (e *lostError) Error() string { return "the server's answer did not come: " + e.err.Error() }
func (e *lostError) Unwrap() error { return e.err }

// exchange makes one request, on a connection of its own. request is called when the
// server has been verified.
func exchange(ctx context.Context, address string, config *tls.Config, path string, request func(*tls.ConnectionState) (any, error), into any) error {
	if host, port, err := net.SplitHostPort(address); err != nil || host == "" || port == "" {
		return errors.New("this is no address: use HOST:PORT")
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	config.NextProtos = []string{"http/1.1"}
	opened, err := (&tls.Dialer{Config: config}).DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	conn := opened.(*tls.Conn)
	defer conn.Close()
	state := conn.ConnectionState()
	body, err := request(&state)
	if err != nil {
		return err
	}
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+address+path, bytes.NewReader(text))
	if err != nil {
		return fmt.Errorf("this is no address: %w", err)
	}
	r.Header.Set("Content-Type", "application/json")
	transport := &http.Transport{
		// Without a proxy, a redirection or a second attempt: the proof is for this connection.
		DialTLSContext:         func(context.Context, string, string) (net.Conn, error) { return conn, nil },
		DisableKeepAlives:      true,
		DisableCompression:     true,
		MaxResponseHeaderBytes: maxBody,
	}
	response, err := transport.RoundTrip(r)
	if err != nil {
		return &lostError{err}
	}
	defer response.Body.Close()
	text, err = io.ReadAll(io.LimitReader(response.Body, maxBody+1))
	if err != nil {
		return &lostError{err}
	}
	if len(text) > maxBody {
		return fmt.Errorf("the answer has more than %d bytes", maxBody)
	}
	if response.StatusCode != http.StatusOK {
		return statusError(path, response, text)
	}
	if err := decodeStrictly(text, into); err != nil {
		return fmt.Errorf("the answer is not what a server of hydra says: %w", err)
	}
	return nil
}

// statusError is what a server says that does not do what it was asked for.
func statusError(path string, r *http.Response, text []byte) error {
	var says errorAnswer
	if t, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || t != "application/json" ||
		decodeStrictly(text, &says) != nil || says.Error == "" {
		says.Error = "it gives no reason" // and may be anything
	}
	kind := ErrRefused
	for _, known := range reasons {
		if path == renewPath && says.Reason == known.reason && known.err != ErrForeign {
			kind = known.err
		}
	}
	if r.StatusCode != http.StatusForbidden {
		return fmt.Errorf("the server answers %d: %s", r.StatusCode, oneLine(says.Error))
	}
	return fmt.Errorf("%w: %s", kind, oneLine(says.Error))
}

// oneLine is what may be shown of what a peer says.
func oneLine(s string) string {
	s = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, s)
	if len(s) > 300 {
		s = strings.ToValidUTF8(s[:300], "") + " ..."
	}
	return s
}
