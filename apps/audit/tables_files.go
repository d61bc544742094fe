package audit

import (
	"cmp"
	"fmt"
	"slices"
	"sync"

	"github.com/dustin/go-humanize"
	"github.com/hydrawalk/hydra/internal/report"
	"github.com/hydrawalk/hydra/stats"
)

// nameOf returns a function that names an owner, by number if there is no name.
func nameOf[K stats.Key](names Names[K]) func(K) string {
	return func(id K) string {
		if name := names[id]; name != "" {
			return name
		}
		return fmt.Sprint(id)
	}
}

// ownerCell is an owner's number, or its security identifier.
func ownerCell[K stats.Key](id K) any {
	switch v := any(id).(type) {
	case uint32:
		return report.ID(v)
	default:
		return fmt.Sprint(v)
	}
}

// fileColumns are those of every list of files, behind what it is sorted by.
func (v *view) fileColumns() []report.Column {
	return []report.Column{
		{Title: "Path", Key: "path", Width: 80},
		bytesColumn("Size", "bytes"), bytesColumn("Allocated", "allocated_bytes"),
		{Title: "Owner", Key: "owner", Width: 14}, {Title: "Group", Key: "group", Width: 14}, {Title: "Mode", Key: "mode", Width: 8},
		{Title: "Modified", Key: "mtime", Width: 20}, {Title: "Accessed", Key: "atime", Width: 20, Detail: true}, {Title: "Changed", Key: "ctime", Width: 20, Detail: true},
		{Title: "Born", Key: "btime", Width: 20, Detail: true},
		{Title: "UID", Key: "uid", Number: true, Detail: true}, {Title: "GID", Key: "gid", Number: true, Detail: true}, {Title: "SID", Key: "sid", Width: 12, Detail: true},
		{Title: "Links", Key: "links", Number: true, Detail: true}, {Title: "Inode", Key: "inode", Number: true, Width: 14, Detail: true},
	}
}

func (v *view) fileCells(path string, f *File) []any {
	var sid any
	owner := nameOf(v.Stats.UIDNames)(f.UID)
	if f.SID != "" {
		sid, owner = f.SID, nameOf(v.Stats.SIDNames)(f.SID)
	}
	return []any{
		report.Path(path), report.Bytes(f.Size), report.Bytes(f.Allocated),
		owner, nameOf(v.Stats.GIDNames)(f.GID), f.Mode.String(),
		f.Mtime.Time(), f.Atime.Time(), f.Ctime.Time(), f.Btime.Time(),
		report.ID(f.UID), report.ID(f.GID), sid, report.ID(f.Links), report.ID(f.Inode),
	}
}

func (v *view) topFiles() report.Table {
	list := sync.OnceValue(v.Stats.TopFiles.List) // it may be long, and rows are ranged over more than once
	return report.Table{
		Name: "Top N files", Key: "top_files",
		Note:    fmt.Sprintf("The %s largest files, by size.", humanize.Comma(int64(v.Stats.TopFiles.N()))),
		Columns: v.fileColumns(),
		Rows: func(yield func([]any) bool) {
			for _, i := range list() {
				if !yield(v.fileCells(i.Path, &i.Item)) {
					return
				}
			}
		},
	}
}

func topByOwner[K stats.Key](v *view, kind string, t *stats.TopBy[K, File], name func(K) string) report.Table {
	note := fmt.Sprintf("The %d largest files of each.", min(v.settings.Top, maxOwnerTop))
	if t.LeftOut() {
		note += fmt.Sprintf(" There are more than %s: %s of them have a list, whichever order they were found in.", humanize.Comma(maxOwnerLists), humanize.Comma(maxOwnerLists))
	}
	if kind == "SID" && t.Len() == 0 {
		note = "Security identifiers are known on Windows only."
	}
	columns := append([]report.Column{
		{Title: kind, Key: "by_" + ownerKey(kind), Number: kind != "SID", Width: 12}, {Title: "Name", Key: "name", Width: 16}, {Title: "Rank", Key: "rank", Number: true},
	}, v.fileColumns()...)
	return report.Table{
		Name: "Top N files per " + kind, Key: "top_files_per_" + ownerKey(kind), Note: note, Detail: true, Columns: columns,
		Rows: func(yield func([]any) bool) {
			for id, list := range t.All {
				for rank, i := range list {
					row := append([]any{ownerCell(id), name(id), int64(rank + 1)}, v.fileCells(i.Path, &i.Item)...)
					if !yield(row) {
						return
					}
				}
			}
		},
	}
}

func ownerKey(kind string) string {
	return map[string]string{"UID": "uid", "GID": "gid", "SID": "sid"}[kind]
}

func useByOwner[K stats.Key](v *view, kind string, g *stats.GroupN[K], name func(K) string) report.Table {
	type owner struct {
		id K
		stats.Use
	}
	var all []owner
	for id, u := range g.All {
		all = append(all, owner{id, u.Use})
	}
	slices.SortFunc(all, func(a, b owner) int {
		return cmp.Or(cmp.Compare(b.Bytes, a.Bytes), cmp.Compare(b.Count, a.Count), cmp.Compare(a.id, b.id))
	})
	t := report.Table{
		Name: "Use by " + kind, Key: "use_by_" + ownerKey(kind), Detail: kind == "SID" && len(all) == 0,
		Columns: []report.Column{
			{Title: "Name", Key: "name", Width: 20}, {Title: kind, Key: ownerKey(kind), Number: kind != "SID", Width: 12},
			files("Files", "files"), shareColumn("Share of files", "files_share"), bytesColumn("Size", "bytes"), shareColumn("Share of size", "bytes_share"), bytesColumn("Allocated", "allocated_bytes"),
		},
		Rows: func(yield func([]any) bool) {
			for _, o := range all {
				if !yield(append([]any{name(o.id), ownerCell(o.id)}, v.useCells(o.Use)...)) {
					return
				}
			}
			if rest, over := g.Rest(); over {
				yield(append([]any{"(all others)", nil}, v.useCells(rest)...))
			}
		},
		Charts: []report.Chart{{
			Title: "Size by " + kind, Labels: 0, XTitle: "Owner", YTitle: "Size", Most: 20,
			Series: []report.Series{{Column: 4}},
		}},
	}
	switch {
	case kind == "SID" && len(all) == 0:
		t.Note, t.Charts = "Security identifiers are known on Windows only.", nil
	case len(all) < 2:
		t.Charts = nil
	}
	if kind == "GID" && t.Charts != nil {
		t.Charts[0].XTitle = "Group"
	}
	if _, over := g.Rest(); over {
		t.Note = fmt.Sprintf("There are more than %s: of these that many are listed, and all others are one line.", humanize.Comma(maxOwners))
	}
	return t
}

func (v *view) sparseFiles() report.Table {
	u := v.Stats.Sparse
	return report.Table{
		Name: "Sparse files", Key: "sparse_files",
		Note: fmt.Sprintf("Files that occupy less than their size, because they have holes or are compressed: %s of %s, which occupy %s. Those that save most are listed.",
			plural(u.Count, "file", "files"), report.Size(u.Bytes), report.Size(u.Allocated)),
		Columns: append([]report.Column{bytesColumn("Not occupied", "missing_bytes")}, v.fileColumns()...),
		Rows: func(yield func([]any) bool) {
			for _, i := range v.Stats.TopSparse.List() {
				if !yield(append([]any{report.Bytes(i.Item.Rank())}, v.fileCells(i.Path, &i.Item.File)...)) {
					return
				}
			}
		},
	}
}

func (v *view) permissions() report.Table {
	s, d := v.Stats, &v.derived
	var list [][]any
	add := func(what string, u *stats.Use, note string) {
		if u != nil {
			list = append(list, []any{what, u.Count, report.Bytes(u.Bytes), report.Bytes(u.Allocated), note})
		}
	}
	add("setuid", &d.Setuid, "run as their owner")
	add("setgid", &d.Setgid, "run as their group")
	add("writable by everybody", &d.WorldWritable, "")
	add("without owner name", d.WithoutOwner, "their user may have been removed")
	add("without group name", d.WithoutGroup, "their group may have been removed")
	list = append(list,
		[]any{"directories writable by everybody", int64(s.WorldWritableDirs), nil, nil, ""},
		[]any{"of these not sticky", int64(s.WorldWritableDirsNotSticky), nil, nil, "everybody can remove what others put there"})
	for mode, g := range s.ByMode.All {
		add("mode "+mode.String(), &g.Use, "")
	}
	return report.Table{
		Name: "Permissions", Key: "permissions", Note: "Files by what their permissions allow, and by mode.",
		Columns: []report.Column{
			{Title: "What", Key: "what", Width: 34}, files("Count", "count"), bytesColumn("Size", "bytes"), bytesColumn("Allocated", "allocated_bytes"), {Title: "Note", Key: "note", Width: 44},
		},
		Rows: rows(list),
	}
}

func (v *view) findings() report.Table {
	return report.Table{
		Name: "Permission findings", Key: "permission_findings",
		Note:    fmt.Sprintf("The %d largest of each kind.", topDirs),
		Columns: append([]report.Column{{Title: "Finding", Key: "finding", Width: 24}}, v.fileColumns()...),
		Rows: func(yield func([]any) bool) {
			for _, one := range []struct {
				what string
				list []stats.Item[File]
			}{{"setuid or setgid", v.Stats.TopSetuid.List()}, {"writable by everybody", v.Stats.TopWorldWritable.List()}} {
				for _, i := range one.list {
					if !yield(append([]any{one.what}, v.fileCells(i.Path, &i.Item)...)) {
						return
					}
				}
			}
		},
	}
}

// dirRow is a directory of the tree of use.
type dirRow struct {
	depth int
	path  string
	*stats.DirUse
}

// dirRows are the directories of the tree at the depths from first.
func (v *view) dirRows(first int, compare func(a, b dirRow) int) []dirRow {
	var list []dirRow
	t := &v.Stats.Tree
	for depth := first; depth <= t.Depth(); depth++ {
		for path, u := range t.All(depth) {
			list = append(list, dirRow{depth, path, u})
		}
	}
	slices.SortFunc(list, func(a, b dirRow) int { return cmp.Or(compare(a, b), cmp.Compare(a.path, b.path)) })
	return list
}

func (v *view) useByDirectory() report.Table {
	list := v.dirRows(0, func(a, b dirRow) int {
		return cmp.Or(cmp.Compare(a.depth, b.depth), cmp.Compare(b.Bytes, a.Bytes))
	})
	note := fmt.Sprintf("What lies in a directory and below it, down to depth %d (--tree-depth).", v.Stats.Tree.Depth())
	if left := v.treeNote(); left != "" {
		note += " " + left
	}
	return report.Table{
		Name: "Use by directory", Key: "use_by_directory", Note: note,
		Columns: []report.Column{
			files("Depth", "depth"), {Title: "Path", Key: "path", Width: 70}, bytesColumn("Size", "bytes"), shareColumn("Share of size", "bytes_share"), bytesColumn("Allocated", "allocated_bytes"),
			files("Files", "files"), files("Directories", "dirs"), files("Empty directories", "empty_dirs"), {Title: "Newest file", Key: "newest_mtime", Width: 20},
		},
		Rows: func(yield func([]any) bool) {
			for _, d := range list {
				row := []any{
					int64(d.depth), report.Path(d.path), report.Bytes(d.Bytes), share(d.Bytes, int64(v.Stats.Size)), report.Bytes(d.Allocated),
					d.Files, d.Dirs, d.EmptyDirs, d.Newest.Time(),
				}
				if !yield(row) {
					return
				}
			}
		},
	}
}

func (v *view) byEntries() report.Table {
	return report.Table{
		Name: "Directories by entries", Key: "directories_by_entries", Note: fmt.Sprintf("The %d directories that list most.", topDirs),
		Columns: []report.Column{files("Entries", "entries"), {Title: "Path", Key: "path", Width: 80}, files("Files", "files"), files("Directories", "dirs"), files("Other", "other")},
		Rows: func(yield func([]any) bool) {
			for _, i := range v.Stats.TopEntries.List() {
				if !yield([]any{i.Item.Entries, report.Path(i.Path), i.Item.Files, i.Item.Dirs, i.Item.Other}) {
					return
				}
			}
		},
	}
}

func (v *view) deepest() report.Table {
	return report.Table{
		Name: "Deepest directories", Key: "deepest_directories", Note: fmt.Sprintf("The %d deepest below the paths that were given.", topDirs), Detail: true,
		Columns: []report.Column{files("Depth", "depth"), {Title: "Path", Key: "path", Width: 100}},
		Rows: func(yield func([]any) bool) {
			for _, i := range v.Stats.TopDepth.List() {
				if !yield([]any{i.Item.Depth, report.Path(i.Path)}) {
					return
				}
			}
		},
	}
}

func (v *view) emptyDirs() report.Table {
	list := v.dirRows(1, func(a, b dirRow) int {
		return cmp.Or(cmp.Compare(b.EmptyDirs, a.EmptyDirs), cmp.Compare(b.depth, a.depth))
	})
	return report.Table{
		Name: "Empty directories", Key: "empty_directories",
		Note: fmt.Sprintf("%s in all. Where most of them are, down to depth %d.", plural(int64(v.Stats.EmptyDirs), "empty directory", "empty directories"), v.Stats.Tree.Depth()),
		Columns: []report.Column{
			files("Empty", "empty_dirs"), files("Directories", "dirs"), shareColumn("Share empty", "empty_share"), {Title: "Path", Key: "path", Width: 80},
		},
		Rows: func(yield func([]any) bool) {
			for i, d := range list {
				if i == topDirs || d.EmptyDirs == 0 || !yield([]any{d.EmptyDirs, d.Dirs, share(d.EmptyDirs, d.Dirs), report.Path(d.path)}) {
					return
				}
			}
		},
	}
}
