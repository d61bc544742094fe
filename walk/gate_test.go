package walk

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"
)

// tally counts the calls of a handler, by path, each of which takes a millisecond.
type tally struct {
	mu    sync.Mutex
	seen  map[string]int // "file f001", "enter .", "leave .", "filter ."
	begun atomic.Int64
}

func (c *tally) call(what, path string) {
	c.begun.Add(1)
	time.Sleep(time.Millisecond)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.seen == nil {
		c.seen = map[string]int{}
	}
	c.seen[what+" "+path]++
}

func (c *tally) File(_ context.Context, e *Entry) error   { c.call("file", e.Path()); return nil }
func (c *tally) EnterDir(_ context.Context, d *Dir) error { c.call("enter", d.Path()); return nil }
func (c *tally) LeaveDir(_ context.Context, d *Dir) error { c.call("leave", d.Path()); return nil }

// tallyFilter also counts the calls of Filter.
type tallyFilter struct{ *tally }

func (c tallyFilter) Filter(_ context.Context, d *Dir, entries []Entry) []Entry {
	c.call("filter", d.Path())
	return entries
}

// once checks that all files and directories of a tree had their calls once.
func (c *tally) once(t *testing.T, tree fstest.MapFS) {
	t.Helper()
	want := map[string]bool{"enter .": true, "leave .": true}
	for p, f := range tree {
		if f.Mode.IsDir() {
			want["enter "+p], want["leave "+p] = true, true
		} else {
			want["file "+p] = true
		}
	}
	for call := range want {
		if n := c.seen[call]; n != 1 {
			t.Errorf("%.60s was called %d times", call, n)
		}
	}
	for call := range c.seen {
		if !want[call] && !strings.HasPrefix(call, "filter ") {
			t.Errorf("%.60s is too much", call)
		}
	}
}

// forest has files in the root, small directories, and one that has several chunks
// where a chunk has leastRoom bytes.
func forest() fstest.MapFS {
	m := files(30, "empty/")
	delete(m, "empty")
	for i := range 10 {
		for _, p := range []string{fmt.Sprintf("d%d/sub/f", i), fmt.Sprintf("d%d/f", i)} {
			m[p] = &fstest.MapFile{}
		}
		m[fmt.Sprintf("d%d", i)] = &fstest.MapFile{Mode: 0o755 | 1<<31}
		m[fmt.Sprintf("d%d/sub", i)] = &fstest.MapFile{Mode: 0o755 | 1<<31}
	}
	m["large"] = &fstest.MapFile{Mode: 0o755 | 1<<31}
	for p, f := range chunky(60) {
		m["large/"+p] = f
	}
	return m
}

// shapes are walks of a forest in which handlers are called in all places.
func shapes(t *testing.T, do func(t *testing.T, tree fstest.MapFS, workers int, c *tally, o ShareOptions)) {
	for _, workers := range []int{1, 4} {
		for _, filter := range []bool{false, true} {
			for _, most := range []int{1, 16} { // 1: the large directory is huge
				t.Run(fmt.Sprint(workers, " workers, filter=", filter, ", huge=", most == 1), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						c, tree := &tally{}, forest()
						o := ShareOptions{Options: Options{FS: tree}}
						o.tune = func(s *Shared) { s.chunk, s.mostChunks = leastRoom, most }
						o.NewHandler = func(int) (Handler, error) {
							if filter {
								return tallyFilter{c}, nil
							}
							return c, nil
						}
						do(t, tree, workers, c, o)
					})
				})
			}
		}
	}
}

// rests checks that no call is begun for an hour, after those that run have ended.
func (c *tally) rests(t *testing.T) {
	t.Helper()
	time.Sleep(2 * time.Millisecond)
	n := c.begun.Load()
	time.Sleep(time.Hour)
	if more := c.begun.Load() - n; more > 0 {
		t.Errorf("%d calls were begun in a pause", more)
	}
}

// remains checks that what was counted, and what remains, is all of a forest.
func remains(t *testing.T, c *tally, cut *Cut, tree fstest.MapFS, o ShareOptions) {
	t.Helper()
	tot := cut.Totals
	if n := int64(c.count("file ")); n != tot.ProcessedFiles {
		t.Errorf("%d files were handled, %d counted", n, tot.ProcessedFiles)
	}
	more := resume(t, nil, cut.Items, o)
	tot.Add(&more)
	dirs, all := int64(1), int64(len(tree))
	for _, f := range tree {
		if f.Mode.IsDir() {
			dirs++
			all--
		}
	}
	if tot.FoundDirs != dirs || tot.ProcessedDirs != dirs || tot.ProcessedFiles != all {
		t.Errorf("%+v, want %d directories and %d files", tot, dirs, all)
	}
	c.once(t, tree)
}

func (c *tally) count(what string) (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for call, times := range c.seen {
		if strings.HasPrefix(call, what) {
			n += times
		}
	}
	return n
}

func TestNoCallBeginsInAPauseAndCutsAreExact(t *testing.T) {
	shapes(t, func(t *testing.T, tree fstest.MapFS, workers int, c *tally, o ShareOptions) {
		s := alone(t, nil, workers, o)
		s.AddRoots(false)
		for pauses := 0; s.Load().Pending > 0; pauses++ {
			time.Sleep(time.Duration(3+pauses%4) * time.Millisecond)
			s.Pause(true)
			c.rests(t)
			if l := s.Load(); !l.Paused || l.Err != nil {
				t.Errorf("%+v", l)
			}
			began := time.Now()
			cut, err := s.Cut(t.Context(), nil)
			if err != nil || time.Since(began) > 0 {
				t.Fatalf("the cut took %v, %v", time.Since(began), err)
			}
			if n := int64(c.count("file ")); n != cut.Totals.ProcessedFiles || n != s.Progress().ProcessedFiles {
				t.Errorf("%d files were handled, %d are in the cut, %d are shown", n, cut.Totals.ProcessedFiles, s.Progress().ProcessedFiles)
			}
			if n := int64(c.count("leave ")); n != cut.Totals.ProcessedDirs {
				t.Errorf("%d directories were left, %d are in the cut", n, cut.Totals.ProcessedDirs)
			}
			if remain := cut.Totals.FoundDirs - cut.Totals.ExpectedDirs(); remain != int64(len(cut.Items)) {
				t.Errorf("%d directories remain, and %d items", remain, len(cut.Items))
			}
			s.Pause(false)
			if s.Load().Paused {
				t.Error("it is still paused")
			}
		}
		s.Stop()
		last, err := s.Wait()
		if err != nil || len(last.Items) > 0 {
			t.Errorf("%+v, %v", last, err)
		}
		c.once(t, tree)
	})
}

func TestWhatWasInHandRemainsWhenAPausedWalkIsStopped(t *testing.T) {
	for _, after := range []time.Duration{0, 1, 2, 5, 9, 14, 17, 20, 23} {
		shapes(t, func(t *testing.T, tree fstest.MapFS, workers int, c *tally, o ShareOptions) {
			s := alone(t, nil, workers, o)
			s.AddRoots(false)
			time.Sleep(after * 1100 * time.Microsecond)
			s.Pause(true)
			c.rests(t)
			n := c.begun.Load()
			s.Stop()
			last, err := s.Wait()
			if err != nil || c.begun.Load() != n {
				t.Errorf("%d calls were begun after it was stopped, %v", c.begun.Load()-n, err)
			}
			if n := s.p.fds.Load(); n != 0 {
				t.Errorf("%d directories are open", n)
			}
			remains(t, c, last, tree, o)
		})
	}
}

func TestAPausedWalkThatIsCutAndGivenAwayLosesNothing(t *testing.T) {
	// What is in hand goes on here, what waits elsewhere.
	shapes(t, func(t *testing.T, tree fstest.MapFS, workers int, c *tally, o ShareOptions) {
		s := alone(t, nil, workers, o)
		s.AddRoots(false)
		time.Sleep(20 * time.Millisecond)
		s.Pause(true)
		c.rests(t)
		bags := s.Take(1, 100, 1<<20)
		s.SetWorkers(0)
		s.SetWorkers(workers + 2)
		var given []Item
		for _, it := range bags[0] {
			if it.Part == nil {
				given = append(given, it)
			} else {
				s.Add([]Item{it})
			}
		}
		c.rests(t)
		s.Pause(false)
		more := resume(t, nil, given, o)
		time.Sleep(time.Minute)
		if cut, err := s.Cut(t.Context(), nil); err != nil || len(cut.Items) > 0 {
			t.Errorf("%+v, %v", cut, err)
		} else if n := cut.Totals.ProcessedFiles + more.ProcessedFiles; n != int64(c.count("file ")) {
			t.Errorf("%d files were counted, want %d", n, c.count("file "))
		}
		if n := c.count("file "); n != 110 {
			t.Errorf("%d files were handled", n)
		}
	})
}

func TestARootThatIsAFileWaitsForTheEndOfAPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &tally{}
		o := ShareOptions{Options: Options{FS: files(1)}, Roots: []string{"f000"}}
		o.NewHandler = func(int) (Handler, error) { return c, nil }
		s := alone(t, nil, 1, o)
		s.Pause(true)
		s.AddRoots(false)
		c.rests(t)
		if cut, err := s.Cut(t.Context(), nil); err != nil || len(cut.Items) != 1 || !cut.Items[0].File {
			t.Errorf("%+v, %v", cut, err)
		}
		s.Pause(false)
		time.Sleep(time.Second)
		if c.count("file f000") != 1 {
			t.Errorf("%v", c.seen)
		}
	})
}

func TestWhoRestsIsNoStall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &tally{}
		o := ShareOptions{Options: Options{FS: files(100)}, Stall: time.Second}
		o.NewHandler = func(int) (Handler, error) { return c, nil }
		s := alone(t, nil, 2, o)
		s.AddRoots(false)
		time.Sleep(10 * time.Millisecond)
		s.Pause(true)
		c.rests(t)
		if stalls := s.Stalled(); len(stalls) > 0 {
			t.Errorf("%+v", stalls)
		}
	})
}

func TestThatAllWorkersAreCalledSoonAfterInterject(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		calls := map[int]int{}
		handlers := map[int]*private{}
		o := ShareOptions{Options: Options{FS: forest()}}
		o.NewHandler = func(id int) (Handler, error) {
			mu.Lock()
			defer mu.Unlock()
			handlers[id] = &private{t: t}
			return handlers[id], nil
		}
		o.Between = func(id int) error {
			mu.Lock()
			defer mu.Unlock()
			calls[id]++
			handlers[id].changed() // no lock: it is the worker's own goroutine
			return nil
		}
		s := alone(t, nil, 8, o)
		all := func(when string) {
			t.Helper()
			mu.Lock()
			clear(calls)
			mu.Unlock()
			s.Interject()
			s.Interject()
			time.Sleep(5 * time.Millisecond)
			mu.Lock()
			defer mu.Unlock()
			for id := range 8 {
				if n := calls[id]; n < 1 || n > 2 {
					t.Errorf("%s: worker %d was called %d times", when, id, n)
				}
			}
			if s.p.attention.Load()&calling != 0 || s.untold != 0 {
				t.Errorf("%s: %d workers are still asked", when, s.untold)
			}
		}
		synctest.Wait()
		all("idle")
		s.SetWorkers(3)
		synctest.Wait()
		all("benched")
		s.AddRoots(false)
		time.Sleep(4 * time.Millisecond)
		all("at work")
		s.Pause(true)
		time.Sleep(5 * time.Millisecond)
		all("paused")
		s.Pause(false)
		s.SetWorkers(8)
		all("at work again")
	})
}

// private is a handler that the race detector watches, with what Between changes.
type private struct {
	t       *testing.T
	n       int
	working atomic.Bool
}

func (p *private) changed() {
	if p.working.Load() {
		p.t.Error("Between was called in a call of the handler")
	}
	p.n++
}

func (p *private) File(context.Context, *Entry) error {
	p.working.Store(true)
	defer p.working.Store(false)
	p.n++
	time.Sleep(time.Millisecond)
	return nil
}

func TestAWorkerThatIsBeingMadeIsCalledToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		var called atomic.Int64
		o := ShareOptions{Options: Options{FS: files(1)}}
		o.NewHandler = func(int) (Handler, error) { <-gate; return &calls{}, nil }
		o.Between = func(int) error { called.Add(1); return nil }
		s := alone(t, nil, 1, o)
		synctest.Wait()
		s.Interject() // the handler may have been made with older settings
		close(gate)
		synctest.Wait()
		if called.Load() != 1 {
			t.Errorf("it was called %d times", called.Load())
		}
	})
}

func TestBetweenFailsTheWalk(t *testing.T) {
	boom := errors.New("boom")
	for name, between := range map[string]func(int) error{
		"error": func(int) error { return boom },
		"panic": func(int) error { panic(boom) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := &tally{}
				o := ShareOptions{Options: Options{FS: forest()}, Between: between}
				o.NewHandler = func(int) (Handler, error) { return c, nil }
				s := alone(t, nil, 2, o)
				s.AddRoots(false)
				time.Sleep(10 * time.Millisecond)
				s.Interject()
				last, err := s.Wait()
				if err == nil || !strings.Contains(err.Error(), "boom") {
					t.Errorf("the walk ended with %v", err)
				}
				o.Between = nil
				remains(t, c, last, forest(), o)
			})
		})
	}
}

func TestTheNumberOfWorkersAdaptsAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// Each file waits a second, and no processor is busy: more workers help.
		s := alone(t, &calls{file: func(*Entry) error { time.Sleep(time.Second); return nil }}, 2, ShareOptions{Options: Options{FS: files(50_000)}})
		s.AddRoots(false)
		workers := func() int { return s.Load().Workers }
		time.Sleep(time.Minute)
		if n := workers(); n != 2 {
			t.Errorf("%d workers, and 2 were asked for", n)
		}
		s.SetWorkers(0)
		time.Sleep(time.Minute)
		if n := workers(); n != 0 {
			t.Errorf("%d workers, and none was asked for", n)
		}
		if strings.Contains(stacks(), "walk.(*pool).adapt(") {
			t.Error("it adapts")
		}
		s.SetWorkers(-1)
		if n := workers(); n != cores() {
			t.Errorf("it adapts from %d workers", n)
		}
		_, turn, _ := s.p.adapts()
		synctest.Wait()
		if !strings.Contains(stacks(), "walk.(*pool).adapt(") {
			t.Error("it does not adapt")
		}
		s.SetWorkers(5)
		s.p.setLimit(7, turn) // an adapter that comes late
		if n := workers(); n != 5 {
			t.Errorf("%d workers, and 5 were asked for", n)
		}
		s.SetWorkers(-1)
		if n := workers(); n != 5 {
			t.Errorf("it adapts from %d workers, want 5", n)
		}
	})
}
