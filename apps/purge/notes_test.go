package purge

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/hydrawalk/hydra"
	"github.com/hydrawalk/hydra/walk"
)

// several are the purgers of several workers, who share every directory: which of them
// gets an entry its name says.
type several []*purger

func (s several) of(name string) *purger { return s[int(name[0])%len(s)] }

func (s several) File(ctx context.Context, e *walk.Entry) error { return s.of(e.Name()).File(ctx, e) }

func (s several) EnterDir(ctx context.Context, d *walk.Dir) error {
	return s[d.Depth()%len(s)].EnterDir(ctx, d)
}

func (s several) LeaveDir(ctx context.Context, d *walk.Dir) error {
	return s[(d.Depth()+1)%len(s)].LeaveDir(ctx, d)
}

func (s several) Flush(ctx context.Context) error {
	for _, p := range s {
		if err := p.Flush(ctx); err != nil {
			return err
		}
	}
	return nil
}

func TestNoWorkerKnowsAllOfADirectoryThatSeveralShare(t *testing.T) {
	old := time.Unix(1e9, 0)
	for _, tt := range []struct {
		name  string
		young []string // of the files 0 to 9 in the directory
		old   bool     // the directory is, and has no files
		goes  bool
	}{
		{"all old", nil, false, true},
		{"one young", []string{"3"}, false, false},
		{"another young", []string{"4"}, false, false},
		{"all young", []string{"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"}, false, false},
		{"empty and old", nil, true, true},
	} {
		for workers := 1; workers <= 4; workers++ {
			root := t.TempDir()
			dir := filepath.Join(root, "dir")
			if err := os.Mkdir(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			for i := range 10 {
				if name := fmt.Sprint(i); !tt.old {
					if err := os.WriteFile(filepath.Join(dir, name), nil, 0o644); err != nil {
						t.Fatal(err)
					}
					if !slices.Contains(tt.young, name) {
						if err := os.Chtimes(filepath.Join(dir, name), old, old); err != nil {
							t.Fatal(err)
						}
					}
				}
			}
			if tt.old {
				if err := os.Chtimes(dir, old, old); err != nil {
					t.Fatal(err)
				}
			}
			s := Settings{EmptyDirs: true}
			if err := s.OlderThan.Set("90d"); err != nil {
				t.Fatal(err)
			}
			if err := s.prepare(); err != nil {
				t.Fatal(err)
			}
			plan := newPlanner(t.TempDir())
			var all several
			for range workers {
				p, err := newPurger(&hydra.Worker[Settings, Stats]{Settings: s, Stats: newStats(s)})
				if err != nil {
					t.Fatal(err)
				}
				p.note = func(v any) error { return plan.add(v.(*note)) }
				all = append(all, p)
			}
			totals, err := walk.Trees(t.Context(), []string{root}, func(int) (walk.Handler, error) { return all, nil }, &walk.Options{Workers: 1})
			if err != nil || totals.Errors > 0 {
				t.Fatal(err, totals.FirstError)
			}
			var went []string
			err = plan.plan(func(n *note) (bool, error) {
				went = append(went, string(n.Path))
				return true, nil
			}, func() error { return nil })
			if err != nil {
				t.Fatal(err)
			}
			plan.close()
			var want []string
			if tt.goes {
				want = []string{dir}
			}
			if !slices.Equal(went, want) {
				t.Errorf("%s, %d workers: %q goes, want %q", tt.name, workers, went, want)
			}
		}
	}
}
