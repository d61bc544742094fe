package walk

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hydrawalk/hydra/internal/rawdir"
)

// holder keeps entries and does something with them when the walk ends.
type holder struct {
	want func(name string) bool
	held []*Held
	do   func(*Held)
}

func (h *holder) File(_ context.Context, e *Entry) error {
	if !h.want(e.Name()) {
		return nil
	}
	held, err := e.Hold()
	if err == nil {
		h.held = append(h.held, held)
	}
	return err
}

func (h *holder) Flush(context.Context) error {
	for _, held := range h.held {
		h.do(held)
		held.Release()
		held.Release() // a second time does no harm
	}
	return nil
}

func write(t *testing.T, path string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(path), 0o644); err != nil {
		t.Fatal(err)
	}
}

func exists(path string) bool { _, err := os.Lstat(path); return err == nil }

func TestWhatIsHeldIsTheEntryWhateverHasItsPathByThen(t *testing.T) {
	dir := t.TempDir()
	root, away, victim := filepath.Join(dir, "root"), filepath.Join(dir, "away"), filepath.Join(dir, "victim")
	write(t, filepath.Join(root, "a", "b", "f"))
	write(t, filepath.Join(root, "f"))
	write(t, filepath.Join(victim, "b", "f"))
	var paths []string
	h := &holder{want: func(string) bool { return true }}
	h.do = func(held *Held) {
		paths = append(paths, held.Path())
		if len(paths) == 1 {
			// An attacker puts a link to somewhere else into the path.
			if err := errors.Join(os.Rename(filepath.Join(root, "a"), away), os.Symlink(victim, filepath.Join(root, "a"))); err != nil {
				t.Error(err)
			}
		}
		var st Stat
		if err := held.Stat(&st); err != nil || st.Size == 0 {
			t.Errorf("stat: %v", err)
		}
		if err := held.Remove(); err != nil {
			t.Error(err)
		}
	}
	if _, err := Trees(t.Context(), []string{root}, func(int) (Handler, error) { return h, nil }, &Options{Workers: 1}); err != nil {
		t.Fatal(err)
	}
	if len(paths) != 2 || exists(filepath.Join(away, "b", "f")) || exists(filepath.Join(root, "f")) {
		t.Errorf("not all that was held is gone: %q", paths)
	}
	if !exists(filepath.Join(victim, "b", "f")) {
		t.Error("a link was followed")
	}
}

func TestARootThatIsAFileCanBeHeld(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	write(t, path)
	h := &holder{want: func(string) bool { return true }, do: func(held *Held) {
		if held.Path() != path || held.Dir() != nil {
			t.Errorf("path %q", held.Path())
		}
		if err := held.Remove(); err != nil {
			t.Error(err)
		}
	}}
	if _, err := Trees(t.Context(), []string{path}, func(int) (Handler, error) { return h, nil }, &Options{Workers: 1}); err != nil {
		t.Fatal(err)
	}
	if exists(path) {
		t.Error("it is still there")
	}
}

func TestAMoveReplacesNothing(t *testing.T) {
	dir := t.TempDir()
	root, into := filepath.Join(dir, "root"), filepath.Join(dir, "into")
	write(t, filepath.Join(root, "x"))
	write(t, filepath.Join(root, "y"))
	write(t, filepath.Join(into, "d", "x"))
	base, err := OpenBase(into)
	if err != nil {
		t.Fatal(err)
	}
	defer base.Close()
	h := &holder{want: func(string) bool { return true }, do: func(held *Held) {
		err := held.Move(base, "d/"+held.Name())
		if there := held.Name() == "x"; there != errors.Is(err, fs.ErrExist) || !there && err != nil {
			t.Errorf("%s: %v", held.Name(), err)
		}
	}}
	if _, err := Trees(t.Context(), []string{root}, func(int) (Handler, error) { return h, nil }, &Options{Workers: 1}); err != nil {
		t.Fatal(err)
	}
	if !exists(filepath.Join(root, "x")) || exists(filepath.Join(root, "y")) || !exists(filepath.Join(into, "d", "y")) {
		t.Error("the wrong ones were moved")
	}
	if text, _ := os.ReadFile(filepath.Join(into, "d", "x")); string(text) != filepath.Join(into, "d", "x") {
		t.Error("it was replaced")
	}
	// And back, from one base to another, or the same.
	back, err := OpenBase(root)
	if err != nil {
		t.Fatal(err)
	}
	defer back.Close()
	if err := base.Move("d/y", back, "y"); err != nil || !exists(filepath.Join(root, "y")) {
		t.Errorf("back: %v", err)
	}
	if err := base.Move("d/x", base, "z"); err != nil || !exists(filepath.Join(into, "z")) {
		t.Errorf("in one base: %v", err)
	}
}

func TestABaseFollowsNoLinkAndLeadsNotOut(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "victim", "f"))
	base := filepath.Join(dir, "base")
	long := strings.Repeat(strings.Repeat("n", 200)+"/", 30) // longer than a path may be
	b := openBaseAt(t, base)
	if err := b.MakeDirs(strings.TrimSuffix(long, "/"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := b.RemoveDir(strings.TrimSuffix(long, "/")); err != nil {
		t.Error(err)
	}
	if err := os.Symlink(filepath.Join(dir, "victim"), filepath.Join(base, "link")); err != nil {
		t.Fatal(err)
	}
	var st Stat
	for _, path := range []string{"link/f", "../victim/f", "/f", "", ".", "a//b", "link/../f", "f\x00"} {
		for what, err := range map[string]error{
			"stat": b.Stat(path, &st), "remove": b.Remove(path), "rmdir": b.RemoveDir(path), "mkdir": b.MakeDirs(path, 0o755), "make": b.MakeDir(path, 0, 0, 0o755),
			"move": b.Move(path, b, "x"), "move to": b.Move("link", b, path),
		} {
			if err == nil {
				t.Errorf("%s %q did not fail", what, path)
			}
		}
	}
	if err := b.RemoveDir("link"); err == nil {
		t.Error("a link was removed as a directory")
	}
	if !exists(filepath.Join(dir, "victim", "f")) {
		t.Error("the victim is gone")
	}
	if err := b.Stat("link", &st); err != nil || st.Mode.Type() != fs.ModeSymlink {
		t.Errorf("%v %v", st.Mode, err)
	}
	var e *Error
	if err := b.Remove("missing"); !errors.As(err, &e) || e.Op != OpRemove || e.Path != base+"/missing" || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}
	if err := b.MakeDir("made", uint32(os.Getuid()), uint32(os.Getgid()), fs.ModeSticky|0o751); err != nil {
		t.Fatal(err)
	}
	if fi, err := os.Stat(filepath.Join(base, "made")); err != nil || fi.Mode() != fs.ModeDir|fs.ModeSticky|0o751 {
		t.Errorf("%v %v", fi.Mode(), err)
	}
}

func openBaseAt(t *testing.T, path string) *Base {
	t.Helper()
	if err := os.MkdirAll(path, 0o755); err != nil {
		t.Fatal(err)
	}
	b, err := OpenBase(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

func TestHeldDirectoriesAreClosed(t *testing.T) {
	root := t.TempDir()
	for i := range 50 {
		write(t, filepath.Join(root, fmt.Sprint(i), "f"))
	}
	before := openDescriptors(t)
	h := &holder{want: func(string) bool { return true }, do: func(*Held) {}}
	if _, err := Trees(t.Context(), []string{root}, func(int) (Handler, error) { return h, nil }, &Options{Workers: 1}); err != nil {
		t.Fatal(err)
	}
	if after := openDescriptors(t); after > before || len(h.held) != 50 {
		t.Errorf("%d descriptors are open, were %d; %d held", after, before, len(h.held))
	}
}

func openDescriptors(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

func TestEachDirectoryOnTheWayIsAskedAbout(t *testing.T) {
	dir := t.TempDir()
	b := openBaseAt(t, dir)
	defer b.Close()
	var asked []string
	refuse := ""
	ok := func(part string, st *Stat) error {
		asked = append(asked, part)
		if !st.Mode.IsDir() || part == refuse {
			return errors.New("refused")
		}
		return nil
	}
	makes := func(path string, want ...string) {
		t.Helper()
		asked = nil
		if err := b.MakeDirsIf(path, 0o700, ok); err != nil || !slices.Equal(asked, want) || !exists(filepath.Join(dir, path)) {
			t.Errorf("%s: asked about %q, want %q, %v", path, asked, want, err)
		}
	}
	makes("a/b", "a", "a/b")
	makes("a/b/c/d", "a/b/c", "a/b/c/d") // a/b is open
	makes("a/b/c/d/e", "a/b/c/d/e")
	makes("a/bb", "a", "a/bb")
	if err := b.MakeDirs("a/b/x", 0o700); err != nil { // for which nobody was asked
		t.Fatal(err)
	}
	makes("a/b/x/y", "a", "a/b", "a/b/x", "a/b/x/y")
	if err := os.RemoveAll(filepath.Join(dir, "a")); err != nil {
		t.Fatal(err)
	}
	makes("a/b/x/y/z", "a", "a/b", "a/b/x", "a/b/x/y", "a/b/x/y/z") // the one that was open is gone
	refuse = "n/o"
	if err := b.MakeDirsIf("n/o/p", 0o700, ok); err == nil || exists(filepath.Join(dir, "n/o/p")) {
		t.Errorf("it was made: %v", err)
	}
}

func TestADirectoryThatHoldsSomethingIsNotNew(t *testing.T) {
	dir := t.TempDir()
	b := openBaseAt(t, dir)
	defer b.Close()
	if err := b.MakeDirs("d/e", 0o700); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]error{"d": fs.ErrExist, "d/e": nil} {
		sub, err := b.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := isNew(sub.root); !errors.Is(err, want) {
			t.Errorf("%s: %v", name, err)
		}
		sub.Close()
	}
}

// filling is a directory in which somebody is faster than who makes one.
type filling struct {
	rawdir.Changer
	path string
}

func (f filling) MakeDir(name rawdir.Name, perm fs.FileMode) error {
	return errors.Join(f.Changer.MakeDir(name, perm), os.WriteFile(filepath.Join(f.path, name.String(), "f"), nil, 0o600))
}

func TestADirectoryThatSomebodyPutInPlaceGetsNoOwner(t *testing.T) {
	dir := t.TempDir()
	b := openBaseAt(t, dir)
	defer b.Close()
	b.root = filling{b.root.(rawdir.Changer), dir}
	err := b.MakeDir("d", uint32(os.Getuid()), uint32(os.Getgid()), 0o755)
	if fi, statErr := os.Stat(filepath.Join(dir, "d")); !errors.Is(err, fs.ErrExist) || statErr != nil || fi.Mode().Perm() != 0o700 {
		t.Errorf("%v, %v", err, fi)
	}
}
