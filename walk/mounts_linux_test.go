package walk_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hydrawalk/hydra/internal/faultfs"
	"github.com/hydrawalk/hydra/walk"
)

// wide is a tree of many directories.
func wide() faultfs.Tree {
	tree := faultfs.Tree{"link": faultfs.Symlink("d1")}
	for i := range 20 {
		for j := range 5 {
			tree[fmt.Sprintf("d%d/e%d/f", i, j)] = faultfs.File(i)
		}
	}
	return tree
}

func mountsOf(t *testing.T, paths ...string) *walk.Mounts {
	t.Helper()
	ms, err := walk.NewMounts(paths)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(ms.Close)
	return ms
}

// dirsOf are how many directories were opened through each mount.
func dirsOf(ms *walk.Mounts) (dirs []int64) {
	for _, st := range ms.State() {
		dirs = append(dirs, st.Dirs)
	}
	return dirs
}

func TestSeveralMountsShowWhatOneDoes(t *testing.T) {
	noLeaks(t)
	a, b := faultfs.Mount(t, wide()), faultfs.Mount(t, wide())
	for _, m := range []*faultfs.Mounted{a, b} {
		m.On(faultfs.OpenDir, faultfs.Everywhere, faultfs.Rule{Delay: time.Millisecond})
	}
	for _, workers := range someWorkers {
		want := take(t.Context(), t, how{Options: walk.Options{Workers: workers}, stat: true}, a.Root)
		ms := mountsOf(t, a.Root, b.Root)
		got := take(t.Context(), t, how{Options: walk.Options{Workers: workers, Mounts: ms}, stat: true}, a.Root)
		got.complete(t)
		same(t, "entries", got.entries, want.entries)
		same(t, "sizes", got.sizes, want.sizes)
		same(t, "directories", got.left, want.left)
		dirs := dirsOf(ms)
		if dirs[0]+dirs[1] != got.totals.ProcessedDirs {
			t.Errorf("%d workers: %v directories were opened, %d processed", workers, dirs, got.totals.ProcessedDirs)
		}
		if workers > 1 && min(dirs[0], dirs[1]) == 0 {
			t.Errorf("%d workers: mounts that are as fast opened %v directories", workers, dirs)
		}
		if notes := ms.Notes(0); len(notes) > 0 {
			t.Errorf("%q", notes)
		}
	}
}

func TestWhatIsNoMountOfTheSameTreeIsLeftOut(t *testing.T) {
	noLeaks(t)
	a := faultfs.Mount(t, wide())
	b := faultfs.Mount(t, faultfs.Tree{"x/y": faultfs.File(1), "d1/other": faultfs.File(1)})
	missing := filepath.Join(t.TempDir(), "nothing")
	ms := mountsOf(t, a.Root, b.Root, missing)
	want := take(t.Context(), t, how{Options: walk.Options{Workers: 4}}, a.Root)
	got := take(t.Context(), t, how{Options: walk.Options{Workers: 4, Mounts: ms}}, a.Root)
	got.complete(t)
	same(t, "entries", got.entries, want.entries)
	notes := strings.Join(ms.Notes(0), "\n")
	if dirs := dirsOf(ms); dirs[1]+dirs[2] != 0 || !strings.Contains(notes, b.Root+" is not used") || !strings.Contains(notes, missing+" is not used") {
		t.Errorf("directories %v, notes %q", dirs, notes)
	}
	for _, st := range ms.State()[1:] {
		if st.Why == "" {
			t.Errorf("%+v", st)
		}
	}
}

// TestWhatIsMountedInOneMountOnlyIsWalkedThroughIt has something below the home of a
// root that the other mount does not have, which there is an empty directory.
func TestWhatIsMountedInOneMountOnlyIsWalkedThroughIt(t *testing.T) {
	noLeaks(t)
	root := fileTree(t, "a/b/f", "a/mnt/under", "c/f", "d/f", "e/f")
	other := t.TempDir()
	mount(t, root, other, "", unix.MS_BIND)
	inner := filepath.Join(root, "a/mnt")
	mount(t, "none", inner, "tmpfs", 0)
	if err := os.MkdirAll(filepath.Join(inner, "in/it"), 0o755); err != nil {
		t.Fatal(err)
	}
	for range 20 {
		for _, oneFS := range []bool{false, true} {
			o := walk.Options{Workers: 4, OneFileSystem: oneFS}
			want := take(t.Context(), t, how{Options: o}, root)
			o.Mounts = mountsOf(t, root, other)
			got := take(t.Context(), t, how{Options: o}, root)
			got.complete(t)
			same(t, "entries", got.entries, want.entries)
			if got.totals.FilteredDirs != want.totals.FilteredDirs {
				t.Errorf("one file system %v: %d filtered, want %d", oneFS, got.totals.FilteredDirs, want.totals.FilteredDirs)
			}
		}
	}
}

func TestALoopIsSeenThroughSeveralMounts(t *testing.T) {
	noLeaks(t)
	tree := wide()
	tree["d1/e1/up"], tree["d2/e2/top"] = faultfs.Loop("d1"), faultfs.Loop(".")
	a, b := faultfs.Mount(t, tree), faultfs.Mount(t, tree)
	for range 10 {
		ms := mountsOf(t, a.Root, b.Root)
		got := take(t.Context(), t, how{Options: walk.Options{Workers: 8, Mounts: ms, OneFileSystem: true}}, a.Root)
		got.wantErrors(t,
			"open "+a.Path("d1/e1/up")+": file system loop: the same directory as "+a.Path("d1"),
			"open "+a.Path("d2/e2/top")+": file system loop: the same directory as "+a.Root)
		if got.totals.ProcessedDirs != 121 {
			t.Errorf("%+v", got.totals)
		}
	}
}

// TestADeviceIsTheSameThroughEachMount: what tells hard links apart, and roots.
func TestADeviceIsTheSameThroughEachMount(t *testing.T) {
	noLeaks(t)
	a, b := faultfs.Mount(t, wide()), faultfs.Mount(t, wide())
	ms := mountsOf(t, a.Root, b.Root)
	var st unix.Stat_t
	if err := unix.Stat(a.Root, &st); err != nil {
		t.Fatal(err)
	}
	dev := st.Dev
	file := func(e *walk.Entry) error {
		st, err := e.Stat()
		if err == nil && st.Dev != dev {
			t.Errorf("%s is on device %d, not %d", e.Path(), st.Dev, dev)
		}
		return err
	}
	enter := func(d *walk.Dir) error {
		st, err := d.Stat()
		if err == nil && st.Dev != dev {
			t.Errorf("%s is on device %d, not %d", d.Path(), st.Dev, dev)
		}
		return err
	}
	for _, m := range []*faultfs.Mounted{a, b} {
		m.On(faultfs.OpenDir, faultfs.Everywhere, faultfs.Rule{Delay: time.Millisecond})
	}
	// A root in each, of one directory: it is walked once, with what lies around it.
	got := take(t.Context(), t, how{Options: walk.Options{Workers: 8, Mounts: ms, OneFileSystem: true}, file: file, enter: enter}, a.Root, b.Path("d1"), b.Root)
	got.complete(t)
	if got.totals.ProcessedDirs != 121 || got.totals.ProcessedFiles != 101 {
		t.Errorf("%+v", got.totals)
	}
	if dirs := dirsOf(ms); dirs[0] == 0 || dirs[1] == 0 {
		t.Errorf("%v", dirs)
	}
}

// TestALinkInThePathIsNotFollowedThroughAnotherMount swaps a directory for a link
// while what it lists waits.
func TestALinkInThePathIsNotFollowedThroughAnotherMount(t *testing.T) {
	noLeaks(t)
	for range 10 {
		root := fileTree(t, "a/b/c/f", "elsewhere/b/c/secret")
		other := t.TempDir()
		mount(t, root, other, "", unix.MS_BIND)
		ms := mountsOf(t, root, other)
		leave := func(d *walk.Dir) error {
			if d.Name() != "a" {
				return nil
			}
			// From now on the way to b by its path is a link.
			if err := os.Rename(d.Path(), filepath.Join(root, "moved")); err != nil {
				return err
			}
			return os.Symlink("elsewhere", d.Path())
		}
		got := take(t.Context(), t, how{Options: walk.Options{Workers: 1, Mounts: ms}, leave: leave,
			filter: func(d *walk.Dir, e []walk.Entry) []walk.Entry {
				if d.Depth() == 0 {
					for i := range e {
						if e[i].Name() == "a" {
							return e[i : i+1]
						}
					}
				}
				return e
			}}, root)
		for path := range got.entries {
			if strings.Contains(path, "secret") {
				t.Fatalf("%s was reached through a link", path)
			}
		}
		os.Remove(filepath.Join(root, "a"))
	}
}

// TestAMountThatFailsIsNotTheEndOfItsDirectories has errors of one mount only.
func TestAMountThatFailsIsNotTheEndOfItsDirectories(t *testing.T) {
	noLeaks(t)
	a, b := faultfs.Mount(t, wide()), faultfs.Mount(t, wide())
	for i := range 20 {
		b.On(faultfs.OpenDir, fmt.Sprint("d", i), faultfs.Rule{Err: syscall.EIO})
		a.On(faultfs.OpenDir, fmt.Sprintf("d%d/e1", i), faultfs.Rule{Err: syscall.ESTALE})
	}
	for _, workers := range someWorkers {
		ms := mountsOf(t, a.Root, b.Root)
		got := take(t.Context(), t, how{Options: walk.Options{Workers: workers, Mounts: ms}}, a.Root)
		got.complete(t)
		if got.totals.ProcessedDirs != 121 {
			t.Errorf("%d workers: %+v", workers, got.totals)
		}
	}
}

// TestAMountThatDoesNotAnswerIsLeftOutFromTheStart hangs before the walk begins: the
// home of the root in one case.
func TestAMountThatDoesNotAnswerIsLeftOutFromTheStart(t *testing.T) {
	for home := range 2 {
		mounts := []*faultfs.Mounted{faultfs.Mount(t, wide()), faultfs.Mount(t, wide())}
		hang := faultfs.NewHang()
		for op := range faultfs.ReadDir + 1 {
			mounts[0].On(op, faultfs.Everywhere, faultfs.Rule{Hang: hang})
		}
		ms := mountsOf(t, mounts[0].Root, mounts[1].Root)
		ms.SetLimits(100*time.Millisecond, 10*time.Millisecond)
		root := mounts[home].Root
		got := take(t.Context(), t, how{Options: walk.Options{Workers: 4, Mounts: ms}}, root)
		got.complete(t)
		if got.totals.ProcessedDirs != 121 || got.entries[filepath.Join(root, "d1/e1")] != fs.ModeDir {
			t.Errorf("home %d: %+v", home, got.totals)
		}
		if st := ms.State(); !st[0].Out || st[0].Dirs != 0 || st[1].Dirs != 121 {
			t.Errorf("home %d: %+v", home, st)
		}
		// When it answers, it is used again.
		hang.Release()
		for op := range faultfs.ReadDir + 1 {
			mounts[0].On(op, faultfs.Everywhere, faultfs.Rule{Delay: time.Millisecond})
			mounts[1].On(op, faultfs.Everywhere, faultfs.Rule{Delay: time.Millisecond})
		}
		for ms.State()[0].Out {
			time.Sleep(time.Millisecond)
		}
		got = take(t.Context(), t, how{Options: walk.Options{Workers: 8, Mounts: ms}}, root)
		got.complete(t)
		if st := ms.State(); st[0].Out || st[0].Dirs == 0 || got.totals.ProcessedDirs != 121 {
			t.Errorf("home %d: %+v", home, st)
		}
	}
}

// TestAPathThatOnlyAnotherMountHasIsWalkedThroughIt: a machine may lack a mount.
func TestAPathThatOnlyAnotherMountHasIsWalkedThroughIt(t *testing.T) {
	noLeaks(t)
	b := faultfs.Mount(t, wide())
	missing := filepath.Join(t.TempDir(), "nothing")
	ms := mountsOf(t, missing, b.Root)
	if s, err := ms.Look(missing+"/d1", false); err != nil || !s.Dir || s.Err != "" || s.Inode == 0 {
		t.Errorf("%+v", s)
	}
	got := take(t.Context(), t, how{Options: walk.Options{Workers: 4, Mounts: ms}}, missing+"/d1")
	got.complete(t)
	if got.totals.ProcessedDirs != 6 || got.entries[missing+"/d1/e2"] != fs.ModeDir {
		t.Errorf("%+v", got.totals)
	}
	if notes := ms.Notes(0); len(notes) != 2 || notes[1] != b.Path("d1")+" is taken for "+missing+"/d1" {
		t.Errorf("%q", notes)
	}
	// What no mount has is missing.
	got = take(t.Context(), t, how{Options: walk.Options{Workers: 4, Mounts: ms}}, missing+"/none")
	got.wantErrors(t, "open "+missing+"/none: no such file or directory")
}

// TestARootThatIsAFileIsFoundThroughAMountThatAnswers hangs at the path itself.
func TestARootThatIsAFileIsFoundThroughAMountThatAnswers(t *testing.T) {
	a, b := faultfs.Mount(t, wide()), faultfs.Mount(t, wide())
	hang := faultfs.NewHang()
	for op := range faultfs.ReadDir + 1 {
		a.On(op, faultfs.Everywhere, faultfs.Rule{Hang: hang})
	}
	ms := mountsOf(t, a.Root, b.Root)
	ms.SetLimits(100*time.Millisecond, time.Hour)
	if s, err := ms.Look(a.Path("d1/e1/f"), false); err != nil || s.Dir || s.Err != "" {
		t.Errorf("%+v", s)
	}
	got := take(t.Context(), t, how{Options: walk.Options{Workers: 2, Mounts: ms}, stat: true}, a.Path("d1/e1/f"))
	got.complete(t)
	if got.totals.ProcessedFiles != 1 || got.sizes[a.Path("d1/e1/f")] != 1 {
		t.Errorf("%+v", got.totals)
	}
	hang.Release()
}

func TestMountsSideBySideAreMeant(t *testing.T) {
	for _, paths := range [][]string{nil, {"relative"}, {"/a", "/a/b"}, {"/a/b", "/a"}} {
		if _, err := walk.NewMounts(paths); err == nil {
			t.Errorf("%q are taken", paths)
		}
	}
	ms := mountsOf(t, "/a/b", "/a/c/", "/a/b")
	if len(ms.Paths()) != 2 {
		t.Errorf("%q", ms.Paths())
	}
	for path, want := range map[string]bool{"/a/b": true, "/a/b/": true, "/a/c/d": true, "/a/bc": false, "/a": false} {
		if ms.Has(path) != want {
			t.Errorf("%s lies in one: %v", path, !want)
		}
	}
}
