package walk_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/hydrawalk/hydra/walk"
)

// inChild runs the calling test again in a process of its own, changed by attr,
// and is true in there. The test returns where it is false.
func inChild(t *testing.T, attr *syscall.SysProcAttr) bool {
	t.Helper()
	const name = "WALK_TEST_CHILD"
	if os.Getenv(name) == t.Name() {
		return true
	}
	cmd := exec.Command("/proc/self/exe", "-test.run=^"+t.Name()+"$", "-test.v", "-test.timeout=5m")
	cmd.Env = append(os.Environ(), name+"="+t.Name())
	cmd.Dir = "/"
	cmd.SysProcAttr = attr
	out, err := cmd.CombinedOutput()
	switch {
	case err != nil:
		t.Errorf("in a process of its own: %v\n%s", err, out)
	case bytes.Contains(out, []byte("--- SKIP")):
		t.Skipf("%s", out)
	case !bytes.Contains(out, []byte("--- PASS: "+t.Name())):
		t.Errorf("the process of its own did not run the test: %s", out)
	}
	return false
}

// asNobody lets a child of root's be somebody who may do less.
func asNobody() *syscall.SysProcAttr {
	if os.Geteuid() != 0 {
		return nil
	}
	const nobody = 65534
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
}

// needRoot skips a test that others may not do.
func needRoot(t *testing.T, why string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root, ", why)
	}
}

// noLeaks checks, at the end of the test, that what it began has ended: no
// goroutine and no descriptor is left.
func noLeaks(t *testing.T) {
	t.Helper()
	before := descriptors(t)
	running := goleak.IgnoreCurrent()
	t.Cleanup(func() {
		if after := descriptors(t); !slices.Equal(after, before) {
			t.Errorf("open files are %q, before they were %q", after, before)
		}
		goleak.VerifyNone(t, running)
	})
}

// descriptors lists what is open, but what the runtime opens when it likes.
func descriptors(t *testing.T) (open []string) {
	t.Helper()
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range fds {
		target, err := os.Readlink("/proc/self/fd/" + fd.Name())
		if err != nil || strings.HasPrefix(target, "anon_inode:") || strings.HasPrefix(target, "/sys/") {
			continue // that of this listing is closed again
		}
		open = append(open, fd.Name()+" "+target)
	}
	return open
}

func TestAWalkOfUsrAgreesWithFind(t *testing.T) {
	if testing.Short() {
		t.Skip("walks hundreds of thousands of files")
	}
	if _, err := exec.LookPath("find"); err != nil {
		t.Skip("needs GNU find (Debian package findutils)")
	}
	const root = "/usr"
	out, err := exec.Command("find", root, "-printf", `%y %s %p\0`).Output()
	if err != nil {
		t.Skip("find could not read all of ", root, ": ", err)
	}
	types := map[string]fs.FileMode{"f": 0, "d": fs.ModeDir, "l": fs.ModeSymlink, "p": fs.ModeNamedPipe, "s": fs.ModeSocket,
		"b": fs.ModeDevice, "c": fs.ModeDevice | fs.ModeCharDevice}
	entries, sizes := map[string]fs.FileMode{}, map[string]int64{}
	for line := range strings.SplitSeq(strings.TrimSuffix(string(out), "\x00"), "\x00") {
		f := strings.SplitN(line, " ", 3)
		typ, ok := types[f[0]]
		size, err := strconv.ParseInt(f[1], 10, 64)
		if !ok || err != nil {
			t.Fatalf("find printed %q", line)
		}
		entries[f[2]] = typ
		if f[0] == "f" {
			sizes[f[2]] = size
		}
	}
	for _, workers := range []int{0, 1, 8} {
		got := take(t.Context(), t, how{Options: walk.Options{Workers: workers}, stat: true}, root)
		got.complete(t)
		same(t, fmt.Sprint(workers, " workers"), got.entries, entries)
		same(t, "sizes", got.sizes, sizes)
		if got.totals.Bytes != sum(sizes) {
			t.Errorf("%d bytes, want %d", got.totals.Bytes, sum(sizes))
		}
	}
}

// chain makes directories in each other, depth of them with names of 200 bytes,
// and a file and a directory in each.
func chain(t *testing.T, depth int) (root string) {
	t.Helper()
	root = t.TempDir()
	at, err := unix.Open(root, unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		t.Fatal(err)
	}
	name := strings.Repeat("d", 200)
	for i := range depth {
		fd, err := unix.Openat(at, "f", unix.O_CREAT|unix.O_WRONLY, 0o600)
		if err == nil {
			_, err = unix.Write(fd, []byte(fmt.Sprint(i)))
		}
		if err := errors.Join(err, unix.Close(fd), unix.Mkdirat(at, "side", 0o700), unix.Mkdirat(at, name, 0o700)); err != nil {
			t.Fatal(err)
		}
		next, err := unix.Openat(at, name, unix.O_RDONLY|unix.O_DIRECTORY, 0)
		if err != nil {
			t.Fatal(err)
		}
		unix.Close(at)
		at = next
	}
	unix.Close(at)
	return root
}

func TestAChainOf2000DirectoriesIsWalkedToItsEnd(t *testing.T) {
	noLeaks(t)
	const depth = 2000
	root := chain(t, depth)
	for _, workers := range someWorkers {
		deepest, read := 0, ""
		var mu sync.Mutex
		totals, err := walk.Trees(t.Context(), []string{root}, func(int) (walk.Handler, error) {
			return fileFunc(func(e *walk.Entry) error {
				st, err := e.Stat()
				if err != nil {
					return err
				}
				f, err := e.Open()
				if err != nil {
					return err
				}
				defer f.Close()
				text := make([]byte, 10)
				n, err := f.Read(text)
				if err != nil || int64(n) != st.Size || string(text[:n]) != fmt.Sprint(e.Depth()-1) {
					t.Errorf("depth %d: %q, %v", e.Depth(), text[:n], err)
				}
				mu.Lock()
				defer mu.Unlock()
				if deepest = max(deepest, e.Depth()); deepest == depth {
					read = e.Path()
				}
				return nil
			}), nil
		}, &walk.Options{Workers: workers})
		if err != nil || !totals.Complete() || totals.ProcessedDirs != 2*depth+1 || totals.ProcessedFiles != depth {
			t.Errorf("%d workers: %v, %+v", workers, err, totals)
		}
		want := root + strings.Repeat("/"+strings.Repeat("d", 200), depth-1) + "/f"
		if deepest != depth || read != want {
			t.Errorf("%d workers: the deepest is at %d, and its path has %d bytes, want %d", workers, deepest, len(read), len(want))
		}
	}
}

func TestARootWhosePathIsTooLongForACallIsWalked(t *testing.T) {
	noLeaks(t)
	root := chain(t, 100) + strings.Repeat("/"+strings.Repeat("d", 200), 60)
	for _, o := range []walk.Options{{Workers: 1}, {Workers: 8}} {
		got := take(t.Context(), t, how{Options: o, stat: true}, root)
		got.complete(t)
		if got.totals.ProcessedDirs != 2*40+1 || got.totals.ProcessedFiles != 40 {
			t.Errorf("%+v", got.totals)
		}
	}
	got := take(t.Context(), t, how{stat: true}, root+"/f")
	got.complete(t)
	if len(got.entries) != 1 || got.sizes[root+"/f"] != 2 {
		t.Errorf("a file as root: %d entries, %v", len(got.entries), got.sizes)
	}
}

func TestNothingIsMissedWithFewDescriptors(t *testing.T) {
	if !inChild(t, nil) {
		return
	}
	deep := chain(t, 300)
	var paths []string
	for i := range 1000 {
		paths = append(paths, fmt.Sprintf("%d/%d/%d/f", i%10, i%100, i))
	}
	wide := fileTree(t, paths...)
	want, sizes := serial(t, wide)
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	// The end of the test needs more of them to remove the chain.
	t.Cleanup(func() {
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
			t.Error(err)
		}
	})
	limits := []uint64{16, 24, 64}
	if testing.Short() {
		limits = limits[:1]
	}
	for _, files := range limits {
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: files, Max: limit.Max}); err != nil {
			t.Fatal(err)
		}
		for _, workers := range []int{0, 1, 8} {
			got := take(t.Context(), t, how{Options: walk.Options{Workers: workers}, stat: true}, wide)
			got.complete(t)
			same(t, fmt.Sprintf("%d descriptors, %d workers", files, workers), got.entries, want)
			same(t, "sizes", got.sizes, sizes)
			got = take(t.Context(), t, how{Options: walk.Options{Workers: workers}, stat: true}, deep)
			got.complete(t)
			if got.totals.ProcessedDirs != 601 || got.totals.ProcessedFiles != 300 {
				t.Errorf("%d descriptors, %d workers: a chain: %+v", files, workers, got.totals)
			}
		}
	}
}

func TestNothingIsMissedWhenOthersTakeTheDescriptors(t *testing.T) {
	if !inChild(t, nil) {
		return
	}
	var paths []string
	for i := range 500 {
		paths = append(paths, fmt.Sprintf("%d/%d/%d/f", i%10, i%100, i))
	}
	for i := range 300 { // a chain with something beside it at each level
		paths = append(paths, strings.Repeat("deep/", i)+"beside/f")
	}
	root := fileTree(t, append(paths, strings.Repeat("deep/", 300)+"f")...)
	want, _ := serial(t, root)
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: 512, Max: limit.Max}); err != nil {
		t.Fatal(err)
	}
	for _, workers := range []int{1, 2} {
		var taken []int
		got := take(t.Context(), t, how{Options: walk.Options{Workers: workers}, stat: true, enter: func(d *walk.Dir) error {
			if d.Depth() > 0 {
				return nil
			}
			// All but a few, after the walk has seen how many there are.
			for {
				fd, err := unix.Dup(2)
				if err != nil {
					break
				}
				taken = append(taken, fd)
			}
			for range 20 {
				unix.Close(taken[len(taken)-1])
				taken = taken[:len(taken)-1]
			}
			return nil
		}}, root)
		for _, fd := range taken {
			unix.Close(fd)
		}
		got.complete(t)
		same(t, fmt.Sprint(workers, " workers"), got.entries, want)
	}
}

func TestWhatIsNotPermittedIsAnErrorAndTheRestIsWalked(t *testing.T) {
	if !inChild(t, asNobody()) {
		return
	}
	noLeaks(t)
	root := fileTree(t, "ok/f", "closed/f", "list/f", "list/sub/f", "enter/f", "z")
	for name, mode := range map[string]fs.FileMode{"closed": 0, "list": 0o400, "enter": 0o100} {
		path := filepath.Join(root, name)
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.Chmod(path, 0o700) })
	}
	for _, workers := range someWorkers {
		got := take(t.Context(), t, how{Options: walk.Options{Workers: workers}, stat: true}, root)
		got.wantErrors(t,
			"open "+root+"/closed: permission denied",
			"open "+root+"/enter: permission denied",
			"open "+root+"/list/sub: permission denied",
			"stat "+root+"/list/f: permission denied")
		for _, err := range got.errs {
			if !errors.Is(err, fs.ErrPermission) || err.Dir != (filepath.Base(err.Path) != "f") {
				t.Errorf("%v: directory: %v", err, err.Dir)
			}
		}
		if tot := got.totals; got.err != nil || tot.FoundDirs != 6 || tot.ProcessedDirs != 3 || tot.FailedDirs != 3 || tot.ProcessedFiles != 2 || tot.FailedFiles != 1 {
			t.Errorf("%v, %+v", got.err, tot)
		}
	}
	// Who only asks for names gets what is listed.
	got := take(t.Context(), t, how{}, filepath.Join(root, "list"))
	if got.totals.ProcessedFiles != 1 || got.totals.FailedDirs != 1 {
		t.Errorf("%+v", got.totals)
	}
	got = take(t.Context(), t, how{}, filepath.Join(root, "closed"))
	got.wantErrors(t, "open "+root+"/closed: permission denied")
}

// mount mounts for the rest of the process, which has a table of its own.
func mount(t *testing.T, source, target, fstype string, flags uintptr) {
	t.Helper()
	if err := unix.Mount(source, target, fstype, flags, ""); err != nil {
		t.Skip("mounting is not permitted: ", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(target, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
}

// ownMounts is for inChild.
func ownMounts(t *testing.T) *syscall.SysProcAttr {
	needRoot(t, "to mount")
	return &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
}

func TestOneFileSystemIsNotLeft(t *testing.T) {
	if !inChild(t, ownMounts(t)) {
		return
	}
	root := fileTree(t, "a/f", "a/mnt/", "b/bound/", "c/f")
	mount(t, "none", filepath.Join(root, "a/mnt"), "tmpfs", 0)
	if err := os.MkdirAll(filepath.Join(root, "a/mnt/deep/x"), 0o700); err != nil {
		t.Fatal(err)
	}
	mount(t, filepath.Join(root, "c"), filepath.Join(root, "b/bound"), "", unix.MS_BIND)
	all, _ := serial(t, root)
	for _, workers := range someWorkers {
		got := take(t.Context(), t, how{Options: walk.Options{Workers: workers}}, root)
		got.complete(t)
		same(t, "all", got.entries, all)
		got = take(t.Context(), t, how{Options: walk.Options{Workers: workers, OneFileSystem: true}}, root)
		got.complete(t)
		one := map[string]fs.FileMode{}
		for p, typ := range all {
			// What is bound is on the same device.
			if !strings.HasPrefix(p, filepath.Join(root, "a/mnt")) {
				one[p] = typ
			}
		}
		same(t, "one file system", got.entries, one)
		if got.totals.FilteredDirs != 1 {
			t.Errorf("%+v", got.totals)
		}
		// A root may be on another one.
		got = take(t.Context(), t, how{Options: walk.Options{Workers: workers, OneFileSystem: true}}, root, filepath.Join(root, "a/mnt"))
		got.complete(t)
		same(t, "two roots", got.entries, all)
	}
}

func TestABindMountOfAnAncestorIsALoopAndNotEntered(t *testing.T) {
	if !inChild(t, ownMounts(t)) {
		return
	}
	root := fileTree(t, "a/f", "a/b/f", "a/b/up/", "a/b/self/", "side/again/", "z")
	mount(t, filepath.Join(root, "a"), filepath.Join(root, "a/b/up"), "", unix.MS_BIND)
	mount(t, root, filepath.Join(root, "a/b/self"), "", unix.MS_BIND)
	mount(t, filepath.Join(root, "a"), filepath.Join(root, "side/again"), "", unix.MS_BIND)
	for _, workers := range someWorkers {
		got := take(t.Context(), t, how{Options: walk.Options{Workers: workers}}, root)
		want := map[string]fs.FileMode{root: fs.ModeDir}
		for name, typ := range map[string]fs.FileMode{
			"a": fs.ModeDir, "a/f": 0, "a/b": fs.ModeDir, "a/b/f": 0, "side": fs.ModeDir, "z": 0,
			// No loop: the same by another way.
			"side/again": fs.ModeDir, "side/again/f": 0, "side/again/b": fs.ModeDir, "side/again/b/f": 0,
			"side/again/b/up": fs.ModeDir, "side/again/b/self": fs.ModeDir,
		} {
			want[filepath.Join(root, name)] = typ
		}
		same(t, fmt.Sprint(workers, " workers"), got.entries, want)
		got.wantErrors(t,
			"open "+root+"/a/b/up: file system loop: the same directory as "+root+"/a",
			"open "+root+"/a/b/self: file system loop: the same directory as "+root)
		for _, err := range got.errs {
			var loop *walk.LoopError
			if !errors.As(err, &loop) {
				t.Errorf("%v is no LoopError", err)
			}
		}
		if got.totals.FailedDirs != 2 || got.totals.Complete() {
			t.Errorf("%+v", got.totals)
		}
	}
}

func TestSpecialFilesAreEntriesAndAreNotOpened(t *testing.T) {
	root := fileTree(t, "file")
	if err := unix.Mkfifo(filepath.Join(root, "fifo"), 0o600); err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	t.Chdir(root) // a socket's path is short
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: "socket"}); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("\xff", filepath.Join(root, "link")); err != nil {
		t.Fatal(err)
	}
	got := take(t.Context(), t, how{stat: true, file: func(e *walk.Entry) error {
		// A fifo without a writer does not block.
		f, err := e.Open()
		if openable := e.Name() == "file" || e.Name() == "fifo"; (err == nil) != openable {
			t.Errorf("open %s: %v", e.Name(), err)
		}
		if err == nil {
			f.Close()
		}
		if target, err := e.Readlink(); e.Name() == "link" && (target != "\xff" || err != nil) {
			t.Errorf("readlink: %q, %v", target, err)
		}
		return nil
	}}, root)
	got.complete(t)
	want := map[string]fs.FileMode{root: fs.ModeDir, root + "/file": 0, root + "/fifo": fs.ModeNamedPipe, root + "/socket": fs.ModeSocket, root + "/link": fs.ModeSymlink}
	same(t, "entries", got.entries, want)
	if c := got.left[root]; c != (walk.DirCounts{Files: 1, Other: 3}) {
		t.Errorf("%+v", c)
	}
}

func TestAttributesAreThoseOfLstat(t *testing.T) {
	root := fileTree(t, "file", "dir/f")
	path := filepath.Join(root, "file")
	if err := os.Chmod(path, 0o751|fs.ModeSetuid|fs.ModeSticky); err != nil {
		t.Fatal(err)
	}
	if err := os.Link(path, path+"2"); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("file", filepath.Join(root, "link")); err != nil {
		t.Fatal(err)
	}
	check := func(path string, st *walk.Stat) {
		fi, err := os.Lstat(path)
		if err != nil {
			t.Error(err)
			return
		}
		sys := fi.Sys().(*syscall.Stat_t)
		atime := walk.Time{Sec: sys.Atim.Sec, Nsec: uint32(sys.Atim.Nsec)}
		mtime := walk.Time{Sec: sys.Mtim.Sec, Nsec: uint32(sys.Mtim.Nsec)}
		ctime := walk.Time{Sec: sys.Ctim.Sec, Nsec: uint32(sys.Ctim.Nsec)}
		if st.Mode != fi.Mode() || st.Size != fi.Size() || st.Ino != sys.Ino || st.Dev != sys.Dev || st.UID != sys.Uid || st.GID != sys.Gid ||
			st.Nlink != uint64(sys.Nlink) || st.Blocks != sys.Blocks || st.Atime != atime || st.Mtime != mtime || st.Ctime != ctime {
			t.Errorf("%s: %+v, want %+v", path, *st, *sys)
		}
	}
	got := take(t.Context(), t, how{file: func(e *walk.Entry) error {
		st, err := e.Stat()
		if err == nil {
			check(e.Path(), st)
		}
		return err
	}, enter: func(d *walk.Dir) error {
		st, err := d.Stat()
		if err == nil {
			check(d.Path(), st)
		}
		return err
	}}, root)
	got.complete(t)
}

func TestAWalkNeverLeavesItsTreeWhileDirectoriesAreSwappedForLinks(t *testing.T) {
	noLeaks(t)
	var paths []string
	for i := range 50 {
		paths = append(paths, fmt.Sprintf("in/%d/sub/f", i), fmt.Sprintf("in/stable%d/f", i))
	}
	top := fileTree(t, append(paths, "out/sub/secret", "out/secret")...)
	in := filepath.Join(top, "in")
	out, err := os.Lstat(filepath.Join(top, "out/secret"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var swapping sync.WaitGroup
	swapping.Go(func() {
		for i := 0; ctx.Err() == nil; i = (i + 1) % 50 {
			dir := filepath.Join(in, fmt.Sprint(i))
			away := filepath.Join(top, "away")
			if err := errors.Join(os.Rename(dir, away), os.Symlink(filepath.Join(top, "out"), dir), os.Remove(dir), os.Rename(away, dir)); err != nil {
				t.Error(err)
				return
			}
		}
	})
	for round := range 200 {
		got := take(t.Context(), t, how{Options: walk.Options{Workers: someWorkers[round%4]}, stat: true, file: func(e *walk.Entry) error {
			st, err := e.Stat()
			if err != nil {
				return err
			}
			if e.Name() == "secret" || st.Ino == out.Sys().(*syscall.Stat_t).Ino {
				t.Errorf("%q was found", e.Path())
			}
			return nil
		}}, in)
		got.complete(t)
		stable := 0
		for p := range got.entries {
			if strings.HasPrefix(filepath.Base(filepath.Dir(p)), "stable") {
				stable++
			}
		}
		if stable != 50 {
			t.Errorf("%d of 50 files that nobody touched", stable)
		}
	}
	cancel()
	swapping.Wait()
}

func TestADirectoryThatCanNotBeAsItIsToBeIsNotLeft(t *testing.T) {
	if !inChild(t, asNobody()) {
		return
	}
	dir, err := os.MkdirTemp("", "made")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	b, err := walk.OpenBase(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if err := b.MakeDir("d", 0, 0, 0o755); err == nil || !strings.Contains(err.Error(), "owner") {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "d")); err == nil {
		t.Error("it is there")
	}
}
