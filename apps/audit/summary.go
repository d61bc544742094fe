package audit

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"maps"
	"runtime"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/dustin/go-humanize"
	"github.com/hydrawalk/hydra"
	"github.com/hydrawalk/hydra/internal/report"
	"github.com/hydrawalk/hydra/stats"
	"golang.org/x/text/width"
)

// summarize writes the statistics for people, at most 80 columns wide.
func summarize(w io.Writer, r *hydra.Result[Stats]) error {
	t := &text{Result: r, derived: r.Stats.Derived()}
	t.counts()
	t.sizes()
	if files := r.Stats.Files(); files > 0 {
		t.bins("File size", &r.Stats.BySize, func(i int) string { return sizeLabel(stats.SizeEdges, i) })
		ages := r.Stats.ByMtime.Rows()
		t.bins("Age by mtime", &ages, ageLabel)
		t.categories()
		t.owners()
		t.directories()
		t.files()
	}
	_, err := w.Write(t.b.Bytes())
	return err
}

// text is the summary while it is made.
type text struct {
	*hydra.Result[Stats]
	derived Derived
	b       bytes.Buffer
}

// line writes a line without blanks at its end.
func (t *text) line(format string, args ...any) {
	t.b.WriteString(strings.TrimRight(fmt.Sprintf(format, args...), " ") + "\n")
}

// counts says how many there are of what.
func (t *text) counts() {
	s, walked := t.Stats, &t.Walked
	t.line("%-16s%15s   deepest %s, average depth %.1f", "Directories",
		humanize.Comma(walked.ProcessedDirs), humanize.Comma(int64(s.MaxDepth)), t.derived.Depth)
	t.line("%-31s   most subdirectories in one %s", "", humanize.Comma(int64(s.MaxWidth)))
	number := func(name string, n int64, note string) {
		if n > 0 {
			t.line("%-16s%15s   %s", name, humanize.Comma(n), note)
		}
	}
	number("  empty", int64(s.EmptyDirs), "")
	t.line("%-16s%15s   most in one directory %s", "Files",
		humanize.Comma(walked.ProcessedFiles), humanize.Comma(int64(s.MaxFiles)))
	number("  sparse", s.Sparse.Count, fmt.Sprintf("%s that occupy %s", report.Size(s.Sparse.Bytes), report.Size(s.Sparse.Allocated)))
	number("  hard links", t.derived.Linked.Count, "names that share their file with another name")
	t.line("%-16s%15s", "Symbolic links", humanize.Comma(int64(s.Symlinks+s.SymlinksDirs)))
	number("  to directories", int64(s.SymlinksDirs), "")
	number("Special files", int64(s.Fifos+s.Sockets+s.BlockDevices+s.CharDevices+s.OtherFiles), "devices, pipes, sockets")
	number("Left out", walked.FilteredDirs+walked.FilteredFiles, fmt.Sprintf("%s of them directories", humanize.Comma(walked.FilteredDirs)))
	number("Vanished", walked.VanishedDirs+walked.VanishedFiles, "removed while the audit ran")
	number("Not read", walked.FailedDirs+walked.FailedFiles, fmt.Sprintf("%s of them directories", humanize.Comma(walked.FailedDirs)))
}

// sizes says how large all is.
func (t *text) sizes() {
	s := t.Stats
	if s.ReferenceTime.Time().Sub(t.Started).Abs() > time.Minute {
		t.line("%-16s%15s   ages are counted to then, in UTC", "As of", s.ReferenceTime.Time().Format("2006-01-02 15:04"))
	}
	t.line("")
	t.line("%-16s%15s   average file %s, median %s", "Size",
		report.Size(int64(s.Size)), report.Size(int64(s.Size)/max(s.Files(), 1)), report.Size(s.Sizes.At(0.5)))
	if runtime.GOOS != "windows" { // there it is not known
		t.line("%-16s%15s   on disk, each name of a file counted", "Allocated", report.Size(int64(s.Allocated)))
		if t.derived.Linked.Count > 0 {
			t.line("%-16s%15s   each file once, see --report", "  once", report.Size(t.derived.Unique.Allocated))
		}
		t.line("%-16s%15s   by the directories themselves", "  directories", report.Size(int64(s.AllocatedDirs)))
	}
	t.line("%-16s%15s   each file rounded up", "In "+report.Size(int64(s.BlockSize))+" blocks", report.Size(int64(s.SizeInBlocks)))
}

// barWidth is the width of a bar that stands for all, in columns.
const barWidth = 15

// uses writes a line of a table: what part of the files, and of the bytes.
func (t *text) uses(name string, u, all stats.Bin) {
	part := func(part, whole int64) string {
		if whole == 0 {
			return ""
		}
		return fmt.Sprintf("%4s%% %s", report.Percent(part, whole), report.Bar(part, whole, barWidth))
	}
	t.line("%s %13s %-*s %8s %s", pad(name, 13), humanize.Comma(u.Count), 6+barWidth, part(u.Count, all.Count), report.Size(u.Bytes), part(u.Bytes, all.Bytes))
}

func (t *text) head(name string) {
	t.line("")
	t.line("%-13s %13s %-*s %8s", name, "Files", 6+barWidth, "", "Size")
}

// bins draws a histogram.
func (t *text) bins(name string, h *stats.Histogram, label func(int) string) {
	bins := h.Bins()
	first, last := len(bins), 0
	var all stats.Bin
	for i, bin := range bins {
		if bin.Count > 0 {
			first, last = min(first, i), i
		}
		all.Add(bin.Count, bin.Bytes)
	}
	if all.Count == 0 {
		return
	}
	t.head(name)
	for i := first; i <= last; i++ {
		t.uses(label(i), bins[i], all)
	}
}

// listed is how many elements of a list are shown.
const listed = 5

// whole is all that was counted.
func (t *text) whole() stats.Bin {
	return stats.Bin{Count: t.Stats.Files(), Bytes: int64(t.Stats.Size)}
}

func (t *text) categories() {
	uses := t.derived.Categories
	names := slices.SortedFunc(maps.Keys(uses), func(a, b string) int {
		return cmp.Or(cmp.Compare(uses[b].Bytes, uses[a].Bytes), cmp.Compare(a, b))
	})
	t.head("Kind")
	for _, name := range names[:min(2*listed, len(names))] {
		u := uses[name]
		t.uses(clip(name, 13), stats.Bin{Count: u.Count, Bytes: u.Bytes}, t.whole())
	}
}

// owners shows those who use most; one alone is no news.
func (t *text) owners() {
	g := &t.Stats.ByUID
	if g.Len() < 2 {
		return
	}
	type owner struct {
		name string
		stats.Use
	}
	var all []owner
	name := nameOf(t.Stats.UIDNames)
	for id, u := range g.All {
		all = append(all, owner{name(id), u.Use})
	}
	slices.SortStableFunc(all, func(a, b owner) int { return cmp.Compare(b.Bytes, a.Bytes) })
	t.head("Owner")
	for _, o := range all[:min(listed, len(all))] {
		t.uses(clip(o.name, 13), stats.Bin{Count: o.Count, Bytes: o.Bytes}, t.whole())
	}
	t.more(len(all), "owner", "owners")
}

// more says that a list goes on.
func (t *text) more(n int, one, many string) {
	if n > listed {
		t.line("and %s: see --report", plural(int64(n-listed), "more "+one, "more "+many))
	}
}

// directories shows the largest at depth 1, or the paths if there are several.
func (t *text) directories() {
	tree := &t.Stats.Tree
	depth := 1
	if len(t.Paths) > 1 {
		depth = 0
	}
	if depth > tree.Depth() {
		return
	}
	if tree.LeftOut(depth) {
		t.line("")
		t.line("Of directories nothing is shown: more than %s are at depth %d.", humanize.Comma(maxTreeDirs), depth)
		return
	}
	var all []dirRow
	rest := stats.DirUse{Files: t.Stats.Files(), Bytes: int64(t.Stats.Size), Allocated: int64(t.Stats.Allocated)}
	for path, u := range tree.All(depth) {
		all = append(all, dirRow{depth, path, u})
		rest.Files -= u.Files
		rest.Bytes -= u.Bytes
		rest.Allocated -= u.Allocated
	}
	if len(all) == 0 {
		return
	}
	if depth == 1 && rest.Files > 0 {
		all = append(all, dirRow{depth, "", &rest})
	}
	slices.SortStableFunc(all, func(a, b dirRow) int { return cmp.Compare(b.Bytes, a.Bytes) })
	t.line("")
	t.line("%11s %9s %8s %-15s Directory", "Files", "Allocated", "Size", "")
	const bar = 9
	for _, d := range all[:min(2*listed, len(all))] {
		part := fmt.Sprintf("%4s%% %s", report.Percent(d.Bytes, int64(t.Stats.Size)), report.Bar(d.Bytes, int64(t.Stats.Size), bar))
		name := "(files in the path itself)"
		if d.path != "" {
			name = t.path(d.path, 33)
		}
		t.line("%11s %9s %8s %-15s %s", humanize.Comma(d.Files), report.Size(d.Allocated), report.Size(d.Bytes), part, name)
	}
	if n := len(all) - 2*listed; n > 0 {
		t.line("and %s: see --report", plural(int64(n), "more", "more"))
	}
}

// files shows the largest.
func (t *text) files() {
	t.line("")
	t.line("%8s Largest files", "Size")
	list := t.Stats.TopFiles.List()
	for _, i := range list[:min(listed, len(list))] {
		t.line("%8s %s", report.Size(i.Item.Size), t.path(i.Path, 71))
	}
}

// clip shortens text to columns; it drops its end.
func clip(text string, columns int) string {
	text = report.Printable(text)
	if wide(text) <= columns {
		return text
	}
	n := 1 // for the mark
	for i, r := range text {
		if n += wideRune(r); n > columns {
			return text[:i] + "…"
		}
	}
	return text
}

// pad makes text as wide as columns, which %-13s does not: it counts characters.
func pad(text string, columns int) string {
	return text + strings.Repeat(" ", max(columns-wide(text), 0))
}

// wide is the number of columns that text takes.
func wide(text string) int {
	n := 0
	for _, r := range text {
		n += wideRune(r)
	}
	return n
}

func wideRune(r rune) int {
	switch width.LookupRune(r).Kind() {
	case width.EastAsianWide, width.EastAsianFullwidth:
		return 2
	}
	return 1
}

// path is a path below the only root, or a whole one, in some columns.
func (t *text) path(path string, columns int) string {
	if len(t.Paths) == 1 {
		if below := strings.TrimLeft(strings.TrimPrefix(path, t.Paths[0]), separators); below != "" {
			path = below
		}
	}
	return clipPath(path, columns)
}

// clipPath shortens a path to columns: it drops its beginning, for the end tells
// more.
func clipPath(path string, columns int) string {
	text := report.Printable(path)
	if wide(text) <= columns {
		return text
	}
	n := 1 // for the mark
	for i := len(text); ; {
		r, size := utf8.DecodeLastRuneInString(text[:i])
		if n += wideRune(r); n > columns {
			return "…" + text[i:]
		}
		i -= size
	}
}
