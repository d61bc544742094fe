//go:build linux

package audit_test

import (
	"archive/zip"
	"bytes"
	"encoding/base64"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"go/parser"
	"go/token"
	"html"
	"io"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hydrawalk/hydra"
	"github.com/hydrawalk/hydra/apps/audit"
	"github.com/xuri/excelize/v2"
)

// TestEachNumberOfAReportIsTheTruth compares every number of every report with
// what another program found.
func TestEachNumberOfAReportIsTheTruth(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	f := newFixture(t, seed)
	builtIn := readCategories(t, "categories.txt")
	own := filepath.Join(t.TempDir(), "own")
	if err := os.WriteFile(own, []byte("# mine\r\n\npictures: .JPG gif\r\nödes: äö İ\npictures: tif\nnothing:\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	several := []string{f.path("random") + "/", f.path("links"), f.path("deep/0"), f.path("names/f\xff"), f.path("sizes/08+1"), f.path("kinds/fifo0")}
	for _, tt := range []struct {
		name       string
		workers    int
		categories string // a file; empty: the one that is built in
		truthOptions
	}{
		{"one worker", 1, "", truthOptions{roots: []string{f.root}, asOf: f.asOf, block: 8192, treeDepth: 2, top: 100}},
		{"two workers", 2, "", truthOptions{roots: []string{f.root}, asOf: f.asOf, block: 4096, treeDepth: 0, top: 7, resolve: true}},
		{"many workers", 16, own, truthOptions{roots: []string{f.root + "//"}, asOf: f.asOf.Add(-400 * 24 * time.Hour), block: 1000, treeDepth: 4, top: 1000}},
		{"as many as needed", 0, "", truthOptions{roots: []string{f.root}, asOf: f.asOf.Add(11*365*24*time.Hour + 749999999), block: 1, treeDepth: 100, top: 1}},
		{"several paths", 3, "", truthOptions{roots: several, asOf: f.asOf, block: 512, treeDepth: 1, top: 20}},
		{"none small, none new", 2, "", truthOptions{roots: []string{f.path("deep/0/1/2/3")}, asOf: f.asOf.Add(12345 * time.Second), block: 8192, treeDepth: 2, top: 3}},
		{"an empty directory", 2, "", truthOptions{roots: []string{f.path("empty/e")}, asOf: f.asOf, block: 8192, treeDepth: 2, top: 100}},
		{"a file", 2, "", truthOptions{roots: []string{f.path("extensions/A.JPG")}, asOf: f.asOf, block: 8192, treeDepth: 2, top: 100}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			app := audit.App()
			app.Settings.BlockSize, app.Settings.TreeDepth, app.Settings.Top = hydra.Size(tt.block), tt.treeDepth, tt.top
			app.Settings.AsOf = audit.AsOf{Time: tt.asOf}
			app.Settings.CategoriesFile, app.Settings.ResolveSymlinks = tt.categories, tt.resolve
			r, err := hydra.Run(t.Context(), app, tt.roots, &hydra.Options{Workers: tt.workers})
			if err != nil {
				t.Fatal(err)
			}
			tt.truthOptions.categories = builtIn
			if tt.categories != "" {
				tt.truthOptions.categories = readCategories(t, tt.categories)
			}
			tt.truthOptions.roots = slices.Clone(tt.roots)
			w := newTruth(t, tt.truthOptions)
			checkJSON(t, w, written(t, r, "x.json"), tt.workers)
			checkWorkbook(t, w, written(t, r, "x.xlsx"))
			checkPage(t, w, written(t, r, "x.html"))
			checkArchive(t, w, written(t, r, "x.zip"))
			if err := r.WriteText(io.Discard); err != nil {
				t.Error(err)
			}
		})
	}
}

// written is a report as a command writes it.
func written(t *testing.T, d hydra.Document, name string) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := d.WriteReport(&b, name); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return b.Bytes()
}

// notComparable are statistics that the trees do not tell: how long it took.
var notComparable = []string{
	"time_client_processing", "time_handle_file", "time_stat", "time_stats_update", "time_data_save", "time_sid_lookup", "num_workers",
}

// checkJSON compares each field of the document: one that is not known here is
// an error.
func checkJSON(t *testing.T, w *truth, text []byte, workers int) {
	t.Helper()
	var doc, got, want object
	decode(t, text, &doc)
	got, ok := doc["stats"].(object)
	if !ok {
		t.Fatalf("no statistics in %.200s", text)
	}
	numbers, err := json.Marshal(w.numbers())
	if err != nil {
		t.Fatal(err)
	}
	decode(t, numbers, &want)

	if n, _ := got["num_workers"].(json.Number).Int64(); n < 1 || workers > 0 && n > int64(workers) {
		t.Errorf("%d workers, want at most %d", n, workers)
	}
	for _, name := range notComparable {
		if n, err := strconv.ParseFloat(fmt.Sprint(got[name]), 64); err != nil || n < 0 {
			t.Errorf("%s is %v", name, got[name])
		}
		delete(got, name)
	}
	for name, list := range w.quantities() {
		o, ok := got[name].(object)
		if !ok {
			t.Errorf("no %s", name)
			continue
		}
		checkQuantiles(t, name, o, list)
		delete(got, name)
	}
	sameFields(t, "stats.", got, want)

	settings := object{"block_size": w.block, "tree_depth": w.treeDepth, "top": w.top, "resolve_symlinks": w.resolve, "as_of": timeJSON(w.asOf)}
	if o, ok := doc["settings"].(object); ok && o["categories_file"] != nil {
		settings["categories_file"], settings["categories"] = o["categories_file"], w.categories
	}
	outer, err := json.Marshal(object{
		"schema": "hydra.audit/1", "app": "audit", "state": "complete", "complete": true, "clients": 1, "workers": doc["workers"],
		"job": doc["job"], "started": doc["started"], "finished": doc["finished"], "wall_seconds": doc["wall_seconds"], "stats": doc["stats"],
		"expected_dirs": len(w.dirs), "processed_dirs": len(w.dirs), "filtered_dirs": 0, "snapshot_dirs": 0, "failed_dirs": 0, "vanished_dirs": 0, "vanished_files": 0,
		"errors": []any{}, "snapshots": []any{}, "error_counts": object{"open": 0, "stat": 0, "handle": 0}, "paths": doc["paths"], "settings": settings,
	})
	if err != nil {
		t.Fatal(err)
	}
	decode(t, outer, &want)
	if b64, ok := doc["paths_b64"].([]any); ok {
		var paths []string
		for _, one := range b64 {
			path, err := base64.StdEncoding.DecodeString(one.(string))
			if err != nil {
				t.Error(err)
			}
			paths = append(paths, string(path))
		}
		doc["paths"] = paths
		delete(doc, "paths_b64")
	}
	if fmt.Sprint(doc["paths"]) != fmt.Sprint(w.roots) {
		t.Errorf("paths %q, want %q", doc["paths"], w.roots)
	}
	delete(doc, "paths")
	delete(want, "paths")
	sameFields(t, "", doc, want)
}

func sameFields(t *testing.T, prefix string, got, want object) {
	t.Helper()
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if v, ok := got[name]; !ok {
			t.Errorf("%s%s is missing", prefix, name)
		} else if !reflect.DeepEqual(v, want[name]) {
			t.Errorf("%s%s: -want +got\n%.4000s", prefix, name, cmp.Diff(want[name], v))
		}
	}
	for name := range got {
		if _, ok := want[name]; !ok {
			t.Errorf("%s%s is not compared with the truth: add it here", prefix, name)
		}
	}
}

func decode(t *testing.T, text []byte, into *object) {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	*into = nil
	if err := d.Decode(into); err != nil {
		t.Fatalf("%v in %.200s", err, text)
	}
}

// checkQuantiles wants the exact count and ends, what is near to the exact
// quantiles, and bins that hold the numbers which belong into them.
func checkQuantiles(t *testing.T, name string, got object, list []int64) {
	t.Helper()
	whole := func(v any) int64 {
		n, err := v.(json.Number).Int64()
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		return n
	}
	if n := whole(got["count"]); n != int64(len(list)) {
		t.Errorf("%s: %d numbers, want %d", name, n, len(list))
	}
	for field, part := range map[string]int64{"min": 0, "p10": 10_000, "p50": 50_000, "p90": 90_000, "p99": 99_000, "max": 100_000} {
		if len(list) == 0 {
			if v, ok := got[field]; v != nil || !ok {
				t.Errorf("%s.%s of nothing is %v", name, field, got[field])
			}
			continue
		}
		n, want := whole(got[field]), quantile(list, part)
		if n != want && (part == 0 || part == 100_000) || !isNear(float64(n), want, 1) {
			t.Errorf("%s.%s is %d, want %d", name, field, n, want)
		}
	}
	bins, ok := got["bins"].([]any)
	if !ok {
		t.Fatalf("%s has no bins", name)
	}
	var starts []int64
	for _, b := range bins {
		starts = append(starts, whole(b.([]any)[0]))
	}
	at := 0
	for i, b := range bins {
		n := int64(0)
		for at < len(list) && (i+1 == len(bins) || list[at] < starts[i+1]) {
			if list[at] < starts[i] || float64(list[at]) > 1.02*float64(starts[i]) {
				t.Errorf("%s: %d is in the bin from %d", name, list[at], starts[i])
			}
			n++
			at++
		}
		if want := whole(b.([]any)[1]); n != want {
			t.Errorf("%s: the bin from %d has %d, want %d", name, starts[i], want, n)
		}
	}
	fieldsOf := slices.Sorted(maps.Keys(got))
	if want := []string{"bins", "count", "max", "min", "p10", "p50", "p90", "p99"}; !slices.Equal(fieldsOf, want) {
		t.Errorf("%s has %v, want %v", name, fieldsOf, want)
	}
}

// isNear says that a number is at most 1 % off, in a unit.
func isNear(got float64, exact int64, unit float64) bool {
	want := float64(exact) / unit
	return math.Abs(got-want) <= 0.01*math.Abs(want)+1e-9
}

// cell is what a report has of one.
type cell struct {
	text string // as it is shown
	raw  string // for programs, if it is no text
}

// differs says how a cell is not what is wanted; empty if it is.
func (c cell) differs(want any, asTime func(time.Time) string, asText func(string) string) string {
	number := func(want float64, slack float64) string {
		got, err := strconv.ParseFloat(c.raw, 64)
		if err != nil || math.Abs(got-want) > slack*math.Abs(want) {
			return fmt.Sprintf("%q, want the number %v", c.raw, want)
		}
		return ""
	}
	exactly := func(got, want string) string {
		if got != want {
			return fmt.Sprintf("%q, want %q", got, want)
		}
		return ""
	}
	switch want := want.(type) {
	case anything:
		return ""
	case nil:
		return exactly(c.text+c.raw, "")
	case int64, uint64:
		return exactly(c.raw, fmt.Sprint(want))
	case float64:
		return number(want, 1e-14) // a workbook writes a digit less
	case near:
		if got, err := strconv.ParseFloat(c.raw, 64); err != nil || !isNear(got, want.exact, want.unit) {
			return fmt.Sprintf("%q, want about %d/%v", c.raw, want.exact, want.unit)
		}
		return ""
	case time.Time:
		if want.IsZero() {
			return exactly(c.text+c.raw, "")
		}
		return exactly(c.raw, asTime(want.UTC()))
	case pathCell:
		return exactly(c.text, asText(string(want)))
	case string:
		return exactly(c.text, asText(want))
	}
	return fmt.Sprintf("a %T in the truth", want)
}

// checkRows compares rows of which only some columns may be there.
func checkRows(t *testing.T, where string, columns []string, got [][]cell, want table, rows [][]any, asTime func(time.Time) string, asText func(string) string) {
	t.Helper()
	if len(got) != len(rows) {
		t.Errorf("%s has %d rows, want %d", where, len(got), len(rows))
		return
	}
	wrong := 0
	for i, row := range got {
		for j, column := range columns {
			k := slices.Index(want.columns, column)
			if k < 0 || j >= len(row) {
				t.Fatalf("%s row %d: column %s is not known, or not there: %q", where, i, column, row)
			}
			if diff := row[j].differs(rows[i][k], asTime, asText); diff != "" {
				if wrong++; wrong > 10 {
					return
				}
				t.Errorf("%s row %d, %s: %s", where, i, column, diff)
			}
		}
	}
}

// checkWorkbook compares all cells of all sheets.
func checkWorkbook(t *testing.T, w *truth, data []byte) {
	t.Helper()
	file, err := excelize.OpenReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	asTime := func(at time.Time) string { return at.Format(time.DateTime) }
	tables := w.tables()
	var names []string
	for key, want := range tables {
		names = append(names, want.name)
		rows, err := file.GetRows(want.name, excelize.Options{RawCellValue: true})
		if err != nil {
			t.Errorf("%s: %v", key, err)
			continue
		}
		// A note stands alone, the headers do not.
		header := slices.IndexFunc(rows, func(row []string) bool { return len(row) > 1 })
		if header < 0 || len(rows[header]) != len(want.columns) {
			t.Errorf("%s: %d columns, want %d", key, len(rows[max(header, 0)]), len(want.columns))
			continue
		}
		if note := strings.Join(slices.Concat(rows[:header]...), "\n"); !strings.Contains(note, want.note) {
			t.Errorf("%s: its note is %q, want %q in it", key, note, want.note)
		}
		var cells [][]cell
		for _, row := range rows[header+1:] {
			one := make([]cell, len(want.columns))
			for i, text := range row {
				one[i] = cell{text, text}
				if r := len(cells); r < len(want.rows) {
					if _, isTime := want.rows[r][i].(time.Time); isTime {
						one[i].raw = timeOfSheet(text)
					}
				}
			}
			cells = append(cells, one)
		}
		checkRows(t, "sheet "+want.name, want.columns, cells, want, want.rows, asTime, shown)
	}
	if got := slices.Sorted(slices.Values(file.GetSheetList())); !slices.Equal(got, slices.Sorted(slices.Values(names))) {
		t.Errorf("sheets %q, want %q", got, names)
	}
}

// timeOfSheet is a time of a workbook, which has days since 1899-12-30, or text.
func timeOfSheet(text string) string {
	days, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return text
	}
	seconds := int64(math.Round(days * 86400))
	return time.Unix(time.Date(1899, 12, 30, 0, 0, 0, 0, time.UTC).Unix()+seconds, 0).UTC().Format(time.DateTime)
}

// What a page leaves out, because it is long: tables, and columns.
var (
	detailTables  = []string{"category_definition", "deepest_directories", "top_files_per_sid", "top_files_per_uid", "top_files_per_gid", "use_by_sid"}
	detailColumns = regexp.MustCompile(`^(atime|ctime|btime|uid|gid|sid|links|inode|(files|bytes)_(le_\d+|over))$`)
)

// The parts of a page, which is written by a template.
var (
	pageTable  = regexp.MustCompile(`(?s)<table data-key="([^"]+)"[^>]*>(.*?)</table>`)
	pageHead   = regexp.MustCompile(`<th [^>]*data-key="([^"]+)"`)
	pageRow    = regexp.MustCompile(`(?s)<tr>(.*?)</tr>`)
	pageCell   = regexp.MustCompile(`(?s)<td([^>]*)>(.*?)</td>`)
	pageTile   = regexp.MustCompile(`(?s)<div class="tile"(?: data-v="([^"]*)")?>\s*<p class="label">(.*?)</p>`)
	pageTree   = regexp.MustCompile(`(?s)<script type="application/json" id="tree">(.*?)</script>`)
	pageNote   = regexp.MustCompile(`(?s)<section id="t-([^"]+)"[^>]*>\s*<h2>[^<]*</h2>\s*<p class="note">(.*?)</p>`)
	attributeV = regexp.MustCompile(` data-v="([^"]*)"`)
	anyTag     = regexp.MustCompile(`<[^>]*>`)
)

func plain(markup string) string {
	return html.UnescapeString(strings.TrimSpace(anyTag.ReplaceAllString(markup, "")))
}

// checkPage compares all numbers of a page: of tables, tiles, and the map.
func checkPage(t *testing.T, w *truth, data []byte) {
	t.Helper()
	page := string(data)
	asTime := func(at time.Time) string { return at.Format(time.RFC3339) }
	asText := func(text string) string { return strings.TrimSpace(shown(text)) }
	onPage := map[string]bool{}
	tables := w.tables()
	for _, part := range pageTable.FindAllStringSubmatch(page, -1) {
		key := part[1]
		want, known := tables[key]
		if !known {
			t.Errorf("a table %s is on the page", key)
			continue
		}
		onPage[key] = true
		var columns []string
		for _, head := range pageHead.FindAllStringSubmatch(part[2], -1) {
			columns = append(columns, head[1])
		}
		for _, column := range want.columns {
			if !slices.Contains(columns, column) && !detailColumns.MatchString(column) {
				t.Errorf("table %s has no column %s on the page", key, column)
			}
		}
		var rows [][]cell
		for _, row := range pageRow.FindAllStringSubmatch(part[2], -1) {
			var cells []cell
			for _, one := range pageCell.FindAllStringSubmatch(row[1], -1) {
				c := cell{text: plain(one[2])}
				if v := attributeV.FindStringSubmatch(one[1]); v != nil {
					c.raw = html.UnescapeString(v[1])
				}
				cells = append(cells, c)
			}
			if cells != nil {
				rows = append(rows, cells)
			}
		}
		checkRows(t, "table "+key, columns, rows, want, want.rows[:min(len(want.rows), 100)], asTime, asText)
	}
	notes := map[string]string{}
	for _, note := range pageNote.FindAllStringSubmatch(page, -1) {
		notes[note[1]] = plain(note[2])
	}
	for key, want := range tables {
		if !onPage[key] && len(want.rows) > 0 && !slices.Contains(detailTables, key) {
			t.Errorf("table %s is not on the page", key)
		}
		if onPage[key] && !strings.Contains(notes[key], want.note) {
			t.Errorf("table %s: its note is %q, want %q in it", key, notes[key], want.note)
		}
	}
	checkTiles(t, w, page)
	checkMap(t, w, page)
}

func checkTiles(t *testing.T, w *truth, page string) {
	t.Helper()
	all := w.useOf(every)
	old := int64(0)
	for _, f := range w.files {
		if f.mtime.Before(w.asOf.Add(-365 * 24 * time.Hour)) {
			old += f.size
		}
	}
	want := map[string]any{
		"Files": all.count, "Directories": int64(len(w.dirs)), "Size": all.bytes, "Allocated": all.allocated, "Allocated, each file once": w.unique().allocated,
		"Owners": int64(len(group(w, uidOf))), "Unchanged for a year": ratio(old, all.bytes), "Errors": int64(0),
	}
	if all.count == 0 {
		delete(want, "Unchanged for a year")
	}
	for _, tile := range pageTile.FindAllStringSubmatch(page, -1) {
		label := plain(tile[2])
		if diff := (cell{raw: tile[1]}).differs(want[label], nil, nil); diff != "" {
			t.Errorf("tile %s: %s", label, diff)
		}
		delete(want, label)
	}
	if len(want) > 0 {
		t.Errorf("tiles are missing: %v", want)
	}
}

// checkMap compares the map of directories.
func checkMap(t *testing.T, w *truth, page string) {
	t.Helper()
	found := pageTree.FindStringSubmatch(page)
	if found == nil {
		t.Error("no map")
		return
	}
	var tree struct{ Nodes [][]any }
	d := json.NewDecoder(strings.NewReader(found[1]))
	d.UseNumber()
	if err := d.Decode(&tree); err != nil {
		t.Fatal(err)
	}
	// Several roots lie in one node more, which has all of them.
	want := map[string]string{}
	var sum dirUse
	line := func(u *dirUse) string {
		newest := "<nil>"
		if !u.newest.IsZero() {
			newest = fmt.Sprint(u.newest.Unix())
		}
		return fmt.Sprintf("%d %d %d %d %s", u.files, u.dirs, u.bytes, u.allocated, newest)
	}
	roots := 0
	for _, u := range w.tree() {
		want[u.path] = line(u)
		if u.depth == 0 {
			roots++
			sum.files, sum.dirs, sum.bytes, sum.allocated = sum.files+u.files, sum.dirs+u.dirs, sum.bytes+u.bytes, sum.allocated+u.allocated
			if u.newest.After(sum.newest) {
				sum.newest = u.newest
			}
		}
	}
	if roots > 1 {
		want[""] = line(&sum)
	}
	if len(tree.Nodes) != len(want) {
		t.Errorf("%d directories on the map, want %d", len(tree.Nodes), len(want))
	}
	paths := make([]string, len(tree.Nodes))
	for i, n := range tree.Nodes {
		name := n[1].(string)
		if n[2].(json.Number) == "1" {
			name, _ = strconv.Unquote(name)
		}
		parent, err := n[0].(json.Number).Int64()
		switch {
		case err != nil || parent >= int64(i):
			t.Fatalf("node %d hangs below %v", i, n[0])
		case parent < 0 && roots > 1:
			name = ""
		case parent >= 0 && paths[parent] != "":
			name = paths[parent] + "/" + name
		}
		paths[i] = name
		if got := fmt.Sprintf("%v %v %v %v %v", n[3:]...); got != want[name] {
			t.Errorf("%q on the map is %s, want %s", name, got, want[name])
		}
	}
}

// checkArchive compares all tables as CSV.
func checkArchive(t *testing.T, w *truth, data []byte) {
	t.Helper()
	archive, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	tables := w.tables()
	for _, part := range archive.File {
		key := strings.TrimSuffix(part.Name, ".csv")
		want, known := tables[key]
		if !known {
			t.Errorf("a table %s is in the archive", part.Name)
			continue
		}
		r, err := part.Open()
		if err != nil {
			t.Fatal(err)
		}
		checkCSV(t, key, r, want)
		delete(tables, key)
	}
	if len(tables) > 0 {
		t.Errorf("tables are missing: %v", slices.Sorted(maps.Keys(tables)))
	}
}

func checkCSV(t *testing.T, key string, r io.Reader, want table) {
	t.Helper()
	records, err := csv.NewReader(r).ReadAll()
	if err != nil || len(records) == 0 {
		t.Errorf("%s: no records, %v", key, err)
		return
	}
	asText := func(text string) string {
		text = shown(text)
		if text != "" && strings.ContainsRune("=+-@", rune(text[0])) {
			text = "'" + text
		}
		return text
	}
	// Behind a path come its bytes, where it is shown in another form.
	var columns []string
	bytesOf := -1
	for i, column := range records[0] {
		if strings.HasSuffix(column, "_b64") {
			bytesOf = i
		} else {
			columns = append(columns, column)
		}
	}
	if !slices.Equal(columns, want.columns) {
		t.Errorf("%s.csv has the columns %v, want %v", key, columns, want.columns)
		return
	}
	var rows [][]cell
	for n, record := range records[1:] {
		var cells []cell
		for i, text := range record {
			if i != bytesOf {
				cells = append(cells, cell{text, text})
				continue
			}
			path := string(want.rows[min(n, len(want.rows)-1)][i-1].(pathCell))
			b64 := base64.StdEncoding.EncodeToString([]byte(path))
			if asText(path) == path {
				b64 = ""
			}
			if text != b64 {
				t.Errorf("%s.csv row %d: bytes of %q are %q, want %q", key, n, path, text, b64)
			}
		}
		rows = append(rows, cells)
	}
	checkRows(t, key+".csv", columns, rows, want, want.rows, func(at time.Time) string { return at.Format(time.RFC3339) }, asText)
}

// TestTheTruthKnowsNothingOfTheProgram keeps the two apart.
func TestTheTruthKnowsNothingOfTheProgram(t *testing.T) {
	for _, file := range []string{"fixture_test.go", "truth_test.go", "truth_tables_test.go"} {
		syntax, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range syntax.Imports {
			if strings.Contains(i.Path.Value, "hydra") {
				t.Errorf("%s imports %s", file, i.Path.Value)
			}
		}
	}
}
