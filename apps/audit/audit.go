// Package audit counts what is in trees: how much there is, where it lies, whose
// it is and how old.
package audit

import (
	"context"
	"errors"
	"fmt"
	"os"
	"reflect"
	"time"

	"github.com/hydrawalk/hydra"
	"github.com/hydrawalk/hydra/internal/selection"
	"github.com/hydrawalk/hydra/stats"
	"github.com/hydrawalk/hydra/walk"
	"github.com/spf13/pflag"
)

// Settings of an audit.
type Settings struct {
	// BlockSize is what each file's size is rounded up to in the numbers by
	// blocks, in bytes.
	BlockSize hydra.Size `json:"block_size"`
	// TreeDepth is the depth to which use is counted by directory; roots have 0.
	TreeDepth int `json:"tree_depth"`
	// Top is the length of the list of the largest files.
	Top int `json:"top"`
	// AsOf is the time to which ages are counted; the zero time is when the audit
	// starts.
	AsOf AsOf `json:"as_of"`
	// ResolveSymlinks looks where symbolic links lead, to tell those to directories.
	ResolveSymlinks bool `json:"resolve_symlinks"`
	// CategoriesFile is a table of categories that replaces the built-in one.
	CategoriesFile string `json:"categories_file,omitempty"`
	// Categories is that table, once Prepare has read it.
	Categories Categories `json:"categories,omitempty"`

	table string // that a CSV report has alone
}

// The longest a list can be, and the deepest a tree: what a sheet of a workbook
// holds, and what a page can show.
const (
	mostTop   = 1_000_000
	mostDepth = 100
)

func (s *Settings) prepare() error {
	switch {
	case s.BlockSize <= 0:
		return errors.New("--block-size has to be at least 1")
	case s.TreeDepth < 0 || s.TreeDepth > mostDepth:
		return fmt.Errorf("--tree-depth has to be from 0 to %d", mostDepth)
	case s.Top < 1 || s.Top > mostTop:
		return fmt.Errorf("--top has to be from 1 to %d", mostTop)
	}
	if s.AsOf.IsZero() {
		s.AsOf = AsOf{Time: time.Now().UTC()}
	}
	if s.CategoriesFile != "" && s.Categories == nil {
		text, err := os.ReadFile(s.CategoriesFile)
		if err == nil {
			s.Categories, err = parseCategories(s.CategoriesFile, text)
		}
		if err != nil {
			return fmt.Errorf("--categories: %w", err)
		}
	}
	return nil
}

// change allows what leaves the numbers of before as they are.
func change(before, after Settings) error {
	before.ResolveSymlinks, before.table = after.ResolveSymlinks, after.table
	if !reflect.DeepEqual(before, after) {
		return errors.New("of an audit only resolve-symlinks can be changed while it runs: the rest would mix numbers that mean different things")
	}
	return nil
}

// table of categories that applies.
func (s *Settings) categories() Categories {
	if s.Categories != nil {
		return s.Categories
	}
	return builtInCategories()
}

// App returns the application.
func App() *hydra.App[Settings, Stats] {
	return &hydra.App[Settings, Stats]{
		Name:  "audit",
		Short: "Count files, directories and bytes",
		Long: `Audit reads the attributes of every file below each PATH and sums up: how many
files and directories there are and how large they are; how that is distributed
over sizes, ages, depths, owners, kinds of files and directories; what is large,
sparse, or open to everybody. It changes nothing.

A summary is printed. A report shows all of it: --report a.html is one page for a
browser, a.xlsx a workbook, a.csv tables for other programs, a.json all numbers.

Sizes and histograms count regular files, a file with several hard links once per
name; "unique" counts it once. Symbolic links are counted, not followed; a PATH
that is one is followed if it ends with a slash.`,
		Example: `  # a summary of one directory
  hydra audit /home

  # a page to look at, and a workbook
  hydra audit --report home.html --report home.xlsx /home

  # use by directory, down to the fourth level
  hydra audit --tree-depth 4 --report data.html /data

  # as JSON for a script: state, errors and all numbers
  hydra audit --json /home | jq .stats.file_size_total

  # several trees, each on its own file system, without caches
  hydra audit -x -E cache /srv /home

  # paths from a list with NUL behind each
  find /data -maxdepth 1 -print0 | hydra audit -0 --path-file -`,
		Settings: Settings{BlockSize: 8192, TreeDepth: 2, Top: 100},
		Flags: func(f *pflag.FlagSet, s *Settings) {
			f.IntVar(&s.TreeDepth, "tree-depth", s.TreeDepth, "count use by directory down to `N` levels below PATH")
			f.IntVar(&s.Top, "top", s.Top, "list the `N` largest files; by owner at most 100")
			f.Var(&s.AsOf, "as-of", "count ages up to `TIME`, and not to the start: 2026-01-31 or \"2026-01-31 12:00\", which is the time here, or 2026-01-31T12:00:00Z")
			f.StringVar(&s.CategoriesFile, "categories", "", "read the categories of extensions from `FILE`, a line \"image: jpg png\" each")
			f.BoolVar(&s.ResolveSymlinks, "resolve-symlinks", false, "count symbolic links to directories apart; that looks at where they lead, which may mount something")
			f.Var(&s.BlockSize, "block-size", "round sizes up to this in the numbers by blocks")
			f.StringVar(&s.table, "table", "", "write only the table `NAME` to a report that ends with .csv; an unknown one lists them")
		},
		Prepare:  (*Settings).prepare,
		Change:   change,
		NewStats: newStats,
		NewHandler: func(_ context.Context, w *hydra.Worker[Settings, Stats]) (walk.Handler, error) {
			a := newAuditor(w.Stats, &w.Settings, w.Commit, time.Now)
			a.worker, a.within = &w.Settings, w.Within
			return a, nil
		},
		Finish:    finish,
		Summarize: summarize,
		Reports:   reports,

		CheckReports: checkReports,
	}
}

func newAuditor(s *Stats, c *Settings, commit func(look func(*Stats)) error, clock func() time.Time) *auditor {
	sameBin := make([]bool, len(stats.SizeEdges)+1)
	for i, edge := range stats.SizeEdges {
		sameBin[i] = edge%int64(c.BlockSize) == 0
	}
	sameBin[len(stats.SizeEdges)] = true
	return &auditor{
		sameBin:    sameBin,
		stats:      s,
		commit:     commit,
		block:      int64(c.BlockSize),
		now:        walk.Time{Sec: c.AsOf.Unix(), Nsec: uint32(c.AsOf.Nanosecond())},
		categories: c.categories(),
		clock:      clock,
		resolve:    c.ResolveSymlinks,
		places:     make([]place, c.TreeDepth+1),
	}
}

func finish(ctx context.Context, r *hydra.Result[Stats]) error {
	s := r.Stats
	s.Clients.Add(int64(r.Clients))
	s.Workers.Add(int64(r.Workers))
	s.Paths.Add(int64(len(r.Paths)))
	s.TimeProcessing.Add(r.Wall())
	lookUp(ctx, r)
	return nil
}

// AsOf is a point in time as the value of a flag.
type AsOf = selection.AsOf
