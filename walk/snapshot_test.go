package walk

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/fstest"

	"github.com/hydrawalk/hydra/internal/rawdir"
)

// plainTraits are those of an ordinary directory.
var plainTraits = rawdir.Traits{Dev: 1, Type: 2, FSID: 3, Mode: fs.ModeDir | 0o755}

// odd are ways in which a directory is not plainly an ordinary one.
var odd = map[string]func(*rawdir.Traits) error{
	"another device":      func(t *rawdir.Traits) error { t.Dev = 9; return nil },
	"another type":        func(t *rawdir.Traits) error { t.Type = 9; return nil },
	"another file system": func(t *rawdir.Traits) error { t.FSID = 9; return nil },
	"nobody may write":    func(t *rawdir.Traits) error { t.Mode = fs.ModeDir | 0o555; return nil },
	"it is read-only":     func(t *rawdir.Traits) error { t.ReadOnly = true; return nil },
	"it can not be told":  func(t *rawdir.Traits) error { t.MadeUp = true; return nil },
	"an error":            func(*rawdir.Traits) error { return syscall.EIO },
}

// traced is a directory with other traits, and with others below it.
type traced struct {
	rawdir.Dir
	name  string
	world *world
}

// world says what directories of a name are like.
type world struct {
	open   map[string]error
	traits map[string]func(*rawdir.Traits) error
}

func (d traced) OpenDir(name rawdir.Name) (rawdir.Dir, bool, error) {
	if err := d.world.open[name.String()]; err != nil {
		return nil, false, err
	}
	sub, same, err := d.Dir.OpenDir(name)
	return traced{sub, name.Clone().String(), d.world}, same, err
}

func (d traced) Traits(t *rawdir.Traits) error {
	*t = plainTraits
	if change := d.world.traits[d.name]; change != nil {
		return change(t)
	}
	return nil
}

// snapshotCalls is a handler that sees snapshots. Several workers may share it.
type snapshotCalls struct {
	mu   sync.Mutex
	seen []string
	left []string
}

func (c *snapshotCalls) File(_ context.Context, e *Entry) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen = append(c.seen, e.Path())
	return nil
}

func (c *snapshotCalls) Snapshot(_ context.Context, d *Dir) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.left = append(c.left, d.Path())
}

// through walks fsys as a world says it is.
func through(t *testing.T, w *world, fsys fs.FS, o Options, roots ...string) (*snapshotCalls, Totals) {
	t.Helper()
	o.FS = fsys
	p := newPool(&o)
	open := p.opener
	p.opener = func(path string, follow bool) (rawdir.Dir, error) {
		d, err := open(path, follow)
		return traced{d, path, w}, err
	}
	h := &snapshotCalls{}
	got, err := p.trees(t.Context(), roots, func(int) (Handler, error) { return h, nil }, &o)
	if err != nil {
		t.Error(err)
	}
	if got.FoundDirs != got.ExpectedDirs() {
		t.Errorf("directories are not accounted for: %+v", got)
	}
	slices.Sort(h.seen)
	slices.Sort(h.left)
	return h, got
}

func TestADirectoryNamedAsASnapshotIsWalkedOnlyIfItIsPlain(t *testing.T) {
	for _, name := range []string{".snapshot", "~snapshot", ".zfs"} {
		fsys := files(1, "a/", "a/f", "a/"+name+"/", "a/"+name+"/f", "a/"+name+"/b/", "a/"+name+"/b/f")
		check := func(what string, w *world, o Options, seen []string, left ...string) {
			t.Helper()
			h, got := through(t, w, fsys, o, ".")
			if !slices.Equal(h.seen, seen) || !slices.Equal(h.left, left) {
				t.Errorf("%s, %s: entries %q, want %q; left out %q, want %q", name, what, h.seen, seen, h.left, left)
			}
			n := int64(len(left))
			if got.SnapshotDirs != n || got.FilteredDirs != n || got.Errors != 0 || got.ProcessedDirs != 4-2*n {
				t.Errorf("%s, %s: %+v", name, what, got)
			}
		}
		in := "a/" + name
		all, outside := []string{in + "/b/f", in + "/f", "a/f", "f000"}, []string{"a/f", "f000"}
		slices.Sort(all)
		check("plain", &world{}, Options{}, all)
		for what, change := range odd {
			w := &world{traits: map[string]func(*rawdir.Traits) error{name: change}}
			check(what, w, Options{}, outside, in)
			check(what, w, Options{Snapshots: true, Workers: 3}, all)
		}
		check("its parent can not be asked", &world{traits: map[string]func(*rawdir.Traits) error{"a": odd["an error"]}}, Options{}, outside, in)
		check("it can not be opened", &world{open: map[string]error{name: syscall.EACCES}}, Options{}, outside, in)
		check("another mount, and they are not left", &world{traits: map[string]func(*rawdir.Traits) error{name: odd["another device"]}}, Options{OneFileSystem: true}, outside, in)
		// A root is walked whatever it is, and those around it leave it to itself.
		w := &world{traits: map[string]func(*rawdir.Traits) error{name: odd["nobody may write"]}}
		for _, roots := range [][]string{{in}, {"a/f", in}} {
			if h, got := through(t, w, fsys, Options{}, roots...); !slices.Contains(h.seen, in+"/b/f") || got.SnapshotDirs != 0 {
				t.Errorf("roots %q: %q, %+v", roots, h.seen, got)
			}
		}
		for _, below := range []string{in, in + "/b", in + "/f"} {
			h, got := through(t, w, fsys, Options{}, ".", below)
			came := slices.ContainsFunc(h.seen, func(p string) bool { return strings.HasPrefix(p, below) })
			if got.SnapshotDirs != 1 || !came {
				t.Errorf("and %s: %q, %+v", below, h.seen, got)
			}
			h, got = through(t, &world{}, fsys, Options{}, ".", below)
			if !slices.Equal(h.seen, all) || got.SnapshotDirs != 0 {
				t.Errorf("plain, and %s: %q, %+v", below, h.seen, got)
			}
		}
	}
}

func TestOtherNamesAreNotThoseOfSnapshots(t *testing.T) {
	for _, name := range []string{"", ".", "~", ".snapshots", ".snapshot2", "snapshot", ".Snapshot", "~snapshot~", ".zf", "zfs", "x.zfs"} {
		if isSnapshotName(name) {
			t.Errorf("%q", name)
		}
	}
	h, got := through(t, &world{traits: map[string]func(*rawdir.Traits) error{".snapshots": odd["nobody may write"]}}, files(0, ".snapshots/", ".snapshots/f", ".snapshot"), Options{}, ".")
	if want := []string{".snapshot", ".snapshots/f"}; !slices.Equal(h.seen, want) || got.SnapshotDirs != 0 {
		t.Errorf("%q, %+v", h.seen, got)
	}
}

func TestWithoutDescriptorsAPlainDirectoryIsNoSnapshot(t *testing.T) {
	w := &world{open: map[string]error{".snapshot": syscall.EMFILE}}
	_, got := through(t, w, files(0, ".snapshot/"), Options{}, ".")
	if got.FailedDirs != 1 || got.SnapshotDirs != 0 {
		t.Errorf("%+v", got)
	}
}

func TestAHandlerThatPanicsOverASnapshotFailsTheWalk(t *testing.T) {
	m := fstest.MapFS{".snapshot/f": {}} // its mode is made up: nobody may write
	_, err := Trees(t.Context(), []string{"."}, func(int) (Handler, error) { return panics{&snapshotCalls{}}, nil }, &Options{FS: m})
	var p *PanicError
	if !errors.As(err, &p) {
		t.Errorf("%v", err)
	}
}

type panics struct{ *snapshotCalls }

func (panics) Snapshot(context.Context, *Dir) { panic("own") }

// An item may be a snapshot, or lie below a directory that was found to be none
// elsewhere.
func TestWhoTakesUpAnItemJudgesAsWhoFindsADirectory(t *testing.T) {
	fsys := files(0, "a/.snapshot/", "a/.snapshot/f", "a/.zfs/", "a/.zfs/f", "a/.zfs/b/", "a/.zfs/b/f", "a/~snapshot/")
	w := &world{
		traits: map[string]func(*rawdir.Traits) error{".zfs": odd["it is read-only"]},
		open:   map[string]error{"~snapshot": syscall.EACCES},
	}
	h := &snapshotCalls{}
	o := ShareOptions{Options: Options{FS: fsys}, NewHandler: func(int) (Handler, error) { return h, nil }}
	o.tune = func(s *Shared) {
		open := s.p.opener
		s.p.opener = func(path string, follow bool) (rawdir.Dir, error) {
			d, err := open(path, follow)
			return traced{d, path, w}, err
		}
	}
	s, changed := watched(t, &calls{}, 2, o)
	s.Add([]Item{
		{Path: []byte("a/.snapshot")},
		{Path: []byte("a/.zfs")},
		{Path: []byte("a/.zfs/b")}, // where it was found, .zfs was plain
		{Path: []byte("a/~snapshot")},
	})
	for s.Load().Pending > 0 {
		<-changed
	}
	cut, err := s.Cut(t.Context(), nil)
	if err != nil || len(cut.Items) > 0 {
		t.Errorf("%+v, %v", cut, err)
	}
	slices.Sort(h.seen)
	slices.Sort(h.left)
	if want := []string{"a/.snapshot/f", "a/.zfs/b/f"}; !slices.Equal(h.seen, want) {
		t.Errorf("entries %q, want %q", h.seen, want)
	}
	if want := []string{"a/.zfs", "a/~snapshot"}; !slices.Equal(h.left, want) {
		t.Errorf("left out %q, want %q", h.left, want)
	}
	if c := cut.Totals; c.SnapshotDirs != 2 || c.FilteredDirs != 2 || c.ProcessedDirs != 2 || c.Errors != 0 {
		t.Errorf("%+v", c)
	}
}

func TestARootNamedAsASnapshotThatCanNotBeOpenedIsAnError(t *testing.T) {
	if _, got := through(t, &world{}, files(1), Options{}, ".snapshot"); got.FailedDirs != 1 || got.SnapshotDirs != 0 || got.Errors != 1 {
		t.Errorf("%+v", got)
	}
}
