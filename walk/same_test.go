package walk_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/hydrawalk/hydra/walk"
)

// names that a file system may hold and a program may stumble over.
func oddNames() []string {
	names := []string{
		"a", "b", "-rf", "--", " ", "...", "..a", "#", "ä", "日本", strings.Repeat("n", 255),
		"name", "NAME.TXT", "a b", "'", "%s", ";",
	}
	if runtime.GOOS == "linux" || runtime.GOOS == "freebsd" {
		names = append(names, "\xff", "a\xffb", "\xc3", "new\nline", "\r", "\t", "\x01", "\x1b[31m", "\"", "\\", "*", "?", ":", "|",
			strings.Repeat("\xff", 255))
	}
	return names
}

// kinds of entries that can be made.
var kinds = []string{"file", "file", "file", "dir", "dir", "symlink"}

// grow draws a tree below dir, which exists, and makes it.
func grow(t *rapid.T, dir string, depth int) {
	names := rapid.SliceOfNDistinct(rapid.SampledFrom(oddNames()), 0, 12, rapid.ID[string]).Draw(t, "names")
	for _, name := range names {
		path := filepath.Join(dir, name)
		var err error
		switch kind := rapid.SampledFrom(kinds).Draw(t, "kind"); {
		case kind == "dir" && depth > 0:
			if err = os.Mkdir(path, 0o700); err == nil {
				grow(t, path, depth-1)
			}
		case kind == "symlink":
			target := rapid.SampledFrom([]string{".", "..", "/", "a", "nowhere", "\xff"}).Draw(t, "target")
			if err = os.Symlink(target, path); runtime.GOOS == "windows" {
				err = nil // not everyone may
			}
		default:
			err = os.WriteFile(path, make([]byte, rapid.IntRange(0, 5000).Draw(t, "size")), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestAnyNumberOfWorkersGivesTheSameAsWalkDir(t *testing.T) {
	top := t.TempDir()
	n := 0
	rapid.Check(t, func(rt *rapid.T) {
		root := filepath.Join(top, fmt.Sprint(n))
		n++
		if err := os.Mkdir(root, 0o700); err != nil {
			rt.Fatal(err)
		}
		defer os.RemoveAll(root)
		grow(rt, root, 4)
		entries, sizes := serial(t, root)
		for _, workers := range someWorkers {
			for _, filter := range []func(*walk.Dir, []walk.Entry) []walk.Entry{nil, keepAll} {
				got := take(t.Context(), t, how{Options: walk.Options{Workers: workers}, stat: true, filter: filter}, root)
				got.complete(t)
				if d := difference(got.entries, entries); d != "" {
					rt.Fatalf("%d workers: %s", workers, d)
				}
				if d := difference(got.sizes, sizes); d != "" {
					rt.Fatalf("%d workers: sizes: %s", workers, d)
				}
			}
		}
		delete(entries, root)
		if d := difference(ranged(t, root, nil), entries); d != "" {
			rt.Fatalf("in a range loop: %s", d)
		}
	})
}

func keepAll(_ *walk.Dir, entries []walk.Entry) []walk.Entry { return entries }

// ranged collects what walk.All yields.
func ranged(t testing.TB, root string, o *walk.Options) map[string]fs.FileMode {
	t.Helper()
	got := map[string]fs.FileMode{}
	for e, err := range walk.All(t.Context(), root, o) {
		if err != nil {
			t.Error(err)
			continue
		}
		if _, ok := got[e.Path()]; ok {
			t.Errorf("%q came twice", e.Path())
		}
		got[e.Path()] = e.Type()
	}
	return got
}

func TestAWalkOfAnFSGivesTheSameAsOfTheFiles(t *testing.T) {
	var paths []string
	for i := range 40 {
		paths = append(paths, fmt.Sprintf("d%d/sub/%d", i%7, i), fmt.Sprintf("d%d/%d", i%7, i), fmt.Sprintf("empty%d/", i))
	}
	root := fileTree(t, paths...)
	if err := os.Symlink("d1", filepath.Join(root, "link")); err != nil && runtime.GOOS != "windows" {
		t.Fatal(err)
	}
	entries, sizes := serial(t, root)
	for _, workers := range someWorkers {
		got := take(t.Context(), t, how{Options: walk.Options{Workers: workers, FS: os.DirFS(root)}, stat: true}, ".")
		got.complete(t)
		same(t, fmt.Sprint(workers, " workers"), below(root, got.entries), entries)
		same(t, "sizes", below(root, got.sizes), sizes)
	}
}

// below puts root before the paths of a walk of ".".
func below[V any](root string, m map[string]V) map[string]V {
	out := map[string]V{}
	for p, v := range m {
		out[filepath.Join(root, p)] = v
	}
	return out
}

func TestCountsOfADirectoryAreThoseOfItsListing(t *testing.T) {
	var paths []string
	for i := range 600 {
		paths = append(paths, "wide/"+longName(i))
	}
	for i := range 300 {
		paths = append(paths, fmt.Sprintf("wide/d%d/", i))
	}
	root := fileTree(t, append(paths, "a/f", "a/b/c/")...)
	links := int64(5)
	for i := range links {
		if err := os.Symlink("a", filepath.Join(root, "wide", fmt.Sprint("link", i))); err != nil {
			if runtime.GOOS != "windows" {
				t.Fatal(err)
			}
			links = 0
			break
		}
	}
	for _, workers := range someWorkers {
		got := take(t.Context(), t, how{Options: walk.Options{Workers: workers}}, root)
		got.complete(t)
		for name, want := range map[string]walk.DirCounts{
			".": {Dirs: 2}, "a": {Dirs: 1, Files: 1}, "a/b": {Dirs: 1}, "a/b/c": {},
			"wide": {Dirs: 300, Files: 600, Other: links}, "wide/d7": {},
		} {
			if c := got.left[filepath.Join(root, name)]; c != want {
				t.Errorf("%d workers: counts of %s are %+v, want %+v", workers, name, c, want)
			}
		}
	}
}

func TestDirectoriesBelowTheMaximumDepthAreFiltered(t *testing.T) {
	root := fileTree(t, "f", "a/f", "a/b/f", "a/b/c/f", "x/", "x/y/z/")
	for depth, want := range map[int]struct{ dirs, filtered, files int64 }{
		1: {1, 2, 1}, 2: {3, 2, 2}, 3: {5, 2, 3}, 4: {7, 0, 4}, 0: {7, 0, 4},
	} {
		got := take(t.Context(), t, how{Options: walk.Options{Workers: 2, MaxDepth: depth}}, root)
		got.complete(t)
		tot := got.totals
		if tot.ProcessedDirs != want.dirs || tot.FilteredDirs != want.filtered || tot.ProcessedFiles != want.files {
			t.Errorf("depth %d: %d directories, %d filtered, %d files; want %+v", depth, tot.ProcessedDirs, tot.FilteredDirs, tot.ProcessedFiles, want)
		}
	}
}

func TestAnEntryIsWhatItsMethodsSay(t *testing.T) {
	root := fileTree(t, "a/b/file")
	odd := oddNames()
	for _, name := range odd {
		if err := os.WriteFile(filepath.Join(root, name+"x"[:min(1, 255-len(name))]), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	seen := 0
	got := take(t.Context(), t, how{Options: walk.Options{Workers: 1}, file: func(e *walk.Entry) error {
		if string(e.NameBytes()) != e.Name() || filepath.Base(e.Path()) != e.Name() || string(e.AppendPath([]byte(">"))) != ">"+e.Path() {
			t.Errorf("name %q, bytes %q, path %q", e.Name(), e.NameBytes(), e.Path())
		}
		if e.Root() != root || e.IsDir() || e.Dir().Path() != filepath.Dir(e.Path()) {
			t.Errorf("%q: root %q, directory %q", e.Path(), e.Root(), e.Dir().Path())
		}
		if e.Name() != "file" {
			return nil
		}
		seen++
		if e.Depth() != 3 || e.Dir().Depth() != 2 || e.Dir().Name() != "b" {
			t.Errorf("depth %d in %q, which has %d", e.Depth(), e.Dir().Name(), e.Dir().Depth())
		}
		st, err := e.Stat()
		if err != nil {
			return err
		}
		again, err := e.Stat()
		if err != nil || again != st || st.Size != int64(len("a/b/file")) || !st.Mode.IsRegular() {
			t.Errorf("attributes %+v, then %+v, %v", st, again, err)
		}
		f, err := e.Open()
		if err != nil {
			return err
		}
		defer f.Close()
		text := make([]byte, 100)
		if n, _ := f.Read(text); string(text[:n]) != "a/b/file" {
			t.Errorf("content %q", text[:n])
		}
		if _, err := e.Readlink(); err == nil {
			t.Error("a file has a target")
		}
		if err := e.Remove(); err != nil {
			t.Error(err)
		}
		// Its attributes are still known, but not its content.
		_, err = e.Open()
		var asError *walk.Error
		if !errors.As(err, &asError) || asError.Op != walk.OpOpen || asError.Path != e.Path() || !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("open of what is removed: %v", err)
		}
		return nil
	}}, root)
	got.complete(t)
	if seen != 1 || len(got.entries) != len(odd)+4 {
		t.Errorf("%d entries, the file %d times", len(got.entries), seen)
	}
	if _, err := os.Lstat(filepath.Join(root, "a/b/file")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the removed file: %v", err)
	}
}

func TestSizesAreCountedOnceHoweverOftenTheyAreAskedFor(t *testing.T) {
	root := fileTree(t, "a", "bb/cc", "bb/dd")
	_, sizes := serial(t, root)
	statAll := func(d *walk.Dir, entries []walk.Entry) []walk.Entry {
		for i := range entries {
			if _, err := entries[i].Stat(); err != nil {
				t.Error(err)
			}
		}
		return entries
	}
	for name, h := range map[string]how{
		"in File":            {stat: true},
		"twice in File":      {stat: true, file: func(e *walk.Entry) error { _, err := e.Stat(); return err }},
		"in Filter and File": {stat: true, filter: statAll},
	} {
		t.Run(name, func(t *testing.T) {
			h.Workers = 2
			got := take(t.Context(), t, h, root)
			got.complete(t)
			if got.totals.Bytes != sum(sizes) {
				t.Errorf("%d bytes, want %d", got.totals.Bytes, sum(sizes))
			}
		})
	}
}
