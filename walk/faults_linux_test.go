package walk_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/hydrawalk/hydra/internal/faultfs"
	"github.com/hydrawalk/hydra/walk"
)

// faulty is a tree in which d is what a test breaks.
func faulty() faultfs.Tree {
	return faultfs.Tree{
		"d/f":     faultfs.File(3),
		"d/sub/f": faultfs.File(5),
		"ok/f":    faultfs.File(7),
		"ok/sub":  faultfs.Dir(),
		"f":       faultfs.File(11),
		"link":    faultfs.Symlink("f"),
	}
}

// without is what a walk of faulty finds, but for some paths and what is below.
func without(m *faultfs.Mounted, gone ...string) map[string]fs.FileMode {
	want := map[string]fs.FileMode{m.Root: fs.ModeDir}
	for name, typ := range map[string]fs.FileMode{
		"d": fs.ModeDir, "d/f": 0, "d/sub": fs.ModeDir, "d/sub/f": 0,
		"ok": fs.ModeDir, "ok/f": 0, "ok/sub": fs.ModeDir, "f": 0, "link": fs.ModeSymlink,
	} {
		want[m.Path(name)] = typ
	}
	for _, g := range gone {
		maps.DeleteFunc(want, func(p string, _ fs.FileMode) bool {
			return p == m.Path(g) || strings.HasPrefix(p, m.Path(g)+"/")
		})
	}
	return want
}

// stale is how ESTALE is said, which systems do in their ways.
var stale = syscall.ESTALE.Error()

func TestAFaultIsAnErrorOfItsEntryAndTheRestIsWalked(t *testing.T) {
	for _, c := range []struct {
		name   string
		op     faultfs.Op
		path   string
		rule   faultfs.Rule
		errors []string // "op path: cause"
		gone   []string
		// Of directories and of files:
		failedDirs, vanishedDirs, failedFiles, vanishedFiles int64
	}{
		{"open EIO", faultfs.OpenDir, "d", faultfs.Rule{Err: syscall.EIO}, []string{"open d: input/output error"}, []string{"d"}, 1, 0, 0, 0},
		{"open EACCES", faultfs.OpenDir, "d", faultfs.Rule{Err: syscall.EACCES}, []string{"open d: permission denied"}, []string{"d"}, 1, 0, 0, 0},
		{"open ESTALE", faultfs.OpenDir, "d", faultfs.Rule{Err: syscall.ESTALE}, []string{"open d: " + stale}, []string{"d"}, 1, 0, 0, 0},
		{"open ENOENT", faultfs.OpenDir, "d", faultfs.Rule{Err: syscall.ENOENT}, nil, []string{"d"}, 0, 1, 0, 0},
		{"lookup EIO", faultfs.Lookup, "d", faultfs.Rule{Err: syscall.EIO}, []string{"open d: input/output error"}, []string{"d"}, 1, 0, 0, 0},
		{"lookup EACCES", faultfs.Lookup, "d", faultfs.Rule{Err: syscall.EACCES}, []string{"open d: permission denied"}, []string{"d"}, 1, 0, 0, 0},
		{"lookup ENOENT", faultfs.Lookup, "d", faultfs.Rule{Err: syscall.ENOENT}, nil, []string{"d"}, 0, 1, 0, 0},
		{"lookup ENOENT of an empty directory", faultfs.Lookup, "ok/sub", faultfs.Rule{Err: syscall.ENOENT}, nil, []string{"ok/sub"}, 0, 1, 0, 0},
		{"lookup ESTALE", faultfs.Lookup, "d", faultfs.Rule{Err: syscall.ESTALE}, []string{"open d: " + stale}, []string{"d"}, 1, 0, 0, 0},
		{"readdir EIO", faultfs.ReadDir, "d", faultfs.Rule{Err: syscall.EIO}, []string{"readdir d: input/output error"}, []string{"d/f", "d/sub"}, 1, 0, 0, 0},
		{"readdir EIO midway", faultfs.ReadDir, "d", faultfs.Rule{After: 1, Err: syscall.EIO}, []string{"readdir d: input/output error"}, []string{"d/sub"}, 1, 0, 0, 0},
		{"readdir EIO at the end", faultfs.ReadDir, "d", faultfs.Rule{After: 2, Err: syscall.EIO}, []string{"readdir d: input/output error"}, nil, 1, 0, 0, 0},
		{"readdir ESTALE", faultfs.ReadDir, "d", faultfs.Rule{Err: syscall.ESTALE}, []string{"readdir d: " + stale}, []string{"d/f", "d/sub"}, 1, 0, 0, 0},
		{"removed while it is read", faultfs.ReadDir, "d", faultfs.Rule{After: 1, Err: syscall.ENOENT}, nil, []string{"d/sub"}, 0, 1, 0, 0},
		{"stat EIO", faultfs.GetAttr, "d/f", faultfs.Rule{Err: syscall.EIO}, []string{"stat d/f: input/output error"}, []string{"d/f"}, 0, 0, 1, 0},
		{"stat EACCES", faultfs.GetAttr, "d/f", faultfs.Rule{Err: syscall.EACCES}, []string{"stat d/f: permission denied"}, []string{"d/f"}, 0, 0, 1, 0},
		{"stat ENOENT", faultfs.GetAttr, "d/f", faultfs.Rule{Err: syscall.ENOENT}, nil, []string{"d/f"}, 0, 0, 0, 1},
		{"file ENOENT", faultfs.Lookup, "d/f", faultfs.Rule{Err: syscall.ENOENT}, nil, []string{"d/f"}, 0, 0, 0, 1},
		{"file ESTALE", faultfs.Lookup, "d/f", faultfs.Rule{Err: syscall.ESTALE}, []string{"stat d/f: " + stale}, []string{"d/f"}, 0, 0, 1, 0},
		{"link ENOENT", faultfs.Lookup, "link", faultfs.Rule{Err: syscall.ENOENT}, nil, []string{"link"}, 0, 0, 0, 1},
		{"readdir of the root", faultfs.ReadDir, ".", faultfs.Rule{Err: syscall.EIO}, []string{"readdir .: input/output error"}, []string{"d", "ok", "f", "link"}, 1, 0, 0, 0},
		{"open of the root", faultfs.OpenDir, ".", faultfs.Rule{Err: syscall.EIO}, []string{"open .: input/output error"}, []string{"d", "ok", "f", "link", "."}, 1, 0, 0, 0},
		// A root was not listed: it can not vanish.
		{"the root is gone", faultfs.OpenDir, ".", faultfs.Rule{Err: syscall.ENOENT}, []string{"open .: no such file or directory"}, []string{"d", "ok", "f", "link", "."}, 1, 0, 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			noLeaks(t)
			m := faultfs.Mount(t, faulty())
			m.On(c.op, c.path, c.rule)
			for _, workers := range []int{1, 8} {
				got := take(t.Context(), t, how{Options: walk.Options{Workers: workers}, stat: true}, m.Root)
				var want []string
				for _, e := range c.errors {
					op, rest, _ := strings.Cut(e, " ")
					path, cause, _ := strings.Cut(rest, ":")
					want = append(want, op+" "+m.Path(path)+":"+cause)
				}
				got.wantErrors(t, want...)
				same(t, "entries", got.entries, without(m, c.gone...))
				tot := got.totals
				if got.err != nil || tot.FailedDirs != c.failedDirs || tot.VanishedDirs != c.vanishedDirs || tot.FailedFiles != c.failedFiles || tot.VanishedFiles != c.vanishedFiles {
					t.Errorf("%d workers: %v, %+v", workers, got.err, tot)
				}
				if tot.Complete() != (len(c.errors) == 0) {
					t.Errorf("complete: %v", tot.Complete())
				}
				for path := range got.entries {
					if _, left := got.left[path]; got.entries[path] == fs.ModeDir && !left {
						t.Errorf("%q was entered, but not left", path)
					}
				}
			}
		})
	}
}

func TestAnInterruptedCallIsMadeAgain(t *testing.T) {
	noLeaks(t)
	m := faultfs.Mount(t, faulty())
	for _, workers := range []int{1, 8} {
		for _, op := range []faultfs.Op{faultfs.Lookup, faultfs.GetAttr, faultfs.OpenDir, faultfs.ReadDir} {
			for _, path := range []string{".", "d", "d/f", "link"} {
				m.On(op, path, faultfs.Rule{Times: 3, Err: syscall.EINTR})
			}
			got := take(t.Context(), t, how{Options: walk.Options{Workers: workers}, stat: true}, m.Root)
			got.complete(t)
			same(t, "entries", got.entries, without(m))
		}
	}
}

func TestAListingThatBreaksMidwayKeepsWhatItGave(t *testing.T) {
	noLeaks(t)
	m := faultfs.Mount(t, faultfs.Tree{
		"files": faultfs.Many(5000, faultfs.File(1)),
		"dirs":  faultfs.Many(2000, faultfs.Dir()),
	})
	m.On(faultfs.ReadDir, "files", faultfs.Rule{After: 3456, Err: syscall.EIO})
	m.On(faultfs.ReadDir, "dirs", faultfs.Rule{After: 1234, Err: syscall.EIO})
	for _, workers := range someWorkers {
		got := take(t.Context(), t, how{Options: walk.Options{Workers: workers}}, m.Root)
		got.wantErrors(t, "readdir "+m.Path("dirs")+": input/output error", "readdir "+m.Path("files")+": input/output error")
		if tot := got.totals; tot.ProcessedFiles != 3456 || tot.ProcessedDirs != 1+1234 || tot.FailedDirs != 2 {
			t.Errorf("%+v", tot)
		}
		if f, d := got.left[m.Path("files")].Files, got.left[m.Path("dirs")].Dirs; f != 3456 || d != 1234 {
			t.Errorf("counts are %d files and %d directories", f, d)
		}
	}
}

func TestWhatChangedItsTypeIsNotFollowed(t *testing.T) {
	noLeaks(t)
	m := faultfs.Mount(t, faultfs.Tree{
		"dir-file":  faultfs.File(3).ListedAs(fs.ModeDir),
		"dir-link":  faultfs.Symlink("elsewhere").ListedAs(fs.ModeDir),
		"dir-root":  faultfs.Symlink("/").ListedAs(fs.ModeDir),
		"file-dir":  faultfs.Dir().ListedAs(0),
		"link-dir":  faultfs.Dir().ListedAs(fs.ModeSymlink),
		"file-link": faultfs.Symlink("elsewhere").ListedAs(0),
		"link-file": faultfs.File(5).ListedAs(fs.ModeSymlink),
		"elsewhere": faultfs.Many(3, faultfs.File(1)),
	})
	for _, workers := range someWorkers {
		got := take(t.Context(), t, how{Options: walk.Options{Workers: workers}, stat: true}, m.Root)
		got.complete(t)
		want := map[string]fs.FileMode{
			m.Root: fs.ModeDir, m.Path("elsewhere"): fs.ModeDir,
			m.Path("elsewhere/e0"): 0, m.Path("elsewhere/e1"): 0, m.Path("elsewhere/e2"): 0,
			m.Path("file-link"): fs.ModeSymlink, m.Path("link-file"): 0,
		}
		same(t, "entries", got.entries, want)
		// The directories that were listed are gone, and so are the two that are
		// not what was listed.
		if tot := got.totals; tot.VanishedDirs != 3 || tot.VanishedFiles != 2 || tot.FoundDirs != 5 {
			t.Errorf("%+v", tot)
		}
	}
}

func TestWhatFilterFindsToHaveChangedIsCountedAsWhatItIs(t *testing.T) {
	noLeaks(t)
	m := faultfs.Mount(t, faultfs.Tree{
		"dir-file":  faultfs.File(3).ListedAs(fs.ModeDir),
		"dir-link":  faultfs.Symlink("x").ListedAs(fs.ModeDir),
		"file-link": faultfs.Symlink("x").ListedAs(0),
	})
	got := take(t.Context(), t, how{Options: walk.Options{Workers: 1}, filter: func(_ *walk.Dir, entries []walk.Entry) []walk.Entry {
		for i := range entries {
			if _, err := entries[i].Stat(); err != nil {
				t.Error(err)
			}
		}
		return entries
	}}, m.Root)
	got.complete(t)
	if tot := got.totals; tot.FoundDirs != tot.ProcessedDirs+tot.VanishedDirs || tot.FilteredDirs != 0 || tot.FilteredFiles != 0 {
		t.Errorf("nothing was filtered: %+v", tot)
	}
	if n := got.totals.VanishedDirs + got.totals.ProcessedFiles; n != 3 {
		t.Errorf("%d of 3 entries: %+v", n, got.totals)
	}
}

func TestTypesThatAreNotListedAreAskedFor(t *testing.T) {
	noLeaks(t)
	tree := faulty()
	for p, n := range tree {
		tree[p] = n.ListedAs(faultfs.Unknown)
	}
	tree["d"], tree["d/sub"], tree["ok"] = faultfs.Dir().ListedAs(faultfs.Unknown), faultfs.Dir().ListedAs(faultfs.Unknown), faultfs.Dir().ListedAs(faultfs.Unknown)
	m := faultfs.Mount(t, tree)
	for _, workers := range someWorkers {
		for name, filter := range map[string]func(*walk.Dir, []walk.Entry) []walk.Entry{
			"no Filter": nil,
			"Filter":    keepAll,
			"Filter that asks": func(_ *walk.Dir, entries []walk.Entry) []walk.Entry {
				for i := range entries {
					if entries[i].Type() == fs.ModeIrregular {
						t.Errorf("%q has no type", entries[i].Path())
					}
				}
				return entries
			},
		} {
			got := take(t.Context(), t, how{Options: walk.Options{Workers: workers}, stat: true, filter: filter}, m.Root)
			got.complete(t)
			same(t, name, got.entries, without(m))
			if c := got.left[m.Root]; c != (walk.DirCounts{Dirs: 2, Files: 1, Other: 1}) {
				t.Errorf("%s: counts %+v", name, c)
			}
			if got.totals.Bytes != 3+5+7+11 {
				t.Errorf("%s: %d bytes", name, got.totals.Bytes)
			}
		}
	}
	// The handler asks for nothing, so the walk has to.
	m.On(faultfs.Lookup, "f", faultfs.Rule{Err: syscall.ENOENT})
	m.On(faultfs.GetAttr, "link", faultfs.Rule{Err: syscall.EIO})
	m.On(faultfs.Lookup, "d", faultfs.Rule{Err: syscall.EACCES})
	for _, filter := range []func(*walk.Dir, []walk.Entry) []walk.Entry{nil, keepAll} {
		got := take(t.Context(), t, how{Options: walk.Options{Workers: 2}, filter: filter}, m.Root)
		got.wantErrors(t, "stat "+m.Path("d")+": permission denied", "stat "+m.Path("link")+": input/output error")
		same(t, "what has a type", got.entries, without(m, "f", "link", "d"))
		if tot := got.totals; tot.VanishedFiles != 1 || tot.FailedFiles != 2 {
			t.Errorf("%+v", tot)
		}
	}
}

func TestALoopIsAnErrorAndNotEntered(t *testing.T) {
	noLeaks(t)
	m := faultfs.Mount(t, faultfs.Tree{
		"a/b/up":    faultfs.Loop("a"),
		"a/b/f":     faultfs.File(1),
		"a/itself":  faultfs.Loop("."),
		"side/also": faultfs.Loop("a/b"), // no loop: the same by another way
	})
	for _, workers := range someWorkers {
		for _, one := range []bool{false, true} {
			got := take(t.Context(), t, how{Options: walk.Options{Workers: workers, OneFileSystem: one}}, m.Root)
			got.wantErrors(t,
				"open "+m.Path("a/b/up")+": file system loop: the same directory as "+m.Path("a"),
				"open "+m.Path("a/itself")+": file system loop: the same directory as "+m.Root,
				"open "+m.Path("side/also/up/b")+": file system loop: the same directory as "+m.Path("side/also"),
				"open "+m.Path("side/also/up/itself")+": file system loop: the same directory as "+m.Root)
			want := map[string]fs.FileMode{m.Root: fs.ModeDir}
			for name, typ := range map[string]fs.FileMode{
				"a": fs.ModeDir, "a/b": fs.ModeDir, "a/b/f": 0,
				"side": fs.ModeDir, "side/also": fs.ModeDir, "side/also/f": 0, "side/also/up": fs.ModeDir,
			} {
				want[m.Path(name)] = typ
			}
			same(t, fmt.Sprint(workers, " workers"), got.entries, want)
		}
	}
}

// hangs are calls that may hang, in d of hanging.
var hangs = []struct {
	name string
	op   faultfs.Op
	path string
}{
	{"find", faultfs.Lookup, "d"},
	{"open", faultfs.OpenDir, "d"},
	{"read", faultfs.ReadDir, "d"},
	{"stat", faultfs.GetAttr, "d/e1"},
}

func hanging() faultfs.Tree {
	tree := faultfs.Tree{"d": faultfs.Many(3, faultfs.File(10))}
	for i := range 40 {
		tree[fmt.Sprint(i)] = faultfs.Many(20, faultfs.File(1))
	}
	return tree
}

func TestACallThatHangsHoldsUpNobodyElse(t *testing.T) {
	for _, c := range hangs {
		for _, workers := range []int{2, 8, 0} {
			t.Run(fmt.Sprint(c.name, workers), func(t *testing.T) {
				noLeaks(t)
				m := faultfs.Mount(t, hanging())
				hang := faultfs.NewHang()
				m.On(c.op, c.path, faultfs.Rule{Hang: hang})
				var mu sync.Mutex
				others := 0
				released := false
				got := take(t.Context(), t, how{Options: walk.Options{Workers: workers}, stat: true, leave: func(d *walk.Dir) error {
					mu.Lock()
					defer mu.Unlock()
					switch {
					case d.Name() == "d":
						if !released {
							t.Error("a hanging directory was left")
						}
					case d.Depth() == 1:
						// The last one of the others waits for the call that hangs.
						if others++; others == 40 {
							<-hang.Reached()
							released = true
							hang.Release()
						}
					}
					return nil
				}}, m.Root)
				got.complete(t)
				if tot := got.totals; tot.ProcessedDirs != 42 || tot.ProcessedFiles != 803 || tot.Bytes != 830 {
					t.Errorf("%+v", tot)
				}
			})
		}
	}
}

func TestAWalkThatIsCancelledWhileACallHangsEndsWithThatCall(t *testing.T) {
	for _, c := range hangs {
		for _, workers := range []int{1, 8} {
			t.Run(fmt.Sprint(c.name, workers), func(t *testing.T) {
				noLeaks(t)
				m := faultfs.Mount(t, hanging())
				hang := faultfs.NewHang()
				m.On(c.op, c.path, faultfs.Rule{Hang: hang})
				ctx, cancel := context.WithCancelCause(t.Context())
				var cancelling sync.WaitGroup
				cancelling.Go(func() {
					<-hang.Reached()
					cancel(errBroken)
					hang.Release()
				})
				got := take(ctx, t, how{Options: walk.Options{Workers: workers}, stat: true}, m.Root)
				cancelling.Wait()
				if got.err == nil && got.totals.Complete() && got.totals.ProcessedFiles == 803 {
					return // the walk was over before it saw that
				}
				if !errors.Is(got.err, errBroken) || got.totals.QueuedDirs == 0 || got.totals.Errors != 0 {
					t.Errorf("%v, %+v", got.err, got.totals)
				}
			})
		}
	}
}

func TestTheKernelIsAskedForNothingTwice(t *testing.T) {
	noLeaks(t)
	tree := faultfs.Tree{}
	for i := range 50 {
		tree[fmt.Sprint(i)] = faultfs.Many(20, faultfs.File(1))
		tree[fmt.Sprint("x/", i, "/y")] = faultfs.Dir()
	}
	m := faultfs.Mount(t, tree)
	const dirs, files = 1 + 50 + 1 + 50 + 50, 1000
	for _, stat := range []bool{false, true} {
		before := m.Counts()
		got := take(t.Context(), t, how{Options: walk.Options{Workers: 1}, stat: stat}, m.Root)
		got.complete(t)
		if got.totals.ProcessedDirs != dirs || got.totals.ProcessedFiles != files {
			t.Errorf("%+v", got.totals)
		}
		c := m.Counts()
		lookups, attrs, opens := c.Lookup-before.Lookup, c.GetAttr-before.GetAttr, c.OpenDir-before.OpenDir
		wantLookups, wantAttrs := int64(dirs), int64(dirs)
		if stat {
			wantLookups, wantAttrs = dirs+files, dirs+files
		}
		// The root is looked at in other ways.
		if lookups > wantLookups || attrs > wantAttrs+5 || opens != dirs {
			t.Errorf("with stat %v: %d lookups, %d attributes, %d opens; want %d, %d, %d", stat, lookups, attrs, opens, wantLookups, wantAttrs, dirs)
		}
	}
}

func TestAHugeDirectoryOfTheKernelIsNeverHeldWhole(t *testing.T) {
	noLeaks(t)
	n := 500_000
	switch {
	case long:
		n = 10_000_000
	case testing.Short():
		n = 100_000
	}
	m := faultfs.Mount(t, faultfs.Tree{"huge": faultfs.Many(n, faultfs.File(1)), "wide": faultfs.Many(n/100, faultfs.Dir())})
	for _, workers := range []int{1, 8} {
		p := newPeak()
		totals, err := walk.Trees(t.Context(), []string{m.Root}, func(int) (walk.Handler, error) { return looker{p}, nil }, &walk.Options{Workers: workers})
		if err != nil || !totals.Complete() || totals.ProcessedFiles != int64(n) || totals.ProcessedDirs != int64(3+n/100) {
			t.Errorf("%d workers: %v, %+v", workers, err, totals)
		}
		p.below(t, heldPart)
	}
}
