package main

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"strconv"

	"github.com/hydrawalk/hydra/bench/internal/tree"
)

// finds: the path of each entry of the realistic tree, to nowhere and into a pipe, and some
// of them by name and by size.
func (b *bench) finds(ctx context.Context) error {
	path, m, err := b.tree(ctx, tree.Realistic)
	if err != nil {
		return err
	}
	entries := m.Dirs + m.Files
	for _, c := range []struct {
		title  string
		hydra  []string
		peers  []program
		counts bool
	}{
		{"Find: all paths, to /dev/null", nil, []program{
			{name: "fd -j2", argv: []string{"fdfind", "-u", "-j2", ".", path}},
			{name: "bfs", argv: []string{"bfs", path}},
			{name: "GNU find", argv: []string{"find", path}},
		}, false},
		{"Find: all paths, into a pipe", nil, []program{
			// fd does not print the root.
			{name: "fd -j2", argv: []string{"fdfind", "-u", "-j2", ".", path}, counts: countLines, want: strconv.FormatInt(entries-1, 10)},
			{name: "bfs", argv: []string{"bfs", path}, counts: countLines, want: strconv.FormatInt(entries, 10)},
			{name: "GNU find", argv: []string{"find", path}, counts: countLines, want: strconv.FormatInt(entries, 10)},
		}, true},
		{"Find: by name", []string{"--name", "*7*"}, []program{
			{name: "fd -j2", argv: []string{"fdfind", "-u", "-j2", "--glob", "*7*", path}},
			{name: "bfs", argv: []string{"bfs", path, "-name", "*7*"}},
			{name: "GNU find", argv: []string{"find", path, "-name", "*7*"}},
		}, false},
		{"Find: files by size", []string{"--size", "+1M"}, []program{
			{name: "fd -j2", argv: []string{"fdfind", "-u", "-j2", "-tf", "--size", "+1mi", ".", path}},
			{name: "bfs", argv: []string{"bfs", path, "-type", "f", "-size", "+1048576c"}},
			{name: "GNU find", argv: []string{"find", path, "-type", "f", "-size", "+1048576c"}},
		}, false},
	} {
		programs := []program{b.find("**Hydra**, default", nil, c.hydra, path), b.find("**Hydra**, 2 workers", []string{"-j", "2"}, c.hydra, path)}
		if c.counts {
			for i := range programs {
				programs[i].counts, programs[i].want = countLines, strconv.FormatInt(entries, 10)
			}
		}
		var peers []program
		for _, p := range c.peers {
			if _, err := exec.LookPath(p.argv[0]); err == nil {
				peers = append(peers, p)
			}
		}
		results, err := b.compare(append(programs, peers...), b.rounds, true)
		if err != nil {
			return err
		}
		b.table(fmt.Sprintf("%s (%d files in %d directories)", c.title, m.Files, m.Dirs), results)
		b.ahead(c.title, results, 0, peers)
	}
	return nil
}

func (b *bench) find(name string, workers, flags []string, path string) program {
	argv := append([]string{b.bins.path("hydra"), "find"}, workers...)
	return program{name: name, argv: append(append(argv, flags...), path)}
}

// countLines counts what was printed: the names of these trees have no newlines.
func countLines(out []byte) (string, error) {
	return strconv.Itoa(bytes.Count(out, []byte("\n"))), nil
}
