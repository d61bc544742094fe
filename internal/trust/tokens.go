package trust

import (
	"fmt"
	"time"
)

// Status is what has become of a token.
type Status string

const (
	Valid   Status = "valid"
	Used    Status = "used" // it was for one use
	Expired Status = "expired"
	Revoked Status = "revoked"
)

// TokenInfo is what may be shown of a token.
type TokenInfo struct {
	ID      string    `json:"id"`
	Role    Role      `json:"role"`
	Once    bool      `json:"once"`
	Status  Status    `json:"status"` // when it was listed
	Created time.Time `json:"created"`
	Expires time.Time `json:"expires"`
	Used    time.Time `json:"used,omitzero"` // when somebody joined by it last
	Revoked time.Time `json:"revoked,omitzero"`
	// Identities joined by it, the first of them first.
	Identities []Identity `json:"identities"`
}

func (g *grant) info(now time.Time) TokenInfo {
	return TokenInfo{
		ID: g.ID, Role: g.Role, Once: g.Once, Status: g.status(now),
		Created: g.Created, Expires: g.Expires, Used: g.Used, Revoked: g.Revoked,
		Identities: []Identity{},
	}
}

// CreateToken makes a token. Its text is given here and can not be found again. A token
// that is not for one use may be used by many, until it expires.
func (a *Authority) CreateToken(role Role, ttl time.Duration, once bool) (TokenInfo, string, error) {
	info, text, err := a.createToken(role, ttl, once)
	if err != nil {
		return TokenInfo{}, "", fmt.Errorf("create a token: %w", err)
	}
	return info, text, nil
}

func (a *Authority) createToken(role Role, ttl time.Duration, once bool) (info TokenInfo, text string, err error) {
	switch {
	case !role.known():
		return info, "", fmt.Errorf("there is no role %.40q: use client, operator or viewer", role)
	case role == Admin:
		return info, "", fmt.Errorf("admin is the user of the server, and nobody becomes that by a token: use client, operator or viewer")
	case ttl < time.Second:
		return info, "", fmt.Errorf("it would live %s: give it a second at least", ttl)
	case ttl > maxTTL:
		return info, "", fmt.Errorf("it would live longer than %d days: let it expire, and create another then", maxTTL/(24*time.Hour))
	}
	err = a.change(func(s *state, now time.Time) error {
		if s.forget(now); len(s.grants) >= maxGrants {
			return fmt.Errorf("there are %d tokens already: create one that is used several times, or wait until some have expired", len(s.grants))
		}
		t := newToken(a.caHash, s.freshID())
		key, err := tokenKey(t.secret[:], t.ca[:], t.id)
		if err != nil {
			return err
		}
		g := grant{ID: t.id, Role: role, Key: key, Once: once, Created: now, Expires: now.Add(ttl)}
		s.grants[t.id] = g
		info, text = g.info(now), t.text()
		return nil
	})
	return info, text, err
}

// List gives all tokens, the oldest first. Those that have ended are dropped after a
// month, when nobody belongs to the server by them.
func (a *Authority) List() []TokenInfo {
	s, now := a.state.Load(), a.now()
	infos := make([]TokenInfo, 0, len(s.grants))
	at := map[string]int{}
	for _, g := range s.sortedGrants() {
		at[g.ID] = len(infos)
		infos = append(infos, g.info(now))
	}
	for _, m := range s.sortedMembers() {
		if i, ok := at[m.Token]; ok {
			infos[i].Identities = append(infos[i].Identities, m)
		}
	}
	return infos
}

// Revoke takes away what an id stands for: an identity, or a token and all that joined by
// it. It gives those identities that were not revoked before. That holds at once: also if
// it can not be written down, and then there is an error, and it would not survive a
// restart. An id that is nobody's is ErrUnknown.
func (a *Authority) Revoke(id string) ([]Identity, error) {
	gone, err := a.revoke(id)
	if err != nil {
		return nil, fmt.Errorf("revoke %.40q: %w", id, err)
	}
	a.hookMu.Lock()
	hooks := a.hooks
	a.hookMu.Unlock()
	for _, m := range gone {
		for _, hook := range hooks {
			hook(m)
		}
	}
	// What is written is what holds by now, which others may have changed.
	a.changing.Lock()
	err = a.keep(a.state.Load())
	a.changing.Unlock()
	if err != nil {
		return gone, fmt.Errorf("revoke %s: it is revoked until the server restarts, try again: %w", id, &keepError{err})
	}
	a.log.Info("revoked", "id", id, "identities", len(gone))
	return gone, nil
}

// revoke does it in memory.
func (a *Authority) revoke(id string) ([]Identity, error) {
	a.changing.Lock()
	defer a.changing.Unlock()
	now := a.now().UTC().Truncate(time.Second)
	next := a.state.Load().clone()
	if !next.has(id) {
		return nil, ErrUnknown
	}
	if g, isGrant := next.grants[id]; isGrant && g.Revoked.IsZero() {
		g.Revoked = now
		next.grants[id] = g
	}
	var gone []Identity
	for _, m := range next.sortedMembers() {
		if (m.ID == id || m.Token == id) && m.Revoked.IsZero() {
			m.Revoked = now
			next.members[m.ID] = m
			gone = append(gone, m)
		}
	}
	a.state.Store(next)
	return gone, nil
}

// OnRevoke has hook called for each member that is revoked, by the goroutine that revokes
// it, and before Revoke returns. Who keeps a list of connections to be cut adds a
// connection to it before he asks Identify: else a member could be revoked in between.
func (a *Authority) OnRevoke(hook func(Identity)) {
	a.hookMu.Lock()
	defer a.hookMu.Unlock()
	a.hooks = append(a.hooks[:len(a.hooks):len(a.hooks)], hook)
}
