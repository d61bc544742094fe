package hydra

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/hydrawalk/hydra/stats"
	"github.com/hydrawalk/hydra/walk"
)

// sweepStats are those of an application that removes files called *.old, and then
// directories called *.dir.
type sweepStats struct {
	Done    stats.Counter `json:"done"`
	Failed  stats.Counter `json:"failed"`
	Doubt   stats.Counter `json:"doubt"`
	Limit   stats.Counter `json:"limit"`
	Other   stats.Counter `json:"other"`
	Bytes   stats.Counter `json:"bytes"`
	Removed stats.Counter `json:"removed"` // directories
}

type sweepNote struct {
	Root, Path string
	Dev, Ino   uint64
}

func sweepApp() *App[struct{}, sweepStats] {
	return &App[struct{}, sweepStats]{
		Name:    "sweep",
		Changes: true,
		NewHandler: func(_ context.Context, w *Worker[struct{}, sweepStats]) (walk.Handler, error) {
			return &sweeper{w}, nil
		},
		Acted: func(s *sweepStats, a *Act) {
			switch a.Result {
			case ActDone:
				if a.Op == "rmdir" {
					s.Removed.Add(1)
					return
				}
				s.Done.Add(1)
				s.Bytes.Add(a.Stat.Size)
			case ActInDoubt:
				s.Doubt.Add(1)
			case ActFailed:
				s.Failed.Add(1)
			case ActLimit:
				s.Limit.Add(1)
			default:
				s.Other.Add(1)
			}
		},
		Tail: func(ctx context.Context, t *Tail[struct{}, sweepStats]) error {
			var acts []*Act
			err := t.Lines(ctx, func(note json.RawMessage, a *Act) error {
				if note == nil {
					return nil
				}
				var n sweepNote
				if err := json.Unmarshal(note, &n); err != nil {
					return err
				}
				acts = append(acts, &Act{Op: "rmdir", Root: n.Root, Path: n.Path, Stat: walk.Stat{Mode: os.ModeDir, Dev: n.Dev, Ino: n.Ino}})
				return nil
			})
			if err != nil {
				return err
			}
			return t.Do(ctx, acts, func(_ context.Context, b *walk.Base, path string, a *Act) {
				if err := b.RemoveDir(path); err != nil {
					a.Result, a.Error = ActFailed, err.Error()
					return
				}
				a.Result = ActDone
			})
		},
	}
}

type sweeper struct{ w *Worker[struct{}, sweepStats] }

func (s *sweeper) File(ctx context.Context, e *walk.Entry) error {
	if !strings.HasSuffix(e.Name(), ".old") {
		return nil
	}
	if _, err := e.Stat(); err != nil {
		return err
	}
	return s.w.Plan(ctx, e, walk.OpRemove, "")
}

func (s *sweeper) EnterDir(context.Context, *walk.Dir) error { return nil }

func (s *sweeper) LeaveDir(_ context.Context, d *walk.Dir) error {
	if !strings.HasSuffix(d.Name(), ".dir") {
		return nil
	}
	st, err := d.Stat()
	if err != nil {
		return err
	}
	return s.w.Note(sweepNote{d.Root(), d.Path(), st.Dev, st.Ino})
}

func (s *sweeper) Act(_ context.Context, h *walk.Held, a *Act) {
	if err := h.Remove(); err != nil {
		a.Result, a.Error = ActFailed, err.Error()
		return
	}
	a.Result = ActDone
}

// sweepTree makes dirs directories with files files each, half of them old, and
// returns the files that have to stay.
func sweepTree(t *testing.T, dirs, files int) (root string, keep []string) {
	t.Helper()
	root = t.TempDir()
	for d := range dirs {
		dir := filepath.Join(root, fmt.Sprint(d%7), fmt.Sprint("d", d))
		if err := os.MkdirAll(filepath.Join(dir, "empty.dir"), 0o755); err != nil {
			t.Fatal(err)
		}
		for f := range files {
			name := filepath.Join(dir, fmt.Sprint("f", f))
			if f%2 == 0 {
				name += ".old"
			} else {
				keep = append(keep, name)
			}
			if err := os.WriteFile(name, []byte("x"), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	slices.Sort(keep)
	return root, keep
}

func filesBelow(t *testing.T, root string) (files []string, dirs int) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			files = append(files, path)
		} else if err == nil {
			dirs++
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(files)
	return files, dirs
}

func TestWhatIsChangedIsWrittenDownAndCounted(t *testing.T) {
	for _, way := range []string{"run", "job"} {
		t.Run(way, func(t *testing.T) {
			t.Setenv("XDG_STATE_HOME", t.TempDir())
			root, keep := sweepTree(t, 60, 50)
			app := sweepApp()
			var r *Result[sweepStats]
			var err error
			acts := t.TempDir()
			if way == "run" {
				r, err = Run(t.Context(), app, []string{root}, &Options{Acts: acts, Workers: 3})
			} else {
				var doc Document
				doc, err = app.Configure(nil).RunJob(t.Context(), []string{root}, &JobOptions{ID: "sweep", Options: Options{Workers: 3}})
				if doc != nil {
					r = doc.(*Result[sweepStats])
				}
			}
			if err != nil {
				t.Fatal(err)
			}
			left, _ := filesBelow(t, root)
			if !slices.Equal(left, keep) {
				t.Errorf("%d files are left, want %d", len(left), len(keep))
			}
			if s := r.Stats; s.Done != 60*25 || s.Bytes != 60*25 || s.Removed != 60 || s.Failed+s.Doubt+s.Limit+s.Other != 0 || !r.IsComplete() {
				t.Errorf("counted %+v, complete %v, %v", *s, r.IsComplete(), r.Errors)
			}
			if r.Walked.ProcessedFiles != 60*50 {
				t.Errorf("%d files processed", r.Walked.ProcessedFiles)
			}
			if way != "run" {
				return
			}
			var mu sync.Mutex
			state := map[string][]ActResult{}
			f, err := os.Open(r.Acts)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			err = readLines(f, func(l *actLine) error {
				mu.Lock()
				defer mu.Unlock()
				if l.State != actNote {
					state[l.Path.String()] = append(state[l.Path.String()], l.State)
				}
				return nil
			})
			if err != nil || len(state) != 60*25+60 {
				t.Errorf("%d acts are written down: %v", len(state), err)
			}
			for path, states := range state {
				if !slices.Equal(states, []ActResult{actIntent, ActDone}) {
					t.Errorf("%s: %v", path, states)
				}
			}
		})
	}
}

func TestNoMoreIsChangedThanTheLimit(t *testing.T) {
	for _, way := range []string{"run", "job"} {
		t.Run(way, func(t *testing.T) {
			t.Setenv("XDG_STATE_HOME", t.TempDir())
			root, keep := sweepTree(t, 60, 50)
			app := sweepApp()
			var doc Document
			var err error
			o := Options{Acts: t.TempDir(), Workers: 4, MaxActs: 333}
			if way == "run" {
				doc, err = app.Configure(nil).Run(t.Context(), []string{root}, &o)
			} else {
				doc, err = app.Configure(nil).RunJob(t.Context(), []string{root}, &JobOptions{ID: "sweep", Options: o})
			}
			if _, is := err.(*ActLimitError); !is {
				t.Fatalf("the error is %v", err)
			}
			left, _ := filesBelow(t, root)
			if gone := len(keep)*2 - len(left); gone != 333 {
				t.Errorf("%d are gone", gone)
			}
			s := doc.(*Result[sweepStats]).Stats
			if s.Done != 333 || s.Limit == 0 {
				t.Errorf("counted %+v", *s)
			}
		})
	}
}

func TestNotesAndActsOfTheTailAreHandedInBySizeToo(t *testing.T) {
	log := new(frames)
	b := newActBatch(log, 0, nil)
	for range 10 {
		b.note([]byte(strings.Repeat("1", mostActBytes/3)))
	}
	if len(log.got) != 2 || b.noted > mostActBytes || len(b.notes) != 2 {
		t.Errorf("%d frames, %d bytes of %d notes are held back", len(log.got), b.noted, len(b.notes))
	}
	long := strings.Repeat("p", mostActBytes/4)
	acts := make([]*Act, 10)
	for i := range acts {
		acts[i] = &Act{Path: long}
	}
	if n := batchOf(acts); n != 4 {
		t.Errorf("%d acts", n)
	}
	if n := batchOf([]*Act{{Path: strings.Repeat(long, 9)}, {}}); n != 1 {
		t.Errorf("%d acts, the first of them too long for any", n)
	}
	if n := batchOf(slices.Repeat([]*Act{{}}, mostActs+1)); n != mostActs {
		t.Errorf("%d acts", n)
	}
}

// frames is an actLog that only keeps what is added.
type frames struct {
	actLog
	got []int
}

func (f *frames) Add(lines []byte) { f.got = append(f.got, len(lines)) }
