// Command bench times Hydra against a yardstick in C and other programs.
//
//	bench [flags]
//
// It makes the trees that it needs, runs the programs of each section in turn,
// and prints tables in Markdown: medians, and ratios to the yardstick. Then it
// says which of the bars that Hydra is to reach are held; exit status 1 means
// that one is not. Every program has to exit with 0, and those that count have to
// count what is in the tree.
package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/hydrawalk/hydra/bench/internal/tree"
)

func main() {
	b := &bench{out: os.Stdout}
	flag.StringVar(&b.dir, "dir", tree.DefaultDir(), "directory in which trees are kept")
	flag.StringVar(&b.bins.dir, "bin", "", "directory of the programs that run.sh builds")
	flag.IntVar(&b.rounds, "rounds", 5, "how often each program is run, after once to warm up")
	flag.Float64Var(&b.scale, "scale", 1, "size of the trees; the bars are for 1")
	only := flag.String("only", "", "comma-separated sections: "+strings.Join(names(), ", "))
	file := flag.String("o", "", "write the tables into this file too")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()

	var text bytes.Buffer
	b.out = io.MultiWriter(os.Stdout, &text)
	err := b.run(ctx, *only)
	if err == nil && *file != "" {
		err = os.WriteFile(*file, text.Bytes(), 0o644)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
	if slices.ContainsFunc(b.bars, func(x bar) bool { return !x.held }) {
		os.Exit(1)
	}
}

// bench is one run of the benchmark.
type bench struct {
	dir    string
	bins   bins
	rounds int
	scale  float64
	out    io.Writer
	bars   []bar
}

// bar is something that Hydra is to reach.
type bar struct {
	text string
	held bool
}

func (b *bench) bar(held bool, format string, args ...any) {
	b.bars = append(b.bars, bar{fmt.Sprintf(format, args...), held})
}

// section is a part of the benchmark.
type section struct {
	name string
	run  func(*bench, context.Context) error
}

var sections = []section{
	{"list", (*bench).lists},
	{"audit", (*bench).audits},
	{"huge", (*bench).huge},
	{"chain", (*bench).chain},
	{"cold", (*bench).cold},
	{"slow", (*bench).slow},
	{"cluster", (*bench).cluster},
	{"workers", (*bench).workers},
	{"find", (*bench).finds},
}

func names() []string {
	var all []string
	for _, s := range sections {
		all = append(all, s.name)
	}
	return all
}

func (b *bench) run(ctx context.Context, only string) error {
	chosen := names()
	if only != "" {
		chosen = strings.Split(only, ",")
	}
	for _, name := range chosen {
		if !slices.Contains(names(), name) {
			return fmt.Errorf("there is no section %q; there are %s", name, strings.Join(names(), ", "))
		}
	}
	b.machine()
	for _, s := range sections {
		if !slices.Contains(chosen, s.name) || ctx.Err() != nil {
			continue
		}
		if err := s.run(b, ctx); err != nil {
			return err
		}
	}
	fmt.Fprint(b.out, "## Bars\n\n| | held |\n|---|---|\n")
	for _, x := range b.bars {
		held := "yes"
		if !x.held {
			held = "**no**"
		}
		fmt.Fprintf(b.out, "| %s | %s |\n", x.text, held)
	}
	return ctx.Err()
}

const intro = `# Performance

This page is what the benchmark printed: ` + "`bench/run.sh -o docs/performance.md`" + `
(` + "`make bench`" + ` prints the same). It makes the trees from a seed, builds the
programs, runs them in turn, and fails if one of them fails or a count is wrong.

The yardstick is a program in C, [bench/yardstick.c](../bench/yardstick.c), that
does nothing but the system calls: openat, getdents64, and fstatat to audit. What
Hydra takes beyond it is its own cost. List is package walk with a handler that
counts types, audit is ` + "`hydra audit --json`" + ` with all its statistics; the bare
stat walk is package walk with a handler that reads the attributes of files and
directories, and counts nothing but sizes. The others run as their users would run
them, and their output is thrown away. x is the time as a multiple of the first
line's.

`

// machine says on what this was measured.
func (b *bench) machine() {
	first := func(argv ...string) string {
		out, err := exec.Command(argv[0], argv[1:]...).Output()
		if err != nil {
			return argv[0] + " is not here"
		}
		line, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
		return line
	}
	fmt.Fprint(b.out, intro)
	fmt.Fprintf(b.out, "Measured %s on %d cores, %s, %s, %s; %s; %s; %s. Medians of %d runs in turn, warm cache unless said.\n\n",
		time.Now().UTC().Format("2006-01-02"), runtime.NumCPU(), first("uname", "-sr"), first("stat", "-f", "-c", "%T", b.dir),
		runtime.Version(), first("fdfind", "--version"), first("bfs", "--version"), first("find", "--version"), b.rounds)
}

func (b *bench) tree(ctx context.Context, kind tree.Kind) (string, *tree.Manifest, error) {
	path, m, _, err := tree.Ensure(ctx, b.dir, tree.Spec{Kind: kind, Seed: 1, Scale: b.scale})
	return path, &m, err
}

// table prints results with their ratio to the first one.
func (b *bench) table(title string, results []result) {
	fmt.Fprintf(b.out, "## %s\n\n| program | seconds | x | CPU seconds | peak MiB |\n|---|---|---|---|---|\n", title)
	for i := range results {
		r := &results[i]
		fmt.Fprintf(b.out, "| %s | %.3f | %.2f | %.2f | %.0f |\n", r.name, r.wall(), r.wall()/results[0].wall(), r.cpu(), r.peak())
	}
	fmt.Fprintln(b.out)
}

// ahead adds a bar: Hydra, at index ours, takes less than each of the peers.
func (b *bench) ahead(what string, results []result, ours int, peers []program) {
	best := ""
	fastest := 0.0
	for i := range results {
		r := &results[i]
		if slices.ContainsFunc(peers, func(p program) bool { return p.name == r.name }) && (best == "" || r.wall() < fastest) {
			best, fastest = r.name, r.wall()
		}
	}
	if best == "" {
		return
	}
	mine := results[ours].wall()
	b.bar(mine < fastest, "%s: ahead of every peer (%.3f s; the best, %s, %.3f s)", what, mine, best, fastest)
}
