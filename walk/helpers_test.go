package walk_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/hydrawalk/hydra/walk"
)

// someWorkers are numbers of workers that should make no difference.
var someWorkers = []int{1, 2, 8, 64}

// long says that tests may take their time.
var long = os.Getenv("HYDRA_TEST_ALL") != ""

// report is what a walk showed to its handlers.
type report struct {
	totals  walk.Totals
	err     error
	entries map[string]fs.FileMode // files and directories, by path
	sizes   map[string]int64       // of what was asked for its attributes
	left    map[string]walk.DirCounts
	errs    []*walk.Error
	twice   []string // paths that came more than once
}

// how changes a walk of [take].
type how struct {
	walk.Options
	stat   bool                                           // ask for the attributes of each file
	filter func(d *walk.Dir, e []walk.Entry) []walk.Entry // nil: the handler has no Filter
	file   func(e *walk.Entry) error                      // called after the entry was recorded
	enter  func(d *walk.Dir) error
	leave  func(d *walk.Dir) error
	links  bool // paths may come twice: as a link, and as the root that it leads to
}

// take walks roots, and checks what holds for every walk.
func take(ctx context.Context, t testing.TB, h how, roots ...string) *report {
	t.Helper()
	r := &report{entries: map[string]fs.FileMode{}, sizes: map[string]int64{}, left: map[string]walk.DirCounts{}}
	var mu sync.Mutex
	var calls counts
	r.totals, r.err = walk.Trees(ctx, roots, func(int) (walk.Handler, error) {
		h := &recorder{r: r, mu: &mu, h: &h, t: t, calls: &calls}
		if h.h.filter != nil {
			return &filterer{h}, nil
		}
		return h, nil
	}, &h.Options)
	slices.SortFunc(r.errs, func(a, b *walk.Error) int { return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.Op, b.Op)) })

	tot := &r.totals
	if tot.FoundDirs-tot.QueuedDirs != tot.ExpectedDirs() {
		t.Errorf("directories are not accounted for: %+v", *tot)
	}
	if tot.Errors != int64(len(r.errs)) {
		t.Errorf("%d errors are counted, %d were given to the handlers", tot.Errors, len(r.errs))
	}
	if len(r.errs) > 0 && (tot.FirstError == nil || tot.FirstError.Error() != r.errs[0].Error()) {
		t.Errorf("the first error is %v, want %v", tot.FirstError, r.errs[0])
	}
	if got, want := tot.ProcessedFiles, calls.processed.Load(); got != want {
		t.Errorf("%d files are counted as processed, want %d", got, want)
	}
	if got, want := tot.SkippedFiles, calls.skipped.Load(); got != want {
		t.Errorf("%d files are counted as skipped, want %d", got, want)
	}
	if got, want := tot.Bytes, sum(r.sizes); got != want && h.stat {
		t.Errorf("%d bytes are counted, want %d", got, want)
	}
	if len(r.twice) > 0 && !h.links {
		t.Errorf("%d entries came more than once: %.300q", len(r.twice), r.twice)
	}
	return r
}

func sum(sizes map[string]int64) (n int64) {
	for _, s := range sizes {
		n += s
	}
	return n
}

// counts is what the handlers said.
type counts struct{ processed, skipped atomic.Int64 }

// recorder is the handler of one worker.
type recorder struct {
	r      *report
	mu     *sync.Mutex // guards r
	h      *how
	t      testing.TB
	calls  *counts
	inside atomic.Bool
}

// alone checks that no two goroutines are in the handler.
func (h *recorder) alone() func() {
	if h.inside.Swap(true) {
		h.t.Error("two goroutines are in one handler")
	}
	return func() { h.inside.Store(false) }
}

func (h *recorder) add(path string, typ fs.FileMode) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, ok := h.r.entries[path]; ok {
		h.r.twice = append(h.r.twice, path)
	}
	h.r.entries[path] = typ
}

func (h *recorder) File(_ context.Context, e *walk.Entry) (err error) {
	defer h.alone()()
	path := e.Path()
	if h.h.stat {
		st, err := e.Stat()
		if err != nil {
			return err
		}
		if st.Mode.IsRegular() {
			h.mu.Lock()
			h.r.sizes[path] = st.Size
			h.mu.Unlock()
		}
	}
	h.add(path, e.Type())
	if h.h.file != nil {
		err = h.h.file(e)
	}
	switch {
	case err == nil, errors.Is(err, fs.SkipAll):
		h.calls.processed.Add(1)
	case errors.Is(err, walk.SkipFile), errors.Is(err, fs.SkipDir):
		h.calls.skipped.Add(1)
	}
	return err
}

func (h *recorder) EnterDir(_ context.Context, d *walk.Dir) error {
	defer h.alone()()
	h.add(d.Path(), fs.ModeDir)
	if h.h.enter != nil {
		return h.h.enter(d)
	}
	return nil
}

func (h *recorder) LeaveDir(_ context.Context, d *walk.Dir) error {
	defer h.alone()()
	h.mu.Lock()
	if _, ok := h.r.left[d.Path()]; ok {
		h.t.Errorf("%q was left twice", d.Path())
	}
	h.r.left[d.Path()] = d.Counts()
	h.mu.Unlock()
	if h.h.leave != nil {
		return h.h.leave(d)
	}
	return nil
}

func (h *recorder) Error(_ context.Context, err *walk.Error) {
	defer h.alone()()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.r.errs = append(h.r.errs, err)
}

// filterer is a recorder with a Filter.
type filterer struct{ *recorder }

func (h *filterer) Filter(_ context.Context, d *walk.Dir, entries []walk.Entry) []walk.Entry {
	defer h.alone()()
	return h.h.filter(d, entries)
}

// serial is the same with package filepath.
func serial(t testing.TB, root string) (entries map[string]fs.FileMode, sizes map[string]int64) {
	t.Helper()
	entries, sizes = map[string]fs.FileMode{}, map[string]int64{}
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		entries[p] = d.Type()
		if d.Type().IsRegular() {
			info, err := d.Info()
			if err != nil {
				return err
			}
			sizes[p] = info.Size()
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return entries, sizes
}

// same compares what was found with what was wanted.
func same[V comparable](t testing.TB, what string, got, want map[string]V) {
	t.Helper()
	if d := difference(got, want); d != "" {
		t.Errorf("%s: %s", what, d)
	}
}

func difference[V comparable](got, want map[string]V) string {
	var d []string
	for _, p := range slices.Sorted(maps.Keys(want)) {
		if g, ok := got[p]; !ok {
			d = append(d, fmt.Sprintf("%.200q is missing", p))
		} else if g != want[p] {
			d = append(d, fmt.Sprintf("%.200q is %v, want %v", p, g, want[p]))
		}
	}
	for _, p := range slices.Sorted(maps.Keys(got)) {
		if _, ok := want[p]; !ok {
			d = append(d, fmt.Sprintf("%.200q is too much", p))
		}
	}
	if len(d) == 0 {
		return ""
	}
	return fmt.Sprintf("%d of %d differ: %v", len(d), len(want), d[:min(len(d), 10)])
}

// wantErrors compares the errors with "op path: cause".
func (r *report) wantErrors(t testing.TB, want ...string) {
	t.Helper()
	var got []string
	for _, err := range r.errs {
		got = append(got, fmt.Sprintf("%s %s: %v", err.Op, err.Path, err.Err))
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("errors are\n\t%.500q\nwant\n\t%.500q", got, want)
	}
}

// complete checks that nothing went wrong.
func (r *report) complete(t testing.TB) {
	t.Helper()
	if r.err != nil || !r.totals.Complete() {
		t.Errorf("the walk is not complete: %v, %+v, %v", r.err, r.totals, r.errs)
	}
}

// fileTree makes files, or directories where the path ends with a slash. The
// content of a file is its path.
func fileTree(t testing.TB, paths ...string) (root string) {
	t.Helper()
	root = t.TempDir()
	for _, p := range paths {
		full := filepath.Join(root, p)
		dir := filepath.Dir(full)
		if p[len(p)-1] == '/' {
			dir = full
		}
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if dir == full {
			continue
		}
		if err := os.WriteFile(full, []byte(p), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// longName is a name of a number. A few hundred of them are as large a directory
// as some thousand others.
func longName(i int) string { return fmt.Sprintf("%0200d", i) }
