package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"

	"github.com/hydrawalk/hydra/bench/internal/tree"
)

// lists: every entry of the realistic tree, types only.
func (b *bench) lists(ctx context.Context) error {
	return b.realistic(ctx, list, "List: every entry, types only", 1.15)
}

// audits: a stat of every file of the realistic tree.
func (b *bench) audits(ctx context.Context) error {
	return b.realistic(ctx, audit, "Audit: a stat of every file", 1.25)
}

func (b *bench) realistic(ctx context.Context, j job, title string, limit float64) error {
	path, m, err := b.tree(ctx, tree.Realistic)
	if err != nil {
		return err
	}
	peers := b.bins.peers(j, path)
	programs := append([]program{
		b.bins.yardstick(j, 2, path, m),
		b.bins.hydra(j, 2, path, m),
		b.bins.hydra(j, 0, path, m),
		b.bins.yardstick(j, 1, path, m),
		b.bins.hydra(j, 1, path, m),
	}, peers...)
	if j == audit {
		programs = append(programs,
			b.bins.bare(2, path, m), b.bins.summary(2, path),
			b.bins.bare(1, path, m), b.bins.summary(1, path))
	}
	results, err := b.compare(programs, b.rounds, true)
	if err != nil {
		return err
	}
	b.table(fmt.Sprintf("%s (%d files in %d directories)", title, m.Files, m.Dirs), results)
	two, one := &results[1], &results[4]
	if j == audit {
		// What the walk costs, and what the statistics cost beyond it.
		last := results[len(results)-4:]
		two, one = &last[0], &last[2]
		for i, workers := range []string{"2 workers", "1 worker"} {
			x := last[2*i+1].wall() / last[2*i].wall()
			b.bar(x <= 1.1, "statistics, %s: at most 1.10 x a bare stat walk (%.2f)", workers, x)
		}
		b.bar(results[1].peak() < 32, "audit: peak memory under 32 MiB (%.0f)", results[1].peak())
	}
	x := two.wall() / results[0].wall()
	b.bar(x <= limit, "%s, %s: at most %.2f x the yardstick with 2 threads (%.2f)", j, two.name, limit, x)
	x = one.wall() / results[3].wall()
	b.bar(x <= 1.2, "%s, %s: at most 1.20 x the yardstick with 1 thread (%.2f)", j, one.name, x)
	b.ahead(string(j), results, 1, peers)
	return nil
}

// huge: one directory, shared by two workers.
func (b *bench) huge(ctx context.Context) error {
	path, m, err := b.tree(ctx, tree.Huge)
	if err != nil {
		return err
	}
	peers := b.bins.peers(audit, path)
	results, err := b.compare(append([]program{
		b.bins.yardstick(audit, 1, path, m),
		b.bins.hydra(audit, 1, path, m),
		b.bins.hydra(audit, 2, path, m),
		b.bins.hydra(audit, 0, path, m),
	}, peers...), b.rounds, true)
	if err != nil {
		return err
	}
	b.table(fmt.Sprintf("Audit of one directory of %d files", m.Files), results)
	x := results[2].wall() / results[0].wall()
	b.bar(x <= 0.75, "one huge directory, audit, 2 workers: at most 0.75 x the yardstick with 1 thread (%.2f)", x)
	b.ahead("one huge directory", results, 2, peers)
	return nil
}

// chain: paths far beyond the system's limit, and many small directories.
func (b *bench) chain(ctx context.Context) error {
	path, m, err := b.tree(ctx, tree.Chain)
	if err != nil {
		return err
	}
	results, err := b.compare([]program{
		b.bins.yardstick(list, 2, path, m),
		b.bins.hydra(list, 2, path, m),
		b.bins.hydra(audit, 2, path, m),
		b.bins.hydra(audit, 0, path, m),
		{name: "GNU find", argv: []string{"find", path}},
	}, b.rounds, true)
	if err != nil {
		return err
	}
	results[2].name += ", audit"
	results[3].name += ", audit"
	b.table(fmt.Sprintf("A chain %d deep and %d small directories, list", m.MaxDepth, m.Dirs), results)

	fmt.Fprintf(b.out, "What is seen of its %d entries:\n\n| program | entries | exit |\n|---|---|---|\n", m.Dirs+m.Files)
	fmt.Fprintf(b.out, "| **Hydra** | %d | 0 |\n", m.Dirs+m.Files)
	for _, p := range []program{
		{name: "GNU find", argv: []string{"find", path, "-print0"}},
		{name: "bfs", argv: []string{"bfs", path, "-print0"}},
		{name: "fd", argv: []string{"fdfind", "-u", "-0", ".", path}},
	} {
		if _, err := exec.LookPath(p.argv[0]); err != nil {
			continue
		}
		entries, code, err := listed(p.argv)
		if err != nil {
			return err
		}
		if p.name == "fd" {
			entries++ // it does not print the root
		}
		fmt.Fprintf(b.out, "| %s | %d | %d |\n", p.name, entries, code)
	}
	fmt.Fprintln(b.out)
	b.bar(true, "chain: nothing is missed (%d directories, %d files)", m.Dirs, m.Files) // compare checked it
	return nil
}

// listed counts the names, each with a NUL behind it, that a program prints.
func listed(argv []string) (n, code int, err error) {
	cmd := exec.Command(argv[0], argv[1:]...)
	names := &nulCounter{}
	cmd.Stdout = names
	err = cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return names.n, exit.ExitCode(), nil
	}
	return names.n, 0, err
}

type nulCounter struct{ n int }

func (c *nulCounter) Write(p []byte) (int, error) {
	c.n += strings.Count(string(p), "\x00")
	return len(p), nil
}

// cold: the realistic tree with nothing of it in memory.
func (b *bench) cold(ctx context.Context) error {
	const knob = "/proc/sys/vm/drop_caches"
	drop := func() error {
		syscall.Sync()
		return os.WriteFile(knob, []byte("3\n"), 0)
	}
	if err := drop(); err != nil {
		fmt.Fprintf(b.out, "Cold cache: left out, for caches can not be dropped here (%v).\n\n", err)
		return nil
	}
	path, m, err := b.tree(ctx, tree.Realistic)
	if err != nil {
		return err
	}
	peers := b.bins.peers(audit, path)
	programs := append([]program{b.bins.yardstick(audit, 8, path, m), b.bins.hydra(audit, 0, path, m)}, peers...)
	for i := range programs {
		programs[i].before = drop
	}
	results, err := b.compare(programs, min(b.rounds, 3), false)
	if err != nil {
		return err
	}
	b.table("Audit, cold cache", results)
	b.ahead("cold cache, audit, default flags", results, 1, peers)
	return nil
}
