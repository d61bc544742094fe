// Package trust knows who belongs to a server: it has a CA, hands out tokens, and certificates to those who have one.
//
// What follows is enough to write another implementation.
//
// # The CA
//
// A server makes a CA at its first start: an ECDSA key on P-256 and a certificate of
// ten years, which signs its own server certificate and those of all who join, and
// nothing else. A server certificate has the extended key usage serverAuth, one of a
// joiner has clientAuth, and no certificate has both or none. So a certificate of this
// CA with serverAuth is the server's, at whatever address: names are not compared,
// because a server is often reached by one that it does not know itself.
//
// # The token
//
// A token is one line of four parts with dots between them:
//
//	hydra1.<CA>.<id>.<secret>
//
//	CA      SHA-256 of the CA's certificate (DER), base64url without padding: 43 characters
//	id      12 characters of a-z and 2-7, which name the token and are no secret
//	secret  32 random bytes, base64url without padding: 43 characters
//
// Of the secret the server keeps only
//
//	key = HKDF-SHA256(secret, salt: CA's 32 bytes, info: "hydra1 token " + id, 32 bytes)
//
// Who reads that key can still prove it. It lies beside the CA's own key, in files of
// the same mode.
//
// # Joining
//
//	joiner                                              server
//	  │ TLS 1.3, ALPN http/1.1, no certificate            │
//	  │ ◄──────────────── its certificate, and the CA's ──┤
//	  │ the CA's hash is the token's? nothing else sent   │
//	  ├── POST /v1/join: id, CSR, host, proof ──────────► │ written down, then
//	  │ ◄────────────────── certificate, the CA's, proof ─┤
//
// The joiner makes a key and a certificate request for it, PKCS #10, of which only the
// public key (ECDSA on P-256, P-384 or P-521, or Ed25519) and the signature matter. The
// chain that the server shows in the handshake has to contain the CA's certificate, by
// the token's hash, and its first certificate, with serverAuth, has to be signed by
// that. Nothing is sent before. Then
//
//	POST /v1/join    Content-Type: application/json, at most 64 KiB
//	{"token": id, "csr": DER, "host": name, "proof": MAC}
//
// where bytes are in base64 with padding, host is 1 to 255 bytes of printable UTF-8 and
//
//	binding = TLS exporter (RFC 8446, 7.5), label "EXPORTER-hydra-join", no context, 32 bytes
//	proof   = HMAC-SHA256(key, "hydra1 join", id, csr, host, binding)
//
// Each field of a MAC follows its length as four bytes, big endian. The secret never
// crosses, and somebody in the middle, who has two connections with two bindings, can
// not pass a proof on. The answer, status 200, is
//
//	{"chain": [certificate DER, CA DER], "proof": MAC}
//	proof = HMAC-SHA256(key, "hydra1 joined", id, joiner's proof, certificate, CA, binding)
//
// Any other status comes with {"error": sentence}. It is 403, with always the same
// sentence, if the token is unknown, expired, revoked or used up or the proof is wrong.
// A token for one use is used up before its certificate is sent: if the answer is lost,
// another token is needed.
//
// # Certificates of joiners
//
//	subject           CN = identity: 12 characters of a-z and 2-7, OU = hydra-<role>
//	subjectAltName    URI hydra-host:<host, percent-encoded>
//	validity          90 days, from an hour ago
//	extKeyUsage       clientAuth only
//
// Roles are client, operator, viewer, and admin, which no token gives.
//
// # Renewal
//
// It is due after two thirds of a certificate's life. Over TLS 1.3 with the certificate
// that is renewed, and a request for a new key:
//
//	POST /v1/renew
//	{"csr": DER}
//
// The answer is {"chain": [certificate DER, CA DER]}, with the same identity, role and
// host; or 403 with {"error": sentence, "reason": "revoked", "expired" or "unknown"}.
//
// # What the server keeps
//
// In a directory (0700) ca.pem, the CA's key and certificate, and trust.json, tokens and
// identities (both 0600). They are replaced, never changed, and are on the disk before
// anybody is told. An identity that is not in trust.json is refused, so a file that is
// lost lets nobody in.
package trust

import (
	"errors"
	"time"
)

// Role is what a member may do.
type Role string

const (
	Client   Role = "client"   // works on jobs
	Operator Role = "operator" // submits jobs and steers them
	Viewer   Role = "viewer"   // looks at jobs
	Admin    Role = "admin"    // the user of the server itself; no token gives it
)

func (r Role) known() bool {
	return r == Client || r == Operator || r == Viewer || r == Admin
}

// Identity is a member: who has joined, or the user of the server.
type Identity struct {
	ID       string    `json:"id"` // 8 to 64 characters of a-z and 0-9, kept on renewal
	Role     Role      `json:"role"`
	Host     string    `json:"host"`           // as the member said it, printable; a label, no proof
	NotAfter time.Time `json:"not_after"`      // when its certificate expires
	Token    string    `json:"token,omitzero"` // the token that it joined by; "" of an Admin
	// Joined and Revoked are known to the server only.
	Joined  time.Time `json:"joined,omitzero"`
	Revoked time.Time `json:"revoked,omitzero"`
}

var (
	// ErrUnknown is of an id that is no token's and no member's, or of a certificate
	// of this CA that is no member's.
	ErrUnknown = errors.New("unknown here")
	// ErrRevoked is of a member that was revoked.
	ErrRevoked = errors.New("revoked")
	// ErrExpired is of a certificate whose time is over, or has not come.
	ErrExpired = errors.New("expired")
	// ErrForeign is of a certificate that this CA did not sign. Only then it may be
	// one for Foreign.
	ErrForeign = errors.New("not of this CA")
	// ErrRefused is of a token that the server does not take. It does not say why.
	ErrRefused = errors.New("refused by the server")
)

const (
	caLife   = 10 * 365 * 24 * time.Hour
	leafLife = 90 * 24 * time.Hour
	// skew is how far another clock may be behind.
	skew = time.Hour
)

// pastTwoThirds tells whether what lives from one time to another is to be renewed.
func pastTwoThirds(now, from, to time.Time) bool {
	return now.After(from.Add(to.Sub(from) / 3 * 2))
}
