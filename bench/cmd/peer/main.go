// Command peer walks a tree with Go packages that others walk with, and counts.
//
//	peer fastwalk list|audit WORKERS PATH
//	peer walkdir list|audit PATH
//
// An audit stats every entry. Exit status is 1 if anything could not be read.
package main

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"

	"github.com/charlievieth/fastwalk"

	"github.com/hydrawalk/hydra/bench/internal/count"
)

func main() {
	c, err := run(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "peer:", err)
		os.Exit(2)
	}
	fmt.Println(c.counts())
	if n := c.errors.Load(); n > 0 {
		fmt.Fprintf(os.Stderr, "peer: %d errors, the first: %v\n", n, *c.first.Load())
		os.Exit(1)
	}
}

func run(args []string) (*counter, error) {
	usage := fmt.Errorf("usage: peer fastwalk list|audit WORKERS PATH\n       peer walkdir list|audit PATH")
	if len(args) < 3 || (args[1] != "list" && args[1] != "audit") {
		return nil, usage
	}
	c := &counter{stat: args[1] == "audit"}
	switch {
	case args[0] == "fastwalk" && len(args) == 4:
		n, err := strconv.Atoi(args[2])
		if err != nil {
			return nil, usage
		}
		return c, fastwalk.Walk(&fastwalk.Config{NumWorkers: n}, args[3], c.entry)
	case args[0] == "walkdir" && len(args) == 3:
		return c, filepath.WalkDir(args[2], c.entry)
	}
	return nil, usage
}

// counter counts entries; fastwalk calls it from many goroutines.
type counter struct {
	stat                               bool
	dirs, files, others, bytes, errors atomic.Int64
	first                              atomic.Pointer[error]
}

func (c *counter) entry(_ string, d fs.DirEntry, err error) error {
	if err != nil {
		c.fail(err)
		return nil
	}
	switch {
	case d.IsDir():
		c.dirs.Add(1)
	case d.Type().IsRegular():
		c.files.Add(1)
	default:
		c.others.Add(1)
	}
	if !c.stat {
		return nil
	}
	info, err := d.Info()
	if err != nil {
		c.fail(err)
	} else if info.Mode().IsRegular() {
		c.bytes.Add(info.Size())
	}
	return nil
}

func (c *counter) fail(err error) {
	c.errors.Add(1)
	c.first.CompareAndSwap(nil, &err)
}

func (c *counter) counts() count.Counts {
	return count.Counts{Dirs: c.dirs.Load(), Files: c.files.Load(), Others: c.others.Load(), Bytes: c.bytes.Load()}
}
