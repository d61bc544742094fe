package trust

import (
	"crypto"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	caFile    = "ca.pem"
	stateName = "trust.json"
)

// Options are those of a server. The zero value works.
type Options struct {
	Now func() time.Time // nil: time.Now
	Log *slog.Logger     // nil: nothing is logged
}

// Authority is a server's CA, its tokens and its members. Its methods may be called by
// any goroutine.
type Authority struct {
	now   func() time.Time
	log   *slog.Logger
	names []string

	ca     *x509.Certificate
	caHash [sha256.Size]byte
	key    crypto.Signer

	state atomic.Pointer[state] // read at any time; replaced under changing

	changing sync.Mutex // held by who replaces the state
	keep     func(*state) error

	hookMu sync.Mutex
	hooks  []func(Identity)

	leafMu sync.Mutex
	leaf   *tls.Certificate // the server's own
}

// Open reads the CA, the tokens and the members of a directory. The first time it makes a
// CA. The caller holds a lock: the directory belongs to one process.
func Open(dir string, o Options) (*Authority, error) {
	a, err := open(dir, o)
	if err != nil {
		return nil, fmt.Errorf("open the server's CA: %w", err)
	}
	return a, nil
}

func open(dir string, o Options) (*Authority, error) {
	a := &Authority{now: o.Now, log: o.Log}
	if a.now == nil {
		a.now = time.Now
	}
	if a.log == nil {
		a.log = slog.New(slog.DiscardHandler)
	}
	a.names = []string{"localhost", "127.0.0.1", "::1"}
	if host, err := os.Hostname(); err == nil && canName(host) {
		a.names = append(a.names, host)
	}
	slices.Sort(a.names)
	a.names = slices.Compact(a.names)

	if err := makePrivate(dir); err != nil {
		return nil, err
	}
	caPath, statePath := filepath.Join(dir, caFile), filepath.Join(dir, stateName)
	a.keep = func(s *state) error {
		text, err := s.encode()
		if err != nil {
			return err
		}
		return writePrivate(statePath, text)
	}
	if err := a.load(caPath, statePath); err != nil {
		return nil, err
	}
	a.caHash = sha256.Sum256(a.ca.Raw)
	now := a.now()
	switch {
	case now.After(a.ca.NotAfter):
		return nil, fmt.Errorf("%s expired at %s: move the directory %s away, and let all join anew", caPath, a.ca.NotAfter.Format(time.RFC3339), dir)
	case now.Before(a.ca.NotBefore):
		return nil, fmt.Errorf("%s is valid from %s on, which is in the future: look at this machine's clock", caPath, a.ca.NotBefore.Format(time.RFC3339))
	case now.Add(leafLife).After(a.ca.NotAfter):
		a.log.Warn("the server's CA expires soon, and all have to join anew then", "file", caPath, "expires", a.ca.NotAfter)
	}
	return a, nil
}

// load reads both files. If neither is there it writes them: first the state, so that a CA
// without one is always one whose state was lost.
func (a *Authority) load(caPath, statePath string) error {
	caText, caErr := readPrivate(caPath)
	stateText, stateErr := readPrivate(statePath)
	noCA, noState := errors.Is(caErr, fs.ErrNotExist), errors.Is(stateErr, fs.ErrNotExist)
	switch {
	case caErr != nil && !noCA:
		return caErr
	case stateErr != nil && !noState:
		return stateErr
	case noState && !noCA:
		return fmt.Errorf("%s is gone, and %s is there: bring it back from a copy; or move %s away too, and let all join anew", statePath, caPath, caPath)
	}
	s := newState()
	if !noState {
		var err error
		if s, err = decodeState(stateText); err != nil {
			return fmt.Errorf("%s is damaged, bring it back from a copy: %w", statePath, err)
		}
	}
	a.state.Store(s)
	if noCA {
		if len(s.grants)+len(s.members) > 0 {
			return fmt.Errorf("%s is gone, and %s is there: bring it back from a copy; or move %s away too, and let all join anew", caPath, statePath, statePath)
		}
		return a.makeCA(caPath)
	}
	found, err := blocks(caText, keyType, certificateType)
	if err == nil {
		a.key, err = parseKey(found[0])
	}
	if err == nil {
		a.ca, err = parseCA(found[1])
	}
	if err == nil && !samePublic(a.ca.PublicKey, a.key.Public()) {
		err = errors.New("its key is not that of its certificate")
	}
	if err != nil {
		return fmt.Errorf("%s is damaged, bring it back from a copy: %w", caPath, err)
	}
	return nil
}

// makeCA makes the CA of a new server.
func (a *Authority) makeCA(caPath string) error {
	var err error
	if a.ca, a.key, err = newCA(a.now()); err != nil {
		return fmt.Errorf("make a CA: %w", err)
	}
	key, err := keyPEM(a.key)
	if err != nil {
		return err
	}
	if err := a.keep(a.state.Load()); err != nil {
		return err
	}
	if err := writePrivate(caPath, append(key, certificatePEM(a.ca)...)); err != nil {
		return err
	}
	a.log.Info("a CA was made", "file", caPath, "expires", a.ca.NotAfter)
	return nil
}

// change replaces the state by one that do has changed, once that is on the disk.
func (a *Authority) change(do func(*state, time.Time) error) error {
	a.changing.Lock()
	defer a.changing.Unlock()
	now := a.now().UTC().Truncate(time.Second)
	next := a.state.Load().clone()
	if err := do(next, now); err != nil {
		return err
	}
	next.forget(now)
	if err := a.keep(next); err != nil {
		return &keepError{err}
	}
	a.state.Store(next)
	return nil
}

// keepError is of what could not be written down, and so has not happened.
type keepError struct{ err error }

func (e *keepError) Error() string { return "write down who belongs to the server: " + e.err.Error() }
func (e *keepError) Unwrap() error { return e.err }

// Certificate is for tls.Config.GetCertificate: the server's own, with the CA behind it,
// as joiners need it. Its key is never on the disk. After two thirds of its life there is
// another.
func (a *Authority) Certificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	a.leafMu.Lock()
	defer a.leafMu.Unlock()
	now := a.now()
	// At the end of the CA's life a new one would not live longer.
	if old := a.leaf; old != nil && now.Before(old.Leaf.NotAfter) && (old.Leaf.NotAfter.Equal(a.ca.NotAfter) ||
		!pastTwoThirds(now, old.Leaf.NotBefore, old.Leaf.NotAfter)) {
		return old, nil
	}
	leaf, err := a.newLeaf(now)
	if err != nil {
		return nil, fmt.Errorf("make the server's certificate: %w", err)
	}
	a.leaf = leaf
	return leaf, nil
}

func (a *Authority) newLeaf(now time.Time) (*tls.Certificate, error) {
	if now.After(a.ca.NotAfter) {
		return nil, fmt.Errorf("the CA expired at %s", a.ca.NotAfter.Format(time.RFC3339))
	}
	key, err := newKey()
	if err != nil {
		return nil, err
	}
	leaf, err := sign(serverTemplate(a.names, now, leafEnd(now, a.ca)), a.ca, key.Public(), a.key)
	if err != nil {
		return nil, err
	}
	return &tls.Certificate{Certificate: [][]byte{leaf.Raw, a.ca.Raw}, PrivateKey: key, Leaf: leaf}, nil
}

// Identify tells who has shown a chain of certificates in a handshake. It checks all but
// that the peer has the key, which the handshake does. Its errors are ErrForeign,
// ErrExpired, ErrRevoked and ErrUnknown.
func (a *Authority) Identify(chain []*x509.Certificate) (Identity, error) {
	if len(chain) == 0 {
		return Identity{}, fmt.Errorf("no certificate was shown: %w", ErrUnknown)
	}
	leaf := chain[0]
	if err := leaf.CheckSignatureFrom(a.ca); err != nil {
		return Identity{}, fmt.Errorf("the certificate is %w", ErrForeign)
	}
	now := a.now()
	if now.Before(leaf.NotBefore) || now.After(leaf.NotAfter) {
		return Identity{}, fmt.Errorf("the certificate is valid from %s to %s: %w",
			leaf.NotBefore.Format(time.RFC3339), leaf.NotAfter.Format(time.RFC3339), ErrExpired)
	}
	shown, err := memberOf(leaf)
	if err != nil {
		return Identity{}, fmt.Errorf("%w: %w", err, ErrUnknown)
	}
	m, known := a.state.Load().members[shown.ID]
	switch {
	case !known, m.Role != shown.Role:
		return Identity{}, fmt.Errorf("identity %s: %w", shown.ID, ErrUnknown)
	case !m.Revoked.IsZero():
		return Identity{}, fmt.Errorf("identity %s: %w", shown.ID, ErrRevoked)
	}
	m.NotAfter = shown.NotAfter // of this certificate; after a renewal there are two
	return m, nil
}

// issue makes a member's certificate.
func (a *Authority) issue(m Identity, public crypto.PublicKey, now time.Time) (*x509.Certificate, error) {
	if now.After(a.ca.NotAfter) {
		return nil, fmt.Errorf("the CA expired at %s", a.ca.NotAfter.Format(time.RFC3339))
	}
	return sign(memberTemplate(m, now), a.ca, public, a.key)
}

// Admin makes a credential for the user who runs the server. The same host gets the same
// identity again, unless that was revoked.
func (a *Authority) Admin(host string) (*Credential, error) {
	c, err := a.admin(host)
	if err != nil {
		return nil, fmt.Errorf("make the credential of the server's user: %w", err)
	}
	return c, nil
}

func (a *Authority) admin(host string) (*Credential, error) {
	if err := checkHost(host); err != nil {
		return nil, err
	}
	key, err := newKey()
	if err != nil {
		return nil, err
	}
	var issued *x509.Certificate
	err = a.change(func(s *state, now time.Time) error {
		m := Identity{Role: Admin, Host: host, Joined: now}
		for _, old := range s.sortedMembers() {
			if old.Role == Admin && old.Host == host && old.Revoked.IsZero() {
				m = old
			}
		}
		if m.ID == "" {
			m.ID = s.freshID()
		}
		m.NotAfter = leafEnd(now, a.ca)
		s.members[m.ID] = m
		var err error
		issued, err = a.issue(m, key.Public(), now)
		return err
	})
	if err != nil {
		return nil, err
	}
	return newCredential(a.ca, issued, key)
}
