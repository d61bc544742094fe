//go:build unix

package owner

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os/exec"
	"os/user"
	"strconv"
	"strings"
	"time"
)

func userID(ctx context.Context, name string) (uint32, bool, error) {
	return number(ctx, "passwd", name, func() (string, error) {
		u, err := user.Lookup(name)
		if err != nil {
			return "", err
		}
		return u.Uid, nil
	})
}

func groupID(ctx context.Context, name string) (uint32, bool, error) {
	return number(ctx, "group", name, func() (string, error) {
		g, err := user.LookupGroup(name)
		if err != nil {
			return "", err
		}
		return g.Gid, nil
	})
}

// number asks lookup, which knows the files of this machine, and then getent.
func number(ctx context.Context, database, name string, lookup func() (string, error)) (uint32, bool, error) {
	text, err := lookup()
	_, noUser := errors.AsType[user.UnknownUserError](err)
	_, noGroup := errors.AsType[user.UnknownGroupError](err)
	switch {
	case err == nil:
		n, err := strconv.ParseUint(text, 10, 32)
		return uint32(n), err == nil, err
	case !noUser && !noGroup && !errors.Is(err, fs.ErrNotExist):
		return 0, false, err
	}
	fields, err := entry(ctx, database, name)
	if err != nil || len(fields) < 3 || fields[0] != name {
		return 0, false, err
	}
	n, err := strconv.ParseUint(fields[2], 10, 32)
	return uint32(n), err == nil, err
}

func home(ctx context.Context, uid string) (string, error) {
	if u, err := user.LookupId(uid); err == nil {
		return u.HomeDir, nil
	}
	fields, err := entry(ctx, "passwd", uid)
	if err != nil || len(fields) < 6 || fields[2] != uid {
		return "", err
	}
	return fields[5], nil
}

// entry is what getent has of a name or a number, nothing if there is none.
func entry(ctx context.Context, database, key string) ([]string, error) {
	getent, err := exec.LookPath("getent")
	if err != nil || strings.HasPrefix(key, "-") {
		return nil, nil // nobody has such a name, and getent would take it for an option
	}
	cmd := exec.CommandContext(ctx, getent, database, key)
	cmd.WaitDelay = time.Second // something else may hold its output open when it is killed
	line, err := cmd.Output()
	exit, exited := errors.AsType[*exec.ExitError](err)
	switch {
	case exited && exit.ExitCode() == 2:
		return nil, nil
	case ctx.Err() != nil:
		return nil, fmt.Errorf("getent %s: %w", database, ctx.Err())
	case err != nil:
		return nil, fmt.Errorf("getent %s: %w", database, err)
	}
	return strings.Split(strings.TrimSuffix(string(line), "\n"), ":"), nil
}
