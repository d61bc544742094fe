package walk

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
)

// collect walks root and returns the sorted paths of all entries but root.
func collect(t *testing.T, p *pool, root string, o *Options) ([]string, Totals) {
	t.Helper()
	var mu sync.Mutex
	var all []string
	totals, err := p.trees(t.Context(), []string{root}, func(int) (Handler, error) {
		return &collector{add: func(path string) {
			mu.Lock()
			defer mu.Unlock()
			all = append(all, path)
		}}, nil
	}, o)
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(all)
	return all, totals
}

type collector struct{ add func(path string) }

func (c *collector) File(_ context.Context, e *Entry) error { c.add(e.Path()); return nil }
func (c *collector) EnterDir(_ context.Context, d *Dir) error {
	if d.Depth() > 0 {
		c.add(d.Path())
	}
	return nil
}
func (c *collector) LeaveDir(context.Context, *Dir) error { return nil }

func TestNothingIsMissedWithHardlyAnyDescriptors(t *testing.T) {
	root := t.TempDir()
	var want []string
	var grow func(dir string, depth int)
	grow = func(dir string, depth int) {
		for i := range 3 {
			p := filepath.Join(dir, fmt.Sprint(i))
			want = append(want, p)
			if depth == 0 {
				if err := os.WriteFile(p, nil, 0o600); err != nil {
					t.Fatal(err)
				}
				continue
			}
			if err := os.Mkdir(p, 0o700); err != nil {
				t.Fatal(err)
			}
			grow(p, depth-1)
		}
	}
	grow(root, 5)
	slices.Sort(want)
	for _, files := range []int64{0, 42, 64, 20_000} {
		for _, workers := range []int{1, 3} {
			o := &Options{Workers: workers}
			p := newPool(o)
			p.setLimits(files)
			got, totals := collect(t, p, root, o)
			if !slices.Equal(got, want) {
				t.Errorf("%d descriptors, %d workers: %d entries, want %d", files, workers, len(got), len(want))
			}
			if !totals.Complete() || totals.FoundDirs != totals.ExpectedDirs() {
				t.Errorf("%d descriptors, %d workers: %+v", files, workers, totals)
			}
			if n := p.fds.Load(); n != 0 {
				t.Errorf("%d descriptors, %d workers: %d are still counted as open", files, workers, n)
			}
		}
	}
}

func TestNoDescriptorIsLeftWhenAWalkEndsEarly(t *testing.T) {
	root := t.TempDir()
	for i := range 100 {
		if err := os.MkdirAll(fmt.Sprintf("%s/%d/%d/x", root, i%10, i), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for stopAt := range 120 {
		for _, workers := range []int{1, 4} {
			o := &Options{Workers: workers}
			p := newPool(o)
			var seen sync.Map
			n := 0
			var mu sync.Mutex
			ctx, cancel := context.WithCancel(t.Context())
			totals, _ := p.trees(ctx, []string{root}, func(int) (Handler, error) {
				return &collector{add: func(path string) {
					seen.Store(path, true)
					mu.Lock()
					defer mu.Unlock()
					if n++; n == stopAt {
						cancel()
					}
				}}, nil
			}, o)
			cancel()
			if n := p.fds.Load(); n != 0 {
				t.Fatalf("stopped at %d with %d workers: %d directories are still open", stopAt, workers, n)
			}
			if totals.FoundDirs-totals.QueuedDirs != totals.ExpectedDirs() {
				t.Fatalf("stopped at %d with %d workers: %+v", stopAt, workers, totals)
			}
		}
	}
}

func TestARootThatIsAFileIsNotForgottenWhenTheWalkEndsEarly(t *testing.T) {
	for _, n := range []int{1, 10} {
		dir := t.TempDir()
		var roots []string
		for i := range n {
			p := filepath.Join(dir, fmt.Sprint(i))
			if err := os.WriteFile(p, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			roots = append(roots, p)
		}
		ctx, cancel := context.WithCancel(t.Context())
		totals, err := Trees(ctx, roots, func(int) (Handler, error) {
			return giveUp{cancel}, nil
		}, &Options{Workers: 1})
		if err == nil || totals.Complete() || totals.ProcessedFiles != 0 || totals.QueuedFiles != int64(n) {
			t.Errorf("%d files: %+v, %v", n, totals, err)
		}
	}
}

// giveUp cancels the walk and says so.
type giveUp struct{ cancel func() }

func (g giveUp) File(ctx context.Context, _ *Entry) error {
	g.cancel()
	return ctx.Err()
}
