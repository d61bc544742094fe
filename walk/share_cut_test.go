package walk

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"github.com/hydrawalk/hydra/internal/rawdir"
)

// calls is a handler of functions, which serves all workers of a Shared.
type calls struct {
	file         func(e *Entry) error
	enter, leave func(d *Dir) error
	flush        func() error
}

func (c *calls) File(_ context.Context, e *Entry) error {
	if c.file == nil {
		return nil
	}
	return c.file(e)
}

func (c *calls) EnterDir(_ context.Context, d *Dir) error {
	if c.enter == nil {
		return nil
	}
	return c.enter(d)
}

func (c *calls) LeaveDir(_ context.Context, d *Dir) error {
	if c.leave == nil {
		return nil
	}
	return c.leave(d)
}

func (c *calls) Flush(context.Context) error {
	if c.flush == nil {
		return nil
	}
	return c.flush()
}

// alone starts a Shared, which is stopped when the test ends.
func alone(t testing.TB, c *calls, workers int, o ShareOptions) *Shared {
	t.Helper()
	o.Name, o.Workers = "alone", workers
	if o.NewHandler == nil {
		o.NewHandler = func(int) (Handler, error) { return c, nil }
	}
	if o.Roots == nil {
		o.Roots = []string{"."}
	}
	s, err := NewShared(t.Context(), &o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Stop(); s.Wait() })
	return s
}

// files is a directory of n files, and others by their paths.
func files(n int, others ...string) fstest.MapFS {
	m := fstest.MapFS{}
	for i := range n {
		m[fmt.Sprintf("f%03d", i)] = &fstest.MapFile{}
	}
	for _, p := range others {
		if dir, ok := strings.CutSuffix(p, "/"); ok {
			m[dir] = &fstest.MapFile{Mode: fs.ModeDir | 0o755}
		} else {
			m[p] = &fstest.MapFile{}
		}
	}
	return m
}

// namesIn lists the names in items of directories that were entered.
func namesIn(t testing.TB, items []Item) (names []string) {
	t.Helper()
	for _, it := range items {
		if it.Part == nil {
			continue
		}
		for _, n := range it.Part.Names {
			chunks, err := decodeNames(n.Records, 1<<20)
			if err != nil {
				t.Fatal(err)
			}
			var ent rawdir.Dirent
			for _, c := range chunks {
				for c, err = rawdir.Next(c, &ent); err == nil && ent.Name != ""; c, err = rawdir.Next(c, &ent) {
					names = append(names, ent.Name.Clone().String())
				}
			}
		}
	}
	return names
}

func TestACutDoesNotWaitForASlowChunkNorCutAFastOne(t *testing.T) {
	for _, c := range []struct {
		each  time.Duration // per file
		files int64         // counted when the cut is made
	}{
		{time.Millisecond, 25},
		{time.Millisecond / 10, 100},
	} {
		synctest.Test(t, func(t *testing.T) {
			started := make(chan struct{}, 100)
			s := alone(t, &calls{file: func(*Entry) error {
				started <- struct{}{}
				time.Sleep(c.each)
				return nil
			}}, 1, ShareOptions{Options: Options{FS: files(100)}})
			s.AddRoots(false)
			for range 5 {
				<-started
			}
			cut, err := s.Cut(t.Context(), nil)
			if err != nil {
				t.Fatal(err)
			}
			left := 100 - cut.Totals.ProcessedFiles
			if d := cut.Totals.ProcessedFiles - c.files; d < -1 || d > 1 {
				t.Errorf("%d files were handled before the cut, want about %d", cut.Totals.ProcessedFiles, c.files)
			}
			if got := namesIn(t, cut.Items); int64(len(got)) != left {
				t.Errorf("%d names are left, want %d", len(got), left)
			}
			if left > 0 {
				if len(cut.Items) != 1 || cut.Items[0].Part.Counts != (DirCounts{Files: cut.Totals.ProcessedFiles}) || cut.Totals.ProcessedDirs != 0 {
					t.Errorf("%+v, %+v", cut.Items, cut.Totals)
				}
			}
		})
	}
}

func TestADirectoryIsLeftInTheEpochOfItsLastPart(t *testing.T) {
	// Three chunks, two workers: one of them passes to the next epoch and ends the
	// third chunk there, before the other ends its own in the old epoch.
	tree := fstest.MapFS{}
	for i := range 50 {
		tree[fmt.Sprintf("%02d%s", i, strings.Repeat("x", 190))] = &fstest.MapFile{}
	}
	first, third := make(chan struct{}), make(chan struct{})
	at := make(chan string, 100)
	var mu sync.Mutex
	var blocked []string
	o := ShareOptions{Options: Options{FS: tree}}
	o.tune = func(s *Shared) { s.chunk, s.patience = leastRoom, time.Hour }
	s := alone(t, &calls{file: func(e *Entry) error {
		name := e.Name()[:2]
		at <- name
		mu.Lock()
		n := len(blocked)
		if n < 2 {
			blocked = append(blocked, name)
		}
		mu.Unlock()
		switch n {
		case 0:
			<-first
		case 1:
			<-third
		}
		return nil
	}}, 2, o)
	s.AddRoots(false)
	<-at
	<-at
	cut := make(chan *Cut)
	go func() {
		c, err := s.Cut(t.Context(), nil)
		if err != nil {
			t.Error(err)
		}
		cut <- c
	}()
	for s.epoch.Load() == 1 {
		time.Sleep(time.Millisecond)
	}
	close(first)
	// This worker does all that the other one has not in hand.
	for s.Load().Idle == 0 {
		time.Sleep(time.Millisecond)
	}
	close(third)
	c := <-cut
	if len(c.Items) != 1 || c.Totals.ProcessedDirs != 0 {
		t.Fatalf("%d items are left, and %+v", len(c.Items), c.Totals)
	}
	names := int64(len(namesIn(t, c.Items)))
	if p := c.Items[0].Part; names == 0 || names+p.Counts.Files != 50 || p.Counts.Files != c.Totals.ProcessedFiles {
		t.Errorf("%d names and %+v are left, with %+v", names, p.Counts, c.Totals)
	}
	s.Stop()
	if last, err := s.Wait(); err != nil || len(last.Items) != 0 || last.Totals.ProcessedDirs != 1 || last.Totals.ProcessedFiles != 50 {
		t.Errorf("%+v, %v", last, err)
	}
}

func TestAThiefThatIsBehindGetsNothing(t *testing.T) {
	var q deque
	q.push(task{dir: new(Dir)}, task{dir: new(Dir)})
	q.epoch = 2
	if got, behind := q.steal(nil, 1); len(got) != 0 || !behind {
		t.Errorf("it got %d tasks, and is behind: %v", len(got), behind)
	}
	if got, behind := q.steal(nil, 3); len(got) != 1 || behind || len(q.passed) != 1 {
		t.Errorf("one ahead got %d tasks, of which %d are noted", len(got), len(q.passed))
	}
}

func TestTwoShareADirectoryOfSlowFiles(t *testing.T) {
	var mu sync.Mutex
	seen := map[string]int{}
	by := [2]int{}
	gate := make(chan struct{})
	tree := files(100)
	changed := make(chan struct{}, 1)
	var left []DirCounts
	var s [2]*Shared
	for i := range s {
		c := &calls{
			file: func(e *Entry) error {
				<-gate
				mu.Lock()
				defer mu.Unlock()
				seen[e.Name()]++
				by[i]++
				return nil
			},
			leave: func(d *Dir) error {
				mu.Lock()
				defer mu.Unlock()
				left = append(left, d.Counts())
				return nil
			},
		}
		o := ShareOptions{Options: Options{FS: tree, Workers: 2}, Roots: []string{"."}, Name: fmt.Sprint(i)}
		o.NewHandler = func(int) (Handler, error) { return c, nil }
		o.Notify = func() {
			select {
			case changed <- struct{}{}:
			default:
			}
		}
		o.tune = func(s *Shared) { s.patience = 0 }
		var err error
		if s[i], err = NewShared(t.Context(), &o); err != nil {
			t.Fatal(err)
		}
	}
	s[0].AddRoots(false)
	s[0].Hungry(true)
	s[0].SetWorkers(1) // nobody else splits its chunk
	// Each file takes until the other one has something to do.
	var bags [][]Item
	for len(bags) == 0 {
		gate <- struct{}{}
		bags = s[0].Take(1, 100, 1<<20)
	}
	if len(bags) != 1 || len(bags[0]) != 1 || bags[0][0].Part == nil || bags[0][0].Part.Dir == "" {
		t.Fatalf("%+v was taken", bags)
	}
	s[0].Hungry(false)
	s[1].Add(bags[0])
	close(gate)
	sums := DirSum{}
	for i := range s {
		for s[i].Load().Pending > 0 {
			<-changed
		}
		c, err := s[i].Cut(t.Context(), nil)
		if err != nil || len(c.Items) != 0 {
			t.Fatalf("%+v, %v", c, err)
		}
		sums = sums.plus(c.Shared[bags[0][0].Part.Dir])
	}
	if len(left) != 0 {
		t.Errorf("the directory was left by who has but a part of it: %+v", left)
	}
	s[1].Add([]Item{{Part: &Part{Counts: sums.Counts, Flags: sums.Flags}}})
	for s[1].Load().Pending > 0 {
		<-changed
	}
	for i := range s {
		s[i].Stop()
		if _, err := s[i].Wait(); err != nil {
			t.Error(err)
		}
	}
	if len(left) != 1 || left[0] != (DirCounts{Files: 100}) {
		t.Errorf("the directory was left with %+v", left)
	}
	if len(seen) != 100 || by[0] == 0 || by[1] == 0 || by[0]+by[1] != 100 {
		t.Errorf("%d files were seen, %v by each", len(seen), by)
	}
}

// resume walks what remains, and returns what it counted.
func resume(t *testing.T, c *calls, items []Item, o ShareOptions) Totals {
	t.Helper()
	changed := make(chan struct{}, 1)
	o.Notify = func() {
		select {
		case changed <- struct{}{}:
		default:
		}
	}
	s := alone(t, c, 2, o)
	s.Add(items)
	for s.Load().Pending > 0 {
		<-changed
	}
	s.Stop()
	last, err := s.Wait()
	if err != nil || len(last.Items) > 0 {
		t.Errorf("%+v, %v", last, err)
	}
	return last.Totals
}

func TestWhatAHandlerRefusedRemains(t *testing.T) {
	boom := errors.New("boom")
	for _, c := range []struct {
		name string
		at   string // file, enter, leave
		err  error
		want error
		done int64 // of the files up to the one
	}{
		{"fatal file", "file", Fatal(boom), boom, 0},
		{"skip all file", "file", fs.SkipAll, nil, 1},
		{"fatal enter", "enter", Fatal(boom), boom, 0},
		{"fatal leave", "leave", Fatal(boom), boom, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			var mu sync.Mutex
			seen := map[string]int{}
			entered, left := map[string]int{}, map[string]DirCounts{}
			broken := true
			h := &calls{}
			fails := func(what, path, target string) error {
				if broken && c.at == what && path == target {
					return c.err
				}
				return nil
			}
			h.file = func(e *Entry) error {
				mu.Lock()
				defer mu.Unlock()
				err := fails("file", e.Path(), "d/f2")
				if err == nil || errors.Is(err, fs.SkipAll) {
					seen[e.Path()]++
				}
				return err
			}
			h.enter = func(d *Dir) error {
				mu.Lock()
				defer mu.Unlock()
				if err := fails("enter", d.Path(), "d"); err != nil {
					return err
				}
				entered[d.Path()]++
				return nil
			}
			h.leave = func(d *Dir) error {
				mu.Lock()
				defer mu.Unlock()
				if err := fails("leave", d.Path(), "d"); err != nil {
					return err
				}
				left[d.Path()] = d.Counts()
				return nil
			}
			o := ShareOptions{Options: Options{FS: files(3, "d/f1", "d/f2", "d/f3", "d/e/f4")}}
			s := alone(t, h, 1, o)
			s.AddRoots(false)
			last, err := s.Wait()
			if !errors.Is(err, c.want) || !s.Load().Stopped {
				t.Errorf("the error is %v, want %v", err, c.want)
			}
			broken = false
			tot := last.Totals
			more := resume(t, h, last.Items, o)
			tot.Add(&more)
			if tot.FoundDirs != 3 || tot.ProcessedDirs != 3 || tot.ProcessedFiles != 7 {
				t.Errorf("%+v", tot)
			}
			for p, n := range seen {
				if n != 1 {
					t.Errorf("%s was seen %d times", p, n)
				}
			}
			if len(seen) != 7 || len(entered) != 3 || entered["d"] != 1 || left["d"] != (DirCounts{Dirs: 1, Files: 3}) {
				t.Errorf("%v %v %v", seen, entered, left)
			}
		})
	}
}

func TestACutThatCanNotBeCommittedFailsTheWalk(t *testing.T) {
	boom := errors.New("boom")
	for name, change := range map[string]func(*calls, *ShareOptions){
		"flush": func(c *calls, _ *ShareOptions) { c.flush = func() error { return boom } },
		"cut":   func(_ *calls, o *ShareOptions) { o.Commit = func(int, uint64) error { return boom } },
		"panic": func(_ *calls, o *ShareOptions) { o.Commit = func(int, uint64) error { panic(boom) } },
	} {
		t.Run(name, func(t *testing.T) {
			h, o := &calls{}, ShareOptions{Options: Options{FS: files(3)}}
			ready := make(chan struct{})
			h.leave = func(*Dir) error { close(ready); return nil }
			change(h, &o)
			s := alone(t, h, 1, o)
			s.AddRoots(false)
			<-ready
			if c, err := s.Cut(t.Context(), nil); err == nil {
				t.Errorf("%+v", c)
			}
			if _, err := s.Wait(); err == nil || !strings.Contains(err.Error(), "boom") {
				t.Errorf("the walk ended with %v", err)
			}
			if s.Load().Err == nil {
				t.Error("Load does not tell the error")
			}
		})
	}
}

func TestACutThatWasGivenUpIsSettledBeforeTheNext(t *testing.T) {
	gate, at := make(chan struct{}), make(chan struct{}, 10)
	o := ShareOptions{Options: Options{FS: files(2)}}
	o.tune = func(s *Shared) { s.patience = 0 }
	s := alone(t, &calls{file: func(*Entry) error { at <- struct{}{}; <-gate; return nil }}, 1, o)
	s.AddRoots(false)
	<-at
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if c, err := s.Cut(ctx, nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("%+v, %v", c, err)
	}
	if got := s.Take(1, 10, 1000); got != nil {
		t.Errorf("%+v was taken from an open cut", got)
	}
	close(gate)
	c, err := s.Cut(t.Context(), nil)
	if err != nil || c.Epoch != 2 {
		t.Errorf("%+v, %v", c, err)
	}
}

func TestTakeLeavesAShareOfEachDepth(t *testing.T) {
	var others []string
	for i := range 30 {
		others = append(others, fmt.Sprintf("d%02d/", i))
	}
	s := alone(t, &calls{}, 1, ShareOptions{Options: Options{FS: files(0, others...)}})
	s.SetWorkers(0)
	var items []Item
	for i := range 30 {
		items = append(items, Item{Path: fmt.Appendf(nil, "d%02d", i)})
	}
	s.Add(items)
	bags := s.Take(2, 100, 1<<20)
	if len(bags) != 2 || len(bags[0]) != 10 || len(bags[1]) != 10 {
		t.Errorf("%d bags were taken: %v", len(bags), bags)
	}
	if bags := s.Take(1, 3, 1<<20); len(bags) != 1 || len(bags[0]) != 3 {
		t.Errorf("%v was taken, want 3 items", bags)
	}
	if bags := s.Take(1, 100, 8); len(bags) != 1 || len(bags[0]) != 2 {
		t.Errorf("%v was taken, want 2 items of 4 bytes", bags)
	}
	if l := s.Load(); l.Queued != 5 || l.Pending != 5 || l.MinDepth != 1 {
		t.Errorf("%+v", l)
	}
	c, err := s.Cut(t.Context(), nil)
	if err != nil || len(c.Items) != 5 {
		t.Errorf("%d items are left, %v", len(c.Items), err)
	}
}

func TestRangesAreJoined(t *testing.T) {
	top := ^uint64(0)
	got := joinRanges([]Range{{5, 9}, {top - 1, top}, {0, 4}, {11, 12}, {20, top - 2}})
	if want := []Range{{0, 9}, {11, 12}, {20, top}}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}
