package walk

import (
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/hydrawalk/hydra/internal/rawdir"
)

// watched is alone, with a channel that gets something when Notify is called.
func watched(t *testing.T, c *calls, workers int, o ShareOptions) (*Shared, chan struct{}) {
	changed := make(chan struct{}, 1)
	o.Notify = func() {
		select {
		case changed <- struct{}{}:
		default:
		}
	}
	return alone(t, c, workers, o), changed
}

func TestWhatCanNotBeTakenUpIsReturnedOrCountedIfItMust(t *testing.T) {
	root := t.TempDir()
	if err := os.MkdirAll(filepath.Join(root, "a", "below"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "f"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	inode := Look(filepath.Join(root, "a"), false, nil).Inode
	items := []Item{
		{Path: []byte("a"), Inode: inode},
		{Path: []byte("a/below"), Inode: inode}, // another
		{Path: []byte("gone")},
		{Path: []byte("gone/below")},
		{Path: []byte("f")}, // no directory
		{Path: []byte("gone"), Part: &Part{Names: []Names{{Records: nil}}, Ranges: []Range{{1, 2}}}},
		{Path: []byte("gone"), Part: &Part{Counts: DirCounts{Files: 3}}}, // only to be left
	}
	errs := map[string]string{
		"a/below": errOther.Error(), "gone": fs.ErrNotExist.Error(), "gone/below": fs.ErrNotExist.Error(), "f": "not a directory",
	}
	s, changed := watched(t, &calls{}, 2, ShareOptions{Roots: []string{root}})
	s.Add(items)
	for s.Load().Pending > 0 {
		<-changed
	}
	cut, err := s.Cut(t.Context(), nil)
	if err != nil || len(cut.Items) != 6 {
		t.Errorf("%d items remain, %v", len(cut.Items), err)
	}
	returned := s.Returned()
	if len(returned) != 6 || s.Returned() != nil {
		t.Errorf("%d were returned", len(returned))
	}
	for _, r := range returned {
		if r.Err == nil || !strings.Contains(errs[string(r.Path)]+"|no such file or directory", r.Err.Error()) {
			t.Errorf("%q was returned: %v", r.Path, r.Err)
		}
	}
	for i := range items {
		items[i].Must = true
	}
	s.Add(items[1:])
	for s.Load().Pending > 0 {
		<-changed
	}
	cut, err = s.Cut(t.Context(), nil)
	if err != nil || len(cut.Items) != 0 || s.Returned() != nil {
		t.Errorf("%+v remain, %v", cut.Items, err)
	}
	if got := cut.Totals; got.ProcessedDirs != 2 && got.ProcessedDirs != 1 || got.VanishedDirs != 5 || got.FailedDirs != 1 || got.Errors != 1 || got.FirstError.Err != errOther || got.FirstError.Op != OpOpen {
		t.Errorf("%+v, %v", got, got.FirstError)
	}
}

func TestItemsThatNoDirectoryHasAreReturned(t *testing.T) {
	one := func(name string) []Names {
		return []Names{{Records: append([]byte{8, 0, byte(len(name))}, name...)}}
	}
	root := t.TempDir()
	entered := 0
	s, changed := watched(t, &calls{file: func(e *Entry) error { entered++; return nil }}, 1, ShareOptions{Roots: []string{root}})
	items := []Item{
		{Root: 1}, {Root: -1},
		{Path: []byte("..")}, {Path: []byte("a/../b")}, {Path: []byte("/a")}, {Path: []byte("a/")}, {Path: []byte("a\x00b")},
		{File: true, Path: []byte("a")},
		{Part: &Part{Names: one("..")}}, {Part: &Part{Names: one("a/b")}}, {Part: &Part{Names: one("")}}, {Part: &Part{Names: one("a\x00")}},
		{Part: &Part{Names: []Names{{Records: []byte{8}}}}},
		{Part: &Part{Names: []Names{{Records: []byte{8, 0, 200, 'a'}}}}},
		{Part: &Part{Ranges: []Range{{2, 1}}}},
	}
	s.Add(items)
	for s.Load().Pending > 0 {
		<-changed
	}
	if got := s.Returned(); len(got) != len(items) || entered > 0 {
		t.Errorf("%d of %d were returned, and %d files were handled", len(got), len(items), entered)
	}
}

func TestItemsThatNoDirectoryHasFailIfTheyMustBeCounted(t *testing.T) {
	items := []Item{
		{Root: 1}, {Root: -1},
		{Path: []byte("a/../b")}, {Path: []byte("..")},
		{File: true, Path: []byte("a")},
		{Part: &Part{Names: []Names{{Records: []byte{8}}}}},
		{Part: &Part{Ranges: []Range{{2, 1}}}},
		{Path: []byte("/a"), Part: &Part{Dir: "x.1"}},
	}
	for i := range items {
		items[i].Must = true
	}
	s, changed := watched(t, &calls{}, 1, ShareOptions{Options: Options{FS: files(0)}})
	s.Add(items)
	for s.Load().Pending > 0 {
		<-changed
	}
	c, err := s.Cut(t.Context(), nil)
	if err != nil || len(c.Items) > 0 {
		t.Errorf("%+v remains, %v", c.Items, err)
	}
	if got := c.Totals; got.FailedDirs != 6 || got.FailedFiles != 1 || got.Errors != int64(len(items)) {
		t.Errorf("%+v", got)
	}
	if c.Shared["x.1"].Flags != FlagFailed {
		t.Errorf("%+v", c.Shared)
	}
	if r := s.Returned(); r != nil {
		t.Errorf("%+v was returned", r)
	}
}

func TestNamesThatAreWrittenCanBeRead(t *testing.T) {
	var chunk []byte
	names := []string{"a", "\xff\n", strings.Repeat("n", 255), strings.Repeat("n", 1<<12+1), strings.Repeat("n", 60_000)}
	for _, n := range names {
		chunk = rawdir.AppendRecord(chunk, 7, rawdir.Regular, rawdir.MakeName(n))
	}
	records, all := encodeNames(chunk)
	got := namesIn(t, []Item{{Part: &Part{Names: []Names{{Records: records}}}}})
	if !all || !slices.Equal(got, names) {
		t.Errorf("%.100q were read", got)
	}
}

func TestADeepItemTakesLittleMemory(t *testing.T) {
	s := alone(t, &calls{}, 1, ShareOptions{Options: Options{FS: files(0)}})
	s.SetWorkers(0)
	const depth = 10_000
	it := &Item{Path: []byte(strings.TrimSuffix(strings.Repeat("d/", depth), "/"))}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	s.Add([]Item{*it})
	runtime.ReadMemStats(&after)
	if n := (after.TotalAlloc - before.TotalAlloc) / depth; n > 1000 {
		t.Errorf("%d bytes for each directory", n)
	}
}

func FuzzNames(f *testing.F) {
	f.Add([]byte{8, 1, 1, 'a', 4, 0, 2, 'b', 'c'})
	f.Fuzz(func(t *testing.T, b []byte) {
		chunks, err := decodeNames(b, 1000)
		if err != nil {
			return
		}
		var again []byte
		for _, c := range chunks {
			records, all := encodeNames(c)
			if !all {
				t.Errorf("%q was not written", c)
			}
			again = append(again, records...)
		}
		more, err := decodeNames(again, 1000)
		if err != nil || !slices.EqualFunc(chunks, more, slices.Equal) {
			t.Errorf("%q became %q: %v", chunks, more, err)
		}
	})
}

// slow opens what has gone in its name only when gate is closed, and then fails.
type slow struct {
	fstest.MapFS
	at, gate chan struct{}
}

func (s slow) Open(name string) (fs.File, error) {
	if strings.Contains(name, "gone") {
		close(s.at)
		<-s.gate
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return s.MapFS.Open(name)
}

func TestWhatIsReturnedWhileACutIsOpenRemainsInIt(t *testing.T) {
	fsys := slow{files(0, "gone/"), make(chan struct{}), make(chan struct{})}
	s := alone(t, &calls{}, 1, ShareOptions{Options: Options{FS: fsys}})
	s.Add([]Item{{Path: []byte("gone")}})
	<-fsys.at
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
	close(fsys.gate)
	if c := <-cut; len(c.Items) != 1 || string(c.Items[0].Path) != "gone" {
		t.Errorf("%+v remain", c.Items)
	}
	if r := s.Returned(); len(r) != 1 {
		t.Errorf("%+v was returned", r)
	}
}

func TestWhatIsSetAsideWhileACutIsOpenRemainsInIt(t *testing.T) {
	at, gate := make(chan struct{}), make(chan struct{})
	o := ShareOptions{Options: Options{FS: files(1, "d1/", "d2/")}}
	o.tune = func(s *Shared) { s.patience = time.Hour }
	s := alone(t, &calls{file: func(e *Entry) error { close(at); <-gate; return nil }}, 1, o)
	s.Add([]Item{{Careful: true}})
	s.PickCareful(1, nil)
	s.RunCareful()
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
	close(gate)
	c := <-cut
	if len(c.Items) != 2 || !c.Items[0].Careful || len(c.Items[0].Path) != 2 {
		t.Errorf("%+v remain", c.Items)
	}
}

func TestNothingCarefulRunsThatWasNotPicked(t *testing.T) {
	var mu sync.Mutex
	var entered []string
	h := &calls{enter: func(d *Dir) error {
		mu.Lock()
		defer mu.Unlock()
		entered = append(entered, d.Path())
		return nil
	}}
	s, changed := watched(t, h, 2, ShareOptions{Options: Options{FS: files(2, "a/b/c/", "a/d/", "e/")}})
	s.Add([]Item{{Path: []byte("a"), Careful: true}, {Path: []byte("e")}})
	for s.Load().Pending > 1 {
		<-changed
	}
	check := func(waiting int, want ...string) {
		t.Helper()
		for s.Load().CarefulRunning > 0 || s.Load().Pending > int64(waiting) {
			<-changed
		}
		mu.Lock()
		defer mu.Unlock()
		slices.Sort(entered)
		if l := s.Load(); l.CarefulWaiting != waiting || !slices.Equal(entered, want) {
			t.Errorf("%d wait, want %d, and %q were entered, want %q", l.CarefulWaiting, waiting, entered, want)
		}
		entered = nil
	}
	check(1, "e")
	if bags := s.Take(3, 100, 10_000); bags != nil {
		t.Errorf("%+v was taken", bags)
	}
	c, err := s.Cut(t.Context(), nil)
	if err != nil || len(c.Items) != 1 || !c.Items[0].Careful {
		t.Errorf("%+v, %v", c, err)
	}
	if items, _ := s.PickCareful(5, nil); len(items) != 1 || string(items[0].Path) != "a" {
		t.Errorf("%+v were picked", items)
	}
	if c, err := s.Cut(t.Context(), nil); err != nil || len(c.Items) != 1 {
		t.Errorf("%+v, %v", c, err)
	}
	s.RunCareful()
	check(2, "a")
	items, _ := s.PickCareful(1, nil)
	if len(items) != 1 || string(items[0].Path) != "a/b" && string(items[0].Path) != "a/d" {
		t.Errorf("%+v were picked", items)
	}
	s.RunCareful()
	for len(items) > 0 {
		for s.Load().CarefulRunning > 0 {
			<-changed
		}
		items, _ = s.PickCareful(1, nil)
		s.RunCareful()
	}
	check(0, "a/b", "a/b/c", "a/d")
}

func TestTakeLeavesCarefulWorkThatWasLetGo(t *testing.T) {
	at, gate := make(chan struct{}), make(chan struct{})
	h := &calls{file: func(*Entry) error { close(at); <-gate; return nil }}
	s, changed := watched(t, h, 1, ShareOptions{Options: Options{FS: files(0, "a/f", "b/", "c/")}})
	s.Add([]Item{{Path: []byte("a")}})
	<-at
	s.Add([]Item{{Path: []byte("b"), Careful: true}, {Path: []byte("c"), Careful: true}})
	s.PickCareful(2, nil)
	s.RunCareful()
	if bags := s.Take(1, 10, 1000); bags != nil {
		t.Errorf("%+v was taken", bags)
	}
	if l := s.Load(); l.CarefulRunning != 2 || l.CarefulWaiting != 0 {
		t.Errorf("%+v", l)
	}
	close(gate)
	for s.Load().Pending > 0 {
		<-changed
	}
}

func TestNoHandlerSeesWhatIsAvoided(t *testing.T) {
	var mu sync.Mutex
	var seen []string
	h := &calls{
		enter: func(d *Dir) error { mu.Lock(); defer mu.Unlock(); seen = append(seen, d.Path()); return nil },
		leave: func(d *Dir) error { mu.Lock(); defer mu.Unlock(); seen = append(seen, d.Path()); return nil },
		file:  func(e *Entry) error { mu.Lock(); defer mu.Unlock(); seen = append(seen, e.Path()); return nil },
	}
	s, changed := watched(t, h, 2, ShareOptions{Options: Options{FS: files(0, "a/f", "b/c/f", "b/f")}})
	s.Avoid([]Avoided{{Path: []byte("a"), Err: "it hangs"}, {Path: []byte("b/c"), Err: "it kills"}})
	s.AddRoots(false)
	s.Add([]Item{{Path: []byte("a"), Part: &Part{Ranges: []Range{wholeRange}}}})
	for s.Load().Pending > 0 {
		<-changed
	}
	c, err := s.Cut(t.Context(), nil)
	if err != nil || c.Totals.FailedDirs != 3 || c.Totals.Errors != 3 || c.Totals.FirstError.Error() != "open a: it hangs" || len(c.Items) > 0 {
		t.Errorf("%+v, %v", c, err)
	}
	slices.Sort(seen)
	if want := []string{".", ".", "b", "b", "b/f"}; !slices.Equal(seen, want) {
		t.Errorf("%q were seen, want %q", seen, want)
	}
	s.Avoid(nil)
	s.Add([]Item{{Path: []byte("a")}})
	for s.Load().Pending > 0 {
		<-changed
	}
	if c, err := s.Cut(t.Context(), nil); err != nil || c.Totals.ProcessedFiles != 2 {
		t.Errorf("%+v, %v", c, err)
	}
}

func TestAHugeDirectoryIsListedInPasses(t *testing.T) {
	n := 200_000
	if testing.Short() {
		n = 20_000
	}
	dir := flat(t, n)
	var mu sync.Mutex
	seen := make(map[string]bool, n)
	hashed := 0
	p := uint64(0)
	before := heapInUse()
	o := ShareOptions{Roots: []string{dir}}
	b := &budget{least: 64 << 10, left: int64(n) * 20} // of about 150 for each
	o.tune = func(s *Shared) {
		s.budget = b
		s.hash = func(key uint64, name []byte) uint64 {
			mu.Lock()
			hashed++
			mu.Unlock()
			return hashName(key, name)
		}
	}
	left := DirCounts{}
	c := &calls{
		file: func(e *Entry) error {
			name := e.Name()
			mu.Lock()
			defer mu.Unlock()
			if seen[name] {
				t.Errorf("%s came twice", name)
			}
			seen[name] = true
			if len(seen)%(n/8) == 0 {
				now := heapInUse()
				p = max(p, now-min(now, before)) // what an earlier test left may go meanwhile
			}
			return nil
		},
		leave: func(d *Dir) error { left = d.Counts(); return nil },
	}
	s, changed := watched(t, c, 2, o)
	s.AddRoots(false)
	for s.Load().Pending > 0 {
		<-changed
	}
	if len(seen) != n || left.Files != int64(n) {
		t.Errorf("%d of %d were seen, and %d counted", len(seen), n, left.Files)
	}
	if passes := hashed / n; passes < 4 || passes > 40 {
		t.Errorf("it was listed %d times", passes)
	}
	if b.left != int64(n)*20 {
		t.Errorf("%d bytes of the budget are lost", int64(n)*20-b.left)
	}
	// The set of names is this test's own.
	if limit := uint64(n*110 + 4<<20); p > limit {
		t.Errorf("%d KiB were in use, want at most %d", p>>10, limit>>10)
	}
}

func heapInUse() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func TestOtherRootsAreNotEnteredFromItems(t *testing.T) {
	root := t.TempDir()
	inner := filepath.Join(root, "a", "b", "inner")
	if err := os.MkdirAll(inner, 0o755); err != nil {
		t.Fatal(err)
	}
	prunes := func(outer, inner string) bool { return true }
	s, changed := watched(t, &calls{}, 1, ShareOptions{Options: Options{Prunes: prunes}, Roots: []string{root, inner}})
	s.Add([]Item{{Path: []byte("a/b")}})
	for s.Load().Pending > 0 {
		<-changed
	}
	if c, err := s.Cut(t.Context(), nil); err != nil || c.Totals.FilteredDirs != 1 || c.Totals.ProcessedDirs != 1 {
		t.Errorf("%+v, %v", c, err)
	}
}

func TestLookTellsWhatARootIs(t *testing.T) {
	root := t.TempDir()
	for _, p := range []string{"full/x", "empty"} {
		if err := os.MkdirAll(filepath.Join(root, p), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(root, "file"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]Sight{
		"full": {Dir: true}, "empty": {Dir: true, Empty: true}, "file": {}, "gone": {Err: "no such file or directory"},
	} {
		got := Look(filepath.Join(root, name), false, nil)
		if (got.Inode != 0) != want.Dir {
			t.Errorf("%s has inode %d", name, got.Inode)
		}
		got.Inode, got.Type = 0, 0
		if got != want {
			t.Errorf("%s: %+v, want %+v", name, got, want)
		}
	}
	if got := Look(".", false, files(1)); got.Err != "" || !got.Dir || got.Empty {
		t.Errorf("%+v", got)
	}
}
