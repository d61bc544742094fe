package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"syscall"
)

// slow: a file system each of whose operations takes half a millisecond.
func (b *bench) slow(ctx context.Context) error {
	mount, err := os.MkdirTemp("", "hydra-slowfs-")
	if err != nil {
		return err
	}
	defer os.Remove(mount)
	fs, err := mountSlow(ctx, b.bins.path("slowfs"), mount)
	if err != nil {
		fmt.Fprintf(b.out, "Slow file system: left out, for it can not be mounted here (%v).\n\n", err)
		return nil
	}
	defer fs.unmount()

	rounds := max(b.rounds, 5) // each is short
	programs := []program{}
	fixed := []int{8, 32, 128, 512}
	for _, n := range append(fixed, 0) {
		programs = append(programs, b.bins.hydra(audit, n, mount, nil))
	}
	for _, p := range b.bins.peers(audit, mount) {
		p.rounds = 1 // each is long
		programs = append(programs, p)
	}
	results, err := b.compare(programs, rounds, false)
	if err != nil {
		return err
	}
	b.table("Audit of 20,000 files where each operation takes 0.5 ms", results)
	best, mine := results[0].wall(), results[len(fixed)].wall()
	for i := range fixed {
		best = min(best, results[i].wall())
	}
	b.bar(best/mine >= 0.8, "slow file system: default flags reach 80 %% of the best fixed number of workers (%.0f %%)", 100*best/mine)

	before, err := fs.operations()
	if err != nil {
		return err
	}
	p := b.bins.hydra(audit, 0, mount, nil)
	if _, err := b.once(&p); err != nil {
		return err
	}
	after, err := fs.operations()
	if err != nil {
		return err
	}
	each := float64(after.Lookup-before.Lookup) / float64(fs.entries)
	b.bar(each <= 1.05, "slow file system: at most 1.05 LOOKUPs an entry (%.3f)", each)
	return nil
}

// slowFS is the program slowfs, mounted.
type slowFS struct {
	cmd     *exec.Cmd
	out     *bufio.Scanner
	entries int64
}

// operations is how often slowfs was asked for what.
type operations struct {
	Lookup  int64 `json:"lookup"`
	Getattr int64 `json:"getattr"`
	Readdir int64 `json:"readdir"`
}

func mountSlow(ctx context.Context, program, mount string) (*slowFS, error) {
	cmd := exec.CommandContext(ctx, program, mount)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) } // so that it unmounts
	cmd.Stderr = os.Stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	fs := &slowFS{cmd: cmd, out: bufio.NewScanner(stdout)}
	var dirs, files int64
	if !fs.out.Scan() {
		return nil, fmt.Errorf("it ended: %w", cmd.Wait())
	}
	if _, err := fmt.Sscanf(fs.out.Text(), "ready dirs=%d files=%d", &dirs, &files); err != nil {
		fs.unmount()
		return nil, fmt.Errorf("it said %q: %w", fs.out.Text(), err)
	}
	fs.entries = dirs + files
	return fs, nil
}

// operations asks slowfs.
func (fs *slowFS) operations() (o operations, err error) {
	if err := fs.cmd.Process.Signal(syscall.SIGUSR1); err != nil {
		return o, err
	}
	if !fs.out.Scan() {
		return o, fmt.Errorf("slowfs ended")
	}
	return o, json.Unmarshal(fs.out.Bytes(), &o)
}

func (fs *slowFS) unmount() {
	if err := fs.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return // it ended by itself
	}
	for fs.out.Scan() { // to its end, or it could not write
	}
	if err := fs.cmd.Wait(); err != nil {
		fmt.Fprintln(os.Stderr, "slowfs:", err)
	}
}
