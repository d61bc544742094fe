// Package owner finds the names of users and groups, and what a host knows of a user.
//
// A name may be any bytes: who shows it makes it printable first.
//
// A directory service may be asked over the network, and it may hang: the context
// should have a deadline. When an error is returned, so is what was found.
package owner

import "context"

// Users finds the names of users by their numeric ids. Ids without a name are
// missing from the result. On Windows, users have none.
func Users(ctx context.Context, ids []uint32) (map[uint32]string, error) {
	return userNames(ctx, ids)
}

// Groups finds the names of groups by their numeric ids. Ids without a name are
// missing from the result. On Windows, groups have none.
func Groups(ctx context.Context, ids []uint32) (map[uint32]string, error) {
	return groupNames(ctx, ids)
}

// SIDs finds the names, as DOMAIN\name, of security identifiers in their form as
// text. Those without a name are missing from the result, which is empty on
// anything but Windows.
func SIDs(ctx context.Context, sids []string) (map[string]string, error) {
	return accountNames(ctx, sids)
}
