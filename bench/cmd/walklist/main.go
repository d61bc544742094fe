// Command walklist lists a tree with package walk and counts its entries by
// type: what Hydra's walk costs with nothing on top. With -stat it also reads the
// attributes of each file and directory, and adds up the sizes of files.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"runtime/debug"
	"sync"

	"github.com/hydrawalk/hydra/bench/internal/count"
	"github.com/hydrawalk/hydra/walk"
)

func main() {
	workers := flag.Int("j", 0, "number of workers; 0 adapts")
	stat := flag.Bool("stat", false, "read the attributes of each file and directory")
	flag.Parse()
	debug.SetGCPercent(400) // as the command does

	var mu sync.Mutex
	var all count.Counts // guarded by mu
	newHandler := func(int) (walk.Handler, error) {
		l := &lister{mu: &mu, all: &all}
		if *stat {
			return &statter{lister: l}, nil
		}
		return l, nil
	}
	t, err := walk.Trees(context.Background(), flag.Args(), newHandler, &walk.Options{Workers: *workers})
	if err != nil {
		fmt.Fprintln(os.Stderr, "walklist:", err)
		os.Exit(1)
	}
	all.Dirs = t.ProcessedDirs
	fmt.Println(all)
	fmt.Fprintf(os.Stderr, "workers=%d\n", t.Workers)
	if !t.Complete() {
		fmt.Fprintf(os.Stderr, "walklist: incomplete, %d errors, the first: %v\n", t.Errors, t.FirstError)
		os.Exit(3)
	}
}

// lister counts for its worker alone until the worker ends.
type lister struct {
	files, others, bytes int64

	mu  *sync.Mutex
	all *count.Counts
}

func (l *lister) File(_ context.Context, e *walk.Entry) error {
	if e.Type().IsRegular() {
		l.files++
	} else {
		l.others++
	}
	return nil
}

func (l *lister) Flush(context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all.Files += l.files
	l.all.Others += l.others
	l.all.Bytes += l.bytes
	return nil
}

// statter is a lister that reads attributes.
type statter struct {
	*lister
	dir walk.Stat
}

func (s *statter) File(ctx context.Context, e *walk.Entry) error {
	if e.Type().IsRegular() {
		st, err := e.Stat()
		if err != nil {
			return err
		}
		s.bytes += st.Size
	}
	return s.lister.File(ctx, e)
}

func (s *statter) EnterDir(context.Context, *walk.Dir) error { return nil }

func (s *statter) LeaveDir(_ context.Context, d *walk.Dir) error { return d.StatInto(&s.dir) }
