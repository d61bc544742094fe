package purge_test

import (
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// rule is what a test wants to be deleted, told apart from the application's own
// types.
type rule struct {
	at        time.Time
	older     time.Duration // 0: any age
	times     []string
	emptyDirs bool
	exclude   string // a name
	maxDepth  int
	name      string // of files, "": any
	larger    int64  // than; -1: any size
	owner     int    // -1: anybody
}

func randomRule(rng *rand.Rand) rule {
	r := rule{
		at:        time.Now().Add(-time.Hour).Truncate(time.Second).Add(123456789).UTC(),
		older:     time.Duration(1+rng.IntN(100)) * 24 * time.Hour,
		emptyDirs: rng.IntN(4) > 0,
		larger:    -1,
		owner:     -1,
	}
	if rng.IntN(4) == 0 {
		r.name = hostile[rng.IntN(len(hostile))]
	}
	if rng.IntN(4) == 0 {
		r.larger = int64(rng.IntN(10_000))
	}
	if rng.IntN(4) == 0 && os.Geteuid() == 0 {
		r.owner = 12345
	}
	for _, name := range []string{"atime", "mtime"} { // others nobody can set
		if rng.IntN(2) == 0 {
			r.times = append(r.times, name)
		}
	}
	if len(r.times) == 0 {
		r.times = []string{"mtime"}
	}
	if rng.IntN(3) == 0 {
		r.exclude = hostile[rng.IntN(len(hostile))]
	}
	if rng.IntN(5) == 0 {
		r.maxDepth = 1 + rng.IntN(4)
	}
	return r
}

// names decides about a file as the documentation says.
func (r *rule) names(path string) bool {
	st := lstat(path)
	return (r.name == "" || filepath.Base(path) == r.name) && (r.larger < 0 || st.Size > r.larger) && r.old(path)
}

func lstat(path string) (st syscall.Stat_t) {
	if err := syscall.Lstat(path, &st); err != nil {
		panic(err)
	}
	return st
}

// old decides about a file or directory by its own times and owner.
func (r *rule) old(path string) bool {
	st := lstat(path)
	if r.owner >= 0 && int(st.Uid) != r.owner {
		return false
	}
	for _, name := range r.times {
		t := time.Unix(st.Mtim.Unix())
		if name == "atime" {
			t = time.Unix(st.Atim.Unix())
		}
		if r.at.Sub(t) > r.older {
			return true
		}
	}
	return false
}

// hostile are names that programs stumble over. None has what is special in globs.
var hostile = []string{"a", "a b", "-rf", "-", "\xff\xfe", "new\nline", "tab\t", "; rm -rf ~", "$(touch x)", "'\"", "ü", "..x", "...", "\x01\x7f", strings.Repeat("n", 255), strings.Repeat("\xe4", 255), "%s", "a.tmp"}

// grow makes a tree: the same one for the same generator, but for where it is.
func grow(t testing.TB, rng *rand.Rand, root string, r rule) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.MkdirAll(root, 0o755))
	victim := filepath.Join(root, "..", "victim") // links lead there
	must(os.MkdirAll(victim, 0o755))
	must(os.WriteFile(filepath.Join(victim, "file"), []byte("x"), 0o644))
	must(os.Chtimes(filepath.Join(victim, "file"), time.Unix(1, 0), time.Unix(1, 0)))
	stamp := func(path string) {
		one := func() time.Time {
			edge := r.at.Add(-r.older)
			return []time.Time{
				edge, edge.Add(-1), edge.Add(1), edge.Add(-time.Hour), edge.Add(time.Hour), r.at, r.at.Add(1000 * time.Hour), time.Unix(0, 0),
				time.Unix(-1, 0), edge.Add(-time.Duration(rng.Int64N(int64(r.older + 1)))), edge.Add(time.Duration(rng.Int64N(int64(r.older + 1)))),
			}[rng.IntN(11)]
		}
		var ts [2]unix.Timespec
		for i := range ts {
			var err error
			ts[i], err = unix.TimeToTimespec(one())
			must(err)
		}
		if os.Geteuid() == 0 && rng.IntN(2) == 0 {
			must(os.Lchown(path, 12345, 0))
		}
		must(unix.UtimesNanoAt(unix.AT_FDCWD, path, ts[:], unix.AT_SYMLINK_NOFOLLOW))
	}
	var files []string
	var dirs []string
	var fill func(dir string, depth int)
	fill = func(dir string, depth int) {
		dirs = append(dirs, dir)
		for _, name := range hostile {
			path := filepath.Join(dir, name)
			switch rng.IntN(14) {
			case 0, 1:
				if depth < 5 {
					must(os.Mkdir(path, 0o755))
					fill(path, depth+1)
				}
			case 2, 3:
				must(os.WriteFile(path, make([]byte, rng.IntN(20_000)), 0o644))
				files = append(files, path)
			case 4:
				if rng.IntN(3) == 0 {
					must(os.Symlink([]string{victim, filepath.Join(victim, "file"), "nowhere", ".", "a"}[rng.IntN(5)], path))
				}
			case 5:
				if rng.IntN(5) == 0 {
					must(unix.Mkfifo(path, 0o644))
				}
			case 6:
				if len(files) > 0 && rng.IntN(3) == 0 {
					must(os.Link(files[rng.IntN(len(files))], path))
				}
			}
		}
	}
	fill(root, 0)
	// Large ones, which several workers share, and of which no worker knows all.
	for i := range max(0, rng.IntN(5)-3) {
		dir := filepath.Join(root, fmt.Sprint("large", i))
		must(os.Mkdir(dir, 0o755))
		long := time.Unix(1000, 0)
		for j := range 2500 {
			path := filepath.Join(dir, fmt.Sprintf("%d-%s", j, strings.Repeat("x", 40)))
			must(os.WriteFile(path, nil, 0o644))
			must(os.Chtimes(path, long, long))
		}
		if rng.IntN(2) == 0 {
			must(os.WriteFile(filepath.Join(dir, "kept"), nil, 0o644))
		}
		dirs = append(dirs, dir)
	}
	for _, f := range files {
		stamp(f)
	}
	for _, d := range slices.Backward(dirs) {
		stamp(d)
	}
}

// truth is what should go, found slowly.
type truth struct {
	rule
	files, dirs []string // paths below the root
	size        int64    // of the files
	scanned     int64
}

func (w *truth) walk(t testing.TB, root string) {
	t.Helper()
	w.dir(t, root, "", 0)
	slices.Sort(w.files)
	slices.Sort(w.dirs)
}

func (w *truth) dir(t testing.TB, root, rel string, depth int) (goes bool) {
	old := w.old(filepath.Join(root, rel)) // before it is read
	entries, err := os.ReadDir(filepath.Join(root, rel))
	if err != nil {
		t.Fatal(err)
	}
	stays, went := false, false
	for _, e := range entries {
		path := rel + "/" + e.Name()
		switch {
		case w.exclude != "" && e.Name() == w.exclude:
			stays = true
		case e.IsDir():
			if w.maxDepth > 0 && depth+1 >= w.maxDepth || !w.dir(t, root, path, depth+1) {
				stays = true
			} else {
				went = true
			}
		case e.Type() != 0:
			stays = true
		default:
			info, err := e.Info()
			if err != nil {
				t.Fatal(err)
			}
			w.scanned += info.Size()
			if w.names(root + path) {
				w.files = append(w.files, path)
				w.size += info.Size()
				went = true
			} else {
				stays = true
			}
		}
	}
	if goes = w.emptyDirs && depth > 0 && !stays && (went || old); goes {
		w.dirs = append(w.dirs, rel)
	}
	return goes
}

// listing is all that is below a directory.
func listing(t testing.TB, root string) (all []string) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err == nil {
			all = append(all, fmt.Sprint(strings.TrimPrefix(path, root), " ", d.Type()))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(all)
	return all
}

// without is a listing without what should have gone.
func (w *truth) without(all []string) []string {
	gone := map[string]bool{}
	for _, path := range w.files {
		gone[path+" "+fs.FileMode(0).String()] = true
	}
	for _, path := range w.dirs {
		gone[path+" "+fs.ModeDir.String()] = true
	}
	return slices.DeleteFunc(slices.Clone(all), func(s string) bool { return gone[s] })
}
