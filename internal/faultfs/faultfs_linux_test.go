package faultfs_test

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/hydrawalk/hydra/internal/faultfs"
)

func TestWhatWasDescribedIsThere(t *testing.T) {
	long := strings.Repeat("n", 255)
	m := faultfs.Mount(t, faultfs.Tree{
		"a/b/file": faultfs.File(10),
		"a/link":   faultfs.Symlink("b/file"),
		"empty":    faultfs.Dir(),
		"\xff\n":   faultfs.File(0),
		"-rf":      faultfs.File(1),
		long:       faultfs.File(2),
		"three":    faultfs.Many(3, faultfs.Dir()),
	})
	var got []string
	err := filepath.WalkDir(m.Root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(m.Root, p)
		got = append(got, fmt.Sprintf("%v %d %s", info.Mode(), info.Size(), rel))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"drwxr-xr-x 0 .",
		"-rw-r--r-- 1 -rf",
		"drwxr-xr-x 0 a",
		"drwxr-xr-x 0 a/b",
		"-rw-r--r-- 10 a/b/file",
		"Lrwxrwxrwx 6 a/link",
		"drwxr-xr-x 0 empty",
		"-rw-r--r-- 2 " + long,
		"drwxr-xr-x 0 three",
		"drwxr-xr-x 0 three/e0",
		"drwxr-xr-x 0 three/e1",
		"drwxr-xr-x 0 three/e2",
		"-rw-r--r-- 0 \xff\n",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%q\nwant\n%q", got, want)
	}
	if target, err := os.Readlink(m.Path("a/link")); err != nil || target != "b/file" {
		t.Errorf("readlink: %q, %v", target, err)
	}
	if data, err := os.ReadFile(m.Path("a/link")); err != nil || string(data) != string(make([]byte, 10)) {
		t.Errorf("read: %q, %v", data, err)
	}
	if _, err := os.Lstat(m.Path("three/e3")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("an entry too many: %v", err)
	}
}

func TestARuleActsAtOnceAndUntilItIsRemoved(t *testing.T) {
	m := faultfs.Mount(t, faultfs.Tree{"d/f": faultfs.File(1), "other/f": faultfs.File(1)})
	stat := func(p string) error { _, err := os.Lstat(m.Path(p)); return err }
	list := func(p string) error { _, err := os.ReadDir(m.Path(p)); return err }
	for _, c := range []struct {
		op   faultfs.Op
		path string
		err  syscall.Errno
		try  func(string) error
	}{
		{faultfs.Lookup, "d/f", syscall.EACCES, stat},
		{faultfs.Lookup, "d/f", syscall.ENOENT, stat},
		{faultfs.GetAttr, "d/f", syscall.EIO, stat},
		{faultfs.GetAttr, "d", syscall.ESTALE, stat},
		{faultfs.OpenDir, "d", syscall.EACCES, list},
		{faultfs.OpenDir, "d", syscall.ESTALE, list},
		{faultfs.ReadDir, "d", syscall.EIO, list},
	} {
		if err := c.try(c.path); err != nil {
			t.Errorf("without a rule for %s: %v", c.path, err)
		}
		m.On(c.op, c.path, faultfs.Rule{Err: c.err})
		if err := c.try(c.path); !errors.Is(err, c.err) {
			t.Errorf("op %d on %s: %v, want %v", c.op, c.path, err, c.err)
		}
		if err := c.try("other" + strings.TrimPrefix(c.path, "d")); err != nil {
			t.Errorf("a rule for %s acts elsewhere: %v", c.path, err)
		}
		m.On(c.op, faultfs.Everywhere, faultfs.Rule{Err: syscall.EXDEV})
		if err := c.try("other" + strings.TrimPrefix(c.path, "d")); !errors.Is(err, syscall.EXDEV) {
			t.Errorf("a rule for all paths: %v", err)
		}
		if c.op != faultfs.Lookup && !errors.Is(c.try(c.path), c.err) {
			t.Errorf("the rule of %s itself does not come first", c.path)
		}
		m.On(c.op, faultfs.Everywhere, faultfs.Rule{})
		m.On(c.op, c.path, faultfs.Rule{})
	}
}

func TestAListingBreaksMidway(t *testing.T) {
	m := faultfs.Mount(t, faultfs.Tree{"d": faultfs.Many(5000, faultfs.File(0))})
	for _, after := range []int{0, 1, 57, 4999} {
		m.On(faultfs.ReadDir, "d", faultfs.Rule{After: after, Err: syscall.EIO})
		got, err := os.ReadDir(m.Path("d"))
		if len(got) != after || !errors.Is(err, syscall.EIO) {
			t.Errorf("%d entries, %v; want %d and EIO", len(got), err, after)
		}
	}
}

func TestARuleWaitsUntilSomeRequestsWentWell(t *testing.T) {
	m := faultfs.Mount(t, faultfs.Tree{"d": faultfs.Dir()})
	m.On(faultfs.OpenDir, "d", faultfs.Rule{After: 2, Err: syscall.EIO})
	for i := range 4 {
		if _, err := os.ReadDir(m.Path("d")); (err != nil) != (i >= 2) {
			t.Errorf("open %d: %v", i, err)
		}
	}
}

func TestARuleActsAFewTimes(t *testing.T) {
	m := faultfs.Mount(t, faultfs.Tree{"d": faultfs.Dir()})
	m.On(faultfs.OpenDir, "d", faultfs.Rule{After: 1, Times: 2, Err: syscall.EIO})
	for i, want := range []error{nil, syscall.EIO, syscall.EIO, nil, nil} {
		if _, err := os.ReadDir(m.Path("d")); !errors.Is(err, want) {
			t.Errorf("open %d: %v, want %v", i, err, want)
		}
	}
}

func TestTypesCanDifferFromTheListing(t *testing.T) {
	m := faultfs.Mount(t, faultfs.Tree{
		"was-dir":  faultfs.Symlink("/").ListedAs(fs.ModeDir),
		"was-file": faultfs.Dir().ListedAs(0),
		"unknown":  faultfs.File(0).ListedAs(faultfs.Unknown),
	})
	// As the kernel gives them, for package os asks again where it has to.
	got := map[string]byte{}
	fd, err := unix.Open(m.Root, unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	buf := make([]byte, 4096)
	n, err := unix.Getdents(fd, buf)
	if err != nil {
		t.Fatal(err)
	}
	for b := buf[:n]; len(b) > 0; b = b[b[16]:] { // d_reclen of short records
		name, _, _ := strings.Cut(string(b[19:]), "\x00")
		got[name] = b[18]
	}
	want := map[string]byte{".": unix.DT_DIR, "..": unix.DT_DIR, "was-dir": unix.DT_DIR, "was-file": unix.DT_REG, "unknown": unix.DT_UNKNOWN}
	for name, typ := range want {
		if got[name] != typ {
			t.Errorf("%s is listed as %d, want %d", name, got[name], typ)
		}
	}
	for name, mode := range map[string]fs.FileMode{"was-dir": fs.ModeSymlink, "was-file": fs.ModeDir, "unknown": 0} {
		if fi, err := os.Lstat(m.Path(name)); err != nil || fi.Mode().Type() != mode {
			t.Errorf("%s is %v, %v", name, fi, err)
		}
	}
}

func TestALoopIsItsAncestor(t *testing.T) {
	m := faultfs.Mount(t, faultfs.Tree{"a/b/up": faultfs.Loop("a"), "top": faultfs.Loop(".")})
	a, err := os.Stat(m.Path("a"))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{"a/b/up", "a/b/up/b/up/b/up", "top/top/a/b/up"} {
		fi, err := os.Stat(m.Path(p))
		if err != nil {
			t.Fatal(err)
		}
		if !os.SameFile(a, fi) {
			t.Errorf("%s is not a", p)
		}
	}
	if _, err := os.ReadDir(m.Path("top/top/top/a/b/up/b")); err != nil {
		t.Error(err)
	}
}

func TestOneCallHangsAndTheOthersDoNot(t *testing.T) {
	m := faultfs.Mount(t, faultfs.Tree{"slow/f": faultfs.File(0), "fast/f": faultfs.File(0)})
	hang := faultfs.NewHang()
	m.On(faultfs.OpenDir, "slow", faultfs.Rule{Hang: hang, Err: syscall.EIO})
	result := make(chan error, 1)
	go func() {
		_, err := os.ReadDir(m.Path("slow"))
		result <- err
	}()
	<-hang.Reached()
	for range 100 {
		if _, err := os.ReadDir(m.Path("fast")); err != nil {
			t.Fatal(err)
		}
	}
	select {
	case err := <-result:
		t.Fatalf("the call ended early: %v", err)
	default:
	}
	hang.Release()
	if err := <-result; !errors.Is(err, syscall.EIO) {
		t.Errorf("after the release: %v", err)
	}
}

func TestTheKernelIsCounted(t *testing.T) {
	m := faultfs.Mount(t, faultfs.Tree{"d/f": faultfs.File(0)})
	if got := m.Counts(); got != (faultfs.Counts{}) {
		t.Errorf("the mount itself is counted: %+v", got)
	}
	if _, err := os.Lstat(m.Path("d/f")); err != nil {
		t.Fatal(err)
	}
	if got := m.Counts(); got.Lookup != 2 || got.GetAttr == 0 || got.OpenDir+got.ReadDir != 0 {
		t.Errorf("lstat of a path of two names: %+v", got)
	}
	if _, err := os.ReadDir(m.Path("d")); err != nil {
		t.Fatal(err)
	}
	if got := m.Counts(); got.OpenDir != 1 || got.ReadDir == 0 {
		t.Errorf("after a listing: %+v", got)
	}
}

func TestATreeThatMakesNoSenseIsRefused(t *testing.T) {
	for _, tree := range []faultfs.Tree{
		{"a": faultfs.File(0), "a/b": faultfs.File(0)},
		{"a": faultfs.Many(3, faultfs.File(0)), "a/b": faultfs.File(0)},
		{"a": faultfs.Loop("nowhere")},
		{"../a": faultfs.File(0)},
		{"/a": faultfs.File(0)},
		{"a//b": faultfs.File(0)},
	} {
		var said fatal
		func() {
			defer func() { said, _ = recover().(fatal) }()
			faultfs.Mount(refuser{t}, tree)
		}()
		if said == "" {
			t.Errorf("%v was mounted", tree)
		}
	}
}

// refuser is a test whose Fatal can be caught.
type refuser struct{ *testing.T }

type fatal string

func (r refuser) Fatal(args ...any) { panic(fatal(fmt.Sprint(args...))) }

func TestNothingIsLeftOfAMount(t *testing.T) {
	var root string
	before := descriptors(t)
	t.Run("mounted", func(t *testing.T) {
		m := faultfs.Mount(t, faultfs.Tree{"d": faultfs.Dir(), "hung": faultfs.Dir()})
		root = m.Root
		if _, err := os.ReadDir(m.Path("d")); err != nil {
			t.Fatal(err)
		}
		// A call that hangs at the end does not keep the mount.
		hang := faultfs.NewHang()
		m.On(faultfs.OpenDir, "hung", faultfs.Rule{Hang: hang})
		ended := make(chan struct{})
		t.Cleanup(func() { <-ended })
		go func() {
			defer close(ended)
			f, err := os.Open(m.Path("hung"))
			if err == nil {
				f.Close()
			}
		}()
		<-hang.Reached()
		t.Cleanup(hang.Release)
	})
	if mounted(t, root) {
		t.Errorf("%s is still mounted", root)
	}
	if after := descriptors(t); after != before {
		t.Errorf("%d descriptors, %d before", after, before)
	}
	goleak.VerifyNone(t)
}

func TestAMountInUseIsTakenAwayAndSaid(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, to mount something else in place of what was taken away")
	}
	m := faultfs.Mount(t, faultfs.Tree{"f": faultfs.File(1)})
	f, err := os.Open(m.Path("f"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := faultfs.Unmount(m.Root); !errors.Is(err, syscall.EBUSY) {
		t.Errorf("unmount of a mount in use: %v", err)
	}
	if mounted(t, m.Root) {
		t.Error("still mounted")
	}
	// The cleanup should find what it expects.
	if err := unix.Mount("none", m.Root, "tmpfs", 0, ""); err != nil {
		t.Fatal(err)
	}
}

// TestAProcessThatDiesWithAHungCallLeavesNoMount runs itself, so that there is
// a process to kill: its own thread waits for its own answer.
func TestAProcessThatDiesWithAHungCallLeavesNoMount(t *testing.T) {
	const child = "FAULTFS_TEST_CHILD"
	if os.Getenv(child) != "" {
		m := faultfs.Mount(t, faultfs.Tree{"d": faultfs.Dir()})
		hang := faultfs.NewHang()
		m.On(faultfs.OpenDir, "d", faultfs.Rule{Hang: hang})
		for range 3 {
			go os.ReadDir(m.Path("d"))
		}
		<-hang.Reached()
		fmt.Printf("\n%s\n%d\n", m.Root, m.GuardPID())
		select {}
	}
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), child+"=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	root, guard := "", 0
	for lines := bufio.NewScanner(out); guard == 0 && lines.Scan(); {
		if line := lines.Text(); strings.HasPrefix(line, "/") {
			root = line
		} else if root != "" {
			if guard, err = strconv.Atoi(line); err != nil {
				t.Fatal(err)
			}
		} else if strings.Contains(line, "FUSE") {
			t.Log(line)
		}
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Error(err)
	}
	_ = cmd.Wait() // it was killed
	if root == "" {
		t.Skip("the child could not mount")
	}
	// Wait returned, so the guard has ended the requests; the rest of its work
	// is to detach.
	if fd, err := unix.PidfdOpen(guard, 0); err == nil {
		ended := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		for {
			if n, err := unix.Poll(ended, 60_000); err == unix.EINTR {
				continue
			} else if err != nil || n == 0 {
				t.Errorf("the guard did not end: %v", err)
			}
			break
		}
		unix.Close(fd)
	} else if err != unix.ESRCH {
		t.Fatal(err)
	}
	if mounted(t, root) {
		t.Errorf("%s is still mounted", root)
	}
	if err := os.RemoveAll(filepath.Dir(filepath.Dir(root))); err != nil { // what its TempDir left
		t.Error(err)
	}
}

func descriptors(t *testing.T) int {
	t.Helper()
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(fds)
}

func mounted(t *testing.T, dir string) bool {
	t.Helper()
	table, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	return strings.Contains(string(table), " "+dir+" ")
}
