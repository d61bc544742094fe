package walk

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/hydrawalk/hydra/internal/rawdir"
)

// tens groups names by their number but its last digit, and what stands before it.
func tens(buf, name []byte) []byte {
	end := bytes.IndexAny(name, "0123456789")
	if end < 0 {
		return name
	}
	for end < len(name) && name[end] >= '0' && name[end] <= '9' {
		end++
	}
	return append(buf, name[:end-1]...)
}

// groupsOf are events for the groups among entries.
func groupsOf(dir string, entries []Entry) []event {
	names := map[string][]string{}
	for i := range entries {
		key := string(tens(nil, entries[i].NameBytes()))
		names[key] = append(names[key], entries[i].Name())
	}
	return groupEvents(dir, names)
}

func groupEvents(dir string, names map[string][]string) (evs []event) {
	for key, group := range names {
		slices.Sort(group)
		evs = append(evs, event{what: "group " + key + ": " + strings.Join(group, " "), path: dir})
	}
	return evs
}

func isGroup(e event) bool { return strings.HasPrefix(e.what, "group ") }

// wantGroups are those of the directories that were entered.
func wantGroups(t *testing.T, tree fs.FS, events []event) (want []event) {
	for _, e := range events {
		if e.what != "enter" {
			continue
		}
		list, err := fs.ReadDir(tree, e.path)
		if err != nil {
			t.Fatal(err)
		}
		names := map[string][]string{}
		for _, e := range list {
			key := string(tens(nil, []byte(e.Name())))
			names[key] = append(names[key], e.Name())
		}
		want = append(want, groupEvents(path.Clean(e.path), names)...)
	}
	return want
}

func TestEachGroupIsSeenWholeByOneFilterWhoeverSharesItAndWhoeverDies(t *testing.T) {
	base, n := seeds(t, 12, 100)
	for i := range uint64(n) {
		seed := base + i
		t.Run(fmt.Sprint("HYDRA_SEED=", seed), func(t *testing.T) {
			tree := bushy(rand.New(rand.NewPCG(seed, 1)))
			f := newFleet(t, seed, kind{filter: true, groups: true}, Options{FS: tree, Group: tens}, ".")
			first := f.start()
			for range f.rnd.IntN(5) {
				f.start()
			}
			first.s.AddRoots(false)
			f.cut(first)
			for range 30 + f.rnd.IntN(100) {
				f.step()
				if t.Failed() {
					break
				}
			}
			f.finish()
			var groups []event
			for _, e := range f.done {
				if isGroup(e) {
					groups = append(groups, e)
				}
			}
			f.done = slices.DeleteFunc(f.done, isGroup)
			f.compare()
			want := wantGroups(t, tree, f.done)
			sortEvents(groups)
			sortEvents(want)
			if d := differ(groups, want); d != "" {
				t.Errorf("groups: %s", d)
			}
		})
	}
}

// grouper is a handler that notes groups.
type grouper struct {
	mu     *sync.Mutex
	events *[]event
	most   *int
}

func (g grouper) File(context.Context, *Entry) error { return nil }

func (g grouper) Filter(_ context.Context, d *Dir, entries []Entry) []Entry {
	g.mu.Lock()
	defer g.mu.Unlock()
	*g.events = append(*g.events, event{what: "enter", path: d.Path()})
	*g.events = append(*g.events, groupsOf(d.Path(), entries)...)
	*g.most = max(*g.most, len(entries))
	return entries
}

func TestTreesGivesWholeGroups(t *testing.T) {
	tree := fstest.MapFS{}
	for i := range 5000 {
		tree[fmt.Sprint("a/f", i)] = &fstest.MapFile{}
	}
	for i := range 1500 { // MapFS looks at all entries to list one directory
		tree[fmt.Sprint("f", i, "/x")] = &fstest.MapFile{}
	}
	for _, workers := range []int{1, 4} {
		var mu sync.Mutex
		var got []event
		most := 0
		totals, err := Trees(t.Context(), []string{"."}, func(int) (Handler, error) {
			return grouper{&mu, &got, &most}, nil
		}, &Options{FS: tree, Group: tens, Workers: workers})
		if err != nil || !totals.Complete() || totals.ProcessedDirs != 1502 || totals.ProcessedFiles != 6500 {
			t.Errorf("%v, %+v", err, totals)
		}
		sortEvents(got)
		got = slices.Compact(got) // a large directory comes in several calls
		want := wantGroups(t, tree, got)
		groups := slices.DeleteFunc(got, func(e event) bool { return !isGroup(e) })
		sortEvents(want)
		if d := differ(groups, want); d != "" {
			t.Errorf("with %d workers: %s", workers, d)
		}
	}
}

// A user who makes names that are alike must not exhaust the memory of who looks for
// them.
func TestAGroupThatIsTooLargeIsDividedAndEachNameComesOnce(t *testing.T) {
	tree := fstest.MapFS{}
	const files = 20_000
	for i := range files {
		tree[fmt.Sprint("f", i)] = &fstest.MapFile{}
	}
	for _, left := range []int64{0, 64 << 20} {
		var mu sync.Mutex
		var got []event
		most := 0
		s, err := NewShared(t.Context(), &ShareOptions{
			Options: Options{FS: tree, Workers: 3, Group: func(_, name []byte) []byte { return name[:1] }},
			Roots:   []string{"."}, Name: "a", alone: true, Key: uint64(left),
			NewHandler: func(int) (Handler, error) { return grouper{&mu, &got, &most}, nil },
			tune:       func(s *Shared) { s.budget = &budget{least: 64 << 10, left: left} },
		})
		if err != nil {
			t.Fatal(err)
		}
		last, err := s.Wait()
		if err != nil || !last.Totals.Complete() || last.Totals.ProcessedFiles != files || most > 10_000 {
			t.Errorf("%v, %+v; %d entries in one call", err, last.Totals, most)
		}
	}
}

func TestAGroupOfAThousandNamesIsWhole(t *testing.T) {
	tree := fstest.MapFS{}
	long := strings.Repeat("x", 250)
	for i := range 20_000 {
		tree[fmt.Sprintf("%s%05d", long, i)] = &fstest.MapFile{}
	}
	group := func(_, name []byte) []byte { return name[len(name)-2:] } // 100 of 200
	for _, group := range []func(_, name []byte) []byte{group, func(_, name []byte) []byte {
		return fmt.Append(nil, (int(name[250]-'0')*10 + int(name[251]-'0'))) // 20 of 1,000
	}} {
		var mu sync.Mutex
		calls := map[string]int{}
		_, err := Trees(t.Context(), []string{"."}, func(int) (Handler, error) {
			return filterFunc(func(entries []Entry) {
				mu.Lock()
				defer mu.Unlock()
				seen := map[string]bool{}
				for i := range entries {
					seen[string(group(nil, entries[i].NameBytes()))] = true
				}
				for k := range seen {
					calls[k]++
				}
			}), nil
		}, &Options{FS: tree, Group: group, Workers: 3})
		if err != nil {
			t.Fatal(err)
		}
		for k, n := range calls {
			if n != 1 {
				t.Errorf("group %s of %d came in %d calls", k, len(calls), n)
			}
		}
	}
}

type filterFunc func([]Entry)

func (filterFunc) File(context.Context, *Entry) error { return nil }
func (f filterFunc) Filter(_ context.Context, _ *Dir, entries []Entry) []Entry {
	f(entries)
	return entries
}

func TestTheNamesOfAGroupThatIsTooLargeAreNotHeld(t *testing.T) {
	g := gathered{purse: &purse{of: &budget{least: 64 << 10}}, most: groupLimit{bits: groupBits, names: 4096, size: 512 << 10}, r: wholeRange}
	most := int64(0)
	for i := range uint64(200_000) {
		if h := i * 0x9e3779b97f4a7c15 >> (64 - groupBits); h <= g.r.Hi {
			g.add(h, &rawdir.Dirent{Name: rawdir.MakeName(fmt.Sprint("f", i))})
		}
		most = max(most, g.granted)
	}
	if most > 2<<20 || len(g.index) < 1000 {
		t.Errorf("%d bytes were held for %d names", most, len(g.index))
	}
}

func TestNoRangeThatIsGivenAwayEndsInAGroup(t *testing.T) {
	s := alone(t, &calls{}, 1, ShareOptions{Options: Options{FS: files(1), Group: tens}})
	for _, r := range []Range{{5 << groupBits, 9<<groupBits - 1}, {5 << groupBits, 6<<groupBits - 1}, {5<<groupBits + 7, 8<<groupBits + 3}, wholeRange} {
		d := &Dir{root: s.roots[0], name: rawdir.MakeName("."), reading: new(reading)}
		d.reading.parts.Store(100) // it is not left here
		dealer := taker{s: s, w: s.taker, bags: make([]bag, 2), mostItems: 10, mostBytes: 1000}
		s.SetWorkers(0)
		dealer.deal(task{dir: d, x: &piece{of: &whole{d: d, sum: &DirSum{}}, ranged: true, r: r}})
		got := []Range{}
		for _, b := range dealer.bags {
			for _, it := range b.items {
				got = append(got, it.Part.Ranges...)
			}
		}
		s.feed.mu.Lock()
		for _, k := range s.feed.tasks[s.feed.head:] {
			got = append(got, k.x.r)
		}
		s.feed.tasks, s.feed.head = nil, 0
		s.feed.mu.Unlock()
		// Without joining: they have to be aligned one by one.
		slices.SortFunc(got, func(a, b Range) int { return cmp.Compare(a.Lo, b.Lo) })
		lo := r.Lo
		for i, part := range got {
			last := i == len(got)-1
			if part.Lo != lo || part.Hi < part.Lo || last && part.Hi != r.Hi || !last && part.Hi&(1<<groupBits-1) != 1<<groupBits-1 {
				t.Errorf("%x became %x", r, got)
				break
			}
			lo = part.Hi + 1
		}
	}
}

func TestNamesThatFilterHasNotSeenAreTakenUpTogether(t *testing.T) {
	var records []byte
	for i := range 300 {
		records = rawdir.AppendRecord(records, 0, rawdir.Regular, rawdir.MakeName(fmt.Sprint("f", i)))
	}
	names, _ := encodeNames(records)
	var got []int
	done := make(chan struct{}, 1)
	s, err := NewShared(t.Context(), &ShareOptions{
		Options: Options{FS: files(300), Workers: 1, Group: tens}, Roots: []string{"."}, Name: "a",
		NewHandler: func(int) (Handler, error) {
			return filterFunc(func(e []Entry) { got = append(got, len(e)); done <- struct{}{} }), nil
		},
		tune: func(s *Shared) { s.chunk = leastRoom },
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Add([]Item{{Part: &Part{Names: []Names{{Records: names}}}}})
	<-done
	s.Stop()
	if _, err := s.Wait(); err != nil || !slices.Equal(got, []int{300}) {
		t.Errorf("Filter was given %v entries, want 300 once: %v", got, err)
	}
}
