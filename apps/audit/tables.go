package audit

import (
	"cmp"
	"fmt"
	"iter"
	"maps"
	"math"
	"slices"
	"strconv"

	"github.com/dustin/go-humanize"
	"github.com/hydrawalk/hydra/internal/report"
	"github.com/hydrawalk/hydra/stats"
)

// tables are all tables of a report, in the order of the sheets of a workbook.
func (v *view) tables() []report.Table {
	s := v.Stats
	uid, gid := nameOf(s.UIDNames), nameOf(s.GIDNames)
	sid := nameOf(s.SIDNames)
	return []report.Table{
		v.summary(),
		v.directoryDetails(),
		v.fileSizes(),
		v.fileAges(),
		v.useByTime("ctime", "when its attributes last changed", &s.ByCtime),
		v.useByTime("atime", "when it was last read, as far as the file system keeps that", &s.ByAtime),
		v.useByTime("mtime", "when it was last written", &s.ByMtime),
		v.extensions(),
		v.categories(),
		v.topFiles(),
		topByOwner(v, "SID", &s.TopBySID, sid),
		topByOwner(v, "UID", &s.TopByUID, uid),
		topByOwner(v, "GID", &s.TopByGID, gid),
		useByOwner(v, "SID", &s.BySID, sid),
		useByOwner(v, "UID", &s.ByUID, uid),
		useByOwner(v, "GID", &s.ByGID, gid),
		v.categoryDefinition(),
		v.errors(),
		v.useByDirectory(),
		v.hardLinks(),
		v.sparseFiles(),
		v.permissions(),
		v.findings(),
		v.useByTime("btime", "when it was made, where the file system knows that", &s.ByBtime),
		v.quantiles(),
		v.byEntries(),
		v.deepest(),
		v.emptyDirs(),
	}
}

// rows is a list of rows that is made already.
func rows(list [][]any) iter.Seq[[]any] { return slices.Values(list) }

// Columns that many tables have.
func files(title, key string) report.Column {
	return report.Column{Title: title, Key: key, Number: true, Width: 12}
}
func bytesColumn(title, key string) report.Column {
	return report.Column{Title: title, Key: key, Number: true, Width: 20}
}
func shareColumn(title, key string) report.Column {
	return report.Column{Title: title, Key: key, Number: true, Width: 12}
}

func (v *view) summary() report.Table {
	s, t, d := v.Stats, &v.Walked, &v.derived
	var list [][]any
	add := func(what string, value any, note string) { list = append(list, []any{what, value, note}) }
	for i, p := range v.Paths {
		if i == 20 && len(v.Paths) > 21 {
			add("Paths", fmt.Sprintf("and %d more", len(v.Paths)-i), "")
			break
		}
		add("Path", report.Path(p), "")
	}
	add("Result", v.completeness(), cmp.Or(v.Reason, plural(t.Errors, "error", "errors")))
	add("Started", v.Started.UTC(), "UTC")
	add("Took", report.Seconds(v.Wall().Seconds()), "with "+plural(int64(v.Workers), "worker", "workers"))
	add("Ages are those at", s.ReferenceTime.Time(), "UTC")
	add("Files", t.ProcessedFiles, "regular ones, each name counted")
	add("Directories", t.ProcessedDirs, "the paths themselves among them")
	add("Empty directories", int64(s.EmptyDirs), "")
	add("Symbolic links", int64(s.Symlinks), "not followed")
	add("Symbolic links to directories", int64(s.SymlinksDirs), "told apart with --resolve-symlinks only")
	add("Fifos", int64(s.Fifos), "")
	add("Sockets", int64(s.Sockets), "")
	add("Block devices", int64(s.BlockDevices), "")
	add("Character devices", int64(s.CharDevices), "")
	add("Other files", int64(s.OtherFiles), "of no known type")
	add("Size", report.Bytes(s.Size), "of all files")
	add("Allocated", report.Bytes(s.Allocated), "on disk, by all files")
	add("Allocated by directories", report.Bytes(s.AllocatedDirs), "on disk, by the directories themselves")
	add("Size in blocks", report.Bytes(s.SizeInBlocks), "each file rounded up to "+report.Size(int64(s.BlockSize)))
	add("Files, each once", d.Unique.Count, "a file with names elsewhere counts in part, see Hard links")
	add("Size, each file once", report.Bytes(d.Unique.Bytes), "")
	add("Allocated, each file once", report.Bytes(d.Unique.Allocated), "on disk")
	add("Sparse files", s.Sparse.Count, "that occupy less than their size")
	add("Average file size", average(d.FileSize), "")
	add("Average size in blocks", average(d.FileSizeInBlocks), "")
	add("Median file size", report.Bytes(s.Sizes.At(0.5)), "at most 1 % off")
	add("Deepest directory", int64(s.MaxDepth), "a path that was given has depth 0")
	add("Average depth", d.Depth, "of directories")
	add("Average width", d.Width, "subdirectories of a directory that has any")
	add("Most subdirectories", int64(s.MaxWidth), "in one directory")
	add("Most files", int64(s.MaxFiles), "in one directory")
	add("Left out directories", t.FilteredDirs, "on purpose")
	add("Snapshots left out", t.SnapshotDirs, "of these: .snapshot, ~snapshot or .zfs, see --snapshots")
	add("Left out files", t.FilteredFiles, "on purpose")
	add("Vanished directories", t.VanishedDirs, "removed while the audit ran")
	add("Vanished files", t.VanishedFiles, "removed while the audit ran")
	add("Failed directories", t.FailedDirs, "could not be read whole")
	add("Failed files", t.FailedFiles, "could not be read")
	return report.Table{
		Name: "Summary", Key: "summary",
		Columns: []report.Column{{Title: "What", Key: "what", Width: 28}, {Title: "Value", Key: "value", Width: 28}, {Title: "Note", Key: "note", Width: 60}},
		Rows:    rows(list),
	}
}

func (v *view) directoryDetails() report.Table {
	s := v.Stats
	at := func(list []int64, depth int) int64 {
		if depth < len(list) {
			return list[depth]
		}
		return 0
	}
	var list [][]any
	for depth := range max(len(s.DirsPerDepth), len(s.FilesPerDepth)) {
		n, dirs, size, blocks := at(s.FilesPerDepth, depth), at(s.DirsPerDepth, depth), at(s.SizePerDepth, depth), at(s.SizeInBlocksPerDepth, depth)
		list = append(list, []any{
			int64(depth), dirs, n, report.Bytes(size), report.Bytes(blocks),
			average(ratio(size, n)), average(ratio(blocks, n)), ratio(n, dirs), at(s.MaxFilesPerDepth, depth),
		})
	}
	return report.Table{
		Name: "Directory details", Key: "directory_details",
		Note: "By the depth of directories below the paths that were given, which have depth 0. Files are counted where they are listed.",
		Columns: []report.Column{
			files("Depth", "depth"), files("Directories", "dirs"), files("Files", "files"), bytesColumn("Size", "bytes"), bytesColumn("Size in blocks", "block_bytes"),
			bytesColumn("Average file size", "average_file_bytes"), bytesColumn("Average in blocks", "average_file_block_bytes"),
			files("Files per directory", "average_files"), files("Most files in one", "max_files"),
		},
		Rows: rows(list),
		Charts: []report.Chart{{
			Title: "Size and files by depth", Labels: 0, Most: 60, XTitle: "Depth", YTitle: "Size", Y2Title: "Files",
			Series: []report.Series{{Column: 3}, {Column: 2, Line: true, Second: true}},
		}},
	}
}

func (v *view) fileSizes() report.Table {
	s := v.Stats
	var list [][]any
	blocks := s.ByBlocks.Bins()
	for i, b := range s.BySize.Bins() {
		list = append(list, []any{
			sizeLabel(s.BySize.Edges(), i), b.Count, share(b.Count, v.files), report.Bytes(b.Bytes), share(b.Bytes, int64(s.Size)),
			blocks[i].Count, report.Bytes(blocks[i].Bytes),
		})
	}
	return report.Table{
		Name: "File sizes", Key: "file_sizes",
		Note: "In blocks: each file rounded up to " + report.Size(int64(s.BlockSize)) + ", and counted by that size.",
		Columns: []report.Column{
			{Title: "File size", Key: "size", Width: 14}, files("Files", "files"), shareColumn("Share of files", "files_share"),
			bytesColumn("Size", "bytes"), shareColumn("Share of size", "bytes_share"),
			files("Files by blocks", "block_files"), bytesColumn("Size in blocks", "block_bytes"),
		},
		Rows: rows(list),
		Charts: []report.Chart{{
			Title: "Size and files by file size", Labels: 0, XTitle: "File size", YTitle: "Size", Y2Title: "Files",
			Series: []report.Series{{Column: 3}, {Column: 1, Line: true, Second: true}},
		}},
	}
}

func (v *view) fileAges() report.Table {
	s := v.Stats
	t := report.Table{
		Name: "File ages", Key: "file_ages",
		Note:    "Ages at " + s.ReferenceTime.Time().Format("2006-01-02 15:04:05") + " UTC. A year has 365 days.",
		Columns: []report.Column{{Title: "Age", Key: "age", Width: 14}},
		Charts: []report.Chart{{
			Title: "Share of files by age", Labels: 0, XTitle: "Age", YTitle: "Share of files",
		}},
	}
	var list [][]any
	for i := range len(stats.AgeEdges) + 1 {
		list = append(list, []any{ageLabel(i)})
	}
	for _, by := range []struct {
		name string
		c    *stats.Cross
	}{{"atime", &s.ByAtime}, {"ctime", &s.ByCtime}, {"mtime", &s.ByMtime}, {"btime", &s.ByBtime}} {
		h := by.c.Rows()
		var all int64
		for _, b := range h.Bins() {
			all += b.Count
		}
		if all == 0 && by.name == "btime" {
			continue
		}
		t.Columns = append(t.Columns, files("Files by "+by.name, by.name+"_files"), shareColumn("By "+by.name, by.name+"_share"))
		t.Charts[0].Series = append(t.Charts[0].Series, report.Series{Column: len(t.Columns) - 1, Line: true})
		for i, b := range h.Bins() {
			list[i] = append(list[i], b.Count, share(b.Count, all))
		}
	}
	t.Rows = rows(list)
	return t
}

func (v *view) useByTime(name, means string, c *stats.Cross) report.Table {
	t := report.Table{
		Name: "Use by " + name, Key: "use_by_" + name,
		Note: "The age of a file by its " + name + ": " + means + ".",
		Columns: []report.Column{
			{Title: "Age", Key: "age", Width: 14}, files("Files", "files"), shareColumn("Share of files", "files_share"),
			bytesColumn("Size", "bytes"), shareColumn("Share of size", "bytes_share"),
		},
		Charts: []report.Chart{{
			Title: "Size by age of " + name, Labels: 0, XTitle: "Age", YTitle: "Size", Y2Title: "Share of size",
			Series: []report.Series{{Column: 3}, {Column: 4, Line: true, Second: true}},
		}},
	}
	for i := range len(stats.SizeEdges) + 1 {
		label, key := sizeLabel(stats.SizeEdges, i), sizeKey(i)
		t.Columns = append(t.Columns,
			report.Column{Title: "Files " + label, Key: "files_" + key, Number: true, Width: 14, Detail: true},
			report.Column{Title: "Size of " + label, Key: "bytes_" + key, Number: true, Width: 20, Detail: true})
	}
	h := c.Rows()
	var all stats.Bin
	for _, b := range h.Bins() {
		all.Add(b.Count, b.Bytes)
	}
	if all.Count == 0 && v.files > 0 {
		t.Note += " It is not known of any file here."
		t.Charts = nil
		t.Detail = name == "btime"
	}
	var list [][]any
	for i, b := range h.Bins() {
		row := []any{ageLabel(i), b.Count, share(b.Count, all.Count), report.Bytes(b.Bytes), share(b.Bytes, all.Bytes)}
		sizes := c.InRow(i)
		for _, cell := range sizes.Bins() {
			row = append(row, cell.Count, report.Bytes(cell.Bytes))
		}
		list = append(list, row)
	}
	t.Rows = rows(list)
	return t
}

func (v *view) extensions() report.Table {
	s := v.Stats
	type extension struct {
		name string
		stats.Grouped
	}
	var all []extension
	for ext, g := range s.Extensions.All {
		all = append(all, extension{extensionLabel(ext), g})
	}
	slices.SortFunc(all, func(a, b extension) int {
		return cmp.Or(cmp.Compare(b.Bytes, a.Bytes), cmp.Compare(b.Count, a.Count), cmp.Compare(a.name, b.name))
	})
	note := "What follows the last dot of a name, in lower case."
	if rest, over := s.Extensions.Rest(); over {
		note += fmt.Sprintf(" Of those in no category, %s are listed and all others are one line.", humanize.Comma(maxExtensions))
		all = append(all, extension{"(all others)", stats.Grouped{Use: rest}})
	}
	return report.Table{
		Name: "File extensions", Key: "file_extensions", Note: note,
		Columns: []report.Column{
			{Title: "Extension", Key: "extension", Width: 18}, {Title: "Category", Key: "category", Width: 14},
			files("Files", "files"), shareColumn("Share of files", "files_share"), bytesColumn("Size", "bytes"), shareColumn("Share of size", "bytes_share"), bytesColumn("Allocated", "allocated_bytes"),
		},
		Rows: func(yield func([]any) bool) {
			for _, e := range all {
				if !yield(append([]any{e.name, cmp.Or(e.Category, other)}, v.useCells(e.Use)...)) {
					return
				}
			}
		},
		Charts: []report.Chart{{
			Title: "The 20 extensions with the largest size", Labels: 0, XTitle: "Extension", YTitle: "Size", Most: 20,
			Series: []report.Series{{Column: 4}},
		}},
	}
}

func extensionLabel(ext string) string {
	if ext == "" {
		return "(none)"
	}
	return ext
}

// average is an average size, to the byte.
func average(bytes float64) report.Bytes { return report.Bytes(math.Round(bytes)) }

// useCells are files, their share, size, its share, and what is allocated.
func (v *view) useCells(u stats.Use) []any {
	return []any{u.Count, share(u.Count, v.files), report.Bytes(u.Bytes), share(u.Bytes, int64(v.Stats.Size)), report.Bytes(u.Allocated)}
}

func (v *view) categories() report.Table {
	var list [][]any
	names := slices.SortedFunc(maps.Keys(v.derived.Categories), func(a, b string) int {
		return cmp.Or(cmp.Compare(v.derived.Categories[b].Bytes, v.derived.Categories[a].Bytes), cmp.Compare(a, b))
	})
	for _, name := range names {
		list = append(list, append([]any{name}, v.useCells(v.derived.Categories[name])...))
	}
	return report.Table{
		Name: "File categories", Key: "file_categories",
		Note: "By the extension of the name. The table of categories is in the workbook and in CSV.",
		Columns: []report.Column{
			{Title: "Category", Key: "category", Width: 14},
			files("Files", "files"), shareColumn("Share of files", "files_share"), bytesColumn("Size", "bytes"), shareColumn("Share of size", "bytes_share"), bytesColumn("Allocated", "allocated_bytes"),
		},
		Rows: rows(list),
		Charts: []report.Chart{{
			Title: "Size by category", Labels: 0, XTitle: "Category", YTitle: "Size",
			Series: []report.Series{{Column: 3}},
		}},
	}
}

func (v *view) categoryDefinition() report.Table {
	table := v.settings.categories()
	var list [][]any
	for _, name := range table.names() {
		var exts []string
		for ext, in := range table {
			if in == name {
				exts = append(exts, ext)
			}
		}
		slices.Sort(exts)
		for _, ext := range exts {
			list = append(list, []any{name, ext})
		}
	}
	return report.Table{
		Name: "Category definition", Key: "category_definition", Detail: true,
		Note:    "Extensions in no category are \"other\". A table of your own: --categories FILE.",
		Columns: []report.Column{{Title: "Category", Key: "category", Width: 16}, {Title: "Extension", Key: "extension", Width: 16}},
		Rows:    rows(list),
	}
}

func (v *view) errors() report.Table {
	note := "There were none."
	if v.Walked.Errors > 0 {
		note = plural(v.Walked.Errors, "error", "errors") + " in all."
		var listed int64
		for _, e := range v.Errors {
			listed += e.Count
		}
		if listed < v.Walked.Errors {
			note += fmt.Sprintf(" The first %s by path are listed; --errors FILE keeps all.", humanize.Comma(listed))
		}
	}
	return report.Table{
		Name: "Errors", Key: "errors", Note: note,
		Columns: []report.Column{{Title: "Operation", Key: "op", Width: 12}, {Title: "Path", Key: "path", Width: 80}, {Title: "Error", Key: "error", Width: 40}, files("Count", "count")},
		Rows: func(yield func([]any) bool) {
			for _, e := range v.Errors {
				if !yield([]any{e.Op, report.Path(e.Path), e.Error, e.Count}) {
					return
				}
			}
		},
	}
}

func (v *view) hardLinks() report.Table {
	d := &v.derived
	note := fmt.Sprintf("Of %s, %s share their file with another. What is counted of them is divided by the number of links: a file all of whose names were audited counts once, one with names elsewhere in part.",
		plural(v.files, "name", "names"), humanize.Comma(d.Linked.Count))
	var list [][]any
	for links, g := range v.Stats.ByLinks.All {
		list = append(list, []any{
			report.ID(links), g.Count, divide(g.Count, links), report.Bytes(g.Bytes), report.Bytes(divide(g.Bytes, links)), report.Bytes(divide(g.Allocated, links)),
		})
	}
	if rest, over := v.Stats.ByLinks.Rest(); over {
		list = append(list, []any{nil, rest.Count, rest.Count, report.Bytes(rest.Bytes), report.Bytes(rest.Bytes), report.Bytes(rest.Allocated)})
	}
	return report.Table{
		Name: "Hard links", Key: "hard_links", Note: note,
		Columns: []report.Column{
			files("Links", "links"), files("Names", "names"), files("Files", "files"),
			bytesColumn("Size of all names", "name_bytes"), bytesColumn("Size, each file once", "bytes"), bytesColumn("Allocated, each once", "allocated_bytes"),
		},
		Rows: rows(list),
	}
}

func (v *view) quantiles() report.Table {
	s := v.Stats
	const day = 24 * 60 * 60
	var list [][]any
	for _, q := range []struct {
		name string
		part float64
	}{{"smallest", 0}, {"1 %", 0.01}, {"10 %", 0.1}, {"25 %", 0.25}, {"50 %", 0.5}, {"75 %", 0.75}, {"90 %", 0.9}, {"95 %", 0.95}, {"99 %", 0.99}, {"99.9 %", 0.999}, {"largest", 1}} {
		list = append(list, []any{q.name, report.Bytes(s.Sizes.At(q.part)), float64(s.MtimeAges.At(q.part)) / day, float64(s.AtimeAges.At(q.part)) / day})
	}
	return report.Table{
		Name: "Quantiles", Key: "quantiles",
		Note: "The part of all files that is not larger, or older, than this. At most 1 % off.",
		Columns: []report.Column{
			{Title: "Of files", Key: "part", Width: 12}, bytesColumn("Size", "bytes"),
			{Title: "Days since mtime", Key: "mtime_days", Number: true, Width: 18}, {Title: "Days since atime", Key: "atime_days", Number: true, Width: 18},
		},
		Rows: rows(list),
	}
}

// sizeLabel names a bin of file sizes.
func sizeLabel(edges []int64, i int) string {
	switch {
	case i == len(edges):
		return "over " + report.Size(edges[i-1])
	case edges[i] == 0:
		return "empty"
	}
	return "<= " + report.Size(edges[i])
}

// sizeKey is sizeLabel for a program.
func sizeKey(i int) string {
	if i == len(stats.SizeEdges) {
		return "over"
	}
	return "le_" + strconv.FormatInt(stats.SizeEdges[i], 10)
}

var ageLabels = []string{
	"in the future", "<= 1 minute", "<= 1 hour", "<= 1 day", "<= 2 days", "<= 7 days", "<= 30 days", "<= 60 days", "<= 90 days", "<= 180 days",
	"<= 1 year", "<= 2 years", "<= 3 years", "<= 4 years", "<= 5 years", "<= 10 years", "older",
}

// ageLabel names a bin of the usual ages.
func ageLabel(i int) string { return ageLabels[i] }
