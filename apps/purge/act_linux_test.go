package purge

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hydrawalk/hydra"
	"github.com/hydrawalk/hydra/internal/selection"
	"github.com/hydrawalk/hydra/walk"
	"golang.org/x/sys/unix"
)

// meanwhile is a handler that deletes the file "f", after something happened to it.
type meanwhile struct {
	*purger
	happens func()
	got     hydra.Act
}

func (m *meanwhile) File(ctx context.Context, e *walk.Entry) error {
	if e.Name() != "f" {
		return nil
	}
	st, err := e.Stat()
	if err != nil {
		return err
	}
	m.got = hydra.Act{Op: opRemove, Path: e.Path(), Stat: *st}
	if m.to != nil {
		m.got.Op, m.got.To = opMove, m.Settings.place("job", e.Path())
	}
	h, err := e.Hold()
	if err != nil {
		return err
	}
	defer h.Release()
	m.happens()
	m.Act(ctx, h, &m.got)
	return nil
}

// after tells what comes of deleting a file, old in all its times, to which something
// happened since it was looked at.
func after(t *testing.T, s Settings, happens func(path string)) (path string, got hydra.Act) {
	t.Helper()
	root := t.TempDir()
	path = filepath.Join(root, "d", "f")
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("old"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Link(path, filepath.Join(root, "other")); err != nil {
		t.Fatal(err)
	}
	setTimes(t, path, longAgo, longAgo)
	s.Purge = true
	if err := s.prepare(); err != nil {
		t.Fatal(err)
	}
	p, err := newPurger(&hydra.Worker[Settings, Stats]{Job: "job", Settings: s, Stats: newStats(s)})
	if err != nil {
		t.Fatal(err)
	}
	m := &meanwhile{purger: p, happens: func() { happens(path) }}
	totals, err := walk.Trees(t.Context(), []string{root}, func(int) (walk.Handler, error) { return m, nil }, &walk.Options{Workers: 1})
	if err != nil || totals.Errors > 0 {
		t.Fatal(err, totals.FirstError)
	}
	return path, m.got
}

var longAgo = time.Unix(1e9, 0)

func setTimes(t *testing.T, path string, atime, mtime time.Time) {
	t.Helper()
	if err := os.Chtimes(path, atime, mtime); err != nil {
		t.Fatal(err)
	}
}

func TestAFileIsLookedAtOnceMoreBeforeItIsDeleted(t *testing.T) {
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	var old, byAtime Settings
	must(old.OlderThan.Set("90d"))
	must(byAtime.OlderThan.Set("90d"))
	must(byAtime.Times.Set("atime"))
	byCtime := Settings{Selection: selection.Selection{OlderThan: 1, Times: selection.Times{"ctime"}}}
	another := func(path string) {
		must(os.Remove(path))
		must(os.WriteFile(path, []byte("new"), 0o644))
		setTimes(t, path, longAgo, longAgo)
	}
	for _, tt := range []struct {
		what    string
		s       Settings
		happens func(path string)
		want    hydra.ActResult
		stays   bool
	}{
		{"nothing", old, func(string) {}, hydra.ActDone, false},
		{"removed", old, func(path string) { must(os.Remove(path)) }, hydra.ActGone, false},
		{"written to", old, func(path string) { must(os.WriteFile(path, []byte("new"), 0o644)) }, hydra.ActChanged, true},
		{"longer, though not newer", old, func(path string) { must(os.Truncate(path, 99)); setTimes(t, path, longAgo, longAgo) }, hydra.ActChanged, true},
		{"another mode", old, func(path string) { must(os.Chmod(path, 0o600)) }, hydra.ActChanged, true},
		{"another file", old, another, hydra.ActChanged, true},
		{"a symbolic link", old, func(path string) { must(os.Remove(path)); must(os.Symlink("../other", path)) }, hydra.ActChanged, true},
		{"a directory", old, func(path string) { must(os.Remove(path)); must(os.Mkdir(path, 0o755)) }, hydra.ActChanged, true},
		{"a fifo", old, func(path string) { must(os.Remove(path)); must(unix.Mkfifo(path, 0o644)) }, hydra.ActChanged, true},
		{"its other name removed", old, func(path string) { must(os.Remove(filepath.Join(path, "../../other"))) }, hydra.ActDone, false},
		{"its other name removed, by ctime", byCtime, func(path string) {
			later(t, path)
			must(os.Remove(filepath.Join(path, "../../other")))
		}, hydra.ActDone, false},
		{"written to, its other name removed", old, func(path string) {
			must(os.WriteFile(path, []byte("new"), 0o644))
			must(os.Chtimes(path, longAgo, longAgo.Add(1)))
			must(os.Remove(filepath.Join(path, "../../other")))
		}, hydra.ActChanged, true},
		{"longer, its other name removed", old, func(path string) {
			must(os.Truncate(path, 99))
			setTimes(t, path, longAgo, longAgo)
			must(os.Remove(filepath.Join(path, "../../other")))
		}, hydra.ActChanged, true},
		{"a further name", old, func(path string) { must(os.Link(path, path+"2")) }, hydra.ActChanged, true},
		{"read, where that counts", byAtime, func(path string) { readIt(t, path) }, hydra.ActChanged, true},
		{"its directory moved", old, func(path string) {
			dir := filepath.Dir(path)
			must(os.Rename(dir, dir+"2"))
			must(os.Mkdir(dir, 0o755))
			must(os.WriteFile(path, []byte("new"), 0o644))
		}, hydra.ActDone, true}, // in the directory that was read
		{"its directory a link", old, func(path string) {
			dir := filepath.Dir(path)
			must(os.Rename(dir, dir+"2"))
			must(os.Mkdir(dir+"3", 0o755))
			must(os.Symlink(dir+"3", dir))
			must(os.WriteFile(path, []byte("victim"), 0o644))
		}, hydra.ActDone, true},
	} {
		path, got := after(t, tt.s, tt.happens)
		_, err := os.Lstat(path)
		if got.Result != tt.want || errors.Is(err, fs.ErrNotExist) == tt.stays {
			t.Errorf("%s: %s %s, want %s; what is there: %v", tt.what, got.Result, got.Error, tt.want, err)
		}
	}
}

// later returns when the file system's clock, which is a coarse one, has gone on.
func later(t *testing.T, path string) {
	t.Helper()
	for begun := time.Now(); ; {
		if err := os.WriteFile(path+".clock", []byte("x"), 0o644); err != nil {
			t.Fatal(err)
		}
		if st, err := os.Stat(path + ".clock"); err != nil || st.ModTime().After(begun) {
			return
		}
	}
}

// readIt reads a file, which sets its time of access and nothing else.
func readIt(t *testing.T, path string) {
	t.Helper()
	_, err := os.ReadFile(path)
	var st unix.Stat_t
	if err == nil {
		err = unix.Lstat(path, &st)
	}
	if err != nil {
		t.Fatal(err)
	}
	if st.Atim.Sec == longAgo.Unix() {
		t.Skip("not here: times of access")
	}
}

// A rename gives all names of a file another ctime.
func TestAllNamesOfAFileAreMovedAway(t *testing.T) {
	root := filepath.Join(t.TempDir(), "root")
	if err := os.Mkdir(root, 0o755); err != nil {
		t.Fatal(err)
	}
	first := filepath.Join(root, "0")
	if err := os.WriteFile(first, []byte("old"), 0o644); err != nil {
		t.Fatal(err)
	}
	for n := range 30 {
		if err := os.Link(first, filepath.Join(root, fmt.Sprint(n+1))); err != nil {
			t.Fatal(err)
		}
	}
	app := App()
	app.Settings.Purge, app.Settings.All, app.Settings.dir = true, true, filepath.Join(filepath.Dir(root), "q")
	r, err := hydra.Run(t.Context(), app, []string{root}, &hydra.Options{Acts: t.TempDir(), Workers: 2})
	if err != nil || r.Stats.Quarantined != 31 || r.Stats.Changed.Count != 0 {
		t.Errorf("%+v, %v", r, err)
	}
	for what, change := range map[string]func(string) error{
		"mode":     func(path string) error { return os.Chmod(path, 0o600) },
		"name":     func(path string) error { return os.Link(path, path+"2") },
		"contents": func(path string) error { return os.WriteFile(path, []byte("new"), 0) },
	} {
		_, got := after(t, Settings{All: true, dir: filepath.Join(t.TempDir(), "q")}, func(path string) {
			if err := change(path); err != nil {
				t.Fatal(err)
			}
		})
		if got.Result != hydra.ActChanged {
			t.Errorf("another %s: %s %s", what, got.Result, got.Error)
		}
	}
}

func TestWhatIsMovedAwayReplacesNothing(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "q")
	s := Settings{All: true, dir: dir}
	path, got := after(t, s, func(string) {})
	to := filepath.Join(dir, "job", path)
	if text, err := os.ReadFile(to); got.Result != hydra.ActDone || string(text) != "old" {
		t.Errorf("%+v: %s holds %q, %v", got, to, text, err)
	}
	if st, err := os.Stat(dir); err != nil || st.Mode().Perm() != 0o700 {
		t.Errorf("others may look into the quarantine: %v, %v", st.Mode(), err)
	}
	path, got = after(t, s, func(path string) {
		to = filepath.Join(dir, "job", path)
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to, []byte("there"), 0o644); err != nil {
			t.Fatal(err)
		}
	})
	text, _ := os.ReadFile(to)
	_, err := os.Stat(path)
	if got.Result != hydra.ActFailed || got.Error == "" || string(text) != "there" || err != nil {
		t.Errorf("%+v: %q is there, %v", got, text, err)
	}
}

func TestALinkInTheQuarantineIsNotFollowed(t *testing.T) {
	dir, victim := filepath.Join(t.TempDir(), "q"), t.TempDir()
	path, got := after(t, Settings{All: true, dir: dir}, func(path string) {
		first, _, _ := strings.Cut(path[1:], "/")
		if err := os.Symlink(victim, filepath.Join(dir, "job", first)); err != nil {
			t.Fatal(err)
		}
	})
	left, err := os.ReadDir(victim)
	if got.Result != hydra.ActFailed || len(left) > 0 || err != nil {
		t.Errorf("%+v: %v is in the victim, %v", got, left, err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Error(err)
	}
}

func TestAnOldDirectoryIsLookedAtOnceMore(t *testing.T) {
	for change, want := range map[string]hydra.ActResult{"none": hydra.ActDone, "seen by another host": hydra.ActDone, "replaced": hydra.ActChanged, "touched": hydra.ActChanged, "given away": hydra.ActChanged, "filled": hydra.ActChanged} {
		root := t.TempDir()
		dir := filepath.Join(root, "d")
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		base, err := walk.OpenBase(root)
		if err != nil {
			t.Fatal(err)
		}
		defer base.Close()
		a := &hydra.Act{Op: opRmdir}
		if err := base.Stat("d", &a.Stat); err != nil {
			t.Fatal(err)
		}
		switch change {
		case "touched":
			err = os.Chtimes(dir, time.Unix(1, 0), time.Unix(1, 0))
		case "seen by another host":
			a.Stat.Dev++
		case "replaced":
			a.Stat.Ino++
		case "given away":
			a.Stat.UID++
		case "filled":
			err = os.WriteFile(filepath.Join(dir, "f"), nil, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		if removeDir(base, "d", a, true); a.Result != want {
			t.Errorf("%s: %s %s, want %s", change, a.Result, a.Error, want)
		}
	}
}

// While the question waits somebody may put a link to another place at the path.
func TestTheRootIsGuardedWhenItIsOpen(t *testing.T) {
	home := t.TempDir()
	t.Setenv("HOME", home)
	file := filepath.Join(home, "f")
	if err := os.WriteFile(file, []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(home, link); err != nil {
		t.Fatal(err)
	}
	app := App()
	app.Settings.Purge, app.Settings.All = true, true
	_, err := hydra.Run(t.Context(), app, []string{link + "/"}, &hydra.Options{Acts: t.TempDir()})
	if err == nil || !strings.Contains(err.Error(), "a home directory of yours") {
		t.Errorf("%v", err)
	}
	if _, err := os.Stat(file); err != nil {
		t.Error(err)
	}
}

// TestAQuarantineThatSomebodyPreparedIsRefused prepares directories as others could, at
// each place of a quarantine.
func TestAQuarantineThatSomebodyPreparedIsRefused(t *testing.T) {
	for _, tt := range []struct {
		what  string
		spoil func(path string) error
	}{
		{"writable by the group", func(path string) error { return os.Chmod(path, 0o720) }},
		{"writable by others", func(path string) error { return os.Chmod(path, 0o702) }},
		{"sticky", func(path string) error { return os.Chmod(path, 0o777|fs.ModeSticky) }},
		{"of somebody else", func(path string) error { return os.Chown(path, 12345, -1) }},
		{"a link", func(path string) error {
			return errors.Join(os.Rename(path, path+"2"), os.Symlink(path+"2", path))
		}},
		{"a file", func(path string) error {
			return errors.Join(os.Rename(path, path+"2"), os.WriteFile(path, nil, 0o600))
		}},
	} {
		for at := range 4 {
			top := t.TempDir()
			places := []string{filepath.Join(top, "q")}
			for _, name := range []string{"job", "a", "b"} {
				places = append(places, filepath.Join(places[len(places)-1], name))
			}
			if err := os.MkdirAll(places[3], 0o700); err != nil {
				t.Fatal(err)
			}
			if err := tt.spoil(places[at]); errors.Is(err, fs.ErrPermission) {
				continue // not here
			} else if err != nil {
				t.Fatal(err)
			}
			q, err := openQuarantine(nil, places[0], "job", false)
			if (err == nil) != (at > 1) {
				t.Errorf("%s, %s: %v", places[at], tt.what, err)
			}
			if err == nil {
				if err := q.makeDirs("a/b"); err == nil {
					t.Errorf("%s, %s: files are moved there", places[at], tt.what)
				}
			}
			if at > 0 || tt.what == "a link" { // which Prepare resolves
				continue
			}
			var s Settings
			s.All, s.Purge, s.dir = true, true, places[0]
			if err := s.prepare(); err != nil {
				t.Fatal(err)
			}
			if _, err := confirm(s, []string{top}); err == nil {
				t.Errorf("%s, %s: it is asked about", places[at], tt.what)
			}
		}
	}
}

// Who makes a chain of thousands of directories must not make us write their square.
func TestDirectoriesWithVeryLongPathsStay(t *testing.T) {
	root := t.TempDir()
	base, err := walk.OpenBase(root)
	if err != nil {
		t.Fatal(err)
	}
	defer base.Close()
	name := strings.Repeat("d", 250)
	deep := strings.TrimSuffix(strings.Repeat(name+"/", longestNoted/len(name)+1), "/")
	if err := base.MakeDirs(deep, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := base.MakeDirs("short/short", 0o755); err != nil {
		t.Fatal(err)
	}
	app := App()
	app.Settings.Purge, app.Settings.All, app.Settings.EmptyDirs = true, true, true
	r, err := hydra.Run(t.Context(), app, []string{root}, &hydra.Options{Acts: t.TempDir()})
	if err != nil || r.Stats.DeletedDirs != 2 {
		t.Errorf("%d directories, %v", r.Stats.DeletedDirs, err)
	}
	var st walk.Stat
	if err := base.Stat(deep, &st); err != nil {
		t.Error(err)
	}
}

func TestAQuarantineThatIsTidiedMeanwhileIsMadeAnew(t *testing.T) {
	top := t.TempDir()
	q, err := openQuarantine(nil, filepath.Join(top, "q"), "job", false)
	if err != nil {
		t.Fatal(err)
	}
	root := filepath.Join(top, "root")
	for _, name := range []string{"1", "2"} {
		if err := errors.Join(os.MkdirAll(root, 0o755), os.WriteFile(filepath.Join(root, name), nil, 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	h := moving(func(held *walk.Held) error {
		defer os.RemoveAll(filepath.Join(top, "q/job/d"))
		return q.take(held, filepath.Join(q.path, "d/e", held.Name()))
	})
	totals, err := walk.Trees(t.Context(), []string{root}, func(int) (walk.Handler, error) { return h, nil }, &walk.Options{Workers: 1})
	if err != nil || totals.Errors > 0 || totals.ProcessedFiles != 2 {
		t.Errorf("%+v, %v", totals, err)
	}
}

type moving func(*walk.Held) error

func (m moving) File(_ context.Context, e *walk.Entry) error {
	h, err := e.Hold()
	if err != nil {
		return err
	}
	defer h.Release()
	return m(h)
}
