package report

import (
	"archive/zip"
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/xuri/excelize/v2"
)

// written is a workbook that was written and read again.
type written struct {
	*excelize.File
	data  []byte
	parts map[string]string // the files in it
}

func writeAndRead(t *testing.T, d *Document, maxRows int) written {
	t.Helper()
	var out bytes.Buffer
	if err := writeWorkbook(&out, d, maxRows); err != nil {
		t.Fatal(err)
	}
	file, err := excelize.OpenReader(bytes.NewReader(out.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	archive, err := zip.NewReader(bytes.NewReader(out.Bytes()), int64(out.Len()))
	if err != nil {
		t.Fatal(err)
	}
	w := written{file, out.Bytes(), map[string]string{}}
	for _, part := range archive.File {
		r, err := part.Open()
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		w.parts[part.Name] = string(text)
	}
	return w
}

// shown is what can be read of a cell.
type shown struct {
	Value  string
	Type   excelize.CellType
	Format string
}

func (w written) cell(t *testing.T, sheet, cell string) shown {
	t.Helper()
	var s shown
	var err error
	if s.Value, err = w.GetCellValue(sheet, cell, excelize.Options{RawCellValue: true}); err != nil {
		t.Fatal(err)
	}
	if s.Type, err = w.GetCellType(sheet, cell); err != nil {
		t.Fatal(err)
	}
	id, err := w.GetCellStyle(sheet, cell)
	if err != nil {
		t.Fatal(err)
	}
	style, err := w.GetStyle(id)
	if err != nil {
		t.Fatal(err)
	}
	if style.CustomNumFmt != nil {
		s.Format = *style.CustomNumFmt
	}
	if formula, err := w.GetCellFormula(sheet, cell); err != nil || formula != "" {
		t.Errorf("%s!%s: formula %q, error %v", sheet, cell, formula, err)
	}
	return s
}

// wanted is what must be read of a cell that holds v.
func wanted(v any) shown {
	switch v := v.(type) {
	case int64:
		return shown{strconv.FormatInt(v, 10), excelize.CellTypeUnset, "#,##0"}
	case ID:
		if v == 1<<64-1 { // Excel would round it
			return shown{fmt.Sprint(uint64(v)), excelize.CellTypeInlineString, "@"}
		}
		return shown{fmt.Sprint(uint64(v)), excelize.CellTypeUnset, "0"}
	case Bytes:
		return shown{strconv.FormatInt(int64(v), 10), excelize.CellTypeUnset, "#,##0"}
	case float64:
		return shown{strconv.FormatFloat(v, 'f', -1, 64), excelize.CellTypeUnset, "#,##0.00"}
	case Seconds:
		return shown{strconv.FormatFloat(float64(v), 'f', -1, 64), excelize.CellTypeUnset, "#,##0.00"}
	case Share:
		return shown{strconv.FormatFloat(float64(v), 'f', -1, 64), excelize.CellTypeUnset, "0.0%"}
	case time.Time:
		if v.IsZero() {
			return shown{}
		}
		days := float64(v.Unix()-time.Date(1899, 12, 30, 0, 0, 0, 0, time.UTC).Unix()) / 86400
		return shown{strconv.FormatFloat(days, 'f', 6, 64), excelize.CellTypeUnset, "yyyy-mm-dd hh:mm:ss"}
	case Path:
		return shown{printable(string(v)), excelize.CellTypeInlineString, "@"}
	case string:
		return shown{printable(v), excelize.CellTypeInlineString, "@"}
	}
	return shown{}
}

// readable makes a date what wanted makes of it: its last digits differ.
func (s shown) readable() shown {
	if days, err := strconv.ParseFloat(s.Value, 64); err == nil && strings.HasPrefix(s.Format, "yyyy") {
		s.Value = strconv.FormatFloat(days, 'f', 6, 64)
	}
	return s
}

// headerRow returns the row of headers in the sheet of a table.
func headerRow(d *Document, table int) int {
	lines := 0
	if table == 0 {
		lines = len(d.Warnings)
	}
	if d.Tables[table].Note != "" {
		lines++
	}
	if lines == 0 {
		return 1
	}
	return lines + 2
}

func TestWorkbookHoldsEveryCellOfEveryTable(t *testing.T) {
	d := sample()
	w := writeAndRead(t, d, excelize.TotalRows)
	var names []string
	for _, table := range d.Tables {
		names = append(names, table.Name)
	}
	if diff := cmp.Diff(names, w.GetSheetList()); diff != "" {
		t.Errorf("sheets (-want +got):\n%s", diff)
	}
	if active := w.GetActiveSheetIndex(); active != 0 {
		t.Errorf("active is sheet %d, want 0", active)
	}
	for i, table := range d.Tables {
		row := headerRow(d, i)
		for column, c := range table.Columns {
			if got := w.cell(t, table.Name, cellName(column+1, row)).Value; got != c.Title {
				t.Errorf("%s: header of column %d is %q, want %q", table.Name, column, got, c.Title)
			}
		}
		for cells := range table.Rows {
			row++
			for column, v := range cells {
				got, want := w.cell(t, table.Name, cellName(column+1, row)).readable(), wanted(v)
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("%s!%s for %#v (-want +got):\n%s", table.Name, cellName(column+1, row), v, diff)
				}
			}
		}
		rows, err := w.GetRows(table.Name)
		if err != nil {
			t.Fatal(err)
		}
		if len(rows) != row {
			t.Errorf("%s: %d rows, want %d", table.Name, len(rows), row)
		}
	}
}

// one is a document with one table of one column.
func one(cells ...any) *Document {
	return &Document{Title: "One", Program: "hydra", Tables: []Table{{
		Name: "One", Key: "one", Columns: []Column{{Title: "Cell", Key: "cell"}},
		Rows: func(yield func([]any) bool) {
			for _, c := range cells {
				if !yield([]any{c}) {
					return
				}
			}
		},
	}}}
}

func TestOddStringsAreReadBackAsTheyAre(t *testing.T) {
	odd := []any{
		"=1+1", "+1", "-1", "@x", "'quoted", "1", "007", "1e5", "2026-11-25", "TRUE", "#N/A", "", " ", " both ends ", "two  spaces",
		"_x0041_", "_x000D_", "_x005F_", "_x0041__x0042_", "_xFFFF_", "_x00e9_ ", " _x00E9_", "_x00g1_", "_X0041_", "_x41_", "__x0041___",
		"<b>&amp;\"'", "]]>", "\ufffd", "日本語 🙂", Path("/data/_x000A_"),
	}
	w := writeAndRead(t, one(odd...), excelize.TotalRows)
	for i, v := range odd {
		if got, want := w.cell(t, "One", cellName(1, i+2)), wanted(v); got != want {
			t.Errorf("%q: got %+v, want %+v", v, got, want)
		}
	}
	// Those that a reader gets wrong that joins the runs of a text before it undoes
	// escapes, as the library does.
	odd = append(odd, "a_x0041_x0042_x0043_", "_xD800_", "_xd83d__xde00_", "_x0041_x0042_ ", " _x005F_x005F_x0041_", "_x005F_x000D_", "_x0041_x005F_x0042_")
	w = writeAndRead(t, one(odd...), excelize.TotalRows)
	for i, text := range w.texts(t, "xl/worksheets/sheet1.xml")[1:] {
		if want := wanted(odd[i]).Value; text != want {
			t.Errorf("%q: got %q, want %q", odd[i], text, want)
		}
	}
}

// texts returns the texts of a sheet as its format defines them.
func (w written) texts(t *testing.T, part string) []string {
	t.Helper()
	var sheet struct {
		Cells []struct {
			Text string   `xml:"is>t"`
			Runs []string `xml:"is>r>t"`
		} `xml:"sheetData>row>c"`
	}
	if err := xml.Unmarshal([]byte(w.parts[part]), &sheet); err != nil {
		t.Fatal(err)
	}
	var texts []string
	for _, c := range sheet.Cells {
		text := ""
		for _, run := range append(c.Runs, c.Text) {
			for {
				found := regexp.MustCompile(`_x[0-9A-Fa-f]{4}_`).FindStringIndex(run)
				if found == nil {
					break
				}
				char, err := strconv.ParseUint(run[found[0]+2:found[1]-1], 16, 16)
				if err != nil {
					t.Fatal(err)
				}
				text += run[:found[0]] + string(rune(char))
				run = run[found[1]:]
			}
			text += run
		}
		texts = append(texts, text)
	}
	return texts
}

func TestSpacesAtTheEndsOfRunsArePreserved(t *testing.T) {
	w := writeAndRead(t, one("_x0041_x0042_ "), excelize.TotalRows)
	if !strings.Contains(w.parts["xl/worksheets/sheet1.xml"], `<t xml:space="preserve">_ </t>`) {
		t.Error("Excel drops the space at the end")
	}
}

func TestStringsThatCanNotBeShownAreQuoted(t *testing.T) {
	for _, s := range []string{"\xff", "a\x00b", "\x1b[31m", "line\nbreak", "\r", "\u202egnp.exe", "\ufffe", "\xed\xa0\x80"} {
		w := writeAndRead(t, one(Path(s), s), excelize.TotalRows)
		for _, cell := range []string{"A2", "A3"} {
			got := w.cell(t, "One", cell)
			if back, err := strconv.Unquote(got.Value); err != nil || back != s {
				t.Errorf("%s of %q: %s", cell, s, got.Value)
			}
		}
	}
}

func TestLongStringsAreCutAtTheLimitOfACell(t *testing.T) {
	full := strings.Repeat("n", 32767)
	smile := strings.Repeat("🙂", 20000) // two UTF-16 units each
	w := writeAndRead(t, one(full, full+"n", smile, "日"+strings.Repeat("本", 32766), full[:32766]+"_x0041_"), excelize.TotalRows)
	for i, want := range []string{full, full[:32764] + "...", strings.Repeat("🙂", 16382) + "...", "日" + strings.Repeat("本", 32766), full[:32764] + "..."} {
		if got := w.cell(t, "One", cellName(1, i+2)).Value; got != want {
			t.Errorf("cell %d: %d bytes that end in %q, want %d", i, len(got), got[max(0, len(got)-10):], len(want))
		}
	}
}

func TestNumbersAreWrittenWhole(t *testing.T) {
	numbers := []any{
		int64(0), int64(-1), int64(1<<53 + 1), int64(math.MaxInt64), int64(math.MinInt64), Bytes(1 << 60), Bytes(-1),
		0.0, -0.5, 1e300, 5e-324, Share(0), Share(1.5), Seconds(0.001),
	}
	w := writeAndRead(t, one(numbers...), excelize.TotalRows)
	for i, v := range numbers {
		got, want := w.cell(t, "One", cellName(1, i+2)), wanted(v)
		if got != want {
			t.Errorf("%T %v: got %+v, want %+v", v, v, got, want)
		}
	}
	for _, v := range []float64{math.NaN(), math.Inf(1)} { // no numbers in Excel
		w := writeAndRead(t, one(v), excelize.TotalRows)
		if got := w.cell(t, "One", "A2"); got.Value != fmt.Sprint(v) || got.Type != excelize.CellTypeInlineString {
			t.Errorf("%v: got %+v, want text", v, got)
		}
	}
}

func TestTimesAreDatesIfExcelKnowsThem(t *testing.T) {
	day := func(year int, month time.Month, day int) time.Time {
		return time.Date(year, month, day, 1, 2, 3, 999999999, time.UTC)
	}
	for _, test := range []struct {
		at   time.Time
		want shown
	}{
		{time.Time{}, shown{}},
		{day(1601, 1, 1), shown{"1601-01-01 01:02:03", excelize.CellTypeInlineString, "@"}},
		{day(1899, 12, 31), shown{"1899-12-31 01:02:03", excelize.CellTypeInlineString, "@"}},
		{day(10000, 1, 1), shown{"10000-01-01 01:02:03", excelize.CellTypeInlineString, "@"}},
		// Excel counts a 29th of February in 1900.
		{time.Date(1900, 1, 1, 0, 0, 0, 0, time.UTC), shown{"1.000000", excelize.CellTypeUnset, "yyyy-mm-dd hh:mm:ss"}},
		{time.Date(1900, 3, 1, 12, 0, 0, 0, time.UTC), shown{"61.500000", excelize.CellTypeUnset, "yyyy-mm-dd hh:mm:ss"}},
		{time.Unix(0, 0), shown{"25569.000000", excelize.CellTypeUnset, "yyyy-mm-dd hh:mm:ss"}},
		{time.Unix(-1, 5e8), shown{"25568.999988", excelize.CellTypeUnset, "yyyy-mm-dd hh:mm:ss"}},
		// The last second must not be rounded up to a day that Excel does not know.
		{time.Date(9999, 12, 31, 23, 59, 59, 999999999, time.UTC), shown{"2958465.999988", excelize.CellTypeUnset, "yyyy-mm-dd hh:mm:ss"}},
		{time.Date(2026, 1, 2, 1, 0, 0, 0, time.FixedZone("east", 3600)), shown{"46024.000000", excelize.CellTypeUnset, "yyyy-mm-dd hh:mm:ss"}},
	} {
		w := writeAndRead(t, one(test.at), excelize.TotalRows)
		if got := w.cell(t, "One", "A2").readable(); got != test.want {
			t.Errorf("%v: got %+v, want %+v", test.at, got, test.want)
		}
	}
}

func TestWarningsStandOnTopOfTheFirstSheet(t *testing.T) {
	d := sample()
	d.Warnings = []string{"first", "second"}
	d.Tables[0].Note = "note"
	w := writeAndRead(t, d, excelize.TotalRows)
	for cell, want := range map[string]string{"A1": "first", "A2": "second", "A3": "note", "A4": "", "A5": "What"} {
		if got := w.cell(t, "Summary", cell).Value; got != want {
			t.Errorf("%s is %q, want %q", cell, got, want)
		}
	}
	id, _ := w.GetCellStyle("Summary", "A2")
	style, err := w.GetStyle(id)
	if err != nil || !style.Font.Bold || style.Font.Color != "C00000" {
		t.Errorf("a warning is not bold and red: %+v, %v", style.Font, err)
	}
	if got := w.cell(t, "File sizes", "A1").Value; got != d.Tables[1].Note {
		t.Errorf("the second sheet begins with %q, want its note", got)
	}
}

func TestManyWarningsLeaveRoomToScroll(t *testing.T) {
	d := sample()
	d.Warnings = slices.Repeat([]string{"warning"}, 100)
	w := writeAndRead(t, d, excelize.TotalRows)
	if got := w.cell(t, "Summary", "A100").Value; got != "warning" {
		t.Errorf("A100 is %q, want the last warning", got)
	}
	if panes, err := w.GetPanes("Summary"); err != nil || panes.Freeze {
		t.Errorf("100 rows are frozen: no data can be seen")
	}
}

func TestHeadersAreFrozenFilteredAndPrintedAgain(t *testing.T) {
	d := sample()
	w := writeAndRead(t, d, excelize.TotalRows)
	names := map[string]string{}
	for _, n := range w.GetDefinedName() {
		if names[n.Scope+n.Name] != "" {
			t.Errorf("%s is defined twice for %s", n.Name, n.Scope)
		}
		names[n.Scope+n.Name] = n.RefersTo
	}
	for i, table := range d.Tables {
		header, rows := headerRow(d, i), 0
		for range table.Rows {
			rows++
		}
		sheet := w.parts[fmt.Sprintf("xl/worksheets/sheet%d.xml", i+1)]
		below := cellName(1, header+1)
		pane := fmt.Sprintf(`<pane activePane="bottomLeft" state="frozen" topLeftCell="%s" ySplit="%d"></pane><selection activeCell="%[1]s" pane="bottomLeft" sqref="%[1]s">`, below, header)
		if !strings.Contains(sheet, pane) {
			t.Errorf("%s: not frozen below row %d:\n%s", table.Name, header, sheet[:min(len(sheet), 6000)])
		}
		last, err := excelize.ColumnNumberToName(len(table.Columns))
		if err != nil {
			t.Fatal(err)
		}
		cells := fmt.Sprintf("$A$%d:$%s$%d", header, last, header+rows)
		if filter := fmt.Sprintf(`<autoFilter ref="%s">`, cells); strings.Contains(sheet, filter) != (rows > 0) {
			t.Errorf("%s: want %s only when there are rows", table.Name, filter)
		}
		want := fmt.Sprintf("'%s'!%s", table.Name, cells)
		if rows == 0 {
			want = ""
		}
		if got := names[table.Name+"_xlnm._FilterDatabase"]; got != want {
			t.Errorf("%s: the filter is named %q, want %q", table.Name, got, want)
		}
		if got, want := names[table.Name+"_xlnm.Print_Titles"], fmt.Sprintf("'%s'!$%d:$%d", table.Name, header, header); got != want {
			t.Errorf("%s: the titles are named %q, want %q", table.Name, got, want)
		}
		for _, want := range []string{`<pageSetUpPr fitToPage="true">`, `<pageSetup fitToHeight="0" fitToWidth="1" orientation="landscape" paperSize="9">`} {
			if !strings.Contains(sheet, want) {
				t.Errorf("%s: no %s", table.Name, want)
			}
		}
		if strings.Contains(sheet, "<dimension") {
			t.Errorf("%s: has a dimension, which can not be right", table.Name)
		}
	}
}

func TestChartsShowTheirColumnsAtTheRightOfTheData(t *testing.T) {
	d := sample()
	w := writeAndRead(t, d, excelize.TotalRows)
	for part, wants := range map[string][]string{
		"xl/charts/chart1.xml": {
			`<barDir val="col">`, `<grouping val="clustered">`, `<lineChart>`, `<varyColors val="0">`,
			`<f>&#39;File sizes&#39;!$A$4:$A$8</f>`, `<f>&#39;File sizes&#39;!$D$4:$D$8</f>`, `<f>&#39;File sizes&#39;!$B$4:$B$8</f>`,
			`<f>&#39;File sizes&#39;!$D$3</f>`, `<f>&#39;File sizes&#39;!$B$3</f>`,
			`<a:t>Size and number of files by file size</a:t>`, `<a:t>File size</a:t>`, `<a:t>Size</a:t>`, `<a:t>Files</a:t>`,
			`formatCode="[=0]0;#,##0.0,,,,&#34; TB&#34;"`, `formatCode="#,##0"`, `<crosses val="max">`, `<legendPos val="b">`,
		},
		"xl/charts/chart2.xml": {
			`<lineChart>`, `<f>&#39;File ages&#39;!$A$2:$A$4</f>`, `<f>&#39;File ages&#39;!$C$2:$C$4</f>`, `<f>&#39;File ages&#39;!$E$2:$E$4</f>`, `formatCode="0%"`,
		},
		"xl/drawings/drawing1.xml": {`editAs="absolute"><xdr:from><xdr:col>6</xdr:col><xdr:colOff>0</xdr:colOff><xdr:row>3</xdr:row>`},
		"xl/worksheets/sheet2.xml": {`<drawing `},
		"xl/worksheets/sheet3.xml": {`<drawing `},
	} {
		for _, want := range wants {
			if !strings.Contains(w.parts[part], want) {
				t.Errorf("%s: no %s", part, want)
			}
		}
	}
	chart := w.parts["xl/charts/chart1.xml"]
	if n := strings.Count(chart, "<a:t>File size</a:t>"); n != 1 {
		t.Errorf("the title of the first axis is there %d times", n)
	}
	// The library's own colour for the text of an axis is nearly white.
	axes := regexp.MustCompile(`(?s)<(?:cat|val)Ax>.*?</(?:cat|val)Ax>`).FindAllString(chart, -1)
	if len(axes) != 4 {
		t.Errorf("%d axes, want 4", len(axes))
	}
	for _, axis := range axes {
		if !regexp.MustCompile(`<defRPr[^>]*sz="900"[^>]*><a:solidFill><a:srgbClr val="262626">`).MatchString(strings.ReplaceAll(axis, "<a:defRPr", "<defRPr")) {
			t.Errorf("the labels of an axis are not dark: %s", axis)
		}
	}
}

// depths is a table with a chart for each of the given kinds.
func depths(rows, most int, charts ...[]Series) *Document {
	t := Table{
		Name: "Depths", Key: "depths",
		Columns: []Column{{Title: "Depth", Key: "depth", Number: true}, {Title: "Files", Key: "files", Number: true}, {Title: "Share", Key: "share", Number: true}},
		Rows: func(yield func([]any) bool) {
			for i := range int64(rows) {
				if !yield([]any{i, i * i, Share(float64(i) / 1000)}) {
					return
				}
			}
		},
	}
	for _, s := range charts {
		t.Charts = append(t.Charts, Chart{Title: "Depths", XTitle: "Depth", YTitle: "First", Y2Title: "Second", Series: s, Most: most})
	}
	return &Document{Title: "Depths", Tables: []Table{t}}
}

func TestChartShowsTheFirstRowsOnly(t *testing.T) {
	w := writeAndRead(t, depths(50, 20, []Series{{Column: 1}}), excelize.TotalRows)
	if !strings.Contains(w.parts["xl/charts/chart1.xml"], "$B$2:$B$21<") {
		t.Error("a chart of at most 20 rows does not show rows 2 to 21")
	}
	// Nor more than there are, nor those of another sheet.
	w = writeAndRead(t, depths(50, 200, []Series{{Column: 1}}), 31)
	if !strings.Contains(w.parts["xl/charts/chart1.xml"], "$B$2:$B$31<") {
		t.Error("a chart of a sheet of 31 rows does not show rows 2 to 31")
	}
	if w.parts["xl/charts/chart2.xml"] != "" {
		t.Error("there is a chart in the second sheet")
	}
}

func TestTableWithoutRowsHasNoChart(t *testing.T) {
	w := writeAndRead(t, depths(0, 0, []Series{{Column: 1}}), excelize.TotalRows)
	if w.parts["xl/charts/chart1.xml"] != "" {
		t.Error("there is a chart of nothing")
	}
}

func TestSeriesOfTheSecondAxisAloneAreDrawnAtTheFirst(t *testing.T) {
	w := writeAndRead(t, depths(9, 0, []Series{{Column: 2, Second: true}}), excelize.TotalRows)
	chart := w.parts["xl/charts/chart1.xml"]
	if strings.Count(chart, "<valAx>") != 1 || !strings.Contains(chart, "<a:t>Second</a:t>") || !strings.Contains(chart, `formatCode="0.0%"`) {
		t.Errorf("not one axis with the title and the format of the second: %s", chart)
	}
}

func TestEachKindOfSeriesHasItsAxis(t *testing.T) {
	all := []Series{{Column: 1}, {Column: 2, Second: true}, {Column: 1, Line: true}, {Column: 2, Line: true, Second: true}}
	w := writeAndRead(t, depths(9, 0, all), excelize.TotalRows)
	var chart struct {
		Parts []struct {
			XMLName xml.Name
			Series  []struct {
				Values string `xml:"val>numRef>f"`
			} `xml:"ser"`
			Axes []struct {
				ID string `xml:"val,attr"`
			} `xml:"axId"`
		} `xml:",any"`
	}
	plot := regexp.MustCompile(`(?s)<plotArea>.*</plotArea>`).FindString(w.parts["xl/charts/chart1.xml"])
	if err := xml.Unmarshal([]byte(strings.ReplaceAll(plot, "a:", "")), &chart); err != nil {
		t.Fatal(err)
	}
	got := map[string]int{}
	for _, p := range chart.Parts {
		for _, s := range p.Series {
			got[fmt.Sprint(p.XMLName.Local, " ", s.Values, " ", p.Axes[1].ID)]++
		}
	}
	want := map[string]int{
		"barChart 'Depths'!$B$2:$B$10 100000001": 1, "barChart 'Depths'!$C$2:$C$10 100000004": 1,
		"lineChart 'Depths'!$B$2:$B$10 100000001": 1, "lineChart 'Depths'!$C$2:$C$10 100000004": 1,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("series (-want +got):\n%s", diff)
	}
	// The library drops a second axis when it draws more at the first.
	w = writeAndRead(t, depths(9, 0, all[:3]), excelize.TotalRows)
	if n := strings.Count(w.parts["xl/charts/chart1.xml"], "<valAx>"); n != 2 {
		t.Errorf("%d axes of values, want 2", n)
	}
}

func TestChartsDoNotOverlap(t *testing.T) {
	bars := []Series{{Column: 1}}
	w := writeAndRead(t, depths(100, 0, bars, bars, bars), excelize.TotalRows)
	var drawing struct {
		Charts []struct {
			From int `xml:"from>row"`
			To   int `xml:"to>row"`
		} `xml:"twoCellAnchor"`
	}
	if err := xml.Unmarshal([]byte(w.parts["xl/drawings/drawing1.xml"]), &drawing); err != nil {
		t.Fatal(err)
	}
	if len(drawing.Charts) != 3 {
		t.Fatalf("%d charts, want 3", len(drawing.Charts))
	}
	for i, c := range drawing.Charts[1:] {
		if before := drawing.Charts[i]; c.From <= before.To {
			t.Errorf("chart %d begins in row %d, the one before ends in row %d", i+1, c.From, before.To)
		}
	}
}

func TestAxisIsInTheUnitOfItsPeak(t *testing.T) {
	for _, test := range []struct {
		kind any
		peak float64
		want string
	}{
		{Bytes(0), 0, `#,##0" B"`},
		{Bytes(0), 999, `#,##0" B"`},
		{Bytes(0), 1000, `[=0]0;#,##0.0," kB"`},
		{Bytes(0), 45e6, `[=0]0;#,##0,," MB"`},
		{Bytes(0), 9e18, `[=0]0;#,##0.0,,,,,," EB"`},
		{Share(0), 1, "0%"},
		{Share(0), 0.03, "0.0%"},
		{Share(0), 0.001, "0.00%"},
		{int64(0), 5, "#,##0"},
		{1.0, 5, "0.00"},
		{Seconds(1), 5000, "#,##0"},
		{nil, 0, "#,##0"},
	} {
		if got := excelAxisFormat(test.kind, test.peak); got != test.want {
			t.Errorf("%T up to %v: %s, want %s", test.kind, test.peak, got, test.want)
		}
	}
}

func TestSheetNamesAreWhatExcelTakes(t *testing.T) {
	long := strings.Repeat("n", 40)
	odd := []string{
		"Tom's files", "'quoted'", "a/b\\c?d*e[f]g:h", "", " ", "same", "Same", "SAME", "History", "line\nbreak", "\xff", "a (2)", "a", "A",
		long, long + "x", strings.Repeat("🙂", 20), strings.Repeat("n", 30) + "'x", "日本語", "A1", "=1+1", "'", "a!b",
	}
	d := &Document{Title: "Names"}
	for _, name := range odd {
		table := depths(3, 0, []Series{{Column: 1}}).Tables[0]
		table.Name = name
		d.Tables = append(d.Tables, table)
	}
	w := writeAndRead(t, d, excelize.TotalRows)
	names := w.GetSheetList()
	if len(names) != len(odd) {
		t.Fatalf("%d sheets, want %d", len(names), len(odd))
	}
	for i, name := range names {
		if len(name) == 0 || len([]rune(name)) > 31 || len(first16(name)) > 31 || strings.ContainsAny(name, `:\/?*[]`) ||
			strings.HasPrefix(name, "'") || strings.HasSuffix(name, "'") || strings.EqualFold(name, "history") || strings.ContainsFunc(name, hidden) {
			t.Errorf("Excel does not take %q for %q", name, odd[i])
		}
		for _, other := range names[:i] {
			if strings.EqualFold(name, other) {
				t.Errorf("%q and %q are the same for Excel", name, other)
			}
		}
		quoted := "'" + strings.ReplaceAll(name, "'", "''") + "'!"
		for _, want := range []string{quoted + "$A$1:$C$4", quoted + "$1:$1"} {
			if !slices.ContainsFunc(w.GetDefinedName(), func(n excelize.DefinedName) bool { return n.Scope == name && n.RefersTo == want }) {
				t.Errorf("%q: nothing is named %s", name, want)
			}
		}
		var ref bytes.Buffer
		xml.EscapeText(&ref, []byte(quoted+"$B$2:$B$4"))
		if chart := w.parts[fmt.Sprintf("xl/charts/chart%d.xml", i+1)]; !strings.Contains(chart, "<f>"+ref.String()+"</f>") {
			t.Errorf("%q: the chart does not show %s", name, ref.String())
		}
	}
	for i, want := range map[int]string{0: "Tom's files", 5: "same", 6: "Same (2)", 11: "a (2)", 12: "a", 13: "A (3)", 14: long[:31], 15: long[:27] + " (2)"} {
		if names[i] != want {
			t.Errorf("sheet of %q is named %q, want %q", odd[i], names[i], want)
		}
	}
}

// first16 returns the UTF-16 units of s as bytes of any value.
func first16(s string) []byte {
	var units []byte
	for _, r := range s {
		units = append(units, 0)
		if r > 0xffff {
			units = append(units, 0)
		}
	}
	return units
}

func TestTableGoesOnInFurtherSheets(t *testing.T) {
	const maxRows = 10
	d := depths(25, 0)
	d.Warnings = []string{"warning"}
	d.Tables[0].Note = "note"
	d.Tables = append(d.Tables, Table{Name: "depths (2)", Columns: []Column{{Title: "Other"}}, Rows: one("other").Tables[0].Rows})
	w := writeAndRead(t, d, maxRows)
	sheets := []string{"Depths", "Depths (3)", "Depths (4)", "Depths (5)", "depths (2)"}
	if diff := cmp.Diff(sheets, w.GetSheetList()); diff != "" {
		t.Fatalf("sheets (-want +got):\n%s", diff)
	}
	// After the warning, the note, the empty row and the headers there is room for
	// 6 rows, without the warning for 7.
	next := 0
	for i, rows := range []int{6, 7, 7, 5} {
		header := 4
		if i > 0 {
			header = 3
		}
		if got := w.cell(t, sheets[i], cellName(1, header-2)).Value; got != "note" {
			t.Errorf("%s: %q where the note should be", sheets[i], got)
		}
		for row := header + 1; row <= header+rows; row++ {
			if got, want := w.cell(t, sheets[i], cellName(1, row)).Value, strconv.Itoa(next); got != want {
				t.Errorf("%s, row %d: %s, want %s", sheets[i], row, got, want)
			}
			next++
		}
		all, err := w.GetRows(sheets[i])
		if err != nil || len(all) != header+rows {
			t.Errorf("%s: %d rows, want %d; %v", sheets[i], len(all), header+rows, err)
		}
	}
	if got := w.cell(t, "depths (2)", "A2").Value; got != "other" {
		t.Errorf("the other table begins with %q", got)
	}
	// A table that fills its sheet has no second.
	if got := writeAndRead(t, depths(maxRows-1, 0), maxRows).GetSheetList(); len(got) != 1 {
		t.Errorf("%d rows and their header are in the sheets %q, want one", maxRows-1, got)
	}
}

func TestEmptyDocumentIsAWorkbook(t *testing.T) {
	w := writeAndRead(t, &Document{Warnings: []string{"nothing was read"}}, excelize.TotalRows)
	if got := w.cell(t, w.GetSheetName(0), "A1").Value; got != "nothing was read" {
		t.Errorf("A1 is %q, want the warning", got)
	}
}

func TestWorkbookTellsWhatMadeItAndWhen(t *testing.T) {
	d := sample()
	w := writeAndRead(t, d, excelize.TotalRows)
	got, err := w.GetDocProps()
	if err != nil {
		t.Fatal(err)
	}
	want := excelize.DocProperties{Title: d.Title, Creator: d.Program, LastModifiedBy: d.Program, Created: "2026-11-25T16:00:00Z", Modified: "2026-11-25T16:00:00Z"}
	if diff := cmp.Diff(want, *got); diff != "" {
		t.Errorf("properties (-want +got):\n%s", diff)
	}
}

func TestPartsAreWellFormedAndFindEachOther(t *testing.T) {
	d := sample()
	d.Tables = append(d.Tables, depths(40, 0, []Series{{Column: 1}}, []Series{{Column: 1}, {Column: 2, Line: true, Second: true}}).Tables...)
	w := writeAndRead(t, d, excelize.TotalRows)
	for name, text := range w.parts {
		decoder := xml.NewDecoder(strings.NewReader(text))
		for {
			token, err := decoder.Token()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Errorf("%s: %v", name, err)
				break
			}
			start, ok := token.(xml.StartElement)
			if !ok || path.Ext(name) != ".rels" || start.Name.Local != "Relationship" {
				continue
			}
			for _, a := range start.Attr {
				// _rels/x.rels tells of x, and what it names is seen from there.
				target := strings.TrimPrefix(a.Value, "/")
				if !strings.HasPrefix(a.Value, "/") {
					target = path.Join(path.Dir(path.Dir(name)), a.Value)
				}
				if a.Name.Local == "Target" && w.parts[target] == "" {
					t.Errorf("%s names %s, which is not there", name, a.Value)
				}
			}
		}
	}
	types := w.parts["[Content_Types].xml"]
	for _, part := range regexp.MustCompile(`PartName="/([^"]*)"`).FindAllStringSubmatch(types, -1) {
		if w.parts[part[1]] == "" {
			t.Errorf("the types name %s, which is not there", part[1])
		}
	}
	for name := range w.parts {
		if strings.HasPrefix(name, "xl/") && !strings.HasSuffix(name, ".rels") && !strings.Contains(types, `"/`+name+`"`) {
			t.Errorf("%s has no type", name)
		}
	}
}

func TestSameDocumentGivesTheSameBytes(t *testing.T) {
	want := writeAndRead(t, sample(), excelize.TotalRows).data
	for range 5 { // the order of a map is not often the same
		var got bytes.Buffer
		if err := Excel(&got, sample()); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got.Bytes(), want) {
			t.Fatal("the second workbook differs from the first")
		}
	}
	archive, err := zip.NewReader(bytes.NewReader(want), int64(len(want)))
	if err != nil {
		t.Fatal(err)
	}
	if first := archive.File[0].Name; first != "[Content_Types].xml" {
		t.Errorf("the first part is %s: file(1) does not see a workbook", first)
	}
}

// full is a disk with room for some bytes.
type full struct{ room int }

var errFull = errors.New("no space left")

func (f *full) Write(p []byte) (int, error) {
	if len(p) > f.room {
		return 0, errFull
	}
	f.room -= len(p)
	return len(p), nil
}

func TestErrorOfTheWriterIsReturned(t *testing.T) {
	var out bytes.Buffer
	if err := Excel(&out, sample()); err != nil {
		t.Fatal(err)
	}
	for room := 0; room < out.Len(); room += 997 {
		if err := Excel(&full{room}, sample()); !errors.Is(err, errFull) {
			t.Errorf("with room for %d bytes of %d: error %v", room, out.Len(), err)
		}
	}
	if err := Excel(&full{out.Len() - 1}, sample()); !errors.Is(err, errFull) {
		t.Errorf("with room for all but the last byte: error %v", err)
	}
}

func TestNoTemporaryFileIsLeft(t *testing.T) {
	if runtime.GOOS == "windows" || runtime.GOOS == "plan9" {
		t.Skip("temporary files are not where TMPDIR says")
	}
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	// More than the library holds in memory, over several sheets.
	long := strings.Repeat("n", 30000)
	d := one()
	seen := 0
	d.Tables[0].Rows = func(yield func([]any) bool) {
		for range 1200 {
			if entries, _ := os.ReadDir(dir); len(entries) > 0 {
				seen++
			}
			if !yield([]any{long}) {
				return
			}
		}
	}
	if err := writeWorkbook(io.Discard, d, 1000); err != nil {
		t.Fatal(err)
	}
	if seen == 0 {
		t.Error("there was no temporary file: nothing is tested")
	}
	if err := writeWorkbook(&full{1000}, d, 1000); !errors.Is(err, errFull) {
		t.Errorf("error %v", err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) > 0 {
		t.Errorf("left are %v, error %v", entries, err)
	}
	t.Setenv("TMPDIR", dir+"/missing")
	if err := writeWorkbook(io.Discard, d, 1000); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("without a directory for temporary files: error %v", err)
	}
}

func TestColumnsAreAsWideAsTheySayAndAsNumbersNeed(t *testing.T) {
	d := one()
	d.Tables[0].Columns = []Column{
		{Title: "A long title", Width: 3}, {Title: "N", Width: 80}, {Title: "N"}, {Title: "N", Width: 10000},
		{Title: "N"}, {Title: "N"}, {Title: "N"}, {Title: "N"},
	}
	d.Tables[0].Rows = slices.Values([][]any{{"x", "x", "x", "x", int64(1), Bytes(1), time.Unix(0, 0), Share(1)}})
	w := writeAndRead(t, d, excelize.TotalRows)
	for column, want := range map[string]float64{"A": 16, "B": 82, "C": 5, "D": 255, "E": 15, "F": 22, "G": 21, "H": 5} {
		if got, err := w.GetColWidth("One", column); err != nil || got != want {
			t.Errorf("column %s is %v wide, want %v; %v", column, got, want, err)
		}
	}
}
