// Command mktree makes a tree of files to measure walkers on.
//
// The tree depends on its kind, seed and scale only. A manifest beside it tells
// what is in it; a tree that has one is not made again.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"time"

	"github.com/hydrawalk/hydra/bench/internal/tree"
)

func main() {
	dir := flag.String("dir", tree.DefaultDir(), "directory in which trees are kept")
	kind := flag.String("tree", "", "kind of tree: realistic, huge, chain; all if empty")
	seed := flag.Uint64("seed", 1, "seed")
	scale := flag.Float64("scale", 1, "size relative to the full tree's")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	kinds := tree.Kinds
	if *kind != "" {
		kinds = []tree.Kind{tree.Kind(*kind)}
	}
	for _, k := range kinds {
		start := time.Now()
		path, m, made, err := tree.Ensure(ctx, *dir, tree.Spec{Kind: k, Seed: *seed, Scale: *scale})
		if err != nil {
			fmt.Fprintln(os.Stderr, "mktree:", err)
			os.Exit(1)
		}
		if made {
			fmt.Fprintf(os.Stderr, "mktree: made %s in %.1f s\n", path, time.Since(start).Seconds())
		}
		out := json.NewEncoder(os.Stdout)
		out.SetIndent("", "  ")
		if err := out.Encode(m); err != nil {
			fmt.Fprintln(os.Stderr, "mktree:", err)
			os.Exit(1)
		}
	}
}
