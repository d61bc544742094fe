package report

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/xuri/excelize/v2"
)

// Excel writes d as a workbook: a sheet for each table, with its charts beside or
// below the data. A table that has more rows than a sheet can hold goes on in
// further sheets, "Name (2)" and so on.
//
// A sheet begins with what is to be said of it: on the first the warnings, then
// the note of the table and an empty row. Then comes the row of headers, which
// is row 1 when there is nothing to say, and the data.
//
// Large sheets lie in temporary files until all is known, and w gets nothing
// before; the same document gives the same bytes.
func Excel(w io.Writer, d *Document) error {
	return writeWorkbook(w, d, excelize.TotalRows)
}

// writeWorkbook is Excel with at most maxRows rows in a sheet.
func writeWorkbook(w io.Writer, d *Document, maxRows int) error {
	file := excelize.NewFile()
	defer file.Close() // it removes the temporary files
	tables := d.Tables
	if len(tables) == 0 { // a workbook has a sheet
		tables = []Table{{Name: "Report", Rows: func(func([]any) bool) {}}}
	}
	b := &workbook{file: file, maxRows: maxRows}
	if err := b.setUp(d); err != nil {
		return err
	}
	// The names of all tables are taken first: one that goes on in further
	// sheets must not take the name of one that is still to come.
	names := make([]string, len(tables))
	for i := range tables {
		names[i] = b.newName(tables[i].Name)
	}
	for i := range tables {
		var warnings []string
		if i == 0 {
			warnings = d.Warnings
		}
		if err := b.table(&tables[i], names[i], warnings); err != nil {
			return fmt.Errorf("sheet %q: %w", names[i], err)
		}
	}
	return writeParts(w, file)
}

// workbook is a workbook that is being written.
type workbook struct {
	file    *excelize.File
	styles  styles
	names   []string // of sheets, those to come among them
	sheets  int      // that have been begun
	maxRows int      // in a sheet
}

func (b *workbook) setUp(d *Document) error {
	about := &excelize.DocProperties{Title: printable(d.Title), Creator: printable(d.Program), LastModifiedBy: printable(d.Program)}
	if !d.Made.IsZero() {
		about.Created = d.Made.UTC().Format(time.RFC3339)
		about.Modified = about.Created
	}
	if err := b.file.SetDocProps(about); err != nil {
		return err
	}
	if err := b.file.SetAppProps(&excelize.AppProperties{Application: about.Creator}); err != nil {
		return err
	}
	var err error
	b.styles, err = newStyles(b.file)
	return err
}

// table writes t, the first of its sheets with the given name.
func (b *workbook) table(t *Table, name string, warnings []string) error {
	widths := columnWidths(t)
	s, err := b.begin(t, name, widths, warnings)
	if err != nil {
		return err
	}
	charts := newSheetCharts(t.Charts)
	for row := range t.Rows {
		if s.next > b.maxRows {
			if err := s.finish(charts); err != nil {
				return err
			}
			// Charts show the first rows; one sheet has them.
			charts = nil
			if s, err = b.begin(t, b.newName(t.Name), widths, nil); err != nil {
				return err
			}
		}
		if err := s.write(row); err != nil {
			return err
		}
		for _, c := range charts {
			c.add(row)
		}
	}
	return s.finish(charts)
}

// sheet is a sheet that is being written.
type sheet struct {
	book   *workbook
	name   string
	table  *Table
	stream *excelize.StreamWriter
	header int // the row of headers
	next   int // the row to be written
	width  int // of all columns, in characters

	// Of the row that is being written; a cell that is there is &cells[i].
	values []any
	cells  []excelize.Cell
}

// mostFrozen is how many rows may be frozen: so many that data is seen below.
const mostFrozen = 12

// begin makes a sheet and writes all that is above the data of t.
func (b *workbook) begin(t *Table, name string, widths []int, warnings []string) (*sheet, error) {
	if err := b.addSheet(name); err != nil {
		return nil, err
	}
	// These go to the start of the sheet's file, which is written when the stream
	// is made. The number of rows is not known yet, and no dimension is better
	// than a wrong one.
	yes, height := true, 15.0 // points; it would differ by program, and charts with it
	if err := b.file.SetSheetProps(name, &excelize.SheetPropsOptions{
		FitToPage: &yes, CustomHeight: &yes, DefaultRowHeight: &height,
	}); err != nil {
		return nil, err
	}
	if err := b.file.SetSheetDimension(name, ""); err != nil {
		return nil, err
	}
	stream, err := b.file.NewStreamWriter(name)
	if err != nil {
		return nil, err
	}
	s := &sheet{
		book: b, name: name, table: t, stream: stream, next: 1,
		values: make([]any, len(t.Columns)), cells: make([]excelize.Cell, len(t.Columns)),
	}
	// Of the text above, each line is a row.
	s.header = 1
	if lines := len(warnings); lines > 0 || t.Note != "" {
		if t.Note != "" {
			lines++
		}
		s.header = lines + 2
	}
	if err := s.layOut(widths); err != nil {
		return nil, err
	}
	for _, text := range warnings {
		if err := s.line(text, b.styles.warning); err != nil {
			return nil, err
		}
	}
	if t.Note != "" {
		if err := s.line(t.Note, b.styles.note); err != nil {
			return nil, err
		}
	}
	return s, s.headers()
}

func (b *workbook) addSheet(name string) error {
	b.sheets++
	if b.sheets == 1 { // a new file has one
		return b.file.SetSheetName(b.file.GetSheetName(0), name)
	}
	_, err := b.file.NewSheet(name)
	return err
}

// columnWidths returns the widths of the columns of t, in characters. They must be
// set before the rows are seen; and a number that has no room is not shown at
// all. So a column is wide enough for large numbers of the kind in the first row.
func columnWidths(t *Table) []int {
	widths := make([]int, len(t.Columns))
	for i, c := range t.Columns {
		// The button of the filter takes the place of some characters.
		widths[i] = max(c.Width+2, utf8.RuneCountInString(c.Title)+4)
	}
	for row := range t.Rows {
		for i, v := range row {
			switch v.(type) {
			case Bytes:
				widths[i] = max(widths[i], len("9,999,999,999,999,999")+1)
			case int64, float64, Seconds, ID:
				widths[i] = max(widths[i], len("99,999,999,999")+1)
			case time.Time:
				widths[i] = max(widths[i], len(time.DateTime)+2)
			}
		}
		break
	}
	return widths
}

// layOut sets what must be known before the first row.
func (s *sheet) layOut(widths []int) error {
	for i, width := range widths {
		s.width += width
		if err := s.stream.SetColWidth(i+1, i+1, float64(min(width, excelize.MaxColumnWidth))); err != nil {
			return err
		}
	}
	if len(s.table.Columns) == 0 || s.header > mostFrozen {
		return nil
	}
	first := cellName(1, s.header+1)
	return s.stream.SetPanes(&excelize.Panes{
		Freeze: true, YSplit: s.header, TopLeftCell: first, ActivePane: "bottomLeft",
		Selection: []excelize.Selection{{SQRef: first, ActiveCell: first, Pane: "bottomLeft"}},
	})
}

func (s *sheet) line(text string, style int) error {
	err := s.stream.SetRow(cellName(1, s.next), []any{excelize.Cell{StyleID: style, Value: excelCut(printable(text))}})
	s.next++
	return err
}

func (s *sheet) headers() error {
	s.next = s.header + 1
	for i, c := range s.table.Columns {
		s.cells[i] = excelize.Cell{StyleID: s.book.styles.header[alignment(c)], Value: excelCut(printable(c.Title))}
		s.values[i] = &s.cells[i]
	}
	return s.stream.SetRow(cellName(1, s.header), s.values)
}

func (s *sheet) write(row []any) error {
	for i, v := range row {
		s.values[i] = nil
		if s.book.styles.cell(&s.cells[i], v, alignment(s.table.Columns[i])) {
			s.values[i] = &s.cells[i]
		}
	}
	err := s.stream.SetRow(cellName(1, s.next), s.values)
	s.next++
	return err
}

// finish sets what needs to know where the data ends. The stream writes it at
// its end: what is set after Flush is lost.
func (s *sheet) finish(charts []*sheetChart) error {
	file, last := s.book.file, s.next-1
	if n := len(s.table.Columns); n > 0 {
		titles := fmt.Sprintf("%s!$%d:$%d", quoteSheet(s.name), s.header, s.header)
		if err := file.SetDefinedName(&excelize.DefinedName{Name: "_xlnm.Print_Titles", RefersTo: titles, Scope: s.name}); err != nil {
			return err
		}
		if last > s.header {
			if err := s.filter(cellName(1, s.header) + ":" + cellName(n, last)); err != nil {
				return err
			}
		}
	}
	wide, narrow, landscape, a4 := 1, 0, "landscape", 9
	if err := file.SetPageLayout(s.name, &excelize.PageLayoutOptions{
		Size: &a4, Orientation: &landscape, FitToWidth: &wide, FitToHeight: &narrow,
	}); err != nil {
		return err
	}
	margin, bottom := 0.4, 0.75 // inches
	if err := file.SetPageMargins(s.name, &excelize.PageLayoutMarginsOptions{
		Left: &margin, Right: &margin, Top: &margin, Header: &margin, Footer: &margin, Bottom: &bottom,
	}); err != nil {
		return err
	}
	if err := file.SetHeaderFooter(s.name, &excelize.HeaderFooterOptions{OddFooter: "&L&A&R&P / &N"}); err != nil {
		return err
	}
	if err := s.addCharts(charts); err != nil {
		return err
	}
	return s.stream.Flush()
}

// filter puts a filter at the head of each column.
func (s *sheet) filter(cells string) error {
	if err := s.book.file.AutoFilter(s.name, cells, nil); err != nil {
		return err
	}
	// The filter's name is the last one; an apostrophe in the name of the sheet
	// is not escaped in it, and Excel takes such a file for damaged.
	names := s.book.file.WorkBook.DefinedNames.DefinedName
	filter := &names[len(names)-1].Data
	*filter = quoteSheet(s.name) + (*filter)[strings.LastIndexByte(*filter, '!'):]
	return nil
}

// cellName returns the name of the cell in a column and a row, from 1.
func cellName(column, row int) string {
	name, err := excelize.CoordinatesToCellName(column, row)
	if err != nil {
		panic(err) // no sheet has so many
	}
	return name
}

// quoteSheet returns a sheet's name as it stands in a formula.
func quoteSheet(name string) string {
	return "'" + strings.ReplaceAll(name, "'", "''") + "'"
}

// newName returns a name for a sheet that Excel takes and that no other sheet
// has, and takes it: want if possible.
func (b *workbook) newName(want string) string {
	base := strings.Map(func(r rune) rune {
		if hidden(r) || strings.ContainsRune(`:\/?*[]`, r) {
			return '_'
		}
		return r
	}, strings.ToValidUTF8(want, "_"))
	base = strings.TrimSpace(strings.Trim(base, "'"))
	if base == "" || strings.EqualFold(base, "History") { // Excel keeps this one for itself
		base += "_"
	}
	for n := 1; ; n++ {
		suffix := ""
		if n > 1 {
			suffix = fmt.Sprintf(" (%d)", n)
		}
		name := strings.TrimRight(utf16Prefix(base, excelize.MaxSheetNameLength-len(suffix)), "'") + suffix
		taken := slices.ContainsFunc(b.names, func(other string) bool { return strings.EqualFold(name, other) })
		if !taken {
			b.names = append(b.names, name)
			return name
		}
	}
}

// utf16Prefix returns as much of s as takes n UTF-16 units, by which Excel counts.
func utf16Prefix(s string, n int) string {
	for i, r := range s {
		if n -= utf16.RuneLen(r); n < 0 {
			return s[:i]
		}
	}
	return s
}
