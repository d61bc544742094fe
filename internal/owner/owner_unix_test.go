//go:build unix

package owner

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

const nobodys = 4123456789 // an id that has no name

// fakeGetent puts a getent into the path that runs a script. DIR is a directory of
// its own.
func fakeGetent(t *testing.T, script string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	text := fmt.Sprintf("#!/bin/sh\nDIR='%s'\n%s\n", dir, script)
	if err := os.WriteFile(filepath.Join(dir, "getent"), []byte(text), 0o777); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+string(filepath.ListSeparator)+os.Getenv("PATH"))
	return dir
}

// wantNames checks what was found, and that there was no error.
func wantNames(t *testing.T, got map[uint32]string, err error, want map[uint32]string) {
	t.Helper()
	if err != nil {
		t.Errorf("the error is %v, want none", err)
	}
	if !maps.Equal(got, want) {
		t.Errorf("found %#v, want %#v", got, want)
	}
}

func TestRootIsFound(t *testing.T) {
	for _, path := range []string{os.Getenv("PATH"), ""} { // without getent, too
		t.Setenv("PATH", path)
		users, err := Users(t.Context(), []uint32{nobodys, 0, 0})
		wantNames(t, users, err, map[uint32]string{0: "root"})
		groups, err := Groups(t.Context(), []uint32{0, nobodys})
		if err != nil || len(groups) != 1 || groups[0] != "root" && groups[0] != "wheel" {
			t.Errorf("found the groups %#v, %v, want root or wheel", groups, err)
		}
	}
}

func TestOfNoIDsNothingIsAsked(t *testing.T) {
	fakeGetent(t, `exit 1`)
	users, err := Users(t.Context(), nil)
	wantNames(t, users, err, map[uint32]string{})
	if users == nil {
		t.Error("the result is nil, want an empty map")
	}
}

func TestSIDsHaveNoNames(t *testing.T) {
	names, err := SIDs(t.Context(), []string{"S-1-5-18"})
	if err != nil || names == nil || len(names) > 0 {
		t.Errorf("found %q, %v, want an empty map", names, err)
	}
}

func TestUsersAndGroupsAreAskedOfTheirDatabase(t *testing.T) {
	fakeGetent(t, `echo "$1 $2 $3:x:7:"`)
	users, err := Users(t.Context(), []uint32{7})
	wantNames(t, users, err, map[uint32]string{7: "passwd 7 0"})
	groups, err := Groups(t.Context(), []uint32{7})
	wantNames(t, groups, err, map[uint32]string{7: "group 7 0"})
}

func TestOnlyLinesThatNameAnAskedIDCount(t *testing.T) {
	dir := fakeGetent(t, `cat "$DIR/said"; exit 2`)
	long := strings.Repeat("member,", 100_000)
	said := strings.Join([]string{
		"ann:x:1:100:Ann:/home/ann:/bin/sh",
		"ann's other name:x:1:100:::",
		"b\xff\x1b[31m =b:*:2:",
		"", ":", "::", ":::", "no line", "c:x", "c:x:", "c:x::", "c:x:c:", "c:x:-3:", "c:x:+3:", "c:x: 3:", "c:x:0x3:", "c:x:4294967299:", "c:x:99999999999999999999:", ":x:3:",
		"dan:x:4", // as a group of nobody on FreeBSD
		"1000:x:1001:100:::",
		"0:x:0:0:::",
		"eve:x:5:" + long,
		"f" + long + ":x:6:", // its id is too far behind
		"gus" + strings.Repeat("s", maxLine-len("gus:x:7")) + ":x:77:", // what is looked at ends in its id
		"hal:x:4294967294:",
		"ida:x:9:", // the last line has no end
	}, "\n")
	if err := os.WriteFile(filepath.Join(dir, "said"), []byte(strings.TrimSuffix(said, ":")), 0o666); err != nil {
		t.Fatal(err)
	}
	got, err := Users(t.Context(), []uint32{1, 2, 3, 4, 5, 6, 7, 8, 9, 1000, 4294967294})
	wantNames(t, got, err, map[uint32]string{1: "ann", 2: "b\xff\x1b[31m =b", 4: "dan", 5: "eve", 4294967294: "hal"})
}

func TestAnEntryIsTheSameInOneWriteAndInMany(t *testing.T) {
	const said = "ann:x:1:100:Ann:/home/ann:/bin/sh\n\nbob:x:2\nc"
	want := map[uint32]string{1: "ann", 2: "bob"}
	for size := 1; size <= len(said); size++ {
		e := &entries{wanted: map[uint32]bool{1: true, 2: true}, names: map[uint32]string{}}
		for rest := said; rest != ""; {
			n, err := io.WriteString(e, rest[:min(size, len(rest))])
			if err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
		}
		wantNames(t, e.names, nil, want)
	}
}

func FuzzEntries(f *testing.F) {
	f.Add("ann:x:1:100:Ann:/home/ann:/bin/sh\nbob:x:2:\n", 3)
	f.Add("\xff:\x00:4294967295\n::\n", 1)
	f.Add(strings.Repeat("a", maxLine-4)+":x:77:\n", maxLine)
	f.Fuzz(func(t *testing.T, said string, size int) {
		e := &entries{wanted: map[uint32]bool{1: true, 2: true, 77: true, 4294967295: true}, names: map[uint32]string{}}
		for p := []byte(said); len(p) > 0; {
			n := min(max(size, 1), len(p))
			if got, err := e.Write(p[:n]); got != n || err != nil {
				t.Fatalf("%d of %d bytes were taken, %v", got, n, err)
			}
			p = p[n:]
		}
		if len(e.line) > maxLine {
			t.Errorf("%d bytes of a line are held", len(e.line))
		}
		for id, name := range e.names {
			if !e.wanted[id] {
				t.Errorf("%d was not asked for", id)
			}
			if name == "" || strings.ContainsAny(name, ":\n") || !strings.Contains("\n"+said, "\n"+name+":") {
				t.Errorf("%d is %q", id, name)
			}
			if !strings.Contains(said, strconv.FormatUint(uint64(id), 10)) {
				t.Errorf("nothing was said of %d", id)
			}
		}
	})
}

// Each getent knows the even ids up to 4000, and root if it is there.
var getents = map[string]string{
	"glibc":               `for id; do if [ $id -eq 0 ]; then echo root:x:0:; elif [ $id -le 4000 ] && [ $((id % 2)) -eq 0 ]; then echo n$id:x:$id:; else rc=2; fi; done; exit $rc`,
	"glibc without root":  `for id; do if [ $id -gt 0 ] && [ $id -le 4000 ] && [ $((id % 2)) -eq 0 ]; then echo n$id:x:$id:; else rc=2; fi; done; exit $rc`,
	"BSD":                 `for id; do if [ $id -eq 0 ]; then echo root:x:0:; elif [ $id -le 4000 ] && [ $((id % 2)) -eq 0 ]; then echo n$id:x:$id:; else exit 2; fi; done`,
	"BSD without root":    `for id; do if [ $id -gt 0 ] && [ $id -le 4000 ] && [ $((id % 2)) -eq 0 ]; then echo n$id:x:$id:; else exit 2; fi; done`,
	"that finds no names": `exit 2`,
}

func TestEachNameIsFoundByWhateverGetent(t *testing.T) {
	for name, script := range getents {
		t.Run(name, func(t *testing.T) {
			fakeGetent(t, "rc=0; shift\n"+script)
			for _, tt := range [][]uint32{
				{0},
				{7},
				{8},
				{0, 8},
				{8, 7, 8, 0, 7},
				{8, 0, 7, 10},
				{0, 0, 7, 8},
				{1, 2, 3, 4, 5, 6, 7},
				{2, 4, 6, 8},
				{2, 4, 7, 9, 4002, 4004, 4294967295},
				{1, 3, 5, 6},
			} {
				want := map[uint32]string{}
				for _, id := range tt {
					switch {
					case strings.Contains(name, "no names"):
					case id == 0 && !strings.Contains(name, "without root"):
						want[id] = "root"
					case id > 0 && id <= 4000 && id%2 == 0:
						want[id] = fmt.Sprintf("n%d", id)
					}
				}
				got, err := Users(t.Context(), tt)
				if err != nil || !maps.Equal(got, want) {
					t.Errorf("of %d: found %#v, %v, want %#v", tt, got, err, want)
				}
			}
		})
	}
}

func TestManyIDsAreAskedInBatches(t *testing.T) {
	dir := fakeGetent(t, `shift; echo $# >> "$DIR/calls"; for id; do echo n$id:x:$id:; done`)
	for _, tt := range []struct {
		ids   int
		calls string
	}{
		{498, "499"},
		{499, "500"},
		{500, "500 2"},
		{1200, "500 500 203"},
	} {
		var ids []uint32
		want := map[uint32]string{}
		for i := range tt.ids {
			id := uint32(1000 + i)
			ids = append(ids, id)
			want[id] = fmt.Sprintf("n%d", id)
		}
		got, err := Groups(t.Context(), ids)
		wantNames(t, got, err, want)
		calls, err := os.ReadFile(filepath.Join(dir, "calls"))
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(strings.Fields(string(calls)), " "); got != tt.calls {
			t.Errorf("%d ids were asked in calls of %s, want %s", tt.ids, got, tt.calls)
		}
		if err := os.Remove(filepath.Join(dir, "calls")); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAGetentThatSaysNothingIsNotAskedAgain(t *testing.T) {
	dir := fakeGetent(t, `echo "$@" >> "$DIR/calls"`)
	got, err := Users(t.Context(), []uint32{7, 8, 9})
	wantNames(t, got, err, map[uint32]string{})
	calls, err := os.ReadFile(filepath.Join(dir, "calls"))
	if want := "passwd 7 8 9 0\n"; err != nil || string(calls) != want {
		t.Errorf("getent was called with %q, %v, want %q", calls, err, want)
	}
}

func TestAFailureIsAnErrorAndKeepsWhatWasFound(t *testing.T) {
	for _, failure := range []string{"exit 1", "exit 3", "kill -9 $$"} {
		fakeGetent(t, "echo ann:x:7:\n"+failure)
		got, err := Users(t.Context(), []uint32{7, 8})
		if _, failed := errors.AsType[*exec.ExitError](err); !failed || !strings.Contains(err.Error(), "getent passwd") {
			t.Errorf("%s: the error is %v, want the exit of getent passwd", failure, err)
		}
		wantNames(t, got, nil, map[uint32]string{7: "ann"})
	}
}

func TestAGetentThatDoesNotRunIsAnError(t *testing.T) {
	dir := fakeGetent(t, "")
	if err := os.WriteFile(filepath.Join(dir, "getent"), []byte("#!/no/such/shell\n"), 0o777); err != nil {
		t.Fatal(err)
	}
	if got, err := Users(t.Context(), []uint32{0}); err == nil || len(got) > 0 {
		t.Errorf("found %#v, %v, want an error", got, err)
	}
}

// started opens the pipe that a hanging getent writes process ids to, and returns
// them.
func started(t *testing.T, pipe string) []int {
	text, err := os.ReadFile(pipe)
	if err != nil {
		t.Error(err)
	}
	var pids []int
	for _, field := range strings.Fields(string(text)) {
		pid, err := strconv.Atoi(field)
		if err != nil {
			t.Error(err)
		}
		pids = append(pids, pid)
	}
	return pids
}

func TestAGetentThatHangsIsKilled(t *testing.T) {
	for name, script := range map[string]string{
		"itself":     `echo ann:x:7:; printf 'bob:x:8'; echo $$ > "$DIR/pipe"; exec sleep 100`,
		"in a child": `echo ann:x:7:; printf 'bob:x:8'; sleep 100 & echo $$ $! > "$DIR/pipe"; wait`,
	} {
		t.Run(name, func(t *testing.T) {
			dir := fakeGetent(t, script)
			pipe := filepath.Join(dir, "pipe")
			if err := syscall.Mkfifo(pipe, 0o600); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			pids := make(chan []int, 1)
			go func() {
				pids <- started(t, pipe) // returns when getent hangs
				cancel()
			}()
			got, err := Users(ctx, []uint32{7, 8, 88})
			if !errors.Is(err, context.Canceled) {
				t.Errorf("the error is %v, want %v", err, context.Canceled)
			}
			wantNames(t, got, nil, map[uint32]string{7: "ann"})
			all := <-pids
			if len(all) == 0 {
				t.Fatal("getent was not started")
			}
			if err := syscall.Kill(all[0], 0); !errors.Is(err, syscall.ESRCH) {
				t.Errorf("getent is still there: %v", err)
			}
			for _, child := range all[1:] {
				_ = syscall.Kill(child, syscall.SIGKILL)
			}
		})
	}
}

func TestNothingIsAskedWhenThereIsNoTimeLeft(t *testing.T) {
	fakeGetent(t, `echo ann:x:7:; exit 1`)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, path := range []string{os.Getenv("PATH"), ""} { // without getent, too
		t.Setenv("PATH", path)
		if got, err := Users(ctx, []uint32{0, 7}); !errors.Is(err, context.Canceled) || len(got) > 0 {
			t.Errorf("found %#v, %v, want %v", got, err, context.Canceled)
		}
	}
}

func TestOneByOneGoesOnAfterAnError(t *testing.T) {
	broken := errors.New("broken")
	got, err := oneByOne(t.Context(), []uint32{1, 2, 3, 4, 5, 6}, func(id string) (string, error) {
		switch id {
		case "2":
			return "", os.ErrNotExist // there is no file of names
		case "3":
			return "", broken
		case "4":
			return "", errors.New("broken once more")
		case "5":
			return "", nil
		}
		return "n" + id, nil
	})
	if !errors.Is(err, broken) {
		t.Errorf("the error is %v, want %v", err, broken)
	}
	wantNames(t, got, nil, map[uint32]string{1: "n1", 6: "n6"})
}

func TestTheHomeOfAUserOfADirectoryServiceIsFound(t *testing.T) {
	fakeGetent(t, `test "$1 $2" = "passwd 4123456789" && echo 'far:*:4123456789:7:Far, Away:/remote/far:/bin/sh' || exit 2`)
	if dir, err := Home(t.Context(), "4123456789"); err != nil || dir != "/remote/far" {
		t.Errorf("%q, %v", dir, err)
	}
	if dir, err := Home(t.Context(), "0"); err != nil || dir == "" {
		t.Errorf("of root %q, %v", dir, err)
	}
	if dir, err := Home(t.Context(), "4123456788"); err != nil || dir != "" {
		t.Errorf("of nobody %q, %v", dir, err)
	}
}
