package trust

import (
	"crypto"
	"crypto/hmac"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"
	"time"
)

const (
	joinPath  = "/v1/join"
	renewPath = "/v1/renew"
	maxBody   = 64 << 10 // bytes of a request or an answer
)

// refusal is all that the network learns about a token.
const refusal = "this token can not be used: it may be mistyped, expired, revoked, or used already; " +
	"let somebody create another at the server with \"hydra token create\""

type joinRequest struct {
	Token string `json:"token"`
	CSR   []byte `json:"csr"`
	Host  string `json:"host"`
	Proof []byte `json:"proof"`
	Roles []Role `json:"roles,omitempty"` // that would do; none: any
}

type joinAnswer struct {
	Chain [][]byte `json:"chain"`
	Proof []byte   `json:"proof"`
}

type renewRequest struct {
	CSR []byte `json:"csr"`
}

type renewAnswer struct {
	Chain [][]byte `json:"chain"`
}

type errorAnswer struct {
	Error  string `json:"error"`
	Reason string `json:"reason,omitempty"`
}

// requestError is what a requester is told. Its status is 500 and more if the request was
// right.
type requestError struct {
	status int
	says   errorAnswer
	log    error // what is only logged
}

func (e *requestError) Error() string {
	if e.log != nil {
		return e.log.Error()
	}
	return e.says.Error
}

func refuse(status int, format string, args ...any) error {
	return &requestError{status: status, says: errorAnswer{Error: fmt.Sprintf(format, args...)}}
}

// Handler answers POST /v1/join and POST /v1/renew on TLS connections, for which
// http.Request.TLS has to be set: http.Server does it for a *tls.Conn. It asks for no
// certificate where somebody joins; tls.VerifyClientCertIfGiven lets both through.
// Deadlines, and how often an address may try, are the http.Server's business.
func (a *Authority) Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var err error
		switch r.URL.Path {
		case joinPath:
			err = handle(w, r, a.join)
		case renewPath:
			err = handle(w, r, a.renew)
		default:
			err = refuse(http.StatusNotFound, "there is nothing here but %s and %s", joinPath, renewPath)
		}
		if err == nil {
			return
		}
		var bad *requestError
		if !errors.As(err, &bad) {
			bad = &requestError{status: http.StatusInternalServerError, log: err,
				says: errorAnswer{Error: "the server could not do it, its log says why; nothing was used up"}}
		}
		a.log.Warn("refused", "path", known(r.URL.Path), "remote", r.RemoteAddr, "status", bad.status, "why", bad.Error())
		answer(w, bad.status, bad.says)
	})
}

// known is a path that may stand in the log.
func known(path string) string {
	if path == joinPath || path == renewPath {
		return path
	}
	return "other"
}

// handle decodes a request, has it answered, and sends the answer.
func handle[Q, A any](w http.ResponseWriter, r *http.Request, do func(*http.Request, Q) (A, error)) error {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		return refuse(http.StatusMethodNotAllowed, "only POST is understood here")
	}
	// No page in a browser can send that to another site unasked.
	if t, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || t != "application/json" {
		return refuse(http.StatusUnsupportedMediaType, "the content type has to be application/json")
	}
	if r.TLS == nil || r.TLS.Version < tls.VersionTLS13 {
		return refuse(http.StatusBadRequest, "TLS 1.3 is needed")
	}
	text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		return refuse(http.StatusRequestEntityTooLarge, "the request has more than %d bytes", maxBody)
	} else if err != nil {
		return refuse(http.StatusBadRequest, "the request did not come whole")
	}
	var q Q
	if err := decodeStrictly(text, &q); err != nil {
		return refuse(http.StatusBadRequest, "the request is not the JSON that belongs here")
	}
	result, err := do(r, q)
	if err != nil {
		return err
	}
	answer(w, http.StatusOK, result)
	return nil
}

func answer(w http.ResponseWriter, status int, value any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(value) // who went away does not get it
}

// join gives a certificate to who has a token.
func (a *Authority) join(r *http.Request, q joinRequest) (joinAnswer, error) {
	if !isID(q.Token) {
		return joinAnswer{}, refuse(http.StatusBadRequest, "token is no id of a token")
	}
	if err := checkHost(q.Host); err != nil {
		return joinAnswer{}, refuse(http.StatusBadRequest, "%v", err)
	}
	bound, err := binding(r.TLS)
	if err != nil {
		return joinAnswer{}, refuse(http.StatusBadRequest, "%v", err)
	}
	no := func(why string) error {
		return &requestError{http.StatusForbidden, errorAnswer{Error: refusal}, fmt.Errorf("token %s: %s", q.Token, why)}
	}
	g, exists := a.state.Load().grants[q.Token]
	key := g.Key
	// Also by the key of nobody: a token that does not exist takes as long as one that does.
	right := hmac.Equal(q.Proof, joinProof(key, q.Token, q.CSR, q.Host, bound))
	switch {
	case !exists:
		return joinAnswer{}, no("there is none of that id")
	case !right:
		return joinAnswer{}, no("the proof is wrong")
	}
	// Not before: who has proved nothing has nothing parsed.
	public, err := publicKeyOf(q.CSR)
	if err != nil {
		return joinAnswer{}, refuse(http.StatusBadRequest, "%v", err)
	}
	var issued *x509.Certificate
	m := Identity{Host: q.Host, Token: q.Token}
	err = a.change(func(s *state, now time.Time) error {
		g, exists := s.grants[q.Token] // as it is now, not as it was above
		if !exists {
			return no("there is none of that id")
		}
		if is := g.status(now); is != Valid {
			return no("it is " + string(is))
		}
		if len(q.Roles) > 0 && !slices.Contains(q.Roles, g.Role) {
			// Who has the secret may know.
			return refuse(http.StatusForbidden, "the token is for role %s, and one for role %s is needed: it is not used up", g.Role, orRoles(q.Roles))
		}
		s.forget(now)
		if len(s.members) >= maxMembers || s.joined(g.ID) >= maxJoined {
			return refuse(http.StatusServiceUnavailable, "too many have joined: revoke a token, or use another one for this host")
		}
		g.Used = now
		s.grants[g.ID] = g
		m.ID, m.Role, m.Joined, m.NotAfter = s.freshID(), g.Role, now, leafEnd(now, a.ca)
		s.members[m.ID] = m
		var err error
		issued, err = a.issue(m, public, now)
		return err
	})
	if err != nil {
		return joinAnswer{}, err
	}
	a.log.Info("joined", "identity", m.ID, "role", string(m.Role), "host", m.Host, "token", m.Token, "remote", r.RemoteAddr)
	return joinAnswer{
		Chain: [][]byte{issued.Raw, a.ca.Raw},
		Proof: joinedProof(key, q.Token, q.Proof, issued.Raw, a.ca.Raw, bound),
	}, nil
}

// orRoles lists those roles that there are.
func orRoles(roles []Role) string {
	var names []string
	for _, r := range []Role{Client, Operator, Viewer} {
		if slices.Contains(roles, r) {
			names = append(names, string(r))
		}
	}
	return strings.Join(names, " or ")
}

// renew gives another certificate to who has one.
func (a *Authority) renew(r *http.Request, q renewRequest) (renewAnswer, error) {
	m, err := a.Identify(r.TLS.PeerCertificates)
	if err != nil {
		return renewAnswer{}, denied(err)
	}
	public, err := publicKeyOf(q.CSR)
	if err != nil {
		return renewAnswer{}, refuse(http.StatusBadRequest, "%v", err)
	}
	issued, err := a.reissue(m.ID, public)
	if err != nil {
		return renewAnswer{}, err
	}
	a.log.Info("renewed", "identity", m.ID, "role", string(m.Role), "host", m.Host, "remote", r.RemoteAddr)
	return renewAnswer{Chain: [][]byte{issued.Raw, a.ca.Raw}}, nil
}

// reissue makes another certificate for a member.
func (a *Authority) reissue(id string, public crypto.PublicKey) (issued *x509.Certificate, err error) {
	err = a.change(func(s *state, now time.Time) error {
		m, exists := s.members[id]
		switch {
		case !exists:
			return denied(fmt.Errorf("identity %s: %w", id, ErrUnknown))
		case !m.Revoked.IsZero():
			return denied(fmt.Errorf("identity %s: %w", id, ErrRevoked))
		}
		m.NotAfter = leafEnd(now, a.ca)
		s.members[id] = m
		var err error
		issued, err = a.issue(m, public, now)
		return err
	})
	return issued, err
}

// reasons tells a member why it gets no other certificate. It has proved who it is, so it
// may know.
var reasons = []struct {
	err    error
	reason string
	says   string
}{
	{ErrRevoked, "revoked", "this host was revoked at the server: join with a new token if it should belong there again"},
	{ErrExpired, "expired", "the certificate has expired, or is not valid yet: compare the clocks, else join with a new token"},
	{ErrForeign, "unknown", "the certificate is not of this server's CA: renew it where it comes from"},
	{ErrUnknown, "unknown", "the server does not know this certificate: join with a new token"},
}

func denied(err error) error {
	for _, r := range reasons {
		if errors.Is(err, r.err) {
			return &requestError{http.StatusForbidden, errorAnswer{r.says, r.reason}, err}
		}
	}
	return err
}
