package walk

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"
)

// event is what a handler was called for.
type event struct {
	what   string // file, enter, leave
	path   string
	counts DirCounts
	whole  bool

	filtered bool
}

// party is one of those that share a walk, and what is on record of it: what was
// counted up to its last cut, and what remains.
type party struct {
	s    *Shared
	dead chan struct{}

	mu     sync.Mutex
	epochs map[uint64][]event

	items  []Item
	totals Totals
	sums   map[string]DirSum
}

// fleet is a walk that several share, and who coordinates them.
type fleet struct {
	t      testing.TB
	rnd    *rand.Rand
	o      ShareOptions
	kind   kind
	tokens chan struct{} // a handler takes one for each file; nil: it does not wait
	n      int           // parties so far

	live  []*party
	spare []Item // on record, and nobody's

	// Of parties that are gone:
	totals Totals
	sums   map[string]DirSum

	done     []event
	finished map[string]bool // shared directories whose last item was made
}

// kind changes the handlers of a fleet.
type kind struct {
	filter  bool // drop what has drop in its name, and reverse the rest
	skip    bool // fs.SkipDir for files that have skip in their names
	careful bool // all of it is careful work
	groups  bool // note the groups that Filter is given; it needs filter
}

type fleetHandler struct {
	f  *fleet
	p  *party
	ev []event
	n  int // calls of Between
}

func (h *fleetHandler) EnterDir(_ context.Context, d *Dir) error {
	h.ev = append(h.ev, event{what: "enter", path: d.Path()})
	return nil
}

func (h *fleetHandler) LeaveDir(_ context.Context, d *Dir) error {
	h.ev = append(h.ev, event{what: "leave", path: d.Path(), counts: d.Counts(), whole: d.Whole(), filtered: d.Filtered()})
	return nil
}

func (h *fleetHandler) File(ctx context.Context, e *Entry) error {
	if h.f.tokens != nil {
		select {
		case <-h.f.tokens:
		case <-h.p.dead:
		}
	}
	h.ev = append(h.ev, event{what: "file", path: e.Path()})
	if h.f.kind.skip && strings.Contains(e.Name(), "skip") {
		return fs.SkipDir
	}
	if strings.Contains(e.Name(), "bad") {
		return errors.New("bad")
	}
	return nil
}

type fleetFilter struct{ *fleetHandler }

func (h fleetFilter) Filter(_ context.Context, d *Dir, entries []Entry) []Entry {
	if h.f.kind.groups {
		h.ev = append(h.ev, groupsOf(d.Path(), entries)...)
	}
	entries = slices.DeleteFunc(entries, func(e Entry) bool { return strings.Contains(e.Name(), "drop") })
	slices.Reverse(entries)
	return entries
}

func (f *fleet) handler(p *party) (Handler, *fleetHandler) {
	h := &fleetHandler{f: f, p: p}
	if f.kind.filter {
		return fleetFilter{h}, h
	}
	return h, h
}

func (f *fleet) start() *party {
	f.n++
	p := &party{dead: make(chan struct{}), epochs: map[uint64][]event{}}
	o := f.o
	o.Name = fmt.Sprint("p", f.n)
	o.Workers = 1 + f.rnd.IntN(4)
	handlers := make([]*fleetHandler, maxWorkers)
	o.NewHandler = func(id int) (Handler, error) {
		var h Handler
		h, handlers[id] = f.handler(p)
		return h, nil
	}
	o.Commit = func(worker int, epoch uint64) error {
		p.mu.Lock()
		defer p.mu.Unlock()
		h := handlers[worker]
		p.epochs[epoch] = append(p.epochs[epoch], h.ev...)
		h.ev = nil
		return nil
	}
	o.Between = func(worker int) error { handlers[worker].n++; return nil }
	s, err := NewShared(f.t.Context(), &o)
	if err != nil {
		f.t.Fatal(err)
	}
	p.s = s
	f.live = append(f.live, p)
	return p
}

// record puts a cut on record.
func (f *fleet) record(p *party, c *Cut) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for e, events := range p.epochs {
		if e <= c.Epoch {
			f.done = append(f.done, events...)
			delete(p.epochs, e)
		}
	}
	p.items, p.totals, p.sums = c.Items, c.Totals, c.Shared
}

// during lets handlers go on while something waits for them.
func (f *fleet) during(do func()) {
	done := make(chan struct{})
	go func() { defer close(done); do() }()
	for {
		select {
		case <-done:
			return
		case f.tokens <- struct{}{}:
		}
	}
}

func (f *fleet) cut(p *party) {
	f.during(func() {
		c, err := p.s.Cut(f.t.Context(), nil)
		if err != nil {
			f.t.Error(err)
			return
		}
		f.record(p, c)
	})
}

func (f *fleet) gone(p *party) {
	f.live = slices.DeleteFunc(f.live, func(o *party) bool { return o == p })
	f.spare = append(f.spare, p.items...)
	f.totals.Add(&p.totals)
	for id, sum := range p.sums {
		f.sums[id] = f.sums[id].plus(sum)
	}
}

func (d DirSum) plus(o DirSum) DirSum {
	o.Counts.add(d.Counts)
	o.Flags |= d.Flags
	return o
}

// crash loses what a party did since it was put on record.
func (f *fleet) crash(p *party) {
	p.s.Abandon()
	close(p.dead)
	p.s.Wait()
	f.gone(p)
}

func (f *fleet) stop(p *party) {
	p.s.Stop()
	f.during(func() {
		c, err := p.s.Wait()
		if err != nil {
			f.t.Error(err)
		}
		f.record(p, c)
	})
	f.gone(p)
}

func (f *fleet) add(p *party, items []Item) {
	p.s.Add(items)
	p.items = append(slices.Clone(p.items), items...)
}

// addSome gives some of the spare items to a party.
func (f *fleet) addSome(p *party) {
	f.rnd.Shuffle(len(f.spare), func(i, j int) { f.spare[i], f.spare[j] = f.spare[j], f.spare[i] })
	n := (len(f.spare) + 1) / 2
	f.add(p, slices.Clone(f.spare[:n]))
	f.spare = slices.Clone(f.spare[n:])
}

// balance checks that each directory found is counted or remains, on record.
func (f *fleet) balance() {
	f.t.Helper()
	sum := f.totals
	items := slices.Clone(f.spare)
	shared := map[string]bool{}
	for id := range f.sums {
		shared[id] = true
	}
	for _, p := range f.live {
		sum.Add(&p.totals)
		items = append(items, p.items...)
		for id := range p.sums {
			shared[id] = true
		}
	}
	remain := int64(0)
	for _, it := range items {
		if it.Part != nil && it.Part.Dir != "" {
			shared[it.Part.Dir] = true
		} else if !it.File {
			remain++
		}
	}
	for id := range shared {
		if !f.finished[id] {
			remain++
		}
	}
	if sum.FoundDirs != sum.ExpectedDirs()+remain {
		f.t.Errorf("%d directories were found, %d are counted, and %d remain", sum.FoundDirs, sum.ExpectedDirs(), remain)
	}
}

func (f *fleet) step() {
	p := f.live[f.rnd.IntN(len(f.live))]
	if f.kind.careful && f.rnd.IntN(2) == 0 {
		p.s.PickCareful(f.rnd.IntN(4), nil)
		p.s.RunCareful()
	}
	switch f.rnd.IntN(20) {
	case 0, 1:
		f.cut(p)
	case 2, 3, 4:
		bags := f.take(p)
		if f.rnd.IntN(8) == 0 {
			f.crash(p) // before that is on record
			f.start()
			break
		}
		f.cut(p)
		for _, b := range bags {
			f.spare = append(f.spare, b...)
		}
	case 5, 6, 7:
		f.addSome(p)
	case 12, 13:
		f.takeNoted(p)
	case 8:
		f.crash(p)
		f.start()
	case 9:
		f.stop(p)
		f.start()
	case 10:
		p.s.Hungry(f.rnd.IntN(2) == 0)
	case 11:
		p.s.SetWorkers(f.rnd.IntN(6) - 1)
	case 14, 15:
		p.s.Pause(f.rnd.IntN(2) == 0)
	case 16:
		p.s.Interject()
	default:
		for range f.rnd.IntN(100) {
			select {
			case f.tokens <- struct{}{}:
			default:
				runtime.Gosched()
			}
		}
	}
	f.balance()
}

func (f *fleet) take(p *party) (bags [][]Item) {
	f.during(func() { bags = p.s.Take(1+f.rnd.IntN(3), 1+f.rnd.IntN(20), 100+f.rnd.IntN(10_000)) })
	return bags
}

// takeNoted takes what is on record as it is, without another cut.
func (f *fleet) takeNoted(p *party) {
	for _, bag := range p.s.TakeNoted(1+f.rnd.IntN(3), 1+f.rnd.IntN(20), 100+f.rnd.IntN(10_000)) {
		for _, it := range bag {
			i := slices.IndexFunc(p.items, func(o Item) bool {
				return o.Part == nil && o.File == it.File && o.Root == it.Root && bytes.Equal(o.Path, it.Path)
			})
			if i < 0 {
				f.t.Errorf("%q was taken, and is not on record", it.Path)
				continue
			}
			p.items = append(slices.Clone(p.items[:i]), p.items[i+1:]...)
			f.spare = append(f.spare, it)
		}
	}
}

// finish lets the rest be walked.
func (f *fleet) finish() {
	for _, p := range f.live {
		p.s.SetWorkers(1 + f.rnd.IntN(4))
		p.s.Pause(false)
	}
	for {
		for len(f.spare) > 0 {
			f.addSome(f.live[f.rnd.IntN(len(f.live))])
		}
		remain := 0
		for _, p := range f.live {
			p.s.PickCareful(1000, nil)
			p.s.RunCareful()
			f.cut(p)
			remain += len(p.items)
			if r := p.s.Returned(); len(r) > 0 {
				f.t.Fatalf("%+v was returned", r)
			}
		}
		f.balance()
		if remain > 0 {
			continue
		}
		sums := f.sums
		for _, p := range f.live {
			for id, sum := range p.sums {
				sums[id] = sums[id].plus(sum)
			}
		}
		none := true
		for id, sum := range sums {
			if f.finished[id] {
				continue
			}
			none, f.finished[id] = false, true
			f.spare = append(f.spare, Item{Root: sum.Root, Path: sum.Path, Part: &Part{Counts: sum.Counts, Flags: sum.Flags}})
		}
		if none {
			break
		}
		var ids []string
		for id := range sums {
			ids = append(ids, id)
		}
		for _, p := range f.live {
			p.s.Forget(ids)
			p.sums = nil
		}
		f.sums = sums
	}
	for len(f.live) > 0 {
		f.stop(f.live[0])
	}
	if len(f.spare) > 0 {
		f.t.Errorf("%d items remain: %+v", len(f.spare), f.spare)
	}
}

// newFleet makes a fleet whose directories have parts and ranges all the time.
func newFleet(t testing.TB, seed uint64, k kind, o Options, roots ...string) *fleet {
	f := &fleet{
		t: t, rnd: rand.New(rand.NewPCG(seed, 0)), kind: k,
		tokens:   make(chan struct{}),
		sums:     map[string]DirSum{},
		finished: map[string]bool{},
	}
	f.o = ShareOptions{Options: o, Roots: roots, Key: seed}
	chunk, most, collide := []int{4 << 10, 6 << 10, 10 << 10}[f.rnd.IntN(3)], 1+f.rnd.IntN(4), f.rnd.IntN(3)
	least, left := []int64{1, 4 << 10, 1 << 20}[f.rnd.IntN(3)], []int64{8 << 10, 100 << 10}[f.rnd.IntN(2)]
	patience := []time.Duration{0, time.Hour}[f.rnd.IntN(2)] // a chunk is cut at once, or never
	f.o.tune = func(s *Shared) {
		s.chunk, s.mostChunks, s.patience = chunk, most, patience
		s.budget = &budget{least: least, left: left}
		if collide > 0 {
			s.hash = func(key uint64, name []byte) uint64 { return hashName(key, name) % []uint64{0, 1, 37}[collide] << 50 }
		}
	}
	return f
}

// reference is what Trees shows.
func (f *fleet) reference() ([]event, Totals) {
	var mu sync.Mutex
	var all []event
	var hs []*fleetHandler
	quiet := &fleet{t: f.t, kind: f.kind}
	quiet.kind.groups = false
	o := f.o.Options
	o.Group = nil
	t, err := Trees(f.t.Context(), f.o.Roots, func(int) (Handler, error) {
		mu.Lock()
		defer mu.Unlock()
		h, inner := quiet.handler(nil)
		hs = append(hs, inner)
		return h, nil
	}, &o)
	if err != nil {
		f.t.Fatal(err)
	}
	for _, h := range hs {
		all = append(all, h.ev...)
	}
	return all, t
}

func (f *fleet) compare() {
	f.t.Helper()
	want, totals := f.reference()
	got := f.done
	sortEvents(want)
	sortEvents(got)
	if !f.kind.skip {
		if d := differ(got, want); d != "" {
			f.t.Errorf("what the handlers were called for: %s", d)
		}
		mine := f.totals
		mine.Workers, totals.Workers = 0, 0
		first, second := fmt.Sprint(mine.FirstError), fmt.Sprint(totals.FirstError)
		mine.FirstError, totals.FirstError = nil, nil
		if mine.Errors > totals.Errors {
			mine.Errors = totals.Errors // a directory that is listed again breaks again
		}
		if mine != totals || first != second {
			f.t.Errorf("totals are\n\t%+v %v\nwant\n\t%+v %v", mine, first, totals, second)
		}
		return
	}
	for i := range got[1:] {
		if got[i].what == got[i+1].what && got[i].path == got[i+1].path {
			f.t.Errorf("%v came twice", got[i])
		}
	}
	if f.totals.FoundDirs != f.totals.ExpectedDirs() {
		f.t.Errorf("directories are not accounted for: %+v", f.totals)
	}
}

func compareEvents(a, b event) int {
	if c := cmp.Or(strings.Compare(a.path, b.path), strings.Compare(a.what, b.what)); c != 0 || a == b {
		return c
	}
	return strings.Compare(fmt.Sprint(a.counts, a.whole, a.filtered), fmt.Sprint(b.counts, b.whole, b.filtered))
}

func sortEvents(e []event) { slices.SortFunc(e, compareEvents) }

func differ(got, want []event) string {
	var d []string
	n := 0
	for len(got) > 0 || len(want) > 0 {
		c := 0
		switch {
		case len(got) == 0:
			c = 1
		case len(want) == 0:
			c = -1
		default:
			c = compareEvents(got[0], want[0])
		}
		switch {
		case c == 0:
			got, want = got[1:], want[1:]
			continue
		case c < 0:
			d, got = append(d, fmt.Sprintf("too much: %v", got[0])), got[1:]
		default:
			d, want = append(d, fmt.Sprintf("missing: %v", want[0])), want[1:]
		}
		n++
	}
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("%d differ: %v", n, d[:min(len(d), 10)])
}

// bushy is a tree that has directories of all sizes.
func bushy(rnd *rand.Rand) fstest.MapFS {
	m := fstest.MapFS{}
	n := 0
	var grow func(dir string, depth int)
	grow = func(dir string, depth int) {
		files := []int{0, 1, 3, 20, 60, 150}[rnd.IntN(6)]
		if depth == 0 {
			files = 400
		}
		for range files {
			n++
			name := fmt.Sprintf("f%d%s", n, []string{"", "", "", "drop", "bad", "-with-a-name-that-is-rather-long-so-that-chunks-are-soon-full"}[rnd.IntN(6)])
			if rnd.IntN(40) == 0 {
				name += "skip"
			}
			m[dir+name] = &fstest.MapFile{}
		}
		if depth == 4 {
			return
		}
		for i := range rnd.IntN(4 + 4/(depth+1)) {
			name := fmt.Sprintf("%sd%d%s", dir, i, []string{"", "", "", "drop", "rotten", "broken"}[rnd.IntN(6)])
			m[name] = &fstest.MapFile{Mode: fs.ModeDir | 0o755}
			grow(name+"/", depth+1)
		}
	}
	grow("", 0)
	return m
}

// copyTree makes the directories and files of a tree below root.
func copyTree(t *testing.T, root string, tree fstest.MapFS) {
	touch := emptyFiles(t)
	for _, name := range slices.Sorted(maps.Keys(tree)) { // a directory before what it holds
		path := filepath.Join(root, name)
		if !tree[name].Mode.IsDir() {
			touch(path)
		} else if err := os.Mkdir(path, 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

// rotten fails on what has rotten in its name, and midway in what has broken.
type rotten struct{ fstest.MapFS }

var errRotten = errors.New("rotten")

func (r rotten) Open(name string) (fs.File, error) {
	if strings.HasSuffix(name, "rotten") {
		return nil, &fs.PathError{Op: "open", Path: name, Err: errRotten}
	}
	f, err := r.MapFS.Open(name)
	if d, ok := f.(fs.ReadDirFile); ok && err == nil && strings.HasSuffix(name, "broken") {
		return &brokenDir{ReadDirFile: d}, nil
	}
	return f, err
}

// brokenDir can not be read to its end.
type brokenDir struct {
	fs.ReadDirFile
	read bool
}

func (d *brokenDir) ReadDir(n int) ([]fs.DirEntry, error) {
	if d.read {
		return nil, errRotten
	}
	d.read = true
	return d.ReadDirFile.ReadDir(10)
}

func seeds(t *testing.T, short, long int) (base uint64, n int) {
	base, n = uint64(time.Now().UnixNano()), long
	if testing.Short() {
		n = short
	}
	if s := os.Getenv("HYDRA_SEED"); s != "" {
		if _, err := fmt.Sscan(s, &base); err != nil {
			t.Fatal(err)
		}
		n = 1
	}
	return base, n
}

func TestEachEntryIsCountedOnceWhoeverCountsItAndWhoeverDies(t *testing.T) {
	base, n := seeds(t, 12, 60)
	for i := range uint64(n) {
		seed := base + i
		t.Run(fmt.Sprint("HYDRA_SEED=", seed), func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(seed, 1))
			tree := bushy(rnd)
			k := kind{filter: rnd.IntN(2) == 0, skip: rnd.IntN(4) == 0, careful: rnd.IntN(3) == 0}
			o := Options{FS: rotten{tree}, MaxDepth: []int{0, 0, 2, 3}[rnd.IntN(4)]}
			if rnd.IntN(3) == 0 {
				o.Group = tens
			}
			root := "."
			if rnd.IntN(3) == 0 {
				// The same of the system's files: with inodes, and without faults.
				o.FS, root = nil, t.TempDir()
				copyTree(t, root, tree)
			}
			f := newFleet(t, seed, k, o, root)
			first := f.start()
			for range f.rnd.IntN(6) {
				f.start()
			}
			if k.careful {
				first.s.AddRoots(true)
			} else {
				first.s.AddRoots(false)
			}
			f.cut(first)
			for range 30 + f.rnd.IntN(100) {
				f.step()
				if t.Failed() {
					break
				}
			}
			f.finish()
			f.compare()
		})
	}
}
