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

	"github.com/hydrawalk/hydra/walk"
)

func symlink(t *testing.T, target, path string) {
	t.Helper()
	if err := os.Symlink(target, path); err != nil {
		if runtime.GOOS == "windows" {
			t.Skip("symbolic links are not permitted: ", err)
		}
		t.Fatal(err)
	}
}

func TestOverlappingRootsAreWalkedOnce(t *testing.T) {
	top := fileTree(t, "a/f", "a/b/f", "a/b/c/f", "ab/f", "z/f")
	want, _ := serial(t, top)
	inside := func(dirs ...string) map[string]fs.FileMode {
		in := map[string]fs.FileMode{}
		for p, typ := range want {
			for _, d := range dirs {
				if full := filepath.Join(top, d); p == full || strings.HasPrefix(p, full+string(filepath.Separator)) {
					in[p] = typ
				}
			}
		}
		return in
	}
	for _, c := range []struct{ roots, want []string }{
		{[]string{"a", "a"}, []string{"a"}},
		{[]string{"a", "a/"}, []string{"a"}},
		{[]string{"a", "a/b"}, []string{"a"}},
		{[]string{"a/b", "a"}, []string{"a"}},
		{[]string{"a/b/c", "a/b", "a"}, []string{"a"}},
		{[]string{"a/b/f", "a/b"}, []string{"a/b"}},
		{[]string{"a", "ab"}, []string{"a", "ab"}},
		{[]string{"a", "a/b", "a/f"}, []string{"a"}},
		{[]string{"a", "a/b", "a/b/c", "a/b/f", "a/b/c/f", "a/f"}, []string{"a"}},
		{[]string{"a", "z", "a/b/../b", "./z"}, []string{"a", "z"}},
		{[]string{"", "a"}, []string{""}},
	} {
		for _, o := range []walk.Options{{}, {Workers: 1}, {MaxDepth: 50}, {OneFileSystem: true}} {
			t.Run(fmt.Sprint(c.roots, o.Workers, o.MaxDepth, o.OneFileSystem), func(t *testing.T) {
				var roots []string
				for _, r := range c.roots {
					roots = append(roots, top+"/"+r)
				}
				got := take(t.Context(), t, how{Options: o, stat: true}, roots...)
				got.complete(t)
				same(t, "walked", got.entries, inside(c.want...))
			})
		}
	}
}

// The way from one root to another that lies below it may be one that a walk
// does not take.
func TestARootThatAnotherDoesNotComeToIsWalked(t *testing.T) {
	top := fileTree(t, "real/f", "real/sub/f", "z")
	symlink(t, "real", filepath.Join(top, "link"))
	symlink(t, "f", filepath.Join(top, "real", "l"))
	all := []string{"link", "real", "real/f", "real/l", "real/sub", "real/sub/f", "z"}
	for _, c := range []struct {
		roots []string
		want  []string // paths below top
		files int64    // regular files, and links, of all that is walked
		bad   int64    // roots that can not be opened
	}{
		{[]string{"link", "link/sub"}, []string{"link", "link/sub", "link/sub/f"}, 2, 0},
		{[]string{"link", "link/f"}, []string{"link", "link/f"}, 2, 0},
		{[]string{".", "real/l"}, all, 5, 0},
		{[]string{".", "z/"}, all, 5, 1},
		{[]string{".", "missing", "z"}, all, 5, 1},
		{[]string{".", "z/missing", "z"}, all, 5, 1},
		{[]string{"link/f", "real"}, []string{"real", "real/f", "real/l", "real/sub", "real/sub/f"}, 3, 0},
		{[]string{"real/sub", "link/sub/f", "link/f", "real/f"}, []string{"real/sub", "real/sub/f", "link/f"}, 2, 0},
		{[]string{"link", "link/"}, []string{"link", "link/f", "link/l", "link/sub", "link/sub/f"}, 4, 0},
		{[]string{"z", "z/"}, []string{"z"}, 1, 1},
		{[]string{"z/", "z"}, []string{"z"}, 1, 1},
	} {
		for _, workers := range someWorkers {
			var roots []string
			for _, r := range c.roots {
				roots = append(roots, top+"/"+r)
			}
			got := take(t.Context(), t, how{Options: walk.Options{Workers: workers}, links: true}, roots...)
			delete(got.entries, top)
			want := map[string]bool{}
			for _, w := range c.want {
				want[filepath.Join(top, w)] = true
			}
			have := map[string]bool{}
			for p := range got.entries {
				have[p] = true
			}
			same(t, fmt.Sprint(c.roots), have, want)
			if got.totals.ProcessedFiles != c.files || got.totals.Errors != c.bad {
				t.Errorf("%v: %+v", c.roots, got.totals)
			}
		}
	}
}

func TestRelativeRootsMayLeadUp(t *testing.T) {
	top := fileTree(t, "a/b/f", "a/f", "-f", "g")
	t.Chdir(filepath.Join(top, "a", "b"))
	for _, c := range []struct {
		roots []string
		files int64
	}{
		{[]string{"..", "../.."}, 4},
		{[]string{"../..", ".."}, 4},
		{[]string{".", ".."}, 2},
		{[]string{"../../-f", "../../g", "../.."}, 4},
		{[]string{"f", "."}, 1},
		{[]string{".", "/dev/null", "f"}, 2},
		{[]string{".", "..", "f"}, 2},
		{[]string{".", top + "/a/b/f"}, 1},
	} {
		for _, workers := range someWorkers {
			got := take(t.Context(), t, how{Options: walk.Options{Workers: workers}}, c.roots...)
			got.complete(t)
			if got.totals.ProcessedFiles != c.files {
				t.Errorf("%v: %+v", c.roots, got.totals)
			}
		}
	}
	t.Chdir(top)
	got := take(t.Context(), t, how{}, "-f", ".")
	got.complete(t)
	if got.totals.ProcessedFiles != 4 {
		t.Errorf("%+v", got.totals)
	}
}

func TestWhatIsNoPathIsARootThatCanNotBeOpened(t *testing.T) {
	t.Chdir(fileTree(t, "a/f"))
	got := take(t.Context(), t, how{}, "", "a\x00b")
	if got.err != nil || got.totals.ProcessedFiles != 0 || got.totals.FailedDirs != 2 {
		t.Errorf("%v, %+v", got.err, got.totals)
	}
}

func TestRootsThatAreOneDirectoryByAnotherNameAreWalkedOnce(t *testing.T) {
	top := fileTree(t, "real/f", "real/sub/f")
	symlink(t, "real", filepath.Join(top, "link"))
	symlink(t, "real/sub", filepath.Join(top, "inner"))
	real, err := filepath.EvalSymlinks(filepath.Join(top, "real"))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]int{filepath.Join(real, "f"): 1, filepath.Join(real, "sub", "f"): 1}
	for _, names := range [][]string{
		{"real", "link/"},
		{"link/", "real"},
		{"real", "inner/"},
		{"inner/", "real"},
		{"inner/", ""},
		{"", "inner/", "link/"},
		{"link", "real"},
	} {
		for _, workers := range someWorkers {
			t.Run(fmt.Sprint(names, workers), func(t *testing.T) {
				var roots []string
				for _, n := range names {
					roots = append(roots, top+"/"+n)
				}
				got := take(t.Context(), t, how{Options: walk.Options{Workers: workers}, links: true}, roots...)
				got.complete(t)
				files := map[string]int{}
				for p, typ := range got.entries {
					if typ.IsRegular() {
						real, err := filepath.EvalSymlinks(p)
						if err != nil {
							t.Fatal(err)
						}
						files[real]++
					}
				}
				same(t, "files", files, want)
			})
		}
	}
}

func TestARootThatIsNoDirectoryIsOneEntry(t *testing.T) {
	top := fileTree(t, "dir/file", "dir/sub/f")
	symlink(t, "dir", filepath.Join(top, "link"))
	symlink(t, "nowhere", filepath.Join(top, "dangling"))
	for root, typ := range map[string]fs.FileMode{
		"dir/file": 0, "link": fs.ModeSymlink, "dangling": fs.ModeSymlink, "link/file": 0,
	} {
		for _, workers := range someWorkers {
			path := filepath.Join(top, root)
			got := take(t.Context(), t, how{Options: walk.Options{Workers: workers}, stat: true, file: func(e *walk.Entry) error {
				if e.Depth() != 0 || e.Dir() != nil || e.Root() != path || e.Name() != filepath.Base(path) {
					t.Errorf("depth %d, directory %v, root %q, name %q", e.Depth(), e.Dir(), e.Root(), e.Name())
				}
				if typ == fs.ModeSymlink {
					if _, err := e.Readlink(); err != nil {
						t.Error(err)
					}
				}
				return nil
			}}, path)
			got.complete(t)
			same(t, root, got.entries, map[string]fs.FileMode{path: typ})
			if got.totals.FoundDirs != 0 || got.totals.ProcessedFiles != 1 {
				t.Errorf("%s: %+v", root, got.totals)
			}
		}
	}
}

func TestASymlinkAsRootIsFollowedOnlyIfAskedFor(t *testing.T) {
	top := fileTree(t, "dir/file", "dir/sub/f")
	link := filepath.Join(top, "link")
	symlink(t, "dir", link)
	all := map[string]fs.FileMode{
		link: fs.ModeDir, filepath.Join(link, "file"): 0,
		filepath.Join(link, "sub"): fs.ModeDir, filepath.Join(link, "sub", "f"): 0,
	}
	for name, c := range map[string]struct {
		root string
		o    walk.Options
		want map[string]fs.FileMode
	}{
		"as it is":    {link, walk.Options{}, map[string]fs.FileMode{link: fs.ModeSymlink}},
		"slash":       {link + "/", walk.Options{}, all},
		"two slashes": {link + "//", walk.Options{}, all},
		"option":      {link, walk.Options{FollowRoots: true}, all},
	} {
		t.Run(name, func(t *testing.T) {
			c.o.Workers = 2
			got := take(t.Context(), t, how{Options: c.o}, c.root)
			got.complete(t)
			same(t, "walked", got.entries, c.want)
		})
	}
}

func TestARootThatIsMissingIsAnErrorAndTheOthersAreWalked(t *testing.T) {
	top := fileTree(t, "dir/file", "file")
	missing := filepath.Join(top, "missing")
	notDir := filepath.Join(top, "file") + "/"
	for _, workers := range someWorkers {
		got := take(t.Context(), t, how{Options: walk.Options{Workers: workers}}, missing, filepath.Join(top, "dir"), notDir)
		if got.err != nil || got.totals.ProcessedDirs != 1 || got.totals.FailedDirs != 2 || got.totals.ProcessedFiles != 1 || len(got.errs) != 2 {
			t.Fatalf("%v, %+v, %v", got.err, got.totals, got.errs)
		}
		if err := got.errs[0]; err.Op != walk.OpOpen || err.Path != filepath.Clean(notDir) || errors.Is(err, fs.ErrNotExist) {
			t.Errorf("a file with a slash: %v", err)
		}
		if err := got.errs[1]; err.Op != walk.OpOpen || err.Path != missing || !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("a missing root: %v", err)
		}
	}
}

func TestPathsBeginAsTheRootWasGiven(t *testing.T) {
	top := fileTree(t, "d/f")
	t.Chdir(top)
	sep := string(filepath.Separator)
	for root, want := range map[string][]string{
		".":                               {".", "d", "d" + sep + "f"},
		"d":                               {"d", "d" + sep + "f"},
		"./d/":                            {"d", "d" + sep + "f"},
		"d/../d":                          {"d", "d" + sep + "f"},
		"d/f":                             {"d" + sep + "f"},
		"../" + filepath.Base(top) + "/d": {".." + sep + filepath.Base(top) + sep + "d", ".." + sep + filepath.Base(top) + sep + "d" + sep + "f"},
	} {
		got := take(t.Context(), t, how{}, root)
		got.complete(t)
		wanted := map[string]bool{}
		for _, w := range want {
			wanted[w] = true
		}
		paths := map[string]bool{}
		for p := range got.entries {
			paths[p] = true
		}
		same(t, root, paths, wanted)
	}
	if runtime.GOOS != "windows" {
		got := take(t.Context(), t, how{Options: walk.Options{MaxDepth: 1}, enter: func(d *walk.Dir) error {
			if d.Path() != "/" {
				t.Errorf("the root is %q", d.Path())
			}
			return nil
		}, file: func(e *walk.Entry) error {
			if want := "/" + e.Name(); e.Path() != want {
				t.Errorf("path %q, want %q", e.Path(), want)
			}
			return nil
		}}, "/")
		got.complete(t)
	}
}

func TestManyRootsAreAllWalked(t *testing.T) {
	var paths, roots []string
	for i := range 300 {
		paths = append(paths, fmt.Sprintf("r%d/f", i))
	}
	top := fileTree(t, paths...)
	for i := range 300 {
		roots = append(roots, filepath.Join(top, fmt.Sprint("r", i)))
	}
	want, _ := serial(t, top)
	delete(want, top)
	for _, workers := range someWorkers {
		got := take(t.Context(), t, how{Options: walk.Options{Workers: workers}}, roots...)
		got.complete(t)
		same(t, "walked", got.entries, want)
	}
}
