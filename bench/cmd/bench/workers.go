package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"

	"github.com/hydrawalk/hydra/bench/internal/tree"
)

const aboutWorkers = `A handler sleeps 0.5 ms for each file, as one that waits for the network does: what
is seen is whether all workers of all clients have something to do, from the beginning
to the end. The seconds are what ` + "`wall_seconds`" + ` says; x is how much faster that is than
one worker.

`

// workers: what more workers are of use, where each file takes a while.
func (b *bench) workers(ctx context.Context) error {
	path, m, _, err := tree.Ensure(ctx, b.dir, tree.Spec{Kind: tree.Realistic, Seed: 1, Scale: 0.03 * b.scale})
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp(b.dir, "workers-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	sizes := []struct {
		clients, workers int
		least            float64 // times as fast as one
	}{{1, 1, 1}, {1, 2, 1.9}, {1, 4, 3.7}, {2, 2, 3.6}}
	seconds := make([][]float64, len(sizes))
	for round := range b.rounds {
		for i, size := range sizes {
			fmt.Fprintf(os.Stderr, "\r\x1b[Kround %d of %d: %s, %s each", round+1, b.rounds, plural(size.clients, "client"), plural(size.workers, "worker"))
			took, err := b.sleepOnce(ctx, filepath.Join(dir, fmt.Sprintf("%d-%d", round, i)), size.clients, size.workers, path, &m)
			if err != nil {
				fmt.Fprintln(os.Stderr)
				return err
			}
			seconds[i] = append(seconds[i], took)
		}
	}
	fmt.Fprint(os.Stderr, "\r\x1b[K")
	fmt.Fprintf(b.out, "## A handler that sleeps (%d files in %d directories)\n\n%s| clients | workers each | seconds | x |\n|---|---|---|---|\n", m.Files, m.Dirs, aboutWorkers)
	for i, size := range sizes {
		slices.Sort(seconds[i])
		median := func(i int) float64 { return seconds[i][len(seconds[i])/2] }
		x := median(0) / median(i)
		fmt.Fprintf(b.out, "| %d | %d | %.3f | %.2f |\n", size.clients, size.workers, median(i), x)
		if i > 0 {
			b.bar(x >= size.least, "a handler that sleeps, %s of %s: at least %.1f x one worker (%.2f)",
				plural(size.clients, "client"), plural(size.workers, "worker"), size.least, x)
		}
	}
	fmt.Fprintln(b.out)
	return nil
}

// sleepOnce runs one job, and returns how long it took.
func (b *bench) sleepOnce(ctx context.Context, dir string, clients, workers int, path string, m *tree.Manifest) (seconds float64, err error) {
	c, err := b.startCluster(ctx, dir, "sleeper", clients, workers)
	if err != nil {
		return 0, err
	}
	cmd := exec.CommandContext(ctx, b.bins.path("sleeper"), "run", "--server", c.address, "--json", "-q", "--min-clients", fmt.Sprint(clients), path)
	cmd.Env, cmd.Stderr = clusterEnv(dir), os.Stderr
	text, err := cmd.Output()
	if stopErr := c.stop(); err == nil {
		err = stopErr
	}
	if err != nil {
		return 0, err
	}
	var doc struct {
		Wall     float64 `json:"wall_seconds"`
		Complete bool    `json:"complete"`
		Stats    struct {
			Seen int64 `json:"seen"`
		} `json:"stats"`
	}
	if err := json.Unmarshal(text, &doc); err != nil {
		return 0, err
	}
	if !doc.Complete || doc.Stats.Seen != int64(m.Files) {
		return 0, fmt.Errorf("complete is %v, and %d files were seen of %d", doc.Complete, doc.Stats.Seen, m.Files)
	}
	return doc.Wall, nil
}
