package hydra

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/hydrawalk/hydra/walk"
)

// shelveApp moves files called *.old to a directory.
func shelveApp(to string) *App[struct{}, sweepStats] {
	app := sweepApp()
	app.Name, app.Tail = "shelve", nil
	app.NewHandler = func(_ context.Context, w *Worker[struct{}, sweepStats]) (walk.Handler, error) {
		base, err := walk.OpenBase(to)
		return &shelver{sweeper{w}, base, to, ""}, err
	}
	return app
}

type shelver struct {
	sweeper
	base *walk.Base
	to   string
	job  string // a directory in it
}

func (s *shelver) File(ctx context.Context, e *walk.Entry) error {
	if !strings.HasSuffix(e.Name(), ".old") {
		return nil
	}
	if _, err := e.Stat(); err != nil {
		return err
	}
	return s.w.Plan(ctx, e, walk.OpMove, filepath.Join(s.to, s.job, e.Path()))
}

func (s *shelver) Act(_ context.Context, h *walk.Held, a *Act) {
	path := strings.TrimPrefix(a.To, s.to+"/")
	err := s.base.MakeDirs(filepath.Dir(path), 0o700)
	if err == nil {
		err = h.Move(s.base, path)
	}
	if a.Result = ActDone; err != nil {
		a.Result, a.Error = ActFailed, err.Error()
	}
}

func TestWhatWasMovedComesBack(t *testing.T) {
	for _, name := range []string{"plain", "\xff\n-odd"} {
		dir := t.TempDir()
		root, shelf := filepath.Join(dir, name), filepath.Join(dir, "shelf")
		for _, f := range []string{"a/1.old", "a/2", "b/c/3.old", "b/c/\xffé\n.old", "-x.old"} {
			path := filepath.Join(root, f)
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(f), 0o640); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Mkdir(shelf, 0o700); err != nil {
			t.Fatal(err)
		}
		before, _ := filesBelow(t, root)
		r, err := Run(t.Context(), shelveApp(shelf), []string{root}, &Options{Acts: t.TempDir()})
		if err != nil || r.Stats.Done != 4 || !r.IsComplete() {
			t.Fatalf("%v %+v %v", err, r.Stats, r.Errors)
		}
		if now, _ := filesBelow(t, root); len(now) != 1 {
			t.Fatalf("moved: %q", now)
		}
		records, err := os.ReadFile(r.Acts)
		if err != nil {
			t.Fatal(err)
		}
		// Whoever wrote it down died before one outcome, and in the midst of a line.
		lines := strings.SplitAfter(string(records), "\n")
		last := -1
		for i, l := range lines {
			if strings.Contains(l, `"state":"done"`) {
				last = i
			}
		}
		torn := []byte(strings.Join(slices.Delete(slices.Clone(lines), last, last+1), "") + lines[last][:20])
		// A directory is gone, and something new has one of the names.
		if err := os.Remove(filepath.Join(root, "b", "c")); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, "a", "1.old"), []byte("new"), 0o644); err != nil {
			t.Fatal(err)
		}
		undo := func(dry bool) (*Undone, []string) {
			t.Helper()
			var failed []string
			r := bytes.NewReader(torn)
			r.Seek(0, io.SeekEnd) // as after it was written
			u, err := Undo(t.Context(), r, &UndoOptions{DryRun: dry, Failed: func(path string, err error) { failed = append(failed, path) }})
			if err != nil {
				t.Fatal(err)
			}
			return u, failed
		}
		if u, _ := undo(true); u.Restored != 4 || u.Failed != 0 {
			t.Errorf("%q: dry: %+v", name, *u)
		}
		u, failed := undo(false)
		if u.Restored != 3 || u.Failed != 1 || len(failed) != 1 || failed[0] != filepath.Join(root, "a", "1.old") || u.App != "shelve" {
			t.Errorf("%q: %+v %q", name, *u, failed)
		}
		if text, _ := os.ReadFile(filepath.Join(root, "a", "1.old")); string(text) != "new" {
			t.Errorf("it was replaced: %q", text)
		}
		if err := os.Remove(filepath.Join(root, "a", "1.old")); err != nil {
			t.Fatal(err)
		}
		if u, _ := undo(false); u.Restored != 1 || u.There != 3 || u.Failed != 0 {
			t.Errorf("%q: the second time: %+v", name, *u)
		}
		if after, _ := filesBelow(t, root); !slices.Equal(before, after) {
			t.Errorf("%q: before %q\nafter %q", name, before, after)
		}
	}
}

func TestRemovedDirectoriesAreMadeAgain(t *testing.T) {
	root := t.TempDir()
	for _, dir := range []string{"x/y.dir", "z.dir"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(filepath.Join(root, "z.dir"), 0o751|os.ModeSetgid); err != nil {
		t.Fatal(err)
	}
	app := sweepApp()
	app.Tail = func(ctx context.Context, tail *Tail[struct{}, sweepStats]) error {
		var acts []*Act
		for _, path := range []string{"x/y.dir", "x", "z.dir"} {
			var st walk.Stat
			b, err := walk.OpenBase(root)
			if err == nil {
				err = b.Stat(path, &st)
				b.Close()
			}
			if err != nil {
				return err
			}
			acts = append(acts, &Act{Op: "rmdir", Root: root, Path: filepath.Join(root, path), Stat: st})
		}
		for _, a := range acts { // the deepest first
			if err := tail.Do(ctx, []*Act{a}, func(_ context.Context, b *walk.Base, path string, a *Act) {
				if a.Result = ActDone; b.RemoveDir(path) != nil {
					a.Result = ActFailed
				}
			}); err != nil {
				return err
			}
		}
		return nil
	}
	r, err := Run(t.Context(), app, []string{root}, &Options{Acts: t.TempDir()})
	if err != nil || r.Stats.Removed != 3 {
		t.Fatalf("%v %+v %v", err, r.Stats, r.Errors)
	}
	f, err := os.Open(r.Acts)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	u, err := Undo(t.Context(), f, nil)
	if err != nil || u.Dirs != 3 || u.Failed != 0 {
		t.Fatalf("%v %+v", err, u)
	}
	for path, mode := range map[string]os.FileMode{"x": 0o700, "x/y.dir": 0o700, "z.dir": 0o751 | os.ModeSetgid} {
		if fi, err := os.Stat(filepath.Join(root, path)); err != nil || fi.Mode() != mode|os.ModeDir {
			t.Errorf("%s: %v %v", path, fi, err)
		}
	}
}

func TestRecordsThatAreNoneAreRefused(t *testing.T) {
	for _, text := range []string{"", "{}", "no", `{"schema":"hydra.acts/2"}`, "\x00\x01"} {
		if _, err := Undo(t.Context(), strings.NewReader(text), nil); err == nil {
			t.Errorf("%q was taken", text)
		}
	}
	head, _ := json.Marshal(actHead{Schema: ActSchema})
	if _, err := Undo(t.Context(), strings.NewReader(string(head)+"\n{\"state\":\"done\"\n{}\n"), nil); err == nil {
		t.Error("a line that is none was passed over")
	}
}

// A PATH that is a link, and ends with a slash, is followed: also by what comes after.
func TestARootThatIsALinkIsFollowedByAllThatActs(t *testing.T) {
	dir := t.TempDir()
	real, link, shelf := filepath.Join(dir, "real"), filepath.Join(dir, "link"), filepath.Join(dir, "shelf")
	for _, d := range []string{filepath.Join(real, "empty.dir"), shelf} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(real, "f.old")
	if err := os.WriteFile(file, []byte("text"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(real, link); err != nil {
		t.Fatal(err)
	}
	app := shelveApp(shelf)
	app.Tail = sweepApp().Tail
	r, err := Run(t.Context(), app, []string{link + "/"}, &Options{Acts: t.TempDir()})
	if err != nil || r.Stats.Done != 1 || r.Stats.Removed != 1 || !r.IsComplete() {
		t.Fatalf("%v %+v %v", err, r.Stats, r.Errors)
	}
	f, err := os.Open(r.Acts)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if u, err := Undo(t.Context(), f, nil); err != nil || u.Restored != 1 || u.Dirs != 1 || u.Failed != 0 {
		t.Errorf("%v %+v", err, u)
	}
	var st walk.Stat
	base, err := walk.OpenBase(link + "/")
	if err == nil {
		err = base.Stat("f.old", &st)
		base.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	s := newSettler([]string{link + "/"}, walk.OpenBase, nil)
	defer s.close()
	if !s.isThere(&Act{Root: link, Path: link + "/f.old", Stat: st}) {
		t.Error("a file that is there is taken for gone")
	}
}

// What was there before, or is there still, was not removed by whoever is taken back.
func TestOnlyDirectoriesThatWereRemovedAreMadeAgain(t *testing.T) {
	root := t.TempDir()
	head, err := json.Marshal(newActHead("job", "sweep", "host", []string{root}, nil))
	if err != nil {
		t.Fatal(err)
	}
	text := append(head, '\n')
	for i, result := range []ActResult{ActDone, ActFailed, ActGone, ActChanged, ActInDoubt, ""} {
		a := &Act{Op: "rmdir", Root: root, Path: filepath.Join(root, "d"+string(result))}
		a.Stat.Mode = os.ModeDir | 0o700
		a.Stat.UID, a.Stat.GID = uint32(os.Getuid()), uint32(os.Getgid())
		text = appendAct(text, a, actIntent, 0, 1, i, "")
		if result != "" {
			text = appendAct(text, a, result, 0, 1, i, "")
		}
	}
	u, err := Undo(t.Context(), bytes.NewReader(text), nil)
	if err != nil || u.Dirs != 3 || u.Failed != 0 {
		t.Errorf("%+v, %v", u, err)
	}
	for name, want := range map[string]bool{"ddone": true, "din_doubt": true, "d": true, "dfailed": false, "dgone": false, "dchanged": false} {
		if _, err := os.Stat(filepath.Join(root, name)); (err == nil) != want {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// With the path of a PATH that is a file: it may lie below a link. What is empty then is
// tidied, but for the place itself.
func TestAFileThatWasAPathComesBackThroughALink(t *testing.T) {
	dir := t.TempDir()
	real, link, shelf := filepath.Join(dir, "real"), filepath.Join(dir, "link"), filepath.Join(dir, "shelf")
	for _, d := range []string{real, filepath.Join(shelf, "other")} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(real, link); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(real, "f.old"), []byte("text"), 0o644); err != nil {
		t.Fatal(err)
	}
	app := shelveApp(shelf)
	newHandler := app.NewHandler
	app.NewHandler = func(ctx context.Context, w *Worker[struct{}, sweepStats]) (walk.Handler, error) {
		h, err := newHandler(ctx, w)
		if err == nil {
			h.(*shelver).job = w.Job
		}
		return h, err
	}
	r, err := Run(t.Context(), app, []string{filepath.Join(link, "f.old")}, &Options{Acts: t.TempDir()})
	if err != nil || r.Stats.Done != 1 {
		t.Fatalf("%+v, %v", r, err)
	}
	f, err := os.Open(r.Acts)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, dry := range []bool{true, false} {
		if u, err := Undo(t.Context(), f, &UndoOptions{DryRun: dry}); err != nil || u.Restored != 1 || u.Failed != 0 {
			t.Errorf("%+v, %v", u, err)
		}
		_, err = os.Stat(filepath.Join(shelf, r.Job))
		if (err == nil) != dry {
			t.Errorf("dry %v: the directory of the job: %v", dry, err)
		}
	}
	// As after an undo that ended before it had tidied.
	if err := os.MkdirAll(filepath.Join(shelf, r.Job, link), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, dry := range []bool{true, false} {
		if u, err := Undo(t.Context(), f, &UndoOptions{DryRun: dry}); err != nil || u.There != 1 {
			t.Errorf("%+v, %v", u, err)
		}
		if _, err = os.Stat(filepath.Join(shelf, r.Job)); (err == nil) != dry {
			t.Errorf("dry %v: the directory of the job: %v", dry, err)
		}
	}
	if _, err := os.Stat(filepath.Join(real, "f.old")); err != nil {
		t.Error(err)
	}
	if left, err := os.ReadDir(shelf); err != nil || len(left) != 1 {
		t.Errorf("%v, %v", left, err)
	}
}

// Of what was opened long ago an NFS server may not know any more.
func TestWhatIsStaleIsOpenedAnew(t *testing.T) {
	root := t.TempDir()
	if err := os.WriteFile(filepath.Join(root, "f"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	b, err := walk.OpenBase(root)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	a := &Act{Root: root, Path: filepath.Join(root, "f")}
	if err := b.Stat("f", &a.Stat); err != nil {
		t.Fatal(err)
	}
	opened := 0
	s := newSettler([]string{root}, func(path string) (*walk.Base, error) {
		if opened++; opened == 1 {
			return nil, &walk.Error{Op: walk.OpOpen, Path: path, Err: syscall.ESTALE}
		}
		return walk.OpenBase(path)
	}, nil)
	defer s.close()
	if !s.isThere(a) || opened != 2 {
		t.Errorf("it is taken for gone, after %d tries", opened)
	}
	if err := os.Remove(a.Path); err != nil {
		t.Fatal(err)
	}
	if s.isThere(a) || opened != 2 {
		t.Errorf("it is taken for there, after %d tries", opened)
	}
}

// A quarantine may have the name of the job.
func TestTheQuarantineItselfStays(t *testing.T) {
	shelf := filepath.Join(t.TempDir(), "job")
	file := filepath.Join(t.TempDir(), "job", "f")
	u := &undoer{Undone: &Undone{Job: "job"}, o: &UndoOptions{}, left: map[string]bool{}, bases: map[string]*walk.Base{}}
	defer u.close()
	for _, to := range []string{filepath.Join(shelf, "job", file), filepath.Join(shelf, "other", "g"), filepath.Join(shelf, "other", file)} {
		if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
			t.Fatal(err)
		}
		u.leave(&Act{Path: file, To: to})
	}
	u.tidy()
	if left, err := os.ReadDir(shelf); err != nil || len(left) != 1 || left[0].Name() != "other" {
		t.Errorf("%v, %v", left, err)
	}
	if _, err := os.Stat(filepath.Dir(filepath.Join(shelf, "other", file))); err != nil {
		t.Errorf("of no job: %v", err)
	}
	if err := os.RemoveAll(filepath.Join(shelf, "other")); err != nil {
		t.Fatal(err)
	}
	u.tidy()
	if _, err := os.Stat(shelf); err != nil {
		t.Error(err)
	}
}
