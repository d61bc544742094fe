package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"

	"github.com/hydrawalk/hydra/bench/internal/count"
	"github.com/hydrawalk/hydra/bench/internal/tree"
)

// bins finds the programs of the benchmark.
type bins struct{ dir string }

func (b bins) path(name string) string { return filepath.Join(b.dir, name) }

// counted reads the counts that the programs of this benchmark print.
func counted(out []byte) (string, error) {
	c, err := count.Parse(string(bytes.TrimSpace(out)))
	return c.String(), err
}

// audited reads the counts of `hydra audit --json`.
func audited(out []byte) (string, error) {
	c, err := auditCounts(out)
	return c.String(), err
}

func auditCounts(out []byte) (count.Counts, error) {
	var doc struct {
		Complete bool  `json:"complete"`
		Dirs     int64 `json:"processed_dirs"`
		Stats    struct {
			Files   int64 `json:"processed_files"`
			Skipped int64 `json:"skipped_files"`
			Bytes   int64 `json:"file_size_total"`
		} `json:"stats"`
	}
	if err := json.Unmarshal(out, &doc); err != nil {
		return count.Counts{}, err
	}
	if !doc.Complete {
		return count.Counts{}, fmt.Errorf("the result is not complete")
	}
	return count.Counts{Dirs: doc.Dirs, Files: doc.Stats.Files, Others: doc.Stats.Skipped, Bytes: doc.Stats.Bytes}, nil
}

// job is a way to walk: list looks at types only, audit stats every file.
type job string

const (
	list  job = "list"
	audit job = "audit"
)

func want(j job, m *tree.Manifest) string {
	c := count.Counts{Dirs: m.Dirs, Files: m.Files, Bytes: m.Bytes}
	if j == list {
		c.Bytes = 0
	}
	return c.String()
}

func (b bins) yardstick(j job, threads int, path string, m *tree.Manifest) program {
	return program{
		name:   fmt.Sprintf("yardstick, %s", plural(threads, "thread")),
		argv:   []string{b.path("yardstick"), string(j), strconv.Itoa(threads), path},
		counts: counted, want: want(j, m),
	}
}

// hydra is what this is about. Without m its counts are not compared.
func (b bins) hydra(j job, workers int, path string, m *tree.Manifest) program {
	n := strconv.Itoa(workers)
	p := program{name: "**Hydra**, " + plural(workers, "worker")}
	if workers == 0 {
		p.name = "**Hydra**, default"
	}
	if j == list {
		p.argv, p.counts = []string{b.path("walklist"), "-j", n, path}, counted
	} else {
		p.argv, p.counts = []string{b.path("hydra"), "audit", "-j", n, "--json", path}, audited
	}
	if m != nil {
		p.want = want(j, m)
	}
	return p
}

// bare is an audit without its statistics: package walk, and a
// stat of each file and directory.
func (b bins) bare(workers int, path string, m *tree.Manifest) program {
	return program{
		name:   "bare stat walk, " + plural(workers, "worker"),
		argv:   []string{b.path("walklist"), "-stat", "-j", strconv.Itoa(workers), path},
		counts: counted, want: want(audit, m),
	}
}

// summary is an audit that prints what a bare one does: a summary, not the document
// of a directory after the other.
func (b bins) summary(workers int, path string) program {
	return program{
		name: "audit as text, " + plural(workers, "worker"),
		argv: []string{b.path("hydra"), "audit", "-j", strconv.Itoa(workers), path},
	}
}

// peers are the other programs that are on this machine. They are run as their
// users would, their output is thrown away.
func (b bins) peers(j job, path string) []program {
	all := []program{
		{name: "fastwalk, 2 workers", argv: []string{b.path("peer"), "fastwalk", string(j), "2", path}, counts: counted},
		{name: "filepath.WalkDir", argv: []string{b.path("peer"), "walkdir", string(j), path}, counts: counted},
	}
	if j == list {
		all = append(all,
			program{name: "fd -j2", argv: []string{"fdfind", "-u", "-j2", ".", path}},
			program{name: "bfs", argv: []string{"bfs", path}},
			program{name: "GNU find", argv: []string{"find", path}})
	} else {
		all = append(all,
			program{name: "fd --size -j2", argv: []string{"fdfind", "-u", "-j2", "--size", "+0b", ".", path}},
			program{name: "bfs -printf %s", argv: []string{"bfs", path, "-printf", `%s\n`}},
			program{name: "GNU find -printf %s", argv: []string{"find", path, "-printf", `%s\n`}},
			program{name: "du -s", argv: []string{"du", "-s", path}})
	}
	var here []program
	for _, p := range all {
		if _, err := exec.LookPath(p.argv[0]); err == nil {
			here = append(here, p)
		}
	}
	return here
}

func plural(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
