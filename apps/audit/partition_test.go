//go:build linux

package audit

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hydrawalk/hydra/stats"
	"github.com/hydrawalk/hydra/walk"
)

// TestAnyPartitionOfATreeMergesToTheSameJSON lets several auditors share a tree
// as it comes, and commit when they like; what they counted is merged in any
// order, partly by way of JSON.
func TestAnyPartitionOfATreeMergesToTheSameJSON(t *testing.T) {
	rounds := uint64(60)
	if os.Getenv("HYDRA_TEST_ALL") != "" {
		rounds = 3000
	}
	seed := rand.Uint64()
	for round := range rounds {
		rng := rand.New(rand.NewPCG(seed, round))
		c := Settings{BlockSize: 8192, TreeDepth: rng.IntN(4), Top: 1 + rng.IntN(5), AsOf: AsOf{Time: time.Unix(rng.Int64N(1<<32), 5e8)}}
		p := partition{t: t, rng: rng, settings: c, limits: usual}
		if round%3 != 0 { // so low that all of them are reached
			p.limits = limits{
				extensions: 1 + rng.IntN(4), owners: 1 + rng.IntN(4), ownerLists: 1 + rng.IntN(3), treeDirs: 1 + rng.IntN(9), linkCounts: 1 + rng.IntN(2), dirs: 1 + rng.IntN(5),
			}
		}
		fsys, roots := randomTree(rng)
		p.check(roots, &walk.Options{Workers: 1, FS: fsys})
		if t.Failed() {
			t.Fatalf("seed %d, round %d", seed, round)
		}
	}
}

// The same for a tree on disk, with names that package fs has not, and with
// several workers: an auditor comes back to a directory after it left another.
func TestAnyPartitionOfATreeOnDiskMergesToTheSameJSON(t *testing.T) {
	seed := rand.Uint64()
	root := grow(t, seed)
	for round := range uint64(10) {
		rng := rand.New(rand.NewPCG(seed, round))
		p := partition{t: t, rng: rng, settings: Settings{BlockSize: 512, TreeDepth: 2, Top: 10, AsOf: AsOf{Time: time.Now()}}, limits: usual}
		if round%2 != 0 {
			p.limits.treeDirs, p.limits.extensions = 20, 3
		}
		p.check([]string{root}, &walk.Options{Workers: 4})
		if t.Failed() {
			t.Fatalf("seed %d, round %d", seed, round)
		}
	}
}

// partition is one tree that is audited by one, and by several.
type partition struct {
	t        testing.TB
	rng      *rand.Rand
	settings Settings
	limits   limits

	mu       sync.Mutex // of all below, and rng: workers share them
	auditors []*auditor
	sums     []*Stats // that the auditors commit to
}

func (p *partition) newStats() *Stats { return newStatsWithin(p.limits, p.settings) }

func (p *partition) check(roots []string, o *walk.Options) {
	p.t.Helper()
	whole := p.newStats()
	one := newAuditor(whole, &p.settings, nil, nil)
	alone := *o
	alone.Workers = 1
	p.walk(roots, one, &alone)
	want := p.encode(whole)

	for range 1 + p.rng.IntN(4) {
		s := p.newStats()
		commit := func(look func(*Stats)) error {
			sum := p.sums[p.rng.IntN(len(p.sums))]
			if err := stats.Merge(sum, s); err != nil {
				return err
			}
			if err := stats.Reset(s); err != nil {
				return err
			}
			look(sum)
			return nil
		}
		p.auditors = append(p.auditors, newAuditor(s, &p.settings, commit, nil))
	}
	for range 1 + p.rng.IntN(3) {
		p.sums = append(p.sums, p.newStats())
	}
	p.walk(roots, p, o)
	parts := p.sums
	for _, a := range p.auditors {
		if err := a.Flush(context.Background()); err != nil {
			p.t.Fatal(err)
		}
		parts = append(parts, a.stats)
	}
	if got := p.encode(p.merge(parts)); got != want {
		p.t.Errorf("%d parts are not the whole: -want +got\n%.4000s", len(parts), cmp.Diff(fieldsOf(p.t, want), fieldsOf(p.t, got)))
	}
}

func (p *partition) walk(roots []string, h walk.Handler, o *walk.Options) {
	p.t.Helper()
	totals, err := walk.Trees(context.Background(), roots, func(int) (walk.Handler, error) { return h, nil }, o)
	if err != nil || !totals.Complete() {
		p.t.Fatalf("%v, %+v", err, totals)
	}
}

// someone is who handles what comes next.
func (p *partition) someone() *auditor { return p.auditors[p.rng.IntN(len(p.auditors))] }

// handle lets someone handle what comes, and perhaps someone commit, who may have
// counted nothing since.
func (p *partition) handle(do func(*auditor) error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	err := do(p.someone())
	if p.rng.IntN(5) == 0 {
		if failed := p.someone().commitNow(); failed != nil {
			return walk.Fatal(failed)
		}
	}
	return err
}

func (p *partition) File(ctx context.Context, e *walk.Entry) error {
	return p.handle(func(a *auditor) error { return a.File(ctx, e) })
}

func (p *partition) EnterDir(context.Context, *walk.Dir) error { return nil }

func (p *partition) LeaveDir(ctx context.Context, d *walk.Dir) error {
	return p.handle(func(a *auditor) error { return a.LeaveDir(ctx, d) })
}

// merge merges two of the parts until one is left.
func (p *partition) merge(parts []*Stats) *Stats {
	p.t.Helper()
	for len(parts) > 1 {
		p.rng.Shuffle(len(parts), func(i, j int) { parts[i], parts[j] = parts[j], parts[i] })
		into, rest := parts[0], parts[2:]
		switch p.rng.IntN(4) {
		case 0:
			into, rest = new(Stats), parts[2:]
			p.add(into, parts[0])
		case 1:
			into = p.newStats()
			p.add(into, parts[0])
		}
		p.add(into, p.perhapsByJSON(parts[1]))
		parts = append(rest, p.perhapsByJSON(into))
	}
	all := p.newStats()
	p.add(all, parts[0])
	return all
}

func (p *partition) add(into, from *Stats) {
	p.t.Helper()
	if err := stats.Merge(into, from); err != nil {
		p.t.Fatal(err)
	}
}

func (p *partition) perhapsByJSON(s *Stats) *Stats {
	p.t.Helper()
	if p.rng.IntN(3) != 0 {
		return s
	}
	text := p.encode(s)
	back := new(Stats)
	if err := json.Unmarshal([]byte(text), back); err != nil {
		p.t.Fatalf("%v in %s", err, text)
	}
	if again := p.encode(back); again != text {
		p.t.Errorf("JSON and back: -want +got\n%.2000s", cmp.Diff(fieldsOf(p.t, text), fieldsOf(p.t, again)))
	}
	return back
}

func (p *partition) encode(s *Stats) string {
	p.t.Helper()
	text, err := json.Marshal(s)
	if err != nil {
		p.t.Fatal(err)
	}
	return string(text)
}

// fieldsOf shows in which field two documents differ.
func fieldsOf(t testing.TB, text string) map[string]any {
	t.Helper()
	var fields map[string]any
	if err := json.Unmarshal([]byte(text), &fields); err != nil {
		t.Fatal(err)
	}
	return fields
}

// sizedFS has files in it without what is in them.
type sizedFS struct {
	fstest.MapFS
	sizes map[string]int64
}

type sizedInfo struct {
	fs.FileInfo
	size int64
}

func (f sizedFS) Lstat(name string) (fs.FileInfo, error) {
	info, err := f.MapFS.Lstat(name)
	if size, ok := f.sizes[name]; ok {
		info = sizedInfo{info, size}
	}
	return info, err
}

func (i sizedInfo) Size() int64 { return i.size }

// randomTree is a small tree of all kinds of entries, with attributes from few
// values, so that keys repeat and lists have equals, and extreme ones among them.
func randomTree(rng *rand.Rand) (fsys sizedFS, roots []string) {
	one := func(list ...int64) int64 { return list[rng.IntN(len(list))] }
	fsys = sizedFS{fstest.MapFS{}, map[string]int64{}}
	add := func(name string, mode fs.FileMode, size int64) {
		at := func() syscall.Timespec {
			return syscall.Timespec{Sec: one(rng.Int64N(1<<32), 0, -1, math.MinInt64, math.MaxInt64, 1<<40), Nsec: one(0, 1, 5e8, 1e9-1)}
		}
		mode |= fs.FileMode(one(0o644, 0o777, 0o600)) | fs.FileMode(one(0, 0, 0, int64(fs.ModeSetuid), int64(fs.ModeSticky), int64(fs.ModeSetgid)))
		sys := &syscall.Stat_t{
			Uid: uint32(one(0, 1, 2, 3, 1000, math.MaxUint32)), Gid: uint32(rng.IntN(7)), Ino: rng.Uint64(), Dev: 1,
			Blocks: one(0, 8, 16, 1<<40, size/512), Atim: at(), Ctim: at(),
		}
		sys.Nlink += 1 // its type is not the same everywhere
		for range one(0, 0, 0, 1, 2, 40) {
			sys.Nlink++
		}
		fsys.MapFS[name] = &fstest.MapFile{Mode: mode, ModTime: time.Unix(rng.Int64N(1<<33), one(0, 7, 5e8)), Sys: sys}
		fsys.sizes[name] = size
	}
	dirs := []string{"."}
	for i := range rng.IntN(12) {
		dirs = append(dirs, path.Join(dirs[rng.IntN(len(dirs))], fmt.Sprint("d", i)))
		add(dirs[len(dirs)-1], fs.ModeDir, 4096)
	}
	extensions := []string{"", ".jpg", ".JPG", ".go", ".other", ".x", ".y", ".z", ".Ö", ".", `."`}
	kinds := []fs.FileMode{fs.ModeSymlink, fs.ModeNamedPipe, fs.ModeSocket, fs.ModeDevice, fs.ModeDevice | fs.ModeCharDevice, fs.ModeIrregular}
	for i := range rng.IntN(60) {
		mode := fs.FileMode(0)
		if rng.IntN(8) == 0 {
			mode = kinds[rng.IntN(len(kinds))]
		}
		name := path.Join(dirs[rng.IntN(len(dirs))], fmt.Sprint("f", i)+extensions[rng.IntN(len(extensions))])
		add(name, mode, one(0, 1, 1023, 1024, 1025, 8192, 1<<20, 1<<40+1, 1<<62, math.MaxInt64, rng.Int64N(1<<50)))
	}
	add("file", 0, 5)
	roots = []string{"."}
	if rng.IntN(4) == 0 {
		roots = append(dirs[1:], "file")
		rng.Shuffle(len(roots), func(i, j int) { roots[i], roots[j] = roots[j], roots[i] })
	}
	return fsys, roots
}

// grow makes a tree on disk, of names that are hard to write.
func grow(t *testing.T, seed uint64) string {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 0))
	root := t.TempDir()
	dirs := []string{root}
	odd := []string{"", "\xff", "\n", "-", "ä", "\"", ".\xff", ".TXT", ".go", ".x.y", strings.Repeat("l", 240)}
	name := func(kind string, i int) string {
		return filepath.Join(dirs[rng.IntN(len(dirs))], fmt.Sprint(kind, i)+odd[rng.IntN(len(odd))])
	}
	for i := range 60 {
		dir := name("d", i)
		if err := os.Mkdir(dir, 0o777); err != nil {
			t.Fatal(err)
		}
		dirs = append(dirs, dir)
	}
	for i := range 400 {
		file := name("f", i)
		if err := os.WriteFile(file, nil, 0o666); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(file, rng.Int64N(1<<rng.IntN(30))); err != nil {
			t.Fatal(err)
		}
		if i%50 == 0 {
			if err := os.Link(file, name("l", i)); err != nil {
				t.Fatal(err)
			}
		}
	}
	return root
}
