package walk

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"
)

// outcomes are what handlers counted, by call: "file d1/f", "enter d1", "leave d1".
type outcomes struct {
	mu     sync.Mutex
	epochs map[uint64]map[string]int
	held   map[int]map[string]int // by worker, since its last cut
	begun  map[string]bool        // calls that waited
	again  map[string]bool        // of these, which may have been made before
	counts map[string]DirCounts   // of directories that were left
}

func newOutcomes() *outcomes {
	return &outcomes{epochs: map[uint64]map[string]int{}, held: map[int]map[string]int{}, begun: map[string]bool{}, again: map[string]bool{}, counts: map[string]DirCounts{}}
}

func (o *outcomes) commit(worker int, epoch uint64) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.epochs[epoch] == nil {
		o.epochs[epoch] = map[string]int{}
	}
	for call, n := range o.held[worker] {
		o.epochs[epoch][call] += n
	}
	delete(o.held, worker)
	return nil
}

// upTo are the calls that were counted up to an epoch.
func (o *outcomes) upTo(epoch uint64) map[string]int {
	o.mu.Lock()
	defer o.mu.Unlock()
	all := map[string]int{}
	for e, calls := range o.epochs {
		if e <= epoch {
			for call, n := range calls {
				all[call] += n
			}
		}
	}
	return all
}

// patient waits in each call: for a millisecond, or for two hours, as its name says.
type patient struct {
	o     *outcomes
	id    int
	batch int // 0: no batches
}

func takes(call string) time.Duration {
	if call == "file f003" {
		return 2 * time.Hour // while others wait for a batch
	}
	h := fnv.New32()
	h.Write([]byte(call))
	return []time.Duration{time.Millisecond, 3 * time.Millisecond, 100 * time.Millisecond, 2 * time.Hour}[h.Sum32()%4]
}

func (h *patient) wait(ctx context.Context, await func(context.Context, <-chan struct{}) error, again bool, calls ...string) error {
	h.o.mu.Lock()
	for i, call := range calls {
		h.o.begun[call] = true
		h.o.again[call] = again && i == 0
	}
	h.o.mu.Unlock()
	done := make(chan struct{})
	timer := time.AfterFunc(takes(calls[0]), func() { close(done) })
	defer timer.Stop()
	if err := await(ctx, done); err != nil {
		return fmt.Errorf("given up: %w", err)
	}
	h.o.mu.Lock()
	defer h.o.mu.Unlock()
	if h.o.held[h.id] == nil {
		h.o.held[h.id] = map[string]int{}
	}
	for _, call := range calls {
		h.o.held[h.id][call]++
	}
	return nil
}

func (h *patient) File(ctx context.Context, e *Entry) error {
	if h.batch > 0 && !strings.HasSuffix(e.Name(), "3") {
		return ToBatch
	}
	return h.wait(ctx, e.Await, e.Again(), "file "+e.Path())
}

func (h *patient) EnterDir(ctx context.Context, d *Dir) error {
	return h.wait(ctx, d.Await, d.Again(), "enter "+d.Path())
}

func (h *patient) LeaveDir(ctx context.Context, d *Dir) error {
	h.o.mu.Lock()
	h.o.counts[d.Path()] = d.Counts()
	h.o.mu.Unlock()
	return h.wait(ctx, d.Await, d.Again(), "leave "+d.Path())
}

// patientBatches is patient with batches.
type patientBatches struct{ *patient }

func (h patientBatches) BatchSize([]Entry) int { return h.batch }

func (h patientBatches) Batch(ctx context.Context, entries []Entry) error {
	if len(entries) > h.batch {
		return Fatal(fmt.Errorf("a batch of %d entries, and not %d", len(entries), h.batch))
	}
	var calls []string
	for i := range entries {
		calls = append(calls, "file "+entries[i].Path())
	}
	return h.wait(ctx, entries[0].Await, entries[0].Again(), calls...)
}

func patients(o *outcomes, batch int) func(int) (Handler, error) {
	return func(id int) (Handler, error) {
		h := &patient{o, id, batch}
		if batch > 0 {
			return patientBatches{h}, nil
		}
		return h, nil
	}
}

// calls are all that are due in a tree.
func callsOf(tree fstest.MapFS) map[string]int {
	calls := map[string]int{"enter .": 1, "leave .": 1}
	for p, f := range tree {
		if f.Mode.IsDir() {
			calls["enter "+p], calls["leave "+p] = 1, 1
		} else {
			calls["file "+p] = 1
		}
	}
	return calls
}

func diff(got, want map[string]int) (wrong []string) {
	for call := range want {
		if got[call] != want[call] {
			wrong = append(wrong, fmt.Sprintf("%.40s: %d times", call, got[call]))
		}
	}
	for call := range got {
		if want[call] == 0 {
			wrong = append(wrong, fmt.Sprintf("%.40s is too much", call))
		}
	}
	slices.Sort(wrong)
	return wrong
}

// Whenever everybody is killed: what was recorded and what is done again from there is
// everything once, and what was begun is known to have been.
func TestACutDoesNotWaitForAwaitAndEachOutcomeIsCountedOnce(t *testing.T) {
	for _, workers := range []int{1, 4} {
		for _, batch := range []int{0, 7} {
			for _, most := range []int{1, 16} { // 1: the large directory is huge
				for _, after := range []time.Duration{0, 2, 10, 60, 250, 3600_000, 2 * 3600_000, 20 * 3600_000} {
					t.Run(fmt.Sprint(workers, " workers, batch=", batch, ", huge=", most == 1, ", ", after), func(t *testing.T) {
						synctest.Test(t, func(t *testing.T) {
							tree := forest()
							o := ShareOptions{Options: Options{FS: sluggish{tree}}}
							o.tune = func(s *Shared) { s.chunk, s.mostChunks = leastRoom, most }
							first := newOutcomes()
							o.NewHandler, o.Commit = patients(first, batch), first.commit
							s := alone(t, nil, workers, o)
							s.AddRoots(false)
							time.Sleep(after*time.Millisecond + time.Millisecond/2)
							first.mu.Lock()
							begun := maps.Clone(first.begun)
							first.mu.Unlock()
							asked := time.Now()
							cut, err := s.Cut(t.Context(), nil)
							if err != nil {
								t.Fatal(err)
							}
							if took := time.Since(asked); took > time.Second {
								t.Fatalf("the cut took %v", took)
							}
							s.Stop()
							recorded := first.upTo(cut.Epoch)
							second := newOutcomes()
							o.NewHandler, o.Commit = patients(second, batch), second.commit
							rest := resume(t, nil, cut.Items, o)
							redone := second.upTo(1 << 62)
							for call := range begun {
								if recorded[call] == 0 && batch == 0 && !second.again[call] {
									t.Errorf("nobody knows that %.40s was begun", call)
								}
							}
							for call := range redone {
								recorded[call] += redone[call]
							}
							if wrong := diff(recorded, callsOf(tree)); len(wrong) > 0 {
								t.Errorf("%d calls are wrong: %.900q", len(wrong), wrong)
							}
							second.listsAll(t, tree)
							rest.Add(&cut.Totals)
							dirs, all := int64(1), int64(len(tree))
							for _, f := range tree {
								if f.Mode.IsDir() {
									dirs++
									all--
								}
							}
							if rest.FoundDirs != dirs || rest.ProcessedDirs != dirs || rest.ProcessedFiles != all || rest.Errors != 0 {
								t.Errorf("%+v, want %d directories and %d files", rest, dirs, all)
							}
						})
					})
				}
			}
		}
	}
}

func TestWhatStopsAWalkEndsAwaitAndTheEntryRemains(t *testing.T) {
	for _, batch := range []int{0, 7} {
		t.Run(fmt.Sprint("batch=", batch), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tree := forest()
				o := ShareOptions{Options: Options{FS: tree}}
				o.tune = func(s *Shared) { s.chunk = leastRoom }
				all := newOutcomes()
				o.NewHandler, o.Commit = patients(all, batch), all.commit
				items := []Item{{}}
				for n := 0; len(items) > 0; n++ {
					s := alone(t, nil, 3, o)
					if n == 0 {
						s.AddRoots(false)
					} else {
						s.Add(items)
					}
					time.Sleep(time.Hour*time.Duration(1+n%4) + time.Second)
					asked := time.Now()
					s.Stop()
					cut, err := s.Wait()
					if err != nil || time.Since(asked) > 0 {
						t.Fatalf("%v after %v", err, time.Since(asked))
					}
					if items = cut.Items; n > 1000 {
						t.Fatal("it does not end")
					}
				}
				all.listsAll(t, tree)
				if wrong := diff(all.upTo(1<<62), callsOf(tree)); len(wrong) > 0 {
					t.Errorf("%d calls are wrong: %.900q", len(wrong), wrong)
				}
			})
		})
	}
}

// listsAll checks that directories were left with the counts of all that they list.
func (o *outcomes) listsAll(t *testing.T, tree fstest.MapFS) {
	t.Helper()
	want := map[string]DirCounts{".": {}}
	for p, f := range tree {
		c := want[path.Dir(p)]
		if f.Mode.IsDir() {
			c.Dirs++
		} else {
			c.Files++
		}
		want[path.Dir(p)] = c
	}
	for p, counts := range o.counts {
		if counts != want[p] {
			t.Errorf("%.40s was left with %+v, want %+v", p, counts, want[p])
		}
	}
}

// slowly waits an hour in File.
type slowly struct{}

func (slowly) File(ctx context.Context, e *Entry) error {
	done := make(chan struct{})
	timer := time.AfterFunc(time.Hour, func() { close(done) })
	defer timer.Stop()
	return e.Await(ctx, done)
}

func TestWorkersShareTheFilesOfASmallDirectoryWhileTheyWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		totals, err := Trees(t.Context(), []string{"."}, func(int) (Handler, error) { return slowly{}, nil }, &Options{FS: files(40), Workers: 4})
		if took := time.Since(began); err != nil || totals.ProcessedFiles != 40 || took != 10*time.Hour {
			t.Errorf("%+v, %v in %v", totals, err, took)
		}
	})
}

func TestAPlainWalkThatIsCancelledEndsAwait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 90*time.Minute)
		defer cancel()
		totals, err := Trees(ctx, []string{"."}, func(int) (Handler, error) { return slowly{}, nil }, &Options{FS: files(40), Workers: 4})
		if !errors.Is(err, context.DeadlineExceeded) || totals.ProcessedFiles != 4 || totals.Errors != 0 || totals.QueuedDirs != 1 {
			t.Errorf("%+v, %v", totals, err)
		}
	})
}

// failing has one outcome for all batches.
type failing struct{ fails error }

func (f failing) File(context.Context, *Entry) error       { return ToBatch }
func (f failing) BatchSize(entries []Entry) int            { return len(entries) }
func (f failing) Batch(_ context.Context, e []Entry) error { return f.fails }

func TestABatchHasOneOutcome(t *testing.T) {
	boom := errors.New("boom")
	for _, c := range []struct {
		err  error
		want Totals
	}{
		{nil, Totals{ProcessedFiles: 9}},
		{boom, Totals{FailedFiles: 9, Errors: 1}},
		{SkipFile, Totals{SkippedFiles: 9}},
		{fs.SkipAll, Totals{ProcessedFiles: 9, Stopped: true}},
	} {
		totals, err := Trees(t.Context(), []string{"."}, func(int) (Handler, error) { return failing{c.err}, nil }, &Options{FS: files(9), Workers: 1})
		if err != nil || totals.ProcessedFiles != c.want.ProcessedFiles || totals.FailedFiles != c.want.FailedFiles ||
			totals.SkippedFiles != c.want.SkippedFiles || totals.Errors != c.want.Errors || totals.Stopped != c.want.Stopped {
			t.Errorf("%v: %+v, %v", c.err, totals, err)
		}
		// A root that is a file is a batch as well.
		totals, err = Trees(t.Context(), []string{"f001"}, func(int) (Handler, error) { return failing{c.err}, nil }, &Options{FS: files(9), Workers: 1})
		if sum := totals.ProcessedFiles + totals.FailedFiles + totals.SkippedFiles; err != nil || sum != 1 {
			t.Errorf("%v: %+v, %v", c.err, totals, err)
		}
	}
}

// choosing counts how often it is asked for an entry.
type choosing struct {
	asked *atomic.Int64
	size  int
}

func (c choosing) File(context.Context, *Entry) error { c.asked.Add(1); return ToBatch }
func (c choosing) BatchSize([]Entry) int              { return c.size }
func (c choosing) Batch(_ context.Context, entries []Entry) error {
	if len(entries) > c.size {
		return Fatal(fmt.Errorf("a batch of %d", len(entries)))
	}
	return nil
}

// However small batches are: to choose an entry may take its attributes.
func TestAnEntryThatWaitsForABatchIsAskedForOnce(t *testing.T) {
	const n = 700
	for _, workers := range []int{1, 4} {
		var asked atomic.Int64
		newHandler := func(int) (Handler, error) { return choosing{&asked, 3}, nil }
		totals, err := Trees(t.Context(), []string{"."}, newHandler, &Options{FS: files(n), Workers: workers})
		if err != nil || totals.ProcessedFiles != n || asked.Load() != n {
			t.Errorf("%d workers: %d were asked for, %d handled, %v", workers, asked.Load(), totals.ProcessedFiles, err)
		}
		asked.Store(0)
		o := ShareOptions{Options: Options{FS: files(n)}}
		o.NewHandler = newHandler
		if shared := resume(t, nil, []Item{{}}, o); shared.ProcessedFiles != n || asked.Load() != n {
			t.Errorf("shared: %d were asked for, %d handled", asked.Load(), shared.ProcessedFiles)
		}
	}
}
