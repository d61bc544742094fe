package owner

import (
	"context"
	"fmt"
	"strconv"
)

// UserID finds the number of a user, by name. A name of digits only is the number.
func UserID(ctx context.Context, name string) (uint32, error) {
	return id(name, "user", func() (uint32, bool, error) { return userID(ctx, name) })
}

// GroupID finds the number of a group, by name. A name of digits only is the number.
func GroupID(ctx context.Context, name string) (uint32, error) {
	return id(name, "group", func() (uint32, bool, error) { return groupID(ctx, name) })
}

// Home is the home directory of a user, by number as text: also of one that only a
// directory service knows. "": there is none.
func Home(ctx context.Context, uid string) (string, error) { return home(ctx, uid) }

func id(name, what string, lookup func() (uint32, bool, error)) (uint32, error) {
	if n, err := strconv.ParseUint(name, 10, 32); err == nil {
		return uint32(n), nil
	}
	n, found, err := lookup()
	switch {
	case err != nil:
		return 0, fmt.Errorf("look up the %s %q: %w", what, name, err)
	case !found:
		return 0, fmt.Errorf("there is no %s %q here: give its number", what, name)
	}
	return n, nil
}
