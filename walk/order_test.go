package walk_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"go.uber.org/goleak"

	"github.com/hydrawalk/hydra/walk"
)

// progress is what happened to one directory.
type progress struct {
	entered, left bool
	kept          map[string]bool // by Filter, and not handled yet
	handled       int
	dropped       bool
}

// watcher checks the order of the calls; all handlers of a walk share one.
type watcher struct {
	t    *testing.T
	mu   sync.Mutex
	dirs map[string]*progress
}

func (w *watcher) see(d *walk.Dir) *progress {
	p := w.dirs[d.Path()]
	if p == nil {
		w.t.Errorf("%q was not entered before its entries came", d.Path())
		p = &progress{kept: map[string]bool{}}
		w.dirs[d.Path()] = p
	}
	if p.left {
		w.t.Errorf("%q was left before its last entry", d.Path())
	}
	return p
}

func (w *watcher) EnterDir(_ context.Context, d *walk.Dir) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.dirs[d.Path()] != nil {
		w.t.Errorf("%q was entered twice", d.Path())
	}
	w.dirs[d.Path()] = &progress{entered: true, kept: map[string]bool{}}
	if d.Depth() > 0 {
		up := w.dirs[filepath.Dir(d.Path())]
		if up == nil || !up.kept[d.Name()] {
			w.t.Errorf("%q was entered before it was filtered", d.Path())
		}
	}
	return nil
}

func (w *watcher) Filter(_ context.Context, d *walk.Dir, entries []walk.Entry) []walk.Entry {
	w.mu.Lock()
	defer w.mu.Unlock()
	p := w.see(d)
	if len(entries) > 10_000 {
		w.t.Errorf("a chunk of %d entries", len(entries))
	}
	listed := len(entries)
	entries = slices.DeleteFunc(entries, func(e walk.Entry) bool { return strings.HasSuffix(e.Name(), "7") })
	p.dropped = p.dropped || len(entries) < listed
	for i := range entries {
		p.kept[entries[i].Name()] = true
	}
	return entries
}

func (w *watcher) File(_ context.Context, e *walk.Entry) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	p := w.see(e.Dir())
	if !p.kept[e.Name()] {
		w.t.Errorf("%q came twice, or was not kept by Filter", e.Path())
	}
	delete(p.kept, e.Name())
	p.handled++
	return nil
}

func (w *watcher) LeaveDir(_ context.Context, d *walk.Dir) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	p := w.see(d)
	p.left = true
	if d.Filtered() != p.dropped {
		w.t.Errorf("%q: something was dropped: %v, Filtered says %v", d.Path(), p.dropped, d.Filtered())
	}
	if got, want := d.Counts(), (walk.DirCounts{Dirs: int64(len(p.kept)), Files: int64(p.handled)}); got != want {
		w.t.Errorf("%q is left with counts %+v, seen were %+v", d.Path(), got, want)
	}
	return nil
}

func TestADirectoryIsEnteredFilteredHandledAndLeftInThisOrder(t *testing.T) {
	var paths []string
	for i := range 500 {
		paths = append(paths, "large/"+longName(i), "large/d"+longName(i)+"/", fmt.Sprintf("%d/%d/%d", i%10, i%100, i))
	}
	root := fileTree(t, paths...)
	for _, workers := range someWorkers {
		w := &watcher{t: t, dirs: map[string]*progress{}}
		totals, err := walk.Trees(t.Context(), []string{root}, func(int) (walk.Handler, error) { return &worker{watcher: w}, nil },
			&walk.Options{Workers: workers})
		if err != nil || !totals.Complete() {
			t.Errorf("%d workers: %v, %+v", workers, err, totals)
		}
		for path, p := range w.dirs {
			if !p.left {
				t.Errorf("%q was not left", path)
			}
		}
		// Of the names that are numbers one in ten ends with 7.
		if totals.FilteredFiles < 50 || totals.FilteredDirs < 50 || totals.ProcessedDirs != int64(len(w.dirs)) {
			t.Errorf("%d workers: %+v, %d directories were seen", workers, totals, len(w.dirs))
		}
	}
}

// worker has a state of its own that is written without a lock: the race
// detector sees two goroutines in it.
type worker struct {
	*watcher
	calls int
}

func (w *worker) File(ctx context.Context, e *walk.Entry) error {
	w.calls++
	return w.watcher.File(ctx, e)
}

func (w *worker) LeaveDir(ctx context.Context, d *walk.Dir) error {
	w.calls++
	return w.watcher.LeaveDir(ctx, d)
}

func TestOneLargeDirectoryIsHandledByManyWorkers(t *testing.T) {
	var paths []string
	for i := range 1500 {
		paths = append(paths, "d/"+longName(i))
	}
	root := fileTree(t, paths...)
	const workers = 3
	// Each worker stays in its first file until all workers have one.
	var together sync.WaitGroup
	together.Add(workers)
	var mu sync.Mutex
	files := map[int]int{}
	totals, err := walk.Trees(t.Context(), []string{root}, func(id int) (walk.Handler, error) {
		first := true
		return fileFunc(func(*walk.Entry) error {
			if first {
				first = false
				together.Done()
				together.Wait()
			}
			mu.Lock()
			defer mu.Unlock()
			files[id]++
			return nil
		}), nil
	}, &walk.Options{Workers: workers})
	if err != nil || totals.ProcessedFiles != 1500 || len(files) != workers {
		t.Errorf("%v, files by worker: %v", err, files)
	}
}

// fileFunc is a handler that is only a function.
type fileFunc func(*walk.Entry) error

func (f fileFunc) File(_ context.Context, e *walk.Entry) error { return f(e) }

func TestASlowHandlerSharesEvenASmallDirectory(t *testing.T) {
	var paths []string
	for i := range 64 {
		paths = append(paths, fmt.Sprintf("d/%064d", i))
	}
	root := fileTree(t, paths...)
	// The first worker goes on until another one has a file, too.
	var mu sync.Mutex
	workers := map[int]bool{}
	rounds := 0
	for len(workers) < 2 {
		rounds++
		clear(workers)
		_, err := walk.Trees(t.Context(), []string{root}, func(id int) (walk.Handler, error) {
			return fileFunc(func(e *walk.Entry) error {
				mu.Lock()
				workers[id] = true
				mu.Unlock()
				for range 200 { // takes its time without a clock
					f, err := e.Open()
					if err != nil {
						return err
					}
					f.Close()
				}
				return nil
			}), nil
		}, &walk.Options{Workers: 2})
		if err != nil {
			t.Fatal(err)
		}
		if rounds == 100 {
			t.Fatal("one worker handled all entries, 100 times")
		}
	}
}

func TestFilterDecidesWhatIsWalkedAndInWhichOrder(t *testing.T) {
	root := fileTree(t, "b", "a", "c", "drop", "dir/x", "dropped/x", "dropped/sub/x")
	var order []string
	got := take(t.Context(), t, how{Options: walk.Options{Workers: 1},
		filter: func(d *walk.Dir, entries []walk.Entry) []walk.Entry {
			kept := slices.DeleteFunc(entries, func(e walk.Entry) bool { return strings.HasPrefix(e.Name(), "drop") })
			slices.SortFunc(kept, func(a, b walk.Entry) int { return strings.Compare(b.Name(), a.Name()) })
			return kept
		},
		file: func(e *walk.Entry) error { order = append(order, e.Name()); return nil },
	}, root)
	got.complete(t)
	if want := []string{"c", "b", "a", "x"}; !slices.Equal(order, want) {
		t.Errorf("order is %q, want %q", order, want)
	}
	if tot := got.totals; tot.FilteredFiles != 1 || tot.FilteredDirs != 1 || tot.ProcessedDirs != 2 || tot.FoundDirs != 3 {
		t.Errorf("%+v", tot)
	}
	if c := got.left[root]; c != (walk.DirCounts{Dirs: 1, Files: 3}) {
		t.Errorf("counts of the root: %+v", c)
	}
}

func TestFilterSeesTypesAndAttributes(t *testing.T) {
	root := fileTree(t, "file", "dir/")
	var mu sync.Mutex
	seen := map[string]fs.FileMode{}
	got := take(t.Context(), t, how{filter: func(d *walk.Dir, entries []walk.Entry) []walk.Entry {
		mu.Lock()
		defer mu.Unlock()
		for i := range entries {
			e := &entries[i]
			st, err := e.Stat()
			if err != nil || st.Mode.Type() != e.Type() || e.IsDir() != st.Mode.IsDir() {
				t.Errorf("%q: %+v, %v", e.Path(), st, err)
			}
			seen[e.Path()] = e.Type()
		}
		return entries
	}}, root)
	got.complete(t)
	same(t, "seen", seen, map[string]fs.FileMode{filepath.Join(root, "file"): 0, filepath.Join(root, "dir"): fs.ModeDir})
}

// plain is a tree of 3 directories with 2 files each below a root with 2.
func plain(t *testing.T) (root string) {
	return fileTree(t, "1", "2", "a/1", "a/2", "b/1", "b/2", "c/1", "c/2")
}

var errBroken = errors.New("broken")

func TestTheVerdictOnAFile(t *testing.T) {
	for _, c := range []struct {
		name                               string
		verdict                            error
		processed, skipped, failed, errors int64
	}{
		{"nil", nil, 8, 0, 0, 0},
		{"SkipFile", walk.SkipFile, 4, 4, 0, 0},
		{"wrapped SkipFile", fmt.Errorf("why: %w", walk.SkipFile), 4, 4, 0, 0},
		{"error", errBroken, 4, 0, 4, 4},
	} {
		for _, workers := range someWorkers {
			t.Run(fmt.Sprint(c.name, " ", workers), func(t *testing.T) {
				root := plain(t)
				got := take(t.Context(), t, how{Options: walk.Options{Workers: workers}, file: func(e *walk.Entry) error {
					if e.Name() == "2" {
						return c.verdict
					}
					return nil
				}}, root)
				tot := got.totals
				if got.err != nil || tot.ProcessedFiles != c.processed || tot.SkippedFiles != c.skipped || tot.FailedFiles != c.failed ||
					tot.Errors != c.errors || tot.ProcessedDirs != 4 || len(got.entries) != 12 {
					t.Errorf("%v, %+v", got.err, tot)
				}
				for _, err := range got.errs {
					if err.Op != walk.OpHandle || filepath.Base(err.Path) != "2" || !errors.Is(err, errBroken) || err.Dir {
						t.Errorf("error %+v", err)
					}
				}
			})
		}
	}
}

func TestSkipDirOfAFileLeavesOutTheRestOfItsDirectory(t *testing.T) {
	var paths []string
	for i := range 500 {
		paths = append(paths, "d/"+longName(i), fmt.Sprintf("d/sub%d/f", i%100), "e/"+longName(i))
	}
	root := fileTree(t, paths...)
	for _, workers := range someWorkers {
		got := take(t.Context(), t, how{Options: walk.Options{Workers: workers}, file: func(e *walk.Entry) error {
			if e.Dir().Name() == "d" {
				return fs.SkipDir
			}
			return nil
		}}, root)
		got.complete(t)
		inD, inE := 0, 0
		for p := range got.entries {
			switch filepath.Dir(p) {
			case filepath.Join(root, "d"):
				inD++
			case filepath.Join(root, "e"):
				inE++
			}
		}
		// Each worker may have one at the time.
		if inE != 500 || got.totals.SkippedFiles < 1 || got.totals.SkippedFiles > int64(workers) {
			t.Errorf("%d workers: %d in d, %d in e, %+v", workers, inD, inE, got.totals)
		}
		if workers == 1 && inD > 101 {
			t.Errorf("%d entries of d were walked", inD)
		}
	}
}

func TestSkipAllEndsTheWalk(t *testing.T) {
	skipAll := func() error { return fmt.Errorf("enough: %w", fs.SkipAll) }
	for name, h := range map[string]how{
		"File":     {file: func(*walk.Entry) error { return skipAll() }},
		"EnterDir": {enter: func(*walk.Dir) error { return skipAll() }},
		"LeaveDir": {leave: func(*walk.Dir) error { return skipAll() }},
	} {
		for _, workers := range someWorkers {
			t.Run(fmt.Sprint(name, workers), func(t *testing.T) {
				defer goleak.VerifyNone(t)
				h.Workers = workers
				got := take(t.Context(), t, h, plain(t))
				if got.err != nil || !got.totals.Stopped || got.totals.Complete() || got.totals.Errors != 0 {
					t.Errorf("%v, %+v", got.err, got.totals)
				}
				if workers == 1 && len(got.entries) > 12/2 {
					t.Errorf("%d entries were walked", len(got.entries))
				}
			})
		}
	}
}

func TestFatalEndsTheWalkWithItsError(t *testing.T) {
	fatal := func() error { return fmt.Errorf("handler: %w", walk.Fatal(errBroken)) }
	for name, h := range map[string]how{
		"File":     {file: func(*walk.Entry) error { return fatal() }},
		"EnterDir": {enter: func(*walk.Dir) error { return fatal() }},
		"LeaveDir": {leave: func(*walk.Dir) error { return fatal() }},
	} {
		for _, workers := range someWorkers {
			t.Run(fmt.Sprint(name, workers), func(t *testing.T) {
				defer goleak.VerifyNone(t)
				h.Workers = workers
				got := take(t.Context(), t, h, plain(t))
				if !errors.Is(got.err, errBroken) || got.totals.QueuedDirs == 0 || got.totals.Stopped {
					t.Errorf("%v, %+v", got.err, got.totals)
				}
			})
		}
	}
}

func TestTheVerdictOnADirectory(t *testing.T) {
	at := func(verdict error) func(d *walk.Dir) error {
		return func(d *walk.Dir) error {
			if d.Name() == "b" {
				return verdict
			}
			return nil
		}
	}
	for _, c := range []struct {
		name                        string
		h                           how
		processed, filtered, failed int64
		files                       int
		errors                      []string
	}{
		{"EnterDir SkipDir", how{enter: at(fs.SkipDir)}, 3, 1, 0, 6, nil},
		{"EnterDir error", how{enter: at(errBroken)}, 3, 0, 1, 6, []string{"handle ROOT/b: broken"}},
		{"LeaveDir SkipDir", how{leave: at(fs.SkipDir)}, 4, 0, 0, 8, nil},
		{"LeaveDir error", how{leave: at(errBroken)}, 3, 0, 1, 8, []string{"handle ROOT/b: broken"}},
	} {
		for _, workers := range someWorkers {
			t.Run(fmt.Sprint(c.name, workers), func(t *testing.T) {
				root := plain(t)
				c.h.Workers = workers
				got := take(t.Context(), t, c.h, root)
				tot := got.totals
				if got.err != nil || tot.ProcessedDirs != c.processed || tot.FilteredDirs != c.filtered || tot.FailedDirs != c.failed ||
					int(tot.ProcessedFiles) != c.files {
					t.Errorf("%v, %+v", got.err, tot)
				}
				var want []string
				for _, e := range c.errors {
					want = append(want, strings.ReplaceAll(e, "ROOT", root))
				}
				got.wantErrors(t, want...)
				if _, left := got.left[filepath.Join(root, "b")]; left != strings.HasPrefix(c.name, "Leave") {
					t.Errorf("left: %v", left)
				}
			})
		}
	}
}

func TestAPanicIsAnErrorOfItsEntry(t *testing.T) {
	for name, c := range map[string]struct {
		h          how
		at         string
		files      int64
		failedDirs int64
	}{
		"File": {how{file: func(e *walk.Entry) error {
			if e.Dir().Name() == "b" && e.Name() == "1" {
				panic("boo")
			}
			return nil
		}}, "b/1", 7, 0},
		"EnterDir": {how{enter: func(d *walk.Dir) error {
			if d.Name() == "b" {
				panic("boo")
			}
			return nil
		}}, "b", 6, 1},
		"LeaveDir": {how{leave: func(d *walk.Dir) error {
			if d.Name() == "b" {
				panic("boo")
			}
			return nil
		}}, "b", 8, 1},
		"Filter": {how{filter: func(d *walk.Dir, e []walk.Entry) []walk.Entry {
			if d.Name() == "b" {
				panic("boo")
			}
			return e
		}}, "b", 6, 1},
	} {
		for _, workers := range someWorkers {
			t.Run(fmt.Sprint(name, workers), func(t *testing.T) {
				root := plain(t)
				c.h.Workers = workers
				got := take(t.Context(), t, c.h, root)
				got.wantErrors(t, "handle "+filepath.Join(root, c.at)+": panic: boo")
				var p *walk.PanicError
				if !errors.As(got.totals.FirstError, &p) || p.Value != "boo" || !strings.Contains(string(p.Stack), "order_test.go") {
					t.Errorf("%v has no panic with a stack", got.totals.FirstError)
				}
				if got.err != nil || got.totals.ProcessedFiles != c.files || got.totals.FailedDirs != c.failedDirs {
					t.Errorf("%v, %+v", got.err, got.totals)
				}
			})
		}
	}
}

// parts are the optional methods of a handler.
type parts struct {
	flush func(context.Context) error
	file  func(context.Context, *walk.Entry) error
}

func (p parts) File(ctx context.Context, e *walk.Entry) error { return p.file(ctx, e) }
func (p parts) Flush(ctx context.Context) error               { return p.flush(ctx) }

func TestEveryHandlerIsFlushedOnceAfterItsLastEntry(t *testing.T) {
	root := plain(t)
	for _, workers := range someWorkers {
		for _, stop := range []string{"", "cancel", "SkipAll", "Fatal"} {
			ctx, cancel := context.WithCancel(t.Context())
			var mu sync.Mutex
			made, flushed := 0, map[int]bool{}
			_, err := walk.Trees(ctx, []string{root}, func(id int) (walk.Handler, error) {
				mu.Lock()
				made++
				mu.Unlock()
				return parts{
					flush: func(ctx context.Context) error {
						mu.Lock()
						defer mu.Unlock()
						if flushed[id] || ctx.Err() != nil {
							t.Errorf("worker %d is flushed before: %v; context: %v", id, flushed[id], ctx.Err())
						}
						flushed[id] = true
						return nil
					},
					file: func(context.Context, *walk.Entry) error {
						mu.Lock()
						defer mu.Unlock()
						if flushed[id] {
							t.Errorf("worker %d gets an entry after it was flushed", id)
						}
						switch stop {
						case "cancel":
							cancel()
						case "SkipAll":
							return fs.SkipAll
						case "Fatal":
							return walk.Fatal(errBroken)
						}
						return nil
					},
				}, nil
			}, &walk.Options{Workers: workers})
			cancel()
			switch {
			case stop == "cancel": // the walk may have been over
			case (err != nil) != (stop == "Fatal"):
				t.Errorf("%q: %v", stop, err)
			}
			if made != len(flushed) {
				t.Errorf("%d workers, %q: %d handlers, %d flushed", workers, stop, made, len(flushed))
			}
		}
	}
}

func TestAHandlerThatCanNotBeMadeOrFlushedFailsTheWalk(t *testing.T) {
	root := plain(t)
	for _, workers := range someWorkers {
		_, err := walk.Trees(t.Context(), []string{root}, func(id int) (walk.Handler, error) {
			if id == 0 {
				return nil, errBroken
			}
			return fileFunc(func(*walk.Entry) error { return nil }), nil
		}, &walk.Options{Workers: workers})
		if !errors.Is(err, errBroken) {
			t.Errorf("%d workers: handler not made: %v", workers, err)
		}
		for name, broken := range map[string]func() error{
			"error": func() error { return errBroken },
			"panic": func() error { panic(errBroken) },
		} {
			totals, err := walk.Trees(t.Context(), []string{root}, func(id int) (walk.Handler, error) {
				return parts{
					file: func(context.Context, *walk.Entry) error { return nil },
					flush: func(context.Context) error {
						if id == 0 { // the others may come too late to be made
							return broken()
						}
						return nil
					},
				}, nil
			}, &walk.Options{Workers: workers})
			var p *walk.PanicError
			if name == "error" && !errors.Is(err, errBroken) || name == "panic" && !errors.As(err, &p) {
				t.Errorf("%d workers: flush with %s: %v, %+v", workers, name, err, totals)
			}
		}
	}
}

// exits ends its goroutine, as FailNow of package testing does.
type exits struct{}

func (exits) File(context.Context, *walk.Entry) error { runtime.Goexit(); return nil }

func TestAHandlerThatExitsOrCanNotBeMadeEndsTheWalk(t *testing.T) {
	root := plain(t)
	for _, workers := range append(someWorkers, 0, -1) {
		totals, err := walk.Trees(t.Context(), []string{root}, func(int) (walk.Handler, error) { return exits{}, nil }, &walk.Options{Workers: workers})
		if err == nil || totals.Complete() || totals.FoundDirs-totals.QueuedDirs != totals.ExpectedDirs() {
			t.Errorf("%d workers: it exits: %v, %+v", workers, err, totals)
		}
		_, err = walk.Trees(t.Context(), []string{root}, func(int) (walk.Handler, error) { panic("no") }, &walk.Options{Workers: workers})
		var p *walk.PanicError
		if !errors.As(err, &p) {
			t.Errorf("%d workers: it is not made: %v", workers, err)
		}
	}
}

func TestACancelledWalkSaysWhyAndWhatIsLeft(t *testing.T) {
	root := plain(t)
	for _, workers := range someWorkers {
		for stopAt := range 8 {
			ctx, cancel := context.WithCancelCause(t.Context())
			var mu sync.Mutex
			files := 0
			got := take(ctx, t, how{Options: walk.Options{Workers: workers}, file: func(*walk.Entry) error {
				mu.Lock()
				defer mu.Unlock()
				if files++; files == stopAt+1 {
					cancel(errBroken)
				}
				return nil
			}}, root)
			cancel(nil)
			// The walk may have been over.
			if got.err == nil && got.totals.Complete() && len(got.entries) == 12 {
				continue
			}
			if !errors.Is(got.err, errBroken) || got.totals.QueuedDirs == 0 || got.totals.Complete() {
				t.Errorf("%d workers, cancelled at %d: %v, %+v", workers, stopAt, got.err, got.totals)
			}
		}
	}
}

func TestAWalkThatIsCancelledBeforeItBeginsDoesNothing(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	got := take(ctx, t, how{}, plain(t))
	if !errors.Is(got.err, context.Canceled) || len(got.entries) != 0 || got.totals.QueuedDirs != 1 {
		t.Errorf("%v, %d entries, %+v", got.err, len(got.entries), got.totals)
	}
}

func TestAWalkOfNothingIsComplete(t *testing.T) {
	got := take(t.Context(), t, how{})
	got.complete(t)
	if got.totals != (walk.Totals{}) {
		t.Errorf("%+v", got.totals)
	}
}

func TestAMonitorShowsTheWalkWhileItRuns(t *testing.T) {
	tree := fstest.MapFS{}
	for i := range 2000 {
		tree[fmt.Sprintf("%d/f", i)] = &fstest.MapFile{}
	}
	m := new(walk.Monitor)
	if m.Snapshot() != (walk.Totals{}) {
		t.Error("a monitor begins with counters")
	}
	var mu sync.Mutex
	var last walk.Totals
	got := take(t.Context(), t, how{Options: walk.Options{Workers: 3, FS: tree, Monitor: m}, file: func(*walk.Entry) error {
		mu.Lock()
		defer mu.Unlock()
		now := m.Snapshot()
		if now.QueuedDirs < 1 || now.ProcessedDirs < last.ProcessedDirs || now.ProcessedFiles < last.ProcessedFiles || now.Workers < 1 {
			t.Errorf("%+v comes after %+v", now, last)
		}
		last = now
		return nil
	}}, ".")
	got.complete(t)
	if last.ProcessedDirs == 0 || last.ProcessedFiles == 0 {
		t.Errorf("the counters stand still: %+v", last)
	}
	if end := m.Snapshot(); end != got.totals {
		t.Errorf("after the walk the monitor shows %+v, want %+v", end, got.totals)
	}
}
