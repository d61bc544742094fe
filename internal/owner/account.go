package owner

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// Account is what a host knows of a user who may log in there.
type Account struct {
	Name     string
	UID, GID uint32
	Groups   []uint32 // all of them, that of GID too
	Home     string
	Shell    string
}

// AccountOf finds a user by name, or by number as text.
func AccountOf(ctx context.Context, user string) (*Account, error) {
	if user == "" || strings.ContainsAny(user, ":\n\x00") || user[0] == '-' {
		return nil, fmt.Errorf("%q can not be the name of a user", user)
	}
	a, err := account(ctx, user)
	switch {
	case errors.Is(err, errNoAccount):
		return nil, fmt.Errorf("there is no user %q here", user)
	case err != nil:
		return nil, fmt.Errorf("look up the user %q: %w", user, err)
	}
	return a, nil
}

var errNoAccount = errors.New("no such user")
