//go:build linux

package audit_test

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// table is a table of a report as it has to be: a sheet of a workbook, a file of
// CSV, and a table on a page. Cells are int64, uint64, float64, string,
// pathCell, time.Time, nil for an empty one, near for a quantile, and anything.
type table struct {
	name    string   // of the sheet
	columns []string // keys
	rows    [][]any
	note    string // part of what is said of it
}

type (
	// pathCell is a path of any bytes.
	pathCell string
	// near is a number that may be 1 % off, divided by a unit.
	near struct {
		exact int64
		unit  float64
	}
	// anything is not told by the tree: when the audit ran, and with what.
	anything struct{}
)

const fileColumns = "path bytes allocated_bytes owner group mode mtime atime ctime btime uid gid sid links inode"

// tables are all tables by key.
func (w *truth) tables() map[string]table {
	users, groups := w.ownerNames("passwd", uidOf), w.ownerNames("group", gidOf)
	all := w.useOf(every)
	out := map[string]table{
		"summary":             {name: "Summary", columns: fields("what value note"), rows: w.summaryRows()},
		"directory_details":   {name: "Directory details", columns: fields("depth dirs files bytes block_bytes average_file_bytes average_file_block_bytes average_files max_files")},
		"file_sizes":          {name: "File sizes", columns: fields("size files files_share bytes bytes_share block_files block_bytes")},
		"file_ages":           w.ageTable(),
		"file_extensions":     {name: "File extensions", columns: fields("extension category files files_share bytes bytes_share allocated_bytes")},
		"file_categories":     {name: "File categories", columns: fields("category files files_share bytes bytes_share allocated_bytes")},
		"category_definition": {name: "Category definition", columns: fields("category extension")},
		"errors":              {name: "Errors", columns: fields("op path error count"), note: "There were none."},
		"hard_links":          {name: "Hard links", columns: fields("links names files name_bytes bytes allocated_bytes")},
		"quantiles":           {name: "Quantiles", columns: fields("part bytes mtime_days atime_days"), rows: w.quantileRows()},
		"permissions":         {name: "Permissions", columns: fields("what count bytes allocated_bytes note"), rows: w.permissionRows(users, groups)},
		"top_files_per_sid":   {name: "Top N files per SID", columns: fields("by_sid name rank " + fileColumns)},
		"use_by_sid":          {name: "Use by SID", columns: fields("name sid files files_share bytes bytes_share allocated_bytes")},
	}
	fill := func(key string, rows [][]any) {
		t := out[key]
		t.rows = rows
		out[key] = t
	}

	var rows [][]any
	for depth, p := range w.perDepth() {
		rows = append(rows, []any{int64(depth), p.dirs, p.files, p.bytes, p.blocks, whole(ratio(p.bytes, p.files)), whole(ratio(p.blocks, p.files)), ratio(p.files, p.dirs), p.most})
	}
	fill("directory_details", rows)

	rows = nil
	blocks := w.bySize(func(f *truthFile) int64 { return w.blocks(f.size) })
	for i, b := range w.bySize(sizeOf) {
		rows = append(rows, []any{sizeLabels[i], b.count, ratio(b.count, all.count), b.bytes, ratio(b.bytes, all.bytes), blocks[i].count, blocks[i].bytes})
	}
	fill("file_sizes", rows)

	for name, of := range timesOf {
		out["use_by_"+name] = w.useByTime("Use by "+name, of)
	}

	rows = nil
	extensions := group(w, func(f *truthFile) string { return extensionOf(f.name) })
	for _, ext := range sortedUses(extensions, func(ext string) string { return cmp.Or(ext, "(none)") }) {
		rows = append(rows, append([]any{cmp.Or(ext, "(none)"), w.categoryOf(ext)}, w.useCells(*extensions[ext])...))
	}
	fill("file_extensions", rows)

	rows = nil
	categories := group(w, func(f *truthFile) string { return w.categoryOf(extensionOf(f.name)) })
	for _, name := range slices.SortedFunc(maps.Keys(categories), func(a, b string) int {
		return cmp.Or(cmp.Compare(categories[b].bytes, categories[a].bytes), strings.Compare(a, b))
	}) {
		rows = append(rows, append([]any{name}, w.useCells(*categories[name])...))
	}
	fill("file_categories", rows)

	rows = nil
	for _, ext := range slices.SortedFunc(maps.Keys(w.categories), func(a, b string) int {
		return cmp.Or(strings.Compare(w.categories[a], w.categories[b]), strings.Compare(a, b))
	}) {
		rows = append(rows, []any{w.categories[ext], ext})
	}
	fill("category_definition", rows)

	rows = nil
	byLinks := group(w, linksOf)
	for _, links := range slices.Sorted(maps.Keys(byLinks)) {
		u, once := *byLinks[links], divided(*byLinks[links], links)
		rows = append(rows, []any{int64(links), u.count, once.count, u.bytes, once.bytes, once.allocated})
	}
	fill("hard_links", rows)
	linked := w.useOf(func(f *truthFile) bool { return f.links > 1 })
	t := out["hard_links"]
	t.note = fmt.Sprintf("Of %s, %s share their file", counted(all.count, "name", "names"), commas(linked.count))
	out["hard_links"] = t

	file := func(f *truthFile) []any {
		return []any{pathCell(f.path), f.size, f.allocated, ownerName(users, f.uid), ownerName(groups, f.gid), fmt.Sprintf("%04o", f.perm),
			f.mtime, f.atime, f.ctime, f.btime, int64(f.uid), int64(f.gid), nil, int64(f.links), f.inode}
	}
	list := func(key, name, columns, note string, files []*truthFile, first func(*truthFile) []any) {
		var rows [][]any
		for _, f := range files {
			rows = append(rows, append(first(f), file(f)...))
		}
		out[key] = table{name: name, columns: fields(columns + " " + fileColumns), rows: rows, note: note}
	}
	list("top_files", "Top N files", "", "The "+commas(int64(w.top))+" largest files", w.largest(w.top, every, sizeOf), func(*truthFile) []any { return nil })
	sparse := w.useOf(isSparse)
	list("sparse_files", "Sparse files", "missing_bytes", ": "+counted(sparse.count, "file", "files")+" of ", w.largest(hundred, isSparse, missing),
		func(f *truthFile) []any { return []any{missing(f)} })
	list("permission_findings", "Permission findings", "finding", "", w.largest(hundred, isSetID, sizeOf), func(*truthFile) []any { return []any{"setuid or setgid"} })
	t = out["permission_findings"]
	for _, f := range w.largest(hundred, isWorldWritable, sizeOf) {
		t.rows = append(t.rows, append([]any{"writable by everybody"}, file(f)...))
	}
	out["permission_findings"] = t

	for _, kind := range []struct {
		key   string
		owner func(*truthFile) uint32
		names map[uint32]string
	}{{"uid", uidOf, users}, {"gid", gidOf, groups}} {
		var rows [][]any
		lists := w.byOwner(kind.owner)
		for _, id := range slices.Sorted(maps.Keys(lists)) {
			for i, f := range lists[id] {
				rows = append(rows, append([]any{int64(id), ownerName(kind.names, id), int64(i + 1)}, file(f)...))
			}
		}
		upper := strings.ToUpper(kind.key)
		out["top_files_per_"+kind.key] = table{name: "Top N files per " + upper, columns: fields("by_" + kind.key + " name rank " + fileColumns), rows: rows}

		rows = nil
		owners := group(w, kind.owner)
		for _, id := range slices.SortedFunc(maps.Keys(owners), func(a, b uint32) int {
			return cmp.Or(cmp.Compare(owners[b].bytes, owners[a].bytes), cmp.Compare(owners[b].count, owners[a].count), cmp.Compare(a, b))
		}) {
			rows = append(rows, append([]any{ownerName(kind.names, id), int64(id)}, w.useCells(*owners[id])...))
		}
		out["use_by_"+kind.key] = table{name: "Use by " + upper, columns: fields("name " + kind.key + " files files_share bytes bytes_share allocated_bytes"), rows: rows}
	}
	w.directoryTables(out)
	return out
}

func (w *truth) directoryTables(out map[string]table) {
	bytes := w.useOf(every).bytes
	var rows [][]any
	tree := w.tree()
	slices.SortStableFunc(tree, func(a, b *dirUse) int {
		return cmp.Or(cmp.Compare(a.depth, b.depth), cmp.Compare(b.bytes, a.bytes))
	})
	for _, u := range tree {
		rows = append(rows, []any{int64(u.depth), pathCell(u.path), u.bytes, ratio(u.bytes, bytes), u.allocated, u.files, u.dirs, u.empty, u.newest})
	}
	out["use_by_directory"] = table{name: "Use by directory", columns: fields("depth path bytes bytes_share allocated_bytes files dirs empty_dirs newest_mtime"), rows: rows,
		note: fmt.Sprintf("down to depth %d", w.treeDepth)}

	rows = nil
	slices.SortFunc(tree, func(a, b *dirUse) int {
		return cmp.Or(cmp.Compare(b.empty, a.empty), cmp.Compare(b.depth, a.depth), strings.Compare(a.path, b.path))
	})
	empty := int64(0)
	for _, u := range tree {
		if u.depth == 0 {
			empty += u.empty
		} else if u.empty > 0 && len(rows) < hundred {
			rows = append(rows, []any{u.empty, u.dirs, ratio(u.empty, u.dirs), pathCell(u.path)})
		}
	}
	out["empty_directories"] = table{name: "Empty directories", columns: fields("empty_dirs dirs empty_share path"), rows: rows,
		note: counted(empty, "empty directory", "empty directories") + " in all"}

	rows = nil
	for _, d := range w.byEntries() {
		rows = append(rows, []any{d.entries(), pathCell(d.path), d.files, d.dirs, d.other})
	}
	out["directories_by_entries"] = table{name: "Directories by entries", columns: fields("entries path files dirs other"), rows: rows}

	rows = nil
	for _, d := range w.deepest() {
		rows = append(rows, []any{int64(d.depth()), pathCell(d.path)})
	}
	out["deepest_directories"] = table{name: "Deepest directories", columns: fields("depth path"), rows: rows}
}

// timesOf are the four times of a file.
var timesOf = map[string]func(*truthFile) time.Time{"atime": atimeOf, "mtime": mtimeOf, "ctime": ctimeOf, "btime": btimeOf}

var (
	sizeLabels = []string{"empty", "<= 1 KiB", "<= 4 KiB", "<= 8 KiB", "<= 16 KiB", "<= 32 KiB", "<= 64 KiB", "<= 128 KiB",
		"<= 1 MiB", "<= 10 MiB", "<= 100 MiB", "<= 1 GiB", "<= 10 GiB", "<= 100 GiB", "<= 1 TiB", "over 1 TiB"}
	ageLabels = []string{"in the future", "<= 1 minute", "<= 1 hour", "<= 1 day", "<= 2 days", "<= 7 days", "<= 30 days", "<= 60 days", "<= 90 days", "<= 180 days",
		"<= 1 year", "<= 2 years", "<= 3 years", "<= 4 years", "<= 5 years", "<= 10 years", "older"}
)

// ageTable is the shares of files by all times that are known.
func (w *truth) ageTable() table {
	t := table{name: "File ages", columns: []string{"age"}, note: w.asOf.UTC().Format("2006-01-02 15:04:05") + " UTC"}
	for _, label := range ageLabels {
		t.rows = append(t.rows, []any{label})
	}
	for _, name := range []string{"atime", "ctime", "mtime", "btime"} {
		bins := sumRows(w.byAge(timesOf[name]))
		all := sumBins(bins).count
		if all == 0 && name == "btime" {
			continue
		}
		t.columns = append(t.columns, name+"_files", name+"_share")
		for i, b := range bins {
			t.rows[i] = append(t.rows[i], b.count, ratio(b.count, all))
		}
	}
	return t
}

func (w *truth) useByTime(name string, of func(*truthFile) time.Time) table {
	t := table{name: name, columns: fields("age files files_share bytes bytes_share")}
	for _, edge := range sizeEdges {
		t.columns = append(t.columns, "files_le_"+strconv.FormatInt(edge, 10), "bytes_le_"+strconv.FormatInt(edge, 10))
	}
	t.columns = append(t.columns, "files_over", "bytes_over")
	rows := w.byAge(of)
	all := sumBins(sumRows(rows))
	for i, row := range rows {
		b := sumBins(row)
		cells := []any{ageLabels[i], b.count, ratio(b.count, all.count), b.bytes, ratio(b.bytes, all.bytes)}
		for _, cell := range row {
			cells = append(cells, cell.count, cell.bytes)
		}
		t.rows = append(t.rows, cells)
	}
	return t
}

// summaryRows are what the first sheet says. Its notes are for people.
func (w *truth) summaryRows() [][]any {
	n := w.numbers()
	of := func(name string) int64 { return int64Of(n[name]) }
	unique, sizes := w.unique(), w.quantities()["file_size_quantiles"]
	var median any = int64(0)
	if len(sizes) > 0 {
		median = near{quantile(sizes, 50_000), 1}
	}
	var rows [][]any
	for _, root := range w.roots {
		rows = append(rows, []any{"Path", pathCell(root)})
	}
	rows = append(rows, [][]any{
		{"Result", "complete"}, {"Started", anything{}}, {"Took", anything{}}, {"Ages are those at", w.asOf},
		{"Files", of("processed_files")}, {"Directories", of("processed_dirs")}, {"Empty directories", of("empty_dirs")}, {"Symbolic links", of("symlink_files")}, {"Symbolic links to directories", of("symlink_dirs")},
		{"Fifos", of("fifo_files")}, {"Sockets", of("socket_files")}, {"Block devices", of("block_device_files")}, {"Character devices", of("char_device_files")},
		{"Other files", of("other_files")}, {"Size", of("file_size_total")}, {"Allocated", of("allocated_total")}, {"Allocated by directories", of("allocated_dirs_total")},
		{"Size in blocks", of("file_size_block_total")}, {"Files, each once", unique.count}, {"Size, each file once", unique.bytes}, {"Allocated, each file once", unique.allocated},
		{"Sparse files", w.useOf(isSparse).count}, {"Average file size", whole(n["average_file_size"])}, {"Average size in blocks", whole(n["average_file_size_block"])}, {"Median file size", median},
		{"Deepest directory", of("max_dir_depth")}, {"Average depth", n["average_directory_depth"]}, {"Average width", n["average_directory_width"]},
		{"Most subdirectories", of("max_dir_width")}, {"Most files", of("max_files_in_dir")},
		{"Left out directories", int64(0)}, {"Snapshots left out", int64(0)}, {"Left out files", int64(0)}, {"Vanished directories", int64(0)}, {"Vanished files", int64(0)}, {"Failed directories", int64(0)}, {"Failed files", int64(0)},
	}...)
	for i := range rows {
		rows[i] = append(rows[i], anything{})
	}
	return rows
}

func int64Of(v any) int64 {
	switch v := v.(type) {
	case int:
		return int64(v)
	case int64:
		return v
	}
	panic(fmt.Sprintf("%T", v))
}

func (w *truth) permissionRows(users, groups map[uint32]string) [][]any {
	n := w.numbers()
	var rows [][]any
	add := func(what string, u use) { rows = append(rows, []any{what, u.count, u.bytes, u.allocated, anything{}}) }
	add("setuid", w.useOf(func(f *truthFile) bool { return f.perm&0o4000 != 0 }))
	add("setgid", w.useOf(func(f *truthFile) bool { return f.perm&0o2000 != 0 }))
	add("writable by everybody", w.useOf(isWorldWritable))
	add("without owner name", w.useOf(func(f *truthFile) bool { return users[f.uid] == "" }))
	add("without group name", w.useOf(func(f *truthFile) bool { return groups[f.gid] == "" }))
	rows = append(rows,
		[]any{"directories writable by everybody", int64Of(n["world_writable_dirs"]), nil, nil, anything{}},
		[]any{"of these not sticky", int64Of(n["world_writable_dirs_not_sticky"]), nil, nil, anything{}})
	modes := group(w, func(f *truthFile) uint32 { return f.perm })
	for _, perm := range slices.Sorted(maps.Keys(modes)) {
		add(fmt.Sprintf("mode %04o", perm), *modes[perm])
	}
	return rows
}

func (w *truth) quantileRows() [][]any {
	const day = 86400
	q := w.quantities()
	var rows [][]any
	for _, part := range []struct {
		name string
		part int64 // of 100,000
	}{{"smallest", 0}, {"1 %", 1000}, {"10 %", 10_000}, {"25 %", 25_000}, {"50 %", 50_000}, {"75 %", 75_000}, {"90 %", 90_000}, {"95 %", 95_000}, {"99 %", 99_000}, {"99.9 %", 99_900}, {"largest", 100_000}} {
		row := []any{part.name}
		for _, of := range []struct {
			name string
			unit int64
		}{{"file_size_quantiles", 1}, {"file_mtime_age_quantiles", day}, {"file_atime_age_quantiles", day}} {
			list := q[of.name]
			switch exact := part.part == 0 || part.part == 100_000; {
			case len(list) == 0:
				row = append(row, 0.0)
			case exact && of.unit == 1:
				row = append(row, quantile(list, part.part))
			case exact:
				row = append(row, float64(quantile(list, part.part))/float64(of.unit))
			default:
				row = append(row, near{quantile(list, part.part), float64(of.unit)})
			}
		}
		rows = append(rows, row)
	}
	return rows
}

// useCells are files, their share, bytes, their share, and what is allocated.
func (w *truth) useCells(u use) []any {
	all := w.useOf(every)
	return []any{u.count, ratio(u.count, all.count), u.bytes, ratio(u.bytes, all.bytes), u.allocated}
}

// sortedUses are the keys by bytes, files and label.
func sortedUses(m map[string]*use, label func(string) string) []string {
	return slices.SortedFunc(maps.Keys(m), func(a, b string) int {
		return cmp.Or(cmp.Compare(m[b].bytes, m[a].bytes), cmp.Compare(m[b].count, m[a].count), strings.Compare(label(a), label(b)))
	})
}

func ownerName(names map[uint32]string, id uint32) string { return cmp.Or(names[id], number(id)) }

func fields(text string) []string { return strings.Fields(text) }

// commas writes a number for people.
func commas(n int64) string {
	text := strconv.FormatInt(n, 10)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

func counted(n int64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return commas(n) + " " + many
}

// shown is text as it is shown: as Go quotes it if it would not print as itself,
// or could be taken for quoted text.
func shown(text string) string {
	_, err := strconv.Unquote(text)
	quoted := err == nil && strings.HasPrefix(text, `"`)
	if quoted || !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return strconv.Quote(text)
	}
	return text
}

// whole is an average as a table has it, rounded to bytes.
func whole(average any) int64 { return int64(math.Floor(average.(float64) + 0.5)) }
