package walk_test

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"path"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hydrawalk/hydra/walk"
)

// made is a file system that holds nothing. Every directory at a depth has the
// same number of files, f0, f1 ..., and of directories, d0, d1 ...
type made []struct{ dirs, files int }

func (m made) Open(name string) (fs.File, error) {
	depth := 0
	if name != "." {
		depth = 1 + strings.Count(name, "/")
	}
	base := path.Base(name)
	if !fs.ValidPath(name) || depth > len(m) {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	d := &madeDir{madeEntry: madeEntry{base, depth == 0 || base[0] == 'd'}}
	if d.dir && depth < len(m) {
		d.dirs, d.files = m[depth].dirs, m[depth].files
	}
	return d, nil
}

// madeEntry is also its own information.
type madeEntry struct {
	name string
	dir  bool
}

func (e madeEntry) Name() string { return e.name }
func (e madeEntry) IsDir() bool  { return e.dir }
func (e madeEntry) Type() fs.FileMode {
	if e.dir {
		return fs.ModeDir
	}
	return 0
}
func (e madeEntry) Mode() fs.FileMode          { return e.Type() | 0o755 }
func (e madeEntry) Info() (fs.FileInfo, error) { return e, nil }
func (e madeEntry) Size() int64                { return 0 }
func (e madeEntry) ModTime() time.Time         { return time.Time{} }
func (e madeEntry) Sys() any                   { return nil }

type madeDir struct {
	madeEntry
	dirs, files int // not listed yet
}

func (d *madeDir) Stat() (fs.FileInfo, error) { return d.madeEntry, nil }
func (d *madeDir) Read([]byte) (int, error)   { return 0, fs.ErrInvalid }
func (d *madeDir) Close() error               { return nil }
func (d *madeDir) ReadDir(n int) (entries []fs.DirEntry, err error) {
	for n <= 0 || len(entries) < n {
		switch {
		case d.dirs > 0:
			d.dirs--
			entries = append(entries, madeEntry{"d" + strconv.Itoa(d.dirs), true})
		case d.files > 0:
			d.files--
			entries = append(entries, madeEntry{"f" + strconv.Itoa(d.files), false})
		case n > 0 && len(entries) == 0:
			return nil, io.EOF
		default:
			return entries, nil
		}
	}
	return entries, nil
}

// heldPart is less than the entries alone would take. A file system in this
// process, as the kernel's is in tests, needs some of it for itself.
const heldPart = 48 << 20

// peak is the most memory that was in use while entries were handled.
type peak struct {
	calls, most atomic.Uint64
	before      uint64
}

func newPeak() *peak {
	p := new(peak)
	p.before = inUse()
	return p
}

// inUse is without garbage.
func inUse() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc + m.StackInuse
}

// look is called for each entry, and looks now and then.
func (p *peak) look() {
	if p.calls.Add(1)%50_000 != 0 {
		return
	}
	now := inUse()
	now -= min(now, p.before)
	for {
		most := p.most.Load()
		if now <= most || p.most.CompareAndSwap(most, now) {
			return
		}
	}
}

func (p *peak) below(t *testing.T, limit uint64) {
	t.Helper()
	most := p.most.Load()
	if p.calls.Load() < 50_000 || most > limit {
		t.Errorf("%d KiB more were in use during %d calls, want at most %d", most>>10, p.calls.Load(), limit>>10)
	}
}

func TestAHugeDirectoryIsNeverHeldWhole(t *testing.T) {
	if testing.Short() {
		t.Skip("lists tens of millions of entries")
	}
	const million = 1_000_000
	for name, c := range map[string]struct {
		tree        made
		dirs, files int
	}{
		"10 million files":             {made{{0, 10 * million}}, 1, 10 * million},
		"1 million directories":        {made{{million, 0}}, 1 + million, 0},
		"directories with directories": {made{{million / 1000, 0}, {300, 300}}, 1 + million/1000*301, million / 1000 * 300},
	} {
		for _, workers := range []int{1, 8} {
			t.Run(fmt.Sprint(name, ", ", workers, " workers"), func(t *testing.T) {
				p := newPeak()
				totals, err := walk.Trees(t.Context(), []string{"."}, func(int) (walk.Handler, error) {
					return looker{p}, nil
				}, &walk.Options{Workers: workers, FS: c.tree})
				if err != nil || !totals.Complete() || totals.ProcessedDirs != int64(c.dirs) || totals.ProcessedFiles != int64(c.files) {
					t.Errorf("%v, %+v", err, totals)
				}
				p.below(t, heldPart)
			})
		}
	}
}

// looker is a handler that looks at the memory.
type looker struct{ p *peak }

func (l looker) File(context.Context, *walk.Entry) error   { l.p.look(); return nil }
func (l looker) EnterDir(context.Context, *walk.Dir) error { l.p.look(); return nil }
func (l looker) LeaveDir(context.Context, *walk.Dir) error { return nil }
