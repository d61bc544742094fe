package report

import (
	"archive/zip"
	"encoding/base64"
	"encoding/csv"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"
)

// CSV writes one table as of RFC 4180, in UTF-8: a row of the columns' keys, then
// all rows with all columns. Values are raw: numbers have no units and no
// separators, times are those of RFC 3339 in UTC, and what is not known is empty.
//
// Text that would not print as itself on one line is quoted as Go quotes strings.
// A column of paths, which is one with the key "path" or one that ends with
// "_path", is followed by one with "_b64" added to its key: it holds the bytes of
// a path in base64 where the path's cell is not exactly the path, and is empty
// elsewhere.
//
// A spreadsheet takes text that begins with one of = + - @ for a formula, and the
// names of files are chosen by anyone: such text has a ' in front. See "CSV
// Injection" of OWASP; the other characters that it names, TAB, CR and LF, are
// never the first, as text with them is quoted. This helps where the comma is what
// separates cells: do not let a spreadsheet split them at anything else.
func CSV(w io.Writer, t *Table) error {
	out := csv.NewWriter(w)
	var record []string
	for _, c := range t.Columns {
		record = append(record, c.Key)
		if ofPaths(c) {
			record = append(record, c.Key+"_b64")
		}
	}
	if err := out.Write(record); err != nil {
		return err
	}
	for row := range t.Rows {
		if len(row) != len(t.Columns) {
			return fmt.Errorf("table %s: a row of %d cells under %d columns", t.Key, len(row), len(t.Columns))
		}
		record = record[:0]
		for i, cell := range row {
			c := t.Columns[i]
			field, err := csvField(cell)
			if err != nil {
				return fmt.Errorf("table %s, column %s: %w", t.Key, c.Key, err)
			}
			record = append(record, field)
			if ofPaths(c) {
				record = append(record, bytesUnless(field, cell))
			}
		}
		if err := out.Write(record); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}

// Archive writes a zip archive with a CSV file of each table, named by its key.
// The same document gives the same bytes.
func Archive(w io.Writer, d *Document) error {
	archive := zip.NewWriter(w)
	for i := range d.Tables {
		t := &d.Tables[i]
		file, err := archive.CreateHeader(&zip.FileHeader{
			Name:     t.Key + ".csv",
			Method:   zip.Deflate,
			Modified: d.Made.UTC(),
		})
		if err != nil {
			return err
		}
		if err := CSV(file, t); err != nil {
			return err
		}
	}
	return archive.Close()
}

func ofPaths(c Column) bool { return c.Key == "path" || strings.HasSuffix(c.Key, "_path") }

// bytesUnless is a path in base64, unless field is the path already.
func bytesUnless(field string, cell any) string {
	if p, ok := cell.(Path); ok && string(p) != field {
		return base64.StdEncoding.EncodeToString([]byte(p))
	}
	return ""
}

func csvField(cell any) (string, error) {
	switch v := cell.(type) {
	case nil:
		return "", nil
	case string:
		return csvText(v), nil
	case Path:
		return csvText(string(v)), nil
	case int64:
		return strconv.FormatInt(v, 10), nil
	case ID:
		return strconv.FormatUint(uint64(v), 10), nil
	case Bytes:
		return strconv.FormatInt(int64(v), 10), nil
	case float64:
		return csvFloat(v), nil
	case Share:
		return csvFloat(float64(v)), nil
	case Seconds:
		return csvFloat(float64(v)), nil
	case time.Time:
		if v.IsZero() {
			return "", nil
		}
		return v.UTC().Format(time.RFC3339), nil
	}
	return "", fmt.Errorf("%T is no type of a cell", cell)
}

func csvText(s string) string {
	s = printable(s)
	if s != "" && strings.Contains("=+-@", s[:1]) {
		return "'" + s
	}
	return s
}

// csvFloat is the shortest decimal that reads as f. What is no number, as the
// share of nothing, is not known.
func csvFloat(f float64) string {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return ""
	}
	return strconv.FormatFloat(f, 'f', -1, 64)
}
