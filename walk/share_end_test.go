package walk

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"
)

// until waits for a condition that no channel tells.
func until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: it is waited for in vain", what)
		}
	}
}

// chunky has n files, of which about 15 fit into a chunk of leastRoom bytes.
func chunky(n int) fstest.MapFS {
	m := fstest.MapFS{}
	for i := range n {
		m[fmt.Sprintf("%02d%s", i, strings.Repeat("x", 190))] = &fstest.MapFile{}
	}
	return m
}

func TestWhatIsTooDeepIsCountedOnceWhenAChunkIsCut(t *testing.T) {
	tree := files(0, "z", "zz")
	for i := range 5 {
		tree[fmt.Sprint("d", i, "/x")] = &fstest.MapFile{}
	}
	at, gate := make(chan struct{}, 2), make(chan struct{})
	o := ShareOptions{Options: Options{FS: tree, MaxDepth: 1}}
	o.tune = func(s *Shared) { s.patience = 0 }
	left := DirCounts{}
	s, changed := watched(t, &calls{
		file:  func(*Entry) error { at <- struct{}{}; <-gate; return nil },
		leave: func(d *Dir) error { left = d.Counts(); return nil },
	}, 1, o)
	s.AddRoots(false)
	<-at
	cut := make(chan error)
	go func() { _, err := s.Cut(t.Context(), nil); cut <- err }()
	until(t, "the epoch", func() bool { return s.epoch.Load() == 2 })
	close(gate)
	if err := <-cut; err != nil {
		t.Fatal(err)
	}
	for s.Load().Pending > 0 {
		<-changed
	}
	s.Stop()
	last, err := s.Wait()
	if got := last.Totals; err != nil || got.FoundDirs != 6 || got.FilteredDirs != 5 || got.ProcessedDirs != 1 {
		t.Errorf("%+v, %v", got, err)
	}
	if left != (DirCounts{Dirs: 5, Files: 2}) {
		t.Errorf("the directory was left with %+v", left)
	}
}

func TestWhatWasCountedRemainsWhenALastPartIsNotLeft(t *testing.T) {
	boom := errors.New("boom")
	for name, refuse := range map[string]error{"fatal": Fatal(boom), "skip all": fs.SkipAll} {
		t.Run(name, func(t *testing.T) {
			refuse := refuse
			var left DirCounts
			h := &calls{leave: func(d *Dir) error {
				if err := refuse; err != nil {
					refuse = nil
					return err
				}
				left = d.Counts()
				return nil
			}}
			o := ShareOptions{Options: Options{FS: chunky(50)}}
			o.tune = func(s *Shared) { s.chunk = leastRoom }
			s := alone(t, h, 1, o)
			s.AddRoots(false)
			last, _ := s.Wait()
			if len(last.Items) != 1 || last.Items[0].Part == nil || last.Items[0].Part.Counts != (DirCounts{Files: 50}) {
				t.Errorf("%+v remains", last.Items)
			}
			resume(t, h, last.Items, o)
			if left != (DirCounts{Files: 50}) {
				t.Errorf("the directory was left with %+v", left)
			}
		})
	}
}

func TestACutHasNothingOfAWorkerThatEndedAfterIt(t *testing.T) {
	// Two workers in two of four chunks. One makes its cut, handles some of the next
	// epoch, and ends while the cut still waits for the other one.
	var mu sync.Mutex
	var gates []chan struct{}
	at := make(chan int, 200)
	o := ShareOptions{Options: Options{FS: chunky(70)}}
	o.tune = func(s *Shared) { s.chunk, s.patience = leastRoom, time.Hour }
	s := alone(t, &calls{file: func(e *Entry) error {
		mu.Lock()
		n, gate := len(gates), make(chan struct{})
		gates = append(gates, gate)
		mu.Unlock()
		at <- n
		<-gate
		return nil
	}}, 2, o)
	open := func(n int) { mu.Lock(); defer mu.Unlock(); close(gates[n]) }
	s.AddRoots(false)
	first, second := <-at, <-at
	got := make(chan *Cut)
	go func() {
		c, err := s.Cut(t.Context(), nil)
		if err != nil {
			t.Error(err)
		}
		got <- c
	}()
	until(t, "the epoch", func() bool { return s.epoch.Load() == 2 })
	open(second)
	n := 0
	for missing := 2; missing == 2 || n < 5; { // it has handled some after its cut
		k := <-at
		s.mu.Lock()
		missing = s.open.missing
		s.mu.Unlock()
		if missing == 1 {
			if n++; n == 5 {
				s.Stop()
			}
		}
		open(k)
	}
	until(t, "the end of a worker", func() bool { s.mu.Lock(); defer s.mu.Unlock(); return s.live == 1 })
	time.Sleep(10 * time.Millisecond) // for what it does without a sign
	open(first)
	c := <-got
	if len(c.Items) != 1 || c.Items[0].Part.Counts.Files != c.Totals.ProcessedFiles {
		t.Errorf("%+v remains, and %d files were counted", c.Items, c.Totals.ProcessedFiles)
	}
	if last, err := s.Wait(); err != nil || len(last.Items) != 1 || last.Items[0].Part.Counts.Files != last.Totals.ProcessedFiles {
		t.Errorf("%+v, %v", last, err)
	}
}

func TestTheBytesOfARefusedFileAreCountedOnce(t *testing.T) {
	refuse := Fatal(errors.New("boom"))
	h := &calls{file: func(e *Entry) error {
		if _, err := e.Stat(); err != nil {
			return err
		}
		err := refuse
		refuse = nil
		return err
	}}
	o := ShareOptions{Options: Options{FS: fstest.MapFS{"f": &fstest.MapFile{Data: []byte("12345")}}}}
	s := alone(t, h, 1, o)
	s.AddRoots(false)
	last, _ := s.Wait()
	if more := resume(t, h, last.Items, o); last.Totals.Bytes != 0 || more.Bytes != 5 {
		t.Errorf("%d bytes were counted, and then %d", last.Totals.Bytes, more.Bytes)
	}
}

func TestAWalkThatIsGivenUpHoldsNothing(t *testing.T) {
	at, gate := make(chan struct{}, 1000), make(chan struct{})
	b := &budget{least: 1 << 10, left: 1 << 20}
	o := ShareOptions{Roots: []string{flat(t, 500)}, Stall: time.Hour}
	o.tune = func(s *Shared) { s.budget, s.chunk, s.mostChunks = b, leastRoom, 1 }
	s := alone(t, &calls{file: func(*Entry) error { at <- struct{}{}; <-gate; return nil }}, 1, o)
	release := sync.OnceFunc(func() { close(gate) })
	t.Cleanup(release)
	s.AddRoots(false)
	<-at
	b.mu.Lock()
	held := 1<<20 - b.left
	b.mu.Unlock()
	if held == 0 {
		t.Error("no names are held")
	}
	s.Abandon() // with a worker that hangs
	b.mu.Lock()
	held = 1<<20 - b.left
	b.mu.Unlock()
	s.p.reserve.mu.Lock()
	files := len(s.p.reserve.files)
	s.p.reserve.mu.Unlock()
	if held != 0 || files > 0 {
		t.Errorf("%d bytes and %d files are held", held, files)
	}
	until(t, "the watch", func() bool { return !strings.Contains(stacks(), "walk.(*watch).") })
	release()
	s.Wait()
	if b.left != 1<<20 {
		t.Errorf("%d bytes of the budget are lost", 1<<20-b.left)
	}
}

func stacks() string {
	buf := make([]byte, 1<<20)
	return string(buf[:runtime.Stack(buf, true)])
}

// exits ends its goroutine where it is told to.
type exits struct {
	*calls
	filter func(d *Dir)
}

func (e exits) Filter(_ context.Context, d *Dir, entries []Entry) []Entry {
	e.filter(d)
	return entries
}

func TestWhatAHandlerHadInHandRemainsWhenItExits(t *testing.T) {
	for _, where := range []string{"enter", "filter", "file", "leave", "root file"} {
		for _, large := range []bool{false, true} {
			t.Run(fmt.Sprint(where, " large=", large), func(t *testing.T) {
				var mu sync.Mutex
				fired := false
				exit := func(at string) {
					mu.Lock()
					defer mu.Unlock()
					if at == where && !fired {
						fired = true
						runtime.Goexit()
					}
				}
				tree, roots := chunky(3), []string{"."}
				if large {
					tree = chunky(50)
				}
				if where == "root file" {
					for name := range tree {
						roots = []string{name}
					}
				}
				seen := map[string]bool{}
				left := 0
				h := exits{&calls{
					enter: func(*Dir) error { exit("enter"); return nil },
					leave: func(*Dir) error { exit("leave"); mu.Lock(); defer mu.Unlock(); left++; return nil },
					file: func(e *Entry) error {
						if where == "root file" || strings.HasPrefix(e.Name(), "01") || strings.HasPrefix(e.Name(), "40") {
							exit("root file")
							exit("file")
						}
						mu.Lock()
						defer mu.Unlock()
						seen[e.Name()] = true
						return nil
					},
				}, func(*Dir) { exit("filter") }}
				o := ShareOptions{Options: Options{FS: tree}, Roots: roots}
				o.tune = func(s *Shared) { s.chunk = leastRoom }
				o.NewHandler = func(int) (Handler, error) { return h, nil }
				s := alone(t, nil, 1, o)
				s.AddRoots(false)
				last, err := s.Wait()
				if err == nil || len(last.Items) != 1 {
					t.Fatalf("%d items remain, %v", len(last.Items), err)
				}
				if n := s.p.fds.Load(); n != 0 {
					t.Errorf("%d directories are open", n)
				}
				resume(t, nil, last.Items, o)
				if want := len(tree); where == "root file" && len(seen) != 1 || where != "root file" && (len(seen) != want || left != 1) {
					t.Errorf("%d of %d files were seen, and %d directories left", len(seen), want, left)
				}
			})
		}
	}
}
