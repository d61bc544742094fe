package trust

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"
)

const (
	stateFormat = 1
	// maxGrants, maxMembers and maxJoined (by one token) bound the file, which is written
	// anew for each change.
	maxGrants  = 20_000
	maxMembers = 50_000
	maxJoined  = 10_000
	// remembered is how long what has ended can still be listed.
	remembered = 30 * 24 * time.Hour
	// maxTTL is the longest life of a token.
	maxTTL = 365 * 24 * time.Hour
)

// grant is what the server keeps of a token.
type grant struct {
	ID      string    `json:"id"`
	Role    Role      `json:"role"`
	Key     []byte    `json:"key"` // see tokenKey
	Once    bool      `json:"once,omitzero"`
	Created time.Time `json:"created"`
	Expires time.Time `json:"expires"`
	Used    time.Time `json:"used,omitzero"` // when it was last
	Revoked time.Time `json:"revoked,omitzero"`
}

// status is why a token can not be used, or Valid.
func (g *grant) status(now time.Time) Status {
	switch {
	case !g.Revoked.IsZero():
		return Revoked
	case g.Once && !g.Used.IsZero():
		return Used
	case !now.Before(g.Expires):
		return Expired
	}
	return Valid
}

// ended is since when a token can not be used.
func (g *grant) ended() time.Time {
	end := g.Expires
	if !g.Revoked.IsZero() && g.Revoked.Before(end) {
		end = g.Revoked
	}
	if g.Once && !g.Used.IsZero() && g.Used.Before(end) {
		end = g.Used
	}
	return end
}

// state is all that a server knows of tokens and members. One that is published is never
// changed.
type state struct {
	grants  map[string]grant
	members map[string]Identity
}

// stateFile is a state in a file.
type stateFile struct {
	Format     int        `json:"format"`
	Tokens     []grant    `json:"tokens"`
	Identities []Identity `json:"identities"`
}

func newState() *state {
	return &state{grants: map[string]grant{}, members: map[string]Identity{}}
}

func (s *state) clone() *state {
	return &state{grants: maps.Clone(s.grants), members: maps.Clone(s.members)}
}

// freshID is the id of nobody, so that an id names one token or one member.
func (s *state) freshID() string {
	for {
		if id := newID(); !s.has(id) {
			return id
		}
	}
}

// joined counts the members that joined by a token.
func (s *state) joined(token string) int {
	n := 0
	for _, m := range s.members {
		if m.Token == token {
			n++
		}
	}
	return n
}

// forget drops members a month after their certificates expired, revoked or not, and
// tokens a month after they ended, if nobody is left who joined by them.
func (s *state) forget(now time.Time) {
	long := now.Add(-remembered)
	maps.DeleteFunc(s.members, func(_ string, m Identity) bool { return m.NotAfter.Before(long) })
	needed := map[string]bool{}
	for _, m := range s.members {
		needed[m.Token] = true
	}
	maps.DeleteFunc(s.grants, func(id string, g grant) bool { return g.ended().Before(long) && !needed[id] })
}

func (s *state) sortedGrants() []grant {
	return slices.SortedFunc(maps.Values(s.grants), func(a, b grant) int {
		return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.ID, b.ID))
	})
}

func (s *state) sortedMembers() []Identity {
	return slices.SortedFunc(maps.Values(s.members), func(a, b Identity) int {
		return cmp.Or(a.Joined.Compare(b.Joined), cmp.Compare(a.ID, b.ID))
	})
}

func (s *state) encode() ([]byte, error) {
	text, err := json.MarshalIndent(stateFile{stateFormat, s.sortedGrants(), s.sortedMembers()}, "", " ")
	return append(text, '\n'), err
}

func decodeState(text []byte) (*state, error) {
	// What a later version wrote may look different: it is told apart first.
	var version struct {
		Format int `json:"format"`
	}
	if err := json.Unmarshal(text, &version); err != nil {
		return nil, err
	}
	if version.Format != stateFormat {
		return nil, fmt.Errorf("its format is %d, and this version of hydra knows %d: use the version that wrote it", version.Format, stateFormat)
	}
	var file stateFile
	if err := decodeStrictly(text, &file); err != nil {
		return nil, err
	}
	s := newState()
	for _, g := range file.Tokens {
		switch {
		case !isID(g.ID):
			return nil, fmt.Errorf("token %.40q: this is no id", g.ID)
		case !g.Role.known() || g.Role == Admin:
			return nil, fmt.Errorf("token %s: no token has the role %.40q", g.ID, g.Role)
		case len(g.Key) != sha256.Size:
			return nil, fmt.Errorf("token %s: its key has %d bytes, and not %d", g.ID, len(g.Key), sha256.Size)
		case g.Expires.IsZero():
			return nil, fmt.Errorf("token %s: it does not say when it expires", g.ID)
		case s.has(g.ID):
			return nil, fmt.Errorf("token %s: it is there twice", g.ID)
		}
		s.grants[g.ID] = g
	}
	for _, m := range file.Identities {
		switch {
		case !isID(m.ID):
			return nil, fmt.Errorf("identity %.40q: this is no id", m.ID)
		case !m.Role.known():
			return nil, fmt.Errorf("identity %s: there is no role %.40q", m.ID, m.Role)
		case m.NotAfter.IsZero():
			return nil, fmt.Errorf("identity %s: it does not say when it expires", m.ID)
		case s.has(m.ID):
			return nil, fmt.Errorf("identity %s: it is there twice", m.ID)
		}
		if err := checkHost(m.Host); err != nil {
			return nil, fmt.Errorf("identity %s: %w", m.ID, err)
		}
		s.members[m.ID] = m
	}
	return s, nil
}

func (s *state) has(id string) bool {
	_, isGrant := s.grants[id]
	_, isMember := s.members[id]
	return isGrant || isMember
}

// decodeStrictly decodes one JSON value, in which is nothing that into has no place for.
func decodeStrictly(text []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		if errors.Is(err, io.EOF) {
			return io.ErrUnexpectedEOF
		}
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something stands behind the JSON value")
	}
	return nil
}
