package walk_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hydrawalk/hydra/walk"
)

// outside are the entries that do not lie in a directory.
func outside(all map[string]fs.FileMode, dirs ...string) map[string]fs.FileMode {
	some := map[string]fs.FileMode{}
	for p, typ := range all {
		in := false
		for _, dir := range dirs {
			in = in || p == dir || strings.HasPrefix(p, dir+"/")
		}
		if !in {
			some[p] = typ
		}
	}
	return some
}

func TestAnOrdinaryDirectoryWithTheNameOfASnapshotIsWalked(t *testing.T) {
	noLeaks(t)
	root := fileTree(t, "f", "a/.snapshot/f", "a/.snapshot/.zfs/f", "a/~snapshot/", "b/.zfs/x/f", "c/.zfs/f", "d/")
	link := filepath.Join(root, "d/.snapshot")
	if err := os.Symlink("../a", link); err != nil {
		t.Fatal(err)
	}
	closed := filepath.Join(root, "c/.zfs")
	if err := os.Chmod(closed, 0o555); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Chmod(closed, 0o755) })
	all, _ := serial(t, root)
	for _, workers := range someWorkers {
		got := take(t.Context(), t, how{Options: walk.Options{Workers: workers}}, root)
		got.complete(t)
		same(t, "entries", got.entries, outside(all, closed))
		if got.totals.SnapshotDirs != 1 || got.totals.FilteredDirs != 1 {
			t.Errorf("%+v", got.totals)
		}
		got = take(t.Context(), t, how{Options: walk.Options{Workers: workers, Snapshots: true}}, root)
		got.complete(t)
		same(t, "with snapshots", got.entries, all)
		got = take(t.Context(), t, how{Options: walk.Options{Workers: workers}}, closed)
		if got.complete(t); got.totals.ProcessedFiles != 1 || got.totals.SnapshotDirs != 0 {
			t.Errorf("as a root: %+v", got.totals)
		}
		got = take(t.Context(), t, how{Options: walk.Options{Workers: workers}}, root, closed)
		got.complete(t)
		same(t, "as a root below another", got.entries, all)
	}
}

func TestASnapshotOfAnotherUserThatCanNotBeOpenedIsNoError(t *testing.T) {
	const nobody = 65534
	var attr *syscall.SysProcAttr
	if os.Geteuid() == 0 {
		attr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	}
	if !inChild(t, attr) {
		return
	}
	root := fileTree(t, "f", ".snapshot/")
	closed := filepath.Join(root, ".snapshot")
	if err := os.Chmod(closed, 0); err != nil {
		t.Fatal(err)
	}
	got := take(t.Context(), t, how{}, root)
	if got.complete(t); got.totals.SnapshotDirs != 1 || got.totals.ProcessedFiles != 1 {
		t.Errorf("%+v", got.totals)
	}
}

func TestMountedSnapshotsAreLeftOut(t *testing.T) {
	if !inChild(t, ownMounts(t)) {
		return
	}
	root := fileTree(t, "a/.snapshot/", "b/.zfs/", "c/~snapshot/f", "src/f", "ro/x/.snapshot/f")
	left := []string{filepath.Join(root, "a/.snapshot"), filepath.Join(root, "b/.zfs")}
	mount(t, "none", left[0], "tmpfs", 0) // another file system
	if err := os.WriteFile(left[0]+"/f", nil, 0o644); err != nil {
		t.Fatal(err)
	}
	mount(t, filepath.Join(root, "src"), left[1], "", unix.MS_BIND) // the same, but read-only
	if err := unix.Mount("", left[1], "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	// What is ordinary, on what can not be written to.
	ro := filepath.Join(root, "ro")
	mount(t, ro, ro, "", unix.MS_BIND)
	if err := unix.Mount("", ro, "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	left = append(left, filepath.Join(ro, "x/.snapshot"))
	all, _ := serial(t, root)
	for _, workers := range someWorkers {
		for _, one := range []bool{false, true} {
			got := take(t.Context(), t, how{Options: walk.Options{Workers: workers, OneFileSystem: one}}, root)
			got.complete(t)
			same(t, "entries", got.entries, outside(all, left...))
			if got.totals.SnapshotDirs != 3 || got.totals.FilteredDirs != 3 {
				t.Errorf("%+v", got.totals)
			}
		}
		got := take(t.Context(), t, how{Options: walk.Options{Workers: workers, Snapshots: true}}, root)
		got.complete(t)
		same(t, "with snapshots", got.entries, all)
	}
}
