package report

import (
	"archive/zip"
	"bytes"
	"encoding/base64"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"
)

func csvOf(t *testing.T, table *Table) string {
	t.Helper()
	var b strings.Builder
	if err := CSV(&b, table); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// records are the rows of a CSV file, by the keys of their columns.
func records(t *testing.T, text string) (keys []string, rows []map[string]string) {
	t.Helper()
	all, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	keys = all[0]
	for _, record := range all[1:] {
		row := map[string]string{}
		for i, field := range record {
			row[keys[i]] = field
		}
		if len(row) != len(keys) {
			t.Fatalf("keys are not unique: %q", keys)
		}
		rows = append(rows, row)
	}
	return keys, rows
}

// readsAs tells whether a reader of a row gets a cell back.
func readsAs(t *testing.T, row map[string]string, key string, cell any) bool {
	t.Helper()
	field := row[key]
	integer := func() int64 {
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			t.Error(err)
		}
		return n
	}
	float := func() float64 {
		f, err := strconv.ParseFloat(field, 64)
		if err != nil || strings.ContainsAny(field, "eE") {
			t.Errorf("%q is no plain decimal: %v", field, err)
		}
		return f
	}
	text := func() string {
		if len(field) > 1 && field[0] == '\'' && strings.Contains("=+-@", field[1:2]) {
			return field[1:]
		}
		return field
	}
	switch v := cell.(type) {
	case nil:
		return field == ""
	case string:
		return text() == v
	case int64:
		return integer() == v
	case ID:
		return field == fmt.Sprint(uint64(v))
	case Bytes:
		return integer() == int64(v)
	case float64:
		return float() == v
	case Share:
		return float() == float64(v)
	case Seconds:
		return float() == float64(v)
	case time.Time:
		if v.IsZero() {
			return field == ""
		}
		at, err := time.Parse(time.RFC3339, field)
		return err == nil && at.Equal(v) && strings.HasSuffix(field, "Z")
	case Path:
		if b64 := row[key+"_b64"]; b64 != "" {
			exact, err := base64.StdEncoding.DecodeString(b64)
			return err == nil && string(exact) == string(v)
		}
		return field == string(v)
	}
	t.Fatalf("%T is no type of a cell", cell)
	return false
}

func TestCSVHoldsEachCellOfATable(t *testing.T) {
	for _, table := range sample().Tables {
		var wantKeys []string
		for _, c := range table.Columns {
			wantKeys = append(wantKeys, c.Key)
			if c.Key == "path" {
				wantKeys = append(wantKeys, "path_b64")
			}
		}
		keys, rows := records(t, csvOf(t, &table))
		if !slices.Equal(keys, wantKeys) {
			t.Errorf("%s: the header is %q, want %q", table.Key, keys, wantKeys)
		}
		n := 0
		for want := range table.Rows {
			if n >= len(rows) {
				t.Fatalf("%s: there are %d rows, want more", table.Key, n)
			}
			for i, cell := range want {
				if key := table.Columns[i].Key; !readsAs(t, rows[n], key, cell) {
					t.Errorf("%s, row %d, %s: %v (%T) was written as %q", table.Key, n, key, cell, cell, rows[n][key])
				}
			}
			n++
		}
		if n != len(rows) {
			t.Errorf("%s: there are %d rows, want %d", table.Key, len(rows), n)
		}
	}
}

func TestCSVOfEachTypeOfCell(t *testing.T) {
	table := &Table{
		Columns: []Column{{Key: "count"}, {Key: "bytes", Detail: true}, {Key: "share"}, {Key: "depth"}, {Key: "seconds"}, {Key: "mtime"}, {Key: "name"}, {Key: "root_path"}, {Key: "xpath"}},
		Rows: slices.Values([][]any{
			{int64(-1234567), Bytes(math.MaxInt64), Share(0.1), 1e21, Seconds(1e-7), time.Date(2026, 11, 25, 17, 0, 0, 999, time.FixedZone("", 3600)), `say "hi", you`, Path("/a\xff"), Path("/b\xff")},
			{int64(0), Bytes(0), Share(math.NaN()), math.Inf(1), Seconds(0), time.Time{}, "", Path(""), nil},
			{nil, nil, nil, nil, nil, nil, nil, nil, nil},
		}),
	}
	want := `count,bytes,share,depth,seconds,mtime,name,root_path,root_path_b64,xpath
-1234567,9223372036854775807,0.1,1000000000000000000000,0.0000001,2026-11-25T16:00:00Z,"say ""hi"", you","""/a\xff""",L2H/,"""/b\xff"""
0,0,,,0,,,,,
,,,,,,,,,
`
	if got := csvOf(t, table); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// oddPaths are hard to write exactly.
var oddPaths = []string{
	"", "\xff", "/data/\xff\xfe/x", "a\nb", "\n", "a\r\nb", "\r", "\t", "a\tb", "\x00", "\x1b[31m", "\x7f", "\u0085", "\u2028",
	"/data/\u202egnp.exe", "no\u00a0break", "\ufeffmark", "\ufffd", "/data/日本語.txt",
	" ", " leading", "trailing ", ",", `"`, `""`, `a"b`, `"quoted"`, `"a\nb"`, `\.`, "'", "'=1", "#comment",
	"-rf", "=1+1", "+1", "@SUM(A1)", "=\xff", "-\n", strings.Repeat("n", 255), strings.Repeat("\xff", 255),
}

func TestEachPathComesBackExactlyFromCSV(t *testing.T) {
	table := &Table{
		Columns: []Column{{Key: "path"}},
		Rows: func(yield func([]any) bool) {
			for _, p := range oddPaths {
				if !yield([]any{Path(p)}) {
					return
				}
			}
		},
	}
	text := csvOf(t, table)
	if !utf8.ValidString(text) {
		t.Errorf("the file is not UTF-8: %q", text)
	}
	if strings.ContainsFunc(text, func(r rune) bool { return unicode.IsControl(r) && r != '\n' }) {
		t.Errorf("the file holds control characters: %q", text)
	}
	if lines := strings.Count(text, "\n"); lines != 1+len(oddPaths) {
		t.Errorf("the file has %d lines, want one for each of %d rows and the header", lines, len(oddPaths))
	}
	_, rows := records(t, text)
	if len(rows) != len(oddPaths) {
		t.Fatalf("there are %d rows, want %d", len(rows), len(oddPaths))
	}
	for i, p := range oddPaths {
		if !readsAs(t, rows[i], "path", Path(p)) {
			t.Errorf("%q was written as %q", p, rows[i])
		}
	}
	if exact := rows[slices.Index(oddPaths, "/data/日本語.txt")]; exact["path_b64"] != "" {
		t.Errorf("a path that is exact has its bytes as well: %q", exact)
	}
}

func TestNoTextInCSVIsAFormula(t *testing.T) {
	var cells [][]any
	texts := []string{"=1+1", "+1", "-1", "@A1", "\t=1", "\r=1", "\n=1", "=\n", "=cmd|' /C calc'!A0", "=\xff"}
	for _, s := range texts {
		cells = append(cells, []any{int64(-1), s, Path(s), Path(s)})
	}
	_, rows := records(t, csvOf(t, &Table{
		Columns: []Column{{Key: "n"}, {Key: "name"}, {Key: "path"}, {Key: "value"}},
		Rows:    slices.Values(cells),
	}))
	for i, s := range texts {
		for _, key := range []string{"name", "path", "value"} {
			if field := rows[i][key]; strings.ContainsAny(field[:1], "=+-@\t\r\n") {
				t.Errorf("%q is %q as %s", s, field, key)
			}
		}
		if !readsAs(t, rows[i], "path", Path(s)) || rows[i]["path_b64"] == "" {
			t.Errorf("the path %q is lost: %q", s, rows[i])
		}
		if rows[i]["n"] != "-1" {
			t.Errorf("a number is %q, want it as it is", rows[i]["n"])
		}
	}
	if got := rows[0]["name"]; got != "'=1+1" {
		t.Errorf("=1+1 is %q, want '=1+1", got)
	}
}

func TestWhatIsNoRowOfCSVIsAnError(t *testing.T) {
	for _, row := range [][]any{{}, {"a", "b"}, {42}, {[]byte("a")}, {true}} {
		table := Table{Key: "odd", Columns: []Column{{Key: "name"}}, Rows: slices.Values([][]any{row})}
		if err := CSV(io.Discard, &table); err == nil || !strings.Contains(err.Error(), "odd") {
			t.Errorf("%#v: the error is %v, want one with the name of the table", row, err)
		}
		if err := Archive(io.Discard, &Document{Tables: []Table{table}}); err == nil {
			t.Errorf("%#v: an archive has no error", row)
		}
	}
}

func TestAnArchiveHasTheCSVOfEachTable(t *testing.T) {
	d := sample()
	d.Made = d.Made.In(time.FixedZone("", 3600))
	var file, again bytes.Buffer
	if err := Archive(&file, d); err != nil {
		t.Fatal(err)
	}
	if err := Archive(&again, sample()); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(file.Bytes(), again.Bytes()) {
		t.Error("two archives of one document differ")
	}
	archive, err := zip.NewReader(bytes.NewReader(file.Bytes()), int64(file.Len()))
	if err != nil {
		t.Fatal(err)
	}
	if len(archive.File) != len(d.Tables) {
		t.Fatalf("the archive has %d files, want %d", len(archive.File), len(d.Tables))
	}
	for i, f := range archive.File {
		table := &d.Tables[i]
		if want := table.Key + ".csv"; f.Name != want {
			t.Errorf("file %d is %s, want %s", i, f.Name, want)
		}
		if f.Method != zip.Deflate || !f.Modified.Equal(d.Made) {
			t.Errorf("%s: method %d, modified %s, want %d, %s", f.Name, f.Method, f.Modified, zip.Deflate, d.Made)
		}
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		if want := csvOf(t, table); string(text) != want {
			t.Errorf("%s holds\n%s\nwant\n%s", f.Name, text, want)
		}
	}
}

// faulty is a writer that fails once, after some bytes.
type faulty struct {
	left   int
	failed bool
}

var errFaulty = errors.New("no space left")

func (f *faulty) Write(p []byte) (int, error) {
	if f.failed || len(p) <= f.left {
		f.left -= len(p)
		return len(p), nil
	}
	f.failed = true
	return f.left, errFaulty
}

func TestAnErrorOfTheWriterIsReturnedWhereverItHappens(t *testing.T) {
	d := sample()
	d.Tables = slices.DeleteFunc(d.Tables, func(t Table) bool { return t.Key == "top_files" }) // too long to try each byte
	long := &Table{Columns: []Column{{Key: "name"}}, Rows: func(yield func([]any) bool) {
		for i := 0; i < 1000 && yield([]any{"some text"}); i++ {
		}
	}}
	for name, write := range map[string]func(io.Writer) error{
		"CSV":     func(w io.Writer) error { return CSV(w, long) },
		"Archive": func(w io.Writer) error { return Archive(w, d) },
	} {
		var whole bytes.Buffer
		if err := write(&whole); err != nil {
			t.Fatal(err)
		}
		for n := range whole.Len() {
			if err := write(&faulty{left: n}); !errors.Is(err, errFaulty) {
				t.Errorf("%s: the error at byte %d of %d is %v, want %v", name, n, whole.Len(), err, errFaulty)
			}
		}
	}
}

func TestRowsAreNotReadAfterAnError(t *testing.T) {
	const count = 10_000 // more than any buffer holds
	read := 0
	err := CSV(&faulty{}, &Table{Columns: []Column{{Key: "name"}}, Rows: func(yield func([]any) bool) {
		for read < count {
			read++
			if !yield([]any{"some text"}) {
				return
			}
		}
	}})
	if !errors.Is(err, errFaulty) || read == count {
		t.Errorf("%d of %d rows were read, then the error is %v", read, count, err)
	}
}

// counter is a writer that counts bytes.
type counter int

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}

func TestRowsAreWrittenWhileTheyAreRead(t *testing.T) {
	const (
		count = 20_000
		held  = 256 << 10 // at most, of some MB
	)
	for name, write := range map[string]func(io.Writer, *Table) error{
		"CSV":     CSV,
		"Archive": func(w io.Writer, t *Table) error { return Archive(w, &Document{Tables: []Table{*t}}) },
	} {
		var written counter
		read, most := 0, 0
		var rows iter.Seq[[]any] = func(yield func([]any) bool) {
			random := uint64(1) // so that it is not compressed much
			for range count {
				var b []byte
				for range 25 {
					random = random*6364136223846793005 + 1442695040888963407
					b = strconv.AppendUint(b, random>>1, 36)
				}
				read += len(b)
				if !yield([]any{string(b)}) {
					return
				}
				most = max(most, read-int(written))
			}
		}
		if err := write(&written, &Table{Key: "long", Columns: []Column{{Key: "name"}}, Rows: rows}); err != nil {
			t.Fatal(err)
		}
		// Base 36 compresses to 5.2 of 8 bits: what an archive holds back is not
		// seen exactly.
		limit := held
		if name == "Archive" {
			limit += read - int(written)
		}
		if most > limit {
			t.Errorf("%s: %d bytes of rows were held back of %d, want at most %d", name, most, read, limit)
		}
	}
}
