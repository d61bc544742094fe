package hydra

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hydrawalk/hydra/internal/bus/membus"
	"github.com/hydrawalk/hydra/internal/client"
	"github.com/hydrawalk/hydra/internal/server"
	"github.com/hydrawalk/hydra/internal/wire"
	"github.com/hydrawalk/hydra/walk"
)

var actSeed = flag.Uint64("actseed", 0, "of the only world of acts to run, which is told")

// disk is a file system from which files can be removed.
type disk struct {
	mu      sync.Mutex
	dirs    map[string][]string // names, a directory's with a slash behind
	inodes  map[string]uint64
	removed map[string]int // how often
}

func (d *disk) Open(name string) (fs.File, error) {
	fi, err := d.Lstat(name)
	if err != nil {
		return nil, err
	}
	return &diskDir{d: d, fi: fi.(diskInfo), path: name}, nil
}

func (d *disk) Lstat(name string) (fs.FileInfo, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, is := d.dirs[name]; is {
		return diskInfo{path.Base(name), true, d.inodes[name]}, nil
	}
	if ino, is := d.inodes[name]; is && d.removed[name] == 0 {
		return diskInfo{path.Base(name), false, ino}, nil
	}
	return nil, &fs.PathError{Op: "lstat", Path: name, Err: fs.ErrNotExist}
}

func (d *disk) Stat(name string) (fs.FileInfo, error) { return d.Lstat(name) }
func (d *disk) ReadLink(name string) (string, error)  { return "", fs.ErrInvalid }

func (d *disk) remove(name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.removed[name] > 0 {
		return syscall.ENOENT
	}
	d.removed[name]++
	return nil
}

type diskDir struct {
	d    *disk
	fi   diskInfo
	path string
	list []fs.DirEntry
	read bool
}

func (f *diskDir) Stat() (fs.FileInfo, error) { return f.fi, nil }
func (f *diskDir) Read([]byte) (int, error)   { return 0, io.EOF }
func (f *diskDir) Close() error               { return nil }
func (f *diskDir) ReadDir(n int) ([]fs.DirEntry, error) {
	if !f.read {
		f.read = true
		f.d.mu.Lock()
		for _, name := range f.d.dirs[f.path] {
			full := path.Join(f.path, name)
			if f.d.removed[full] == 0 {
				f.list = append(f.list, diskInfo{strings.TrimSuffix(name, "/"), strings.HasSuffix(name, "/"), f.d.inodes[full]})
			}
		}
		f.d.mu.Unlock()
	}
	n = min(n, len(f.list))
	list := f.list[:n]
	f.list = f.list[n:]
	if n == 0 {
		return nil, io.EOF
	}
	return list, nil
}

type diskInfo struct {
	name string
	dir  bool
	ino  uint64
}

func (i diskInfo) Name() string               { return i.name }
func (i diskInfo) Size() int64                { return 1 }
func (i diskInfo) ModTime() time.Time         { return time.Time{} }
func (i diskInfo) IsDir() bool                { return i.dir }
func (i diskInfo) Sys() any                   { return &syscall.Stat_t{Ino: i.ino, Dev: 1, Nlink: 1} }
func (i diskInfo) Type() fs.FileMode          { return i.Mode().Type() }
func (i diskInfo) Info() (fs.FileInfo, error) { return i, nil }
func (i diskInfo) Mode() fs.FileMode {
	if i.dir {
		return fs.ModeDir | 0o755
	}
	return 0o644
}

// newDisk makes a tree of n directories.
func newDisk(r *rand.Rand, n int) (d *disk, old, all int) {
	d = &disk{dirs: map[string][]string{"r": nil}, inodes: map[string]uint64{"r": 1}, removed: map[string]int{}}
	names := []string{"r"}
	ino := uint64(2)
	for i := range n {
		in := names[r.IntN(len(names))]
		if i == 0 {
			in = "r"
		}
		name := path.Join(in, fmt.Sprintf("d%d.dir", i))
		d.dirs[in] = append(d.dirs[in], fmt.Sprintf("d%d.dir/", i))
		d.dirs[name], d.inodes[name] = nil, ino
		names = append(names, name)
		ino++
		files := r.IntN(60)
		if r.IntN(20) == 0 {
			files = 3000
		}
		for f := range files {
			base := fmt.Sprint("f", f)
			if r.IntN(3) > 0 {
				base += ".old"
				old++
			}
			all++
			d.dirs[name] = append(d.dirs[name], base)
			d.inodes[path.Join(name, base)] = ino
			ino++
		}
	}
	return d, old, all
}

type diskSweeper struct {
	*sweeper
	d    *disk
	slow time.Duration
	r    *rand.Rand
}

func (s *diskSweeper) Act(_ context.Context, h *walk.Held, a *Act) {
	time.Sleep(time.Duration(s.r.Int64N(int64(s.slow) + 1)))
	switch err := s.d.remove(h.Path()); {
	case errors.Is(err, fs.ErrNotExist):
		a.Result = ActGone
	default:
		a.Result = ActDone
	}
	time.Sleep(time.Duration(s.r.Int64N(int64(s.slow) + 1)))
}

// actWorld is a server and clients in a bubble, that remove files.
func actWorld(seed uint64, log io.Writer) error {
	r := rand.New(rand.NewPCG(seed, 7))
	d, old, all := newDisk(r, 30+r.IntN(60))
	slow := time.Duration(1+r.IntN(20)) * time.Millisecond
	engine := membus.New(rand.New(rand.NewPCG(seed, 2)))
	faults := membus.Faults{
		Delay:    func(r *rand.Rand) time.Duration { return time.Duration(r.Int64N(int64(5 * time.Millisecond))) },
		LostRead: 0.02, LostAck: 0.02,
	}
	engine.SetFaults(faults)
	logger := slog.New(slog.DiscardHandler)
	if log != nil {
		logger = slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	type process struct {
		name   string
		h      *membus.Handle
		cancel context.CancelFunc
		ended  chan struct{}
		gone   bool
	}
	var all_, servers, clients []*process
	n := 0
	start := func(kind string, f func(context.Context, *process) error) *process {
		ctx, cancel := context.WithCancel(context.Background())
		n++
		p := &process{name: fmt.Sprint(kind, n), h: engine.Open(), cancel: cancel, ended: make(chan struct{})}
		all_ = append(all_, p)
		go func() {
			defer close(p.ended)
			defer p.h.Kill()
			err := f(ctx, p)
			logger.Info("ENDED", "process", p.name, "err", err)
		}()
		return p
	}
	app := sweepApp()
	app.Tail = func(ctx context.Context, t *Tail[struct{}, sweepStats]) error {
		notes := 0
		seen := map[string]bool{}
		err := t.Lines(ctx, func(note json.RawMessage, a *Act) error {
			if note != nil {
				var n sweepNote
				if err := json.Unmarshal(note, &n); err != nil {
					return err
				}
				if seen[n.Path] {
					return fmt.Errorf("two valid notes of %s", n.Path)
				}
				seen[n.Path] = true
				notes++
			}
			return nil
		})
		t.Count(func(s *sweepStats) { s.Removed.Add(int64(notes)) })
		return err
	}
	serve := func() *process {
		p := start("server", func(ctx context.Context, p *process) error {
			return server.Run(ctx, server.Options{Bus: p.h, Logger: logger.With("at", p.name)})
		})
		servers = append(servers, p)
		return p
	}
	work := func() *process {
		own := *app
		ran := rand.New(rand.NewPCG(seed, uint64(1000+n)))
		var mu sync.Mutex
		own.NewHandler = func(_ context.Context, w *Worker[struct{}, sweepStats]) (walk.Handler, error) {
			mu.Lock()
			defer mu.Unlock()
			return &diskSweeper{&sweeper{w}, d, slow, rand.New(rand.NewPCG(ran.Uint64(), 1))}, nil
		}
		p := start("client", func(ctx context.Context, p *process) error {
			return client.Work(ctx, client.Options{
				Bus: p.h, Apps: []client.App{own.client("")}, Workers: 1 + ran.IntN(3), FS: d, Host: p.name, Logger: logger.With("at", p.name),
			})
		})
		clients = append(clients, p)
		return p
	}
	defer func() {
		for _, p := range all_ {
			p.gone = true
			p.h.Thaw()
			p.cancel()
		}
		for _, p := range all_ {
			<-p.ended
		}
		engine.Close()
		time.Sleep(time.Minute)
	}()
	serve()
	for range 2 + r.IntN(3) {
		work()
	}
	own := engine.Open()
	defer own.Close()
	s := &Server{bus: own, rank: wire.RankOperator, name: "test", address: "a world"}
	o := &JobOptions{ID: "sweep", Options: Options{FS: d}}
	ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
	defer cancel()
	fromFS := *app
	spec, err := fromFS.spec([]string{"/r"}, o)
	if err != nil {
		return err
	}
	spec.Roots = [][]byte{[]byte("r")}
	for try := 0; ; try++ {
		if _, err = s.ask(ctx, wire.Ask{Kind: wire.AskSubmit, Spec: spec}); err == nil {
			break
		} else if try == 20 {
			return err
		}
		time.Sleep(time.Second) // the engine loses some answers
	}
	live := func(ps []*process) []*process {
		return slices.DeleteFunc(slices.Clone(ps), func(p *process) bool { return p.gone })
	}
	kill := func(p *process) {
		logger.Info("KILL", "process", p.name)
		p.gone = true
		p.h.Kill()
		p.cancel()
	}
	for range 3 + r.IntN(8) {
		time.Sleep(time.Duration(r.Int64N(int64(4 * time.Second))))
		cs := live(clients)
		long := time.Duration(r.Int64N(int64(8 * time.Second)))
		if len(cs) == 0 {
			work()
			continue
		}
		p := cs[r.IntN(len(cs))]
		what := r.IntN(10)
		logger.Info("INCIDENT", "what", what, "process", p.name, "for", long)
		switch what {
		case 0, 1:
			kill(p)
			work()
		case 2:
			p.h.Freeze()
			time.Sleep(long)
			p.h.Thaw()
		case 3:
			p.h.Cut()
			time.Sleep(long)
			p.h.Heal()
		case 4:
			kill(live(servers)[0])
			time.Sleep(long)
			serve()
		case 5:
			p.gone = true
			p.cancel() // it is drained
			work()
		case 6:
			work()
		case 7, 8: // the server hears nobody, and all can write
			silent := faults
			silent.Loss = 1
			engine.SetFaults(silent)
			time.Sleep(long)
			engine.SetFaults(faults)
		case 9:
			engine.Stop()
			time.Sleep(long)
			engine.Start()
		}
	}
	if len(live(clients)) == 0 {
		work()
	}
	job := &Job{s: s, id: "sweep", app: &fromFS, o: o}
	doc, err := job.Wait(ctx)
	if err != nil {
		return err
	}
	result := doc.(*Result[sweepStats])
	got := result.Stats
	removed := 0
	for name, n := range d.removed {
		removed += n
		if !strings.HasSuffix(name, ".old") {
			return fmt.Errorf("%s was removed", name)
		}
	}
	switch {
	case result.Walked.FailedDirs > 0 && int(got.Done+got.Doubt) == removed && got.Other+got.Failed+got.Limit == 0:
		// Clients died in one directory again and again: nobody enters it any more.
	case removed != old:
		return fmt.Errorf("%d files were removed of %d: %+v", removed, old, *got)
	case int(got.Done+got.Doubt) != old || got.Other+got.Failed+got.Limit != 0:
		return fmt.Errorf("%d files were removed, counted %+v", old, *got)
	case int(result.Walked.ProcessedFiles) != all:
		return fmt.Errorf("%d files, %d processed: %+v, %+v", all, result.Walked.ProcessedFiles, result.Walked, *got)
	case !result.IsComplete():
		return fmt.Errorf("not complete: %s %s", result.State, result.Reason)
	}
	logger.Info("result", "stats", *got)
	return nil
}

func TestWhatIsRemovedIsWhatIsCountedWhoeverDies(t *testing.T) {
	run := func(seed uint64, log io.Writer) (err error) {
		synctest.Test(t, func(*testing.T) { err = actWorld(seed, log) })
		return err
	}
	if *actSeed != 0 {
		if err := run(*actSeed, t.Output()); err != nil {
			t.Error(err)
		}
		return
	}
	worlds := 10
	if testing.Short() {
		worlds = 2
	}
	first := uint64(1)
	if os.Getenv("HYDRA_TEST_ALL") != "" {
		worlds, first = 600, uint64(time.Now().UnixNano()%1e9)
	}
	for i := range uint64(worlds) {
		if err := run(first+i, nil); err != nil {
			t.Fatalf("%v\nrun it again with -run '^%s$' -actseed=%d", err, t.Name(), first+i)
		}
	}
}
