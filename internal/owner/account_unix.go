//go:build unix

package owner

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os/exec"
	"os/user"
	"slices"
	"strconv"
	"strings"
	"time"
)

func account(ctx context.Context, name string) (*Account, error) {
	_, err := strconv.ParseUint(name, 10, 32)
	isNumber := err == nil
	fields, err := entry(ctx, "passwd", name)
	if err != nil {
		return nil, err
	}
	if len(fields) < 7 || fields[0] != name && !isNumber || isNumber && fields[2] != name {
		// There may be no getent: then the files of this machine are all.
		if fields, err = passwd(name, isNumber); err != nil {
			return nil, err
		}
	}
	a := &Account{Name: fields[0], Home: cmp.Or(fields[5], "/"), Shell: cmp.Or(fields[6], "/bin/sh")}
	if a.UID, err = id32(fields[2]); err != nil {
		return nil, err
	}
	if a.GID, err = id32(fields[3]); err != nil {
		return nil, err
	}
	groups, err := groupsOf(ctx, a.Name, fields[3])
	if err != nil {
		return nil, fmt.Errorf("its groups: %w", err)
	}
	a.Groups = append(a.Groups, a.GID)
	for _, text := range groups {
		g, err := id32(text)
		if err != nil {
			return nil, fmt.Errorf("its groups: %w", err)
		}
		if !slices.Contains(a.Groups, g) {
			a.Groups = append(a.Groups, g)
		}
	}
	return a, nil
}

// passwd is the line of a user in the files of this machine.
func passwd(name string, isNumber bool) ([]string, error) {
	lookup := user.Lookup
	if isNumber {
		lookup = user.LookupId
	}
	u, err := lookup(name)
	_, noName := errors.AsType[user.UnknownUserError](err)
	_, noID := errors.AsType[user.UnknownUserIdError](err)
	switch {
	case noName, noID, errors.Is(err, fs.ErrNotExist):
		return nil, errNoAccount
	case err != nil:
		return nil, err
	}
	return []string{u.Username, "", u.Uid, u.Gid, "", u.HomeDir, ""}, nil
}

// groupsOf are the numbers of the groups of a user. The program id asks whatever the system
// is set up to ask.
func groupsOf(ctx context.Context, name, gid string) ([]string, error) {
	id, err := exec.LookPath("id")
	if err != nil {
		return (&user.User{Username: name, Gid: gid}).GroupIds()
	}
	cmd := exec.CommandContext(ctx, id, "-G", name)
	cmd.WaitDelay = time.Second // something else may hold its output open when it is killed
	out, err := cmd.Output()
	switch {
	case ctx.Err() != nil:
		return nil, fmt.Errorf("id -G: %w", ctx.Err())
	case err != nil:
		return nil, fmt.Errorf("id -G: %w", err)
	}
	return strings.Fields(string(out)), nil
}

func id32(text string) (uint32, error) {
	n, err := strconv.ParseUint(text, 10, 32)
	if err != nil || n == 1<<32-1 { // which stands for no change, in system calls
		return 0, fmt.Errorf("%q is no number of a user or group", text)
	}
	return uint32(n), nil
}
