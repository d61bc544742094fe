//go:build unix

package owner

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os/exec"
	"os/user"
	"slices"
	"strconv"
	"time"
)

const (
	maxKeys = 500     // of one call of getent: far from what the arguments of a program may be
	maxLine = 4 << 10 // that is looked at: the members of a group may be many more
)

// Without cgo, os/user knows the files of this machine only. getent asks whatever
// the system is set up to ask, as LDAP.

func userNames(ctx context.Context, ids []uint32) (map[uint32]string, error) {
	return names(ctx, "passwd", ids, func(id string) (string, error) {
		u, err := user.LookupId(id)
		if err != nil {
			return "", err
		}
		return u.Username, nil
	})
}

func groupNames(ctx context.Context, ids []uint32) (map[uint32]string, error) {
	return names(ctx, "group", ids, func(id string) (string, error) {
		g, err := user.LookupGroupId(id)
		if err != nil {
			return "", err
		}
		return g.Name, nil
	})
}

func accountNames(context.Context, []string) (map[string]string, error) {
	return map[string]string{}, nil
}

// names asks getent or, where there is none, lookup.
func names(ctx context.Context, database string, ids []uint32, lookup func(id string) (string, error)) (map[uint32]string, error) {
	ids = slices.Compact(slices.Sorted(slices.Values(ids)))
	if len(ids) == 0 {
		return map[uint32]string{}, nil
	}
	getent, err := exec.LookPath("getent")
	if err != nil {
		return oneByOne(ctx, ids, lookup)
	}
	found := map[uint32]string{}
	err = ask(ctx, getent, database, ids, found)
	return found, err
}

// ask adds to found what getent says. The ids are sorted.
//
// The getent of glibc says all that it finds. That of the BSDs and of Alpine Linux
// ends at the first id without a name, with the same exit code. So 0 is asked for
// after all others: where it comes back, all were looked up. Where it does not, go
// on behind the first id that has no name:
//
//	asked for    7  8  9  10  11  0
//	came back    7  8                  go on with 10
func ask(ctx context.Context, getent, database string, ids []uint32, found map[uint32]string) error {
	wanted := map[uint32]bool{}
	for _, id := range ids {
		wanted[id] = true
	}
	if ids[0] == 0 {
		ids = ids[1:]
	}
	for {
		batch := ids[:min(len(ids), maxKeys-1)]
		args := []string{database}
		for _, id := range batch {
			args = append(args, strconv.FormatUint(uint64(id), 10))
		}
		cmd := exec.CommandContext(ctx, getent, append(args, "0")...)
		// Something else may hold its output open when it is killed.
		cmd.WaitDelay = time.Second
		said := &entries{wanted: wanted, names: map[uint32]string{}}
		cmd.Stdout = said
		err := cmd.Run()
		maps.Copy(found, said.names)
		all := said.root
		exit, exited := errors.AsType[*exec.ExitError](err)
		switch {
		case err == nil:
			all = true
		case exited && exit.ExitCode() == 2: // not all were found
		case ctx.Err() != nil:
			return fmt.Errorf("getent %s: %w", database, ctx.Err())
		default:
			return fmt.Errorf("getent %s: %w", database, err)
		}
		done := len(batch)
		if !all {
			nameless := slices.IndexFunc(batch, func(id uint32) bool { return found[id] == "" })
			if nameless >= 0 {
				done = nameless + 1
			}
		}
		ids = ids[done:]
		if len(ids) == 0 {
			return nil
		}
	}
}

// entries is a writer of lines as they are in /etc/passwd and /etc/group.
type entries struct {
	wanted map[uint32]bool
	names  map[uint32]string // by id, of those that are wanted
	root   bool              // 0 came back
	line   []byte            // the begin of one that has not ended
}

func (e *entries) Write(p []byte) (int, error) {
	n := len(p)
	for {
		begin, rest, ended := bytes.Cut(p, []byte("\n"))
		e.line = append(e.line, begin[:min(len(begin), maxLine-len(e.line))]...)
		if !ended {
			return n, nil // the line of a program that was killed may end in half an id
		}
		e.add(e.line)
		e.line = e.line[:0]
		p = rest
	}
}

// add adds the name of name:password:id:..., if the line is that.
func (e *entries) add(line []byte) {
	fields := bytes.SplitN(line, []byte(":"), 4)
	if len(fields) < 3 || len(fields) == 3 && len(line) == maxLine {
		return
	}
	id, err := strconv.ParseUint(string(fields[2]), 10, 32)
	if err != nil || len(fields[0]) == 0 {
		return
	}
	e.root = e.root || id == 0
	if _, twice := e.names[uint32(id)]; !twice && e.wanted[uint32(id)] { // a user may be called 1000, and have another id
		e.names[uint32(id)] = string(fields[0])
	}
}

// oneByOne goes on after an error, as an id may be one that os/user can not read
// on this platform.
func oneByOne(ctx context.Context, ids []uint32, lookup func(id string) (string, error)) (map[uint32]string, error) {
	found := map[uint32]string{}
	var firstErr error
	for _, id := range ids {
		if err := ctx.Err(); err != nil {
			return found, err
		}
		name, err := lookup(strconv.FormatUint(uint64(id), 10))
		switch {
		case err == nil && name != "":
			found[id] = name
		case err != nil && firstErr == nil && !unknown(err):
			firstErr = err
		}
	}
	return found, firstErr
}

// unknown tells whether an error says that there is no name. A small container
// may have none at all: not even the file.
func unknown(err error) bool {
	_, noUser := errors.AsType[user.UnknownUserIdError](err)
	_, noGroup := errors.AsType[user.UnknownGroupIdError](err)
	return noUser || noGroup || errors.Is(err, fs.ErrNotExist)
}
