package trust

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
)

const (
	tokenVersion = "hydra1"
	idLength     = 12
)

// Token lets its holder join one server. It is a secret: however it is printed, only
// its id is shown.
type Token struct {
	ca [sha256.Size]byte
	id string
	// A pointer: package fmt prints those in a struct of somebody's as an address,
	// and does not ask Format about a field that is not exported.
	secret *[32]byte
}

// strict refuses the second spelling of the same bytes.
var strict = base64.RawURLEncoding.Strict()

// ParseToken understands the text of a token. Its errors never repeat it.
func ParseToken(text string) (Token, error) {
	t, err := parseToken(text)
	if err != nil {
		return Token{}, fmt.Errorf("this is no token: %w", err)
	}
	return t, nil
}

func parseToken(text string) (Token, error) {
	parts := strings.Split(strings.TrimSpace(text), ".")
	if parts[0] != tokenVersion {
		if rest, ok := strings.CutPrefix(parts[0], "hydra"); ok && len(parts) > 1 && digits(rest) {
			return Token{}, errors.New("another version of hydra made it: use that version, or a token of this one")
		}
		return Token{}, errors.New("one begins with " + tokenVersion + "., see \"hydra token create\"")
	}
	if len(parts) != 4 {
		return Token{}, fmt.Errorf("it has %d parts with dots between them, and not 4: copy the whole line", len(parts))
	}
	t := Token{id: parts[2], secret: new([32]byte)}
	if err := decodePart(t.ca[:], parts[1]); err != nil {
		return Token{}, fmt.Errorf("its second part, the hash of the CA, %w", err)
	}
	if !isID(t.id) {
		return Token{}, fmt.Errorf("its third part, the id, is not %d characters of a-z and 2-7", idLength)
	}
	if err := decodePart(t.secret[:], parts[3]); err != nil {
		return Token{}, fmt.Errorf("its fourth part, the secret, %w", err)
	}
	return t, nil
}

// decodePart fills to. The errors of package base64 would say nothing to anybody.
func decodePart(to []byte, part string) error {
	if n := strict.EncodedLen(len(to)); len(part) != n {
		return fmt.Errorf("has %d characters, and not %d: copy the whole line", len(part), n)
	}
	// Package base64 skips line ends.
	if strings.ContainsAny(part, "\r\n") {
		return errors.New("has a line end in it")
	}
	if n, err := strict.Decode(to, []byte(part)); err != nil || n != len(to) {
		return errors.New("has characters that do not belong there")
	}
	return nil
}

func digits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

// newID names a token or a member.
func newID() string { return strings.ToLower(rand.Text()[:idLength]) }

// isID tells whether s could be of newID.
func isID(s string) bool {
	return len(s) == idLength && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz234567") == ""
}

// newToken is one for the CA with this hash.
func newToken(ca [sha256.Size]byte, id string) Token {
	t := Token{ca: ca, id: id, secret: new([32]byte)}
	rand.Read(t.secret[:]) // never fails
	return t
}

// text is what ParseToken understands.
func (t Token) text() string {
	return strings.Join([]string{tokenVersion, strict.EncodeToString(t.ca[:]), t.id, strict.EncodeToString(t.secret[:])}, ".")
}

// Of tells whether the token and the credential are of the same server.
func (t Token) Of(c *Credential) bool {
	o, err := c.open()
	return err == nil && sha256.Sum256(o.ca.Raw) == t.ca
}

// ID names the token. It is no secret.
func (t Token) ID() string { return t.id }

func (t Token) String() string { return "token " + t.id }

// Format shows only the id, whatever the verb.
func (t Token) Format(w fmt.State, _ rune) { io.WriteString(w, t.String()) }

// LogValue shows only the id.
func (t Token) LogValue() slog.Value { return slog.StringValue(t.String()) }
