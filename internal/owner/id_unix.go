//go:build unix

package owner

import (
	"bytes"
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
	getent, err := exec.LookPath("getent")
	if err != nil || strings.HasPrefix(name, "-") {
		return 0, false, nil // no user has such a name, and getent would take it for an option
	}
	cmd := exec.CommandContext(ctx, getent, database, name)
	cmd.WaitDelay = time.Second // something else may hold its output open when it is killed
	line, err := cmd.Output()
	exit, exited := errors.AsType[*exec.ExitError](err)
	switch {
	case exited && exit.ExitCode() == 2:
		return 0, false, nil
	case ctx.Err() != nil:
		return 0, false, fmt.Errorf("getent %s: %w", database, ctx.Err())
	case err != nil:
		return 0, false, fmt.Errorf("getent %s: %w", database, err)
	}
	fields := bytes.SplitN(line, []byte(":"), 4)
	if len(fields) < 3 || string(fields[0]) != name {
		return 0, false, nil
	}
	n, err := strconv.ParseUint(string(fields[2]), 10, 32)
	return uint32(n), err == nil, err
}
