package faultfs

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// Everywhere as the path of a rule means all paths that have none of their own.
const Everywhere = "\x00"

// Mounted is a mounted file system. Its methods may be called by any goroutine.
type Mounted struct {
	Root  string // where it is mounted
	s     *server
	guard *guard
}

// Mount mounts a tree for as long as the test runs, or skips the test where
// that is not possible. What hangs then is released.
func Mount(t testing.TB, tree Tree) *Mounted {
	t.Helper()
	if why := unavailable(); why != "" {
		t.Skip("a file system with faults needs FUSE: " + why)
	}
	root, err := build(tree)
	if err != nil {
		t.Fatal("faultfs: ", err)
	}
	m := &Mounted{Root: filepath.Join(t.TempDir(), "mnt"), s: newServer(root)}
	if err := os.Mkdir(m.Root, 0o700); err != nil {
		t.Fatal(err)
	}
	server, err := fuse.NewServer(m.s, m.Root, &fuse.MountOptions{
		FsName:             "faultfs",
		Name:               "faultfs",
		DirectMountStrict:  os.Geteuid() == 0,
		DisableReadDirPlus: true,
		DisableXAttrs:      true,
		DisableSplice:      true,
	})
	if errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.EACCES) {
		t.Skip("a file system with faults needs FUSE: mount: ", err)
	}
	if err != nil {
		t.Fatal("faultfs: mount: ", err)
	}
	g, err := startGuard(m.Root)
	if err != nil {
		unmount(m.Root)
		t.Fatal("faultfs: ", err)
	}
	m.guard = g
	go server.Serve() // ends with the mount, which the cleanup waits for
	t.Cleanup(func() {
		m.s.rules.releaseAll()
		err := unmount(m.Root)
		if errors.Is(err, unix.EBUSY) {
			// A process that was killed in it is not gone yet: it ends with that. If it
			// is gone by now, so may be the mount.
			if err = unix.Unmount(m.Root, unix.MNT_DETACH); errors.Is(err, unix.EINVAL) {
				err = nil
			}
		}
		if err != nil {
			t.Errorf("faultfs: %v", err)
		}
		server.Wait()
		g.dismiss()
	})
	if err := server.WaitMount(); err != nil {
		t.Fatal("faultfs: ", err)
	}
	m.s.rules.reset()
	return m
}

// unavailable says why nothing can be mounted, "" if it can.
func unavailable() string {
	f, err := os.OpenFile("/dev/fuse", os.O_RDWR, 0)
	if err != nil {
		return err.Error()
	}
	f.Close()
	if os.Geteuid() != 0 {
		if _, err := exec.LookPath("fusermount3"); err != nil {
			return "not root, and no fusermount3 (Debian package fuse3)"
		}
	}
	return ""
}

// Path is the path of an entry of the tree.
func (m *Mounted) Path(name string) string { return filepath.Join(m.Root, name) }

// On sets the rule for an operation on a path of the tree, "." for the root, or
// [Everywhere]. It replaces the one that was there; an empty rule removes it.
func (m *Mounted) On(op Op, path string, r Rule) { m.s.rules.add(op, path, r) }

// Vanish removes a path, but not from the listing of its directory.
func (m *Mounted) Vanish(path string) { m.On(Lookup, path, Rule{Err: syscall.ENOENT}) }

// Counts tells what the kernel has asked since the mount.
func (m *Mounted) Counts() Counts { return m.s.rules.counts() }

// unmount ends a mount. One that is in use is taken away from its users; that
// is an error.
func unmount(dir string) error {
	if os.Geteuid() != 0 {
		if out, err := exec.Command("fusermount3", "-u", dir).CombinedOutput(); err == nil {
			return nil
		} else if again, err := exec.Command("fusermount3", "-u", "-z", dir).CombinedOutput(); err != nil {
			return fmt.Errorf("unmount %s: %w: %s%s", dir, err, out, again)
		} else {
			return fmt.Errorf("unmount %s: %s", dir, out)
		}
	}
	err := unix.Unmount(dir, 0)
	if err == nil {
		return nil
	}
	// Force ends the requests, detach what holds it.
	_ = unix.Unmount(dir, unix.MNT_FORCE)
	if last := unix.Unmount(dir, unix.MNT_DETACH); last != nil && last != unix.EINVAL {
		err = errors.Join(err, last)
	}
	return fmt.Errorf("unmount %s: %w", dir, err)
}

// guard is a process that unmounts when this one dies. The kernel would not: a
// thread that waits for an answer of the file system can not end before its own
// process gives that answer, and holds all that this process had open.
//
//	this process ──► canary: cat ──► guard: a shell that reads a word
//
// The canary is killed when the thread dies that started it. Then the guard
// reads the end of its pipe instead of the word that says that all is well.
type guard struct {
	tell io.WriteCloser
	pid  int // of the shell
	done chan struct{}
}

func startGuard(dir string) (*guard, error) {
	const script = `
read word && exit 0
umount -f "$1" || fusermount3 -u -z "$1"
umount -l "$1"
`
	shell := exec.Command("/bin/sh", "-c", script, "sh", dir)
	canary := exec.Command("cat")
	canary.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	shell.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	canary.Dir, shell.Dir = "/", "/"
	tell, err := canary.StdinPipe()
	if err != nil {
		return nil, err
	}
	from, to, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	canary.Stdout, shell.Stdin = to, from
	g := &guard{tell: tell, done: make(chan struct{})}
	started := make(chan error)
	go func() {
		defer close(g.done)
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := canary.Start()
		if err == nil {
			if err = shell.Start(); err != nil {
				tell.Close()
			} else {
				g.pid = shell.Process.Pid
			}
		}
		// From here on only the canary can write to the guard.
		err = errors.Join(err, from.Close(), to.Close())
		started <- err
		if canary.Process != nil {
			_ = canary.Wait() // neither has a result
		}
		if shell.Process != nil {
			_ = shell.Wait()
		}
	}()
	return g, <-started
}

// dismiss ends the guard when there is nothing left to unmount.
func (g *guard) dismiss() {
	fmt.Fprintln(g.tell, "done")
	g.tell.Close()
	<-g.done
}
