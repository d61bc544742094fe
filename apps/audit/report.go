package audit

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"github.com/dustin/go-humanize"
	"github.com/hydrawalk/hydra"
	"github.com/hydrawalk/hydra/internal/report"
)

// reports are the kinds of reports that there are.
var reports = []hydra.Report[Settings, Stats]{
	{Ends: ".html", What: "one page for a browser", Write: func(w io.Writer, r *hydra.Result[Stats], c Settings) error {
		return report.HTML(w, document(r, &c))
	}},
	{Ends: ".xlsx", What: "a workbook", Write: func(w io.Writer, r *hydra.Result[Stats], c Settings) error {
		return report.Excel(w, document(r, &c))
	}},
	{Ends: ".csv", What: "one table, by --table; without it a zip of all", Write: writeCSV},
	{Ends: ".zip", What: "a zip of all tables as CSV", Write: func(w io.Writer, r *hydra.Result[Stats], c Settings) error {
		return report.Archive(w, document(r, &c))
	}},
	{Ends: ".json", What: "all numbers, for a program", Write: writeJSON},
}

func writeJSON(w io.Writer, r *hydra.Result[Stats], _ Settings) error {
	compact, err := r.MarshalAs("hydra.audit/1")
	if err != nil {
		return err
	}
	_, err = w.Write(hydra.Lay(compact))
	return err
}

func writeCSV(w io.Writer, r *hydra.Result[Stats], c Settings) error {
	d := document(r, &c)
	if c.table == "" {
		return report.Archive(w, d)
	}
	for i := range d.Tables {
		if d.Tables[i].Key == c.table {
			return report.CSV(w, &d.Tables[i])
		}
	}
	return unknownTable(d, c.table)
}

func unknownTable(d *report.Document, key string) error {
	var keys []string
	for _, t := range d.Tables {
		keys = append(keys, t.Key)
	}
	return fmt.Errorf("there is no table %q, only %s", key, strings.Join(keys, ", "))
}

// checkReports tells whether the table that was asked for can be written.
func checkReports(names []string, c Settings) error {
	if c.table == "" {
		return nil
	}
	d := document(&hydra.Result[Stats]{Stats: newStats(c)}, &c)
	if !slices.ContainsFunc(d.Tables, func(t report.Table) bool { return t.Key == c.table }) {
		return unknownTable(d, c.table)
	}
	if !slices.ContainsFunc(names, func(name string) bool { return strings.HasSuffix(strings.ToLower(name), ".csv") }) {
		return errors.New("--table is for a --report whose name ends with .csv")
	}
	return nil
}

// document is a result as tables.
func document(r *hydra.Result[Stats], c *Settings) *report.Document {
	v := &view{Result: r, settings: c, derived: r.Stats.Derived(), files: r.Stats.Files()}
	d := &report.Document{
		Title:    "Audit of " + v.paths(3),
		Program:  "Hydra audit, job " + r.Job,
		Made:     r.Finished.UTC(),
		Warnings: v.warnings(),
		Tiles:    v.tiles(),
		TreeNote: v.treeNote(),
		Tables:   v.tables(),
		First: []string{
			"use_by_directory", "use_by_uid", "use_by_sid", "use_by_gid", "top_files", "file_ages", "use_by_mtime", "file_categories", "file_extensions", "file_sizes",
		},
	}
	if r.Stats.Tree.Len() > 0 {
		d.Tree = v.tree()
	}
	return d
}

// view is a result while tables are made of it.
type view struct {
	*hydra.Result[Stats]
	settings *Settings
	derived  Derived
	files    int64
}

// paths names the first few paths.
func (v *view) paths(most int) string {
	var list []string
	for _, p := range v.Paths[:min(most, len(v.Paths))] {
		list = append(list, report.Printable(p))
	}
	text := strings.Join(list, ", ")
	if more := len(v.Paths) - len(list); more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// warnings say what is missing from the numbers.
func (v *view) warnings() []string {
	var all []string
	if s := v.Stats; s.NameErrors > 0 || s.GroupNameErrors > 0 {
		all = append(all, "The names of owners or groups could not all be looked up: some are shown by number, and files without an owner are not counted.")
	}
	for _, client := range v.Refused {
		all = append(all, "A client took no part: "+report.Printable(client)+".")
	}
	if v.IsComplete() || v.App == "" {
		return all
	}
	text := "Not complete: the numbers do not cover all of it."
	if v.Reason != "" {
		text += " The audit ended early: " + v.Reason + "."
	}
	if n := v.Walked.QueuedDirs; n > 0 {
		text += fmt.Sprintf(" Still waiting: %s.", plural(n, "directory", "directories"))
	}
	if n := v.Walked.Errors; n > 0 {
		text += fmt.Sprintf(" There were %s, see Errors.", plural(n, "error", "errors"))
	}
	return append([]string{text}, all...)
}

func plural(n int64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return humanize.Comma(n) + " " + many
}

func (v *view) tiles() []report.Tile {
	s, t := v.Stats, &v.Walked
	tiles := []report.Tile{
		{Label: "Files", Value: t.ProcessedFiles, Note: "half of them up to " + report.Size(s.Sizes.At(0.5))},
		{Label: "Directories", Value: t.ProcessedDirs, Note: fmt.Sprintf("%s empty, deepest %d", humanize.Comma(int64(s.EmptyDirs)), s.MaxDepth)},
		{Label: "Size", Value: report.Bytes(s.Size), Note: "average file " + report.Size(int64(v.derived.FileSize))},
		{Label: "Allocated", Value: report.Bytes(s.Allocated), Note: "on disk"},
		{Label: "Allocated, each file once", Value: report.Bytes(v.derived.Unique.Allocated), Note: plural(v.derived.Linked.Count, "name is a hard link", "names are hard links")},
		{Label: "Owners", Value: int64(s.ByUID.Len() + s.BySID.Len()), Note: plural(int64(s.ByGID.Len()), "group", "groups")},
	}
	if s.MtimeAges.Count() > 0 {
		tiles = append(tiles, report.Tile{Label: "Unchanged for a year", Value: v.olderThanYear(), Note: "share of the size, by mtime"})
	}
	return append(tiles, report.Tile{Label: "Errors", Value: t.Errors, Note: v.completeness()})
}

func (v *view) completeness() string {
	if v.IsComplete() {
		return "complete"
	}
	return "not complete"
}

// olderThanYear is the share of all bytes that is in files older than a year.
func (v *view) olderThanYear() report.Share {
	const year = 365 * 24 * 60 * 60
	rows := v.Stats.ByMtime.Rows()
	var old int64
	edges := rows.Edges()
	for i, b := range rows.Bins() {
		if i == len(edges) || edges[i] > year {
			old += b.Bytes
		}
	}
	return share(old, int64(v.Stats.Size))
}

// share is a part of a whole; of nothing it is 0.
func share(part, whole int64) report.Share {
	return report.Share(ratio(part, whole))
}

func (v *view) treeNote() string {
	var left []string
	t := &v.Stats.Tree
	for depth := range t.Depth() + 1 {
		if t.LeftOut(depth) {
			left = append(left, fmt.Sprint(depth))
		}
	}
	if left == nil {
		return ""
	}
	return fmt.Sprintf("Left out: depth %s, which has more than %s directories.", strings.Join(left, ", "), humanize.Comma(maxTreeDirs))
}

// tree is use by directory as a tree. A directory hangs below the nearest one
// above it that is not left out.
func (v *view) tree() *report.Node {
	nodes := map[string]*report.Node{}
	all := &report.Node{Name: report.Path(v.paths(3))}
	t := &v.Stats.Tree
	for depth := range t.Depth() + 1 {
		for path, u := range t.All(depth) {
			n := &report.Node{
				Files: u.Files, Dirs: u.Dirs, Bytes: report.Bytes(u.Bytes), Allocated: report.Bytes(u.Allocated), Newest: u.Newest.Time(),
			}
			above, name := all, path
			for up := path; depth > 0 && above == all; {
				parent := parentPath(up)
				if parent == up {
					break
				}
				for _, parent := range []string{parent, up[:len(parent)+1]} { // the root of a volume ends with a separator
					if p := nodes[parent]; p != nil && parent != path {
						above, name = p, strings.TrimLeft(path[len(parent):], separators)
					}
				}
				up = parent
			}
			if top := nodes["."]; above == all && depth > 0 && top != nil {
				above = top // its name is not in paths
			}
			n.Name = report.Path(name)
			above.Children = append(above.Children, n)
			nodes[path] = n
			if depth == 0 {
				all.Files += n.Files
				all.Dirs += n.Dirs
				all.Bytes += n.Bytes
				all.Allocated += n.Allocated
				if n.Newest.After(all.Newest) {
					all.Newest = n.Newest
				}
			}
		}
	}
	for _, n := range nodes {
		sortNodes(n.Children)
	}
	sortNodes(all.Children)
	if len(all.Children) == 1 {
		return all.Children[0]
	}
	return all
}

func sortNodes(list []*report.Node) {
	slices.SortFunc(list, func(a, b *report.Node) int {
		if a.Bytes != b.Bytes {
			return int(min(max(b.Bytes-a.Bytes, -1), 1))
		}
		return strings.Compare(string(a.Name), string(b.Name))
	})
}

// separators are those between the elements of a path here.
var separators = strings.TrimPrefix(string(filepath.Separator), "/") + "/"

// parentPath is the path of the directory that lists path.
func parentPath(path string) string {
	i := strings.LastIndexAny(path, separators)
	switch {
	case i < 0:
		return path
	case i == 0:
		return path[:1]
	}
	return path[:i]
}
