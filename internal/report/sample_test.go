package report

import (
	"fmt"
	"iter"
	"slices"
	"time"
)

// sample is a document with all that there can be in one, names that are hard
// to write among it.
func sample() *Document {
	at := time.Date(2026, 11, 25, 16, 0, 0, 0, time.UTC)
	rows := func(list ...[]any) iter.Seq[[]any] { return slices.Values(list) }
	return &Document{
		Title:   "Audit of /data, /srv/\"x\" & <y>",
		Program: "hydra 1.2.3",
		Made:    at,
		Warnings: []string{
			"2 directories could not be read: the numbers do not cover them.",
		},
		Tiles: []Tile{
			{"Files", int64(126670), "most in one directory 17,571"},
			{"Directories", int64(16903), "deepest 18"},
			{"Size", Bytes(5476083302), "average file 42 KiB"},
			{"Allocated", Bytes(5798205849), "106 % of the size"},
			{"Complete", "no", "2 errors"},
		},
		Tree: &Node{
			Name: "/data", Files: 1000, Dirs: 30, Bytes: 10 << 30, Allocated: 9 << 30, Newest: at,
			Children: []*Node{
				{Name: "home", Files: 700, Dirs: 20, Bytes: 7 << 30, Allocated: 6 << 30, Newest: at, Children: []*Node{
					{Name: "alice", Files: 500, Dirs: 10, Bytes: 5 << 30, Allocated: 5 << 30, Newest: at},
					{Name: "bob\xff\n", Files: 100, Dirs: 3, Bytes: 1 << 30, Allocated: 1 << 20},
				}},
				{Name: "<script>alert(1)</script>", Files: 200, Dirs: 8, Bytes: 2 << 30, Allocated: 2 << 30, Newest: at},
				{Name: "empty", Dirs: 1},
			},
		},
		TreeNote: "Level 3 is left out: it has more than 100,000 directories.",
		First:    []string{"use_by_uid", "file_sizes"},
		Tables: []Table{
			{
				Name: "Summary", Key: "summary",
				Columns: []Column{{Title: "What", Key: "what", Width: 30}, {Title: "Value", Key: "value", Width: 30}, {Title: "Note", Key: "note", Width: 50}},
				Rows: rows(
					[]any{"Path", Path("/data"), nil},
					[]any{"Started", at, "UTC"},
					[]any{"Took", Seconds(12.345), nil},
					[]any{"Files", int64(126670), "regular files"},
					[]any{"Size", Bytes(5476083302), nil},
					[]any{"Average depth", 6.6, nil},
					[]any{"Full", Share(0.125), nil},
				),
			},
			{
				Name: "File sizes", Key: "file_sizes", Note: "Each name of a file with several hard links counts.",
				Columns: []Column{
					{Title: "File size", Key: "size", Width: 16}, {Title: "Files", Key: "files", Number: true, Width: 14}, {Title: "Share of files", Key: "files_share", Number: true},
					{Title: "Size", Key: "bytes", Number: true, Width: 18}, {Title: "Share of size", Key: "bytes_share", Number: true},
				},
				Rows: rows(
					[]any{"empty", int64(867), Share(0.01), Bytes(0), Share(0)},
					[]any{"<= 1 KiB", int64(36885), Share(0.29), Bytes(19 << 20), Share(0.1)},
					[]any{"<= 1 MiB", int64(46949), Share(0.40), Bytes(93 << 20), Share(0.3)},
					[]any{"<= 1 GiB", int64(300), Share(0.20), Bytes(5 << 30), Share(0.5)},
					[]any{"over 1 TiB", int64(3), Share(0.10), Bytes(9 << 40), Share(0.1)},
				),
				Charts: []Chart{{
					Title: "Size and number of files by file size", Labels: 0, XTitle: "File size", YTitle: "Size", Y2Title: "Files",
					Series: []Series{{Column: 3}, {Column: 1, Line: true, Second: true}},
				}},
			},
			{
				Name: "File ages", Key: "file_ages",
				Columns: []Column{
					{Title: "Age", Key: "age", Width: 16},
					{Title: "Files by atime", Key: "atime_files", Number: true}, {Title: "Share by atime", Key: "atime_share", Number: true},
					{Title: "Files by mtime", Key: "mtime_files", Number: true, Detail: true}, {Title: "Share by mtime", Key: "mtime_share", Number: true},
				},
				Rows: rows(
					[]any{"in the future", int64(1), Share(0.01), int64(1), Share(0.01)},
					[]any{"<= 1 day", int64(10), Share(0.29), int64(40), Share(0.39)},
					[]any{"<= 1 year", int64(80), Share(0.70), int64(60), Share(0.60)},
				),
				Charts: []Chart{{
					Title: "Files by age", Labels: 0, XTitle: "Age", YTitle: "Share of files",
					Series: []Series{{Column: 2, Line: true}, {Column: 4, Line: true}},
				}},
			},
			{
				Name: "Top N files", Key: "top_files", Note: "The 100 largest files.",
				Columns: []Column{{Title: "Size", Key: "bytes", Number: true, Width: 16}, {Title: "Path", Key: "path", Width: 80}, {Title: "Modified", Key: "mtime", Width: 20}},
				Rows: func(yield func([]any) bool) {
					for i := range 300 {
						if !yield([]any{Bytes(1<<40 - int64(i)), Path(fmt.Sprintf("/data/home/alice/some directory/file %d.dat", i)), at}) {
							return
						}
					}
					for _, odd := range []string{"/data/\xff\xfe", "/data/new\nline\x1b[31m", "/data/=1+1", "/data/\u202egnp.exe", "/data/日本語.txt", "/data/<b>&amp;\"'"} {
						if !yield([]any{Bytes(1), Path(odd), time.Time{}}) {
							return
						}
					}
				},
			},
			{
				Name: "Use by UID", Key: "use_by_uid",
				Columns: []Column{{Title: "UID", Key: "uid", Number: true}, {Title: "Name", Key: "name", Width: 20}, {Title: "Files", Key: "files", Number: true}, {Title: "Size", Key: "bytes", Number: true, Width: 16}},
				Rows: rows(
					[]any{ID(0), "root", int64(100), Bytes(1 << 40)},
					[]any{ID(1000), "=cmd|' /C calc'!A0", int64(50), Bytes(1 << 30)},
					[]any{ID(4294967294), nil, int64(1), Bytes(0)},
					[]any{ID(1<<64 - 1), nil, int64(1), Bytes(0)},
				),
			},
			{
				Name: "Use by SID", Key: "use_by_sid", Note: "Security identifiers are known on Windows only.", Detail: true,
				Columns: []Column{{Title: "SID", Key: "sid", Width: 46}, {Title: "Files", Key: "files", Number: true}},
				Rows:    rows(),
			},
		},
	}
}
