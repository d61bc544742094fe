package report

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/xuri/excelize/v2"
)

// styles are the looks of a workbook's cells. Those of an array are for cells
// that are aligned at the left and at the right.
type styles struct {
	warning, note int
	header        [2]int

	text, count, id, float, share, when [2]int
}

const (
	leftAligned = iota
	rightAligned
)

// alignment tells where the cells of a column are aligned. Numbers in a column of
// mixed cells stand at the left, as their header and the texts do.
func alignment(c Column) int {
	if c.Number {
		return rightAligned
	}
	return leftAligned
}

func newStyles(file *excelize.File) (styles, error) {
	var s styles
	var failed error
	add := func(style excelize.Style) int {
		id, err := file.NewStyle(&style)
		if err != nil {
			failed = err
		}
		return id
	}
	// A font without a family is not that of the other cells.
	font := func(f excelize.Font) *excelize.Font {
		f.Family, f.Size = "Calibri", 11
		return &f
	}
	s.warning = add(excelize.Style{Font: font(excelize.Font{Bold: true, Color: "C00000"})})
	s.note = add(excelize.Style{Font: font(excelize.Font{Italic: true, Color: "595959"})})
	for i, where := range []string{"left", "right"} {
		// A text beside a number keeps a distance, the head of a number is beside
		// the button of the filter.
		cell, header := &excelize.Alignment{Horizontal: where}, &excelize.Alignment{Horizontal: where}
		if i == leftAligned {
			cell.Indent, header.Indent = 1, 1
		} else {
			header.Indent = 2
		}
		s.header[i] = add(excelize.Style{
			Font:      font(excelize.Font{Bold: true, Color: "FFFFFF"}),
			Fill:      excelize.Fill{Type: "pattern", Pattern: 1, Color: []string{"1F4E79"}},
			Alignment: header,
		})
		for _, kind := range []struct {
			id     *int
			format string
		}{
			// As text, so that a cell stays text when somebody edits it.
			{&s.text[i], "@"},
			{&s.count[i], "#,##0"},
			{&s.id[i], "0"},
			{&s.float[i], "#,##0.00"},
			{&s.share[i], "0.0%"},
			{&s.when[i], "yyyy-mm-dd hh:mm:ss"},
		} {
			*kind.id = add(excelize.Style{CustomNumFmt: &kind.format, Alignment: cell})
		}
	}
	return s, failed
}

// cell makes v a cell. It is false when the cell stays empty.
func (s *styles) cell(c *excelize.Cell, v any, align int) bool {
	switch v := v.(type) {
	case nil:
		return false
	case int64:
		c.StyleID, c.Value = s.count[align], v
	case ID:
		if v > 1e15 { // Excel keeps 15 digits
			c.StyleID, c.Value = s.text[align], strconv.FormatUint(uint64(v), 10)
			break
		}
		c.StyleID, c.Value = s.id[align], uint64(v)
	case Bytes:
		c.StyleID, c.Value = s.count[align], int64(v)
	case float64:
		c.StyleID, c.Value = s.float[align], v
	case Seconds:
		c.StyleID, c.Value = s.float[align], float64(v)
	case Share:
		c.StyleID, c.Value = s.share[align], float64(v)
	case time.Time:
		if v.IsZero() {
			return false
		}
		// Excel would round to the next second, other programs cut.
		v = v.UTC().Truncate(time.Second)
		if v.Year() < 1900 || v.Year() > 9999 { // no dates in Excel
			c.StyleID, c.Value = s.text[align], v.Format(time.DateTime)
			break
		}
		c.StyleID, c.Value = s.when[align], v
	case Path:
		c.StyleID, c.Value = s.text[align], excelText(string(v))
	case string:
		c.StyleID, c.Value = s.text[align], excelText(v)
	default:
		c.StyleID, c.Value = s.text[align], excelText(fmt.Sprint(v))
	}
	return true
}

// excelEscape is what stands for a character by its number in a workbook's text.
var excelEscape = regexp.MustCompile(`_x[0-9A-Fa-f]{4}_`)

// excelText returns s as the value of a cell.
func excelText(s string) any {
	s = excelCut(printable(s))
	if !strings.Contains(s, "_x") {
		return s
	}
	// The library escapes what would be read as an escape, but for two kinds: half
	// a pair of UTF-16, and one that begins with the underline that ends another.
	// A text with such is written as runs, none of which has a whole escape.
	var runs []excelize.RichTextRun
	var hard bool
	rest := s
	for {
		found := excelEscape.FindStringIndex(rest)
		if found == nil {
			break
		}
		end := found[1] - 1 // its last underline may begin the next
		digits := strings.ToLower(rest[found[0]+2 : end])
		hard = hard || digits >= "d800" && digits <= "dfff"
		runs = append(runs, excelize.RichTextRun{Text: rest[:end]})
		rest = rest[end:]
		if next := excelEscape.FindStringIndex(rest); next != nil && next[0] == 0 {
			hard = true
		}
	}
	if !hard {
		return s
	}
	return append(runs, excelize.RichTextRun{Text: rest})
}

// excelCut shortens s to what a cell can hold.
func excelCut(s string) string {
	if len(s) <= excelize.TotalCellChars { // in UTF-16 it is never longer
		return s
	}
	if utf16Prefix(s, excelize.TotalCellChars) == s {
		return s
	}
	const more = "..."
	return utf16Prefix(s, excelize.TotalCellChars-len(more)) + more
}
