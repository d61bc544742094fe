package report

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/xuri/excelize/v2"
)

const (
	sheetChartWidth  = 900 // pixels
	sheetChartHeight = 420
	sheetRowHeight   = 18 // as the library takes it; Excel's are higher, and charts with them
)

// chartColors has the colours of series, told apart by their brightness too.
var chartColors = []string{"2E75B6", "C55A11", "548235", "7F6000", "7030A0", "404040"}

// sheetChart is a chart and what the rows say of it.
type sheetChart struct {
	chart   Chart
	points  int
	longest int       // label, in characters
	peaks   []float64 // the largest value of each series
	kinds   []any     // a cell of each series
}

func newSheetCharts(charts []Chart) []*sheetChart {
	var list []*sheetChart
	for _, c := range charts {
		c.Series = slices.Clone(c.Series)
		first := func(s Series) bool { return !s.Second }
		if !slices.ContainsFunc(c.Series, first) { // there is no second axis without a first
			for i := range c.Series {
				c.Series[i].Second = false
			}
			c.YTitle = cmp.Or(c.Y2Title, c.YTitle)
		}
		list = append(list, &sheetChart{chart: c, peaks: make([]float64, len(c.Series)), kinds: make([]any, len(c.Series))})
	}
	return list
}

// add counts a row in, if the chart shows it.
func (p *sheetChart) add(row []any) {
	if p.chart.Most > 0 && p.points >= p.chart.Most {
		return
	}
	p.points++
	switch label := row[p.chart.Labels].(type) {
	case string:
		p.longest = max(p.longest, utf8.RuneCountInString(label))
	case Path:
		p.longest = max(p.longest, utf8.RuneCountInString(string(label)))
	case int64:
		p.longest = max(p.longest, len(strconv.FormatInt(label, 10)))
	default:
		p.longest = max(p.longest, len("2006-01-02"))
	}
	for i, s := range p.chart.Series {
		if v := row[s.Column]; v != nil {
			p.kinds[i] = v
			p.peaks[i] = max(p.peaks[i], chartValue(v))
		}
	}
}

// chartValue returns the value of a cell as a chart measures it.
func chartValue(v any) float64 {
	switch v := v.(type) {
	case int64:
		return float64(v)
	case Bytes:
		return float64(v)
	case float64:
		return v
	case Share:
		return float64(v)
	case Seconds:
		return float64(v)
	}
	return 0
}

// What is seen of a sheet at first: some characters of width, some rows.
const (
	seenWidth = 170
	seenRows  = 40
)

// addCharts puts the charts at the right of the data, or below it if it is wide
// and short, one below the other.
func (s *sheet) addCharts(list []*sheetChart) error {
	column, row := len(s.table.Columns)+2, s.header+1
	if s.width > seenWidth && s.next-s.header < seenRows {
		column, row = 1, s.next+1 // below the data; beside it nobody would find them
	}
	for _, p := range list {
		if p.points == 0 || len(p.chart.Series) == 0 {
			continue
		}
		parts, height := s.draw(p)
		if err := s.book.file.AddChart(s.name, cellName(column, row), parts[0], parts[1:]...); err != nil {
			return err
		}
		row += height/sheetRowHeight + 2
	}
	return nil
}

// draw returns the parts of a chart and its height. A part has one kind of
// series at one axis; those of the first axis come first, as the library wants
// it, and columns before the lines that lie on them.
func (s *sheet) draw(p *sheetChart) (parts []*excelize.Chart, height int) {
	type part struct{ line, second bool }
	series := map[part][]int{}
	for i, one := range p.chart.Series {
		at := part{one.Line, one.Second}
		series[at] = append(series[at], i)
	}
	rotation, height := p.labels()
	for _, at := range []part{{false, false}, {true, false}, {false, true}, {true, true}} {
		if len(series[at]) == 0 {
			continue
		}
		kind, xTitle, yTitle := excelize.Col, p.chart.XTitle, p.chart.YTitle
		if at.line {
			kind = excelize.Line
		}
		if at.second {
			// The labels are at the first axis; LibreOffice would show a title twice.
			xTitle, yTitle = "", p.chart.Y2Title
		}
		same, gap := false, uint(60)
		c := &excelize.Chart{
			Type: kind, VaryColors: &same, GapWidth: &gap, ShowBlanksAs: "gap",
			Dimension: excelize.ChartDimension{Width: sheetChartWidth, Height: uint(height)},
			// A chart that is tied to cells would be squeezed when the filter hides rows.
			Format: excelize.GraphicOptions{Positioning: "absolute", Name: printable(p.chart.Title), AltText: printable(p.chart.Title)},
			Title:  chartTitle(p.chart.Title, 14),
			Legend: excelize.ChartLegend{Position: "bottom", Font: chartFont(10)},
			XAxis: excelize.ChartAxis{
				Font: *chartFont(9), Title: chartTitle(xTitle, 10),
				Alignment: excelize.Alignment{TextRotation: rotation},
			},
			YAxis: excelize.ChartAxis{
				Font: *chartFont(9), Title: chartTitle(yTitle, 10), Secondary: at.second,
				MajorGridLines: !at.second, NumFmt: excelize.ChartNumFmt{CustomNumFmt: p.format(at.second)},
			},
		}
		for _, i := range series[at] {
			c.Series = append(c.Series, s.series(p, i))
		}
		parts = append(parts, c)
	}
	return parts, height
}

func (s *sheet) series(p *sheetChart, i int) excelize.ChartSeries {
	cells := func(column, from, to int) string {
		name, err := excelize.ColumnNumberToName(column + 1)
		if err != nil {
			panic(err) // the column has been written
		}
		if from == to {
			return fmt.Sprintf("%s!$%s$%d", quoteSheet(s.name), name, from)
		}
		return fmt.Sprintf("%s!$%s$%d:$%s$%d", quoteSheet(s.name), name, from, name, to)
	}
	from, to := s.header+1, s.header+p.points
	one := p.chart.Series[i]
	fill := excelize.Fill{Type: "pattern", Pattern: 1, Color: []string{chartColors[i%len(chartColors)]}}
	marker := excelize.ChartMarker{Symbol: "none"}
	if p.points <= 30 {
		marker = excelize.ChartMarker{Symbol: "circle", Size: 5, Fill: fill}
	}
	return excelize.ChartSeries{
		Name:       cells(one.Column, s.header, s.header),
		Categories: cells(p.chart.Labels, from, to),
		Values:     cells(one.Column, from, to),
		Fill:       fill,
		Line:       excelize.LineOptions{Width: 2.25},
		Marker:     marker,
	}
}

// labels returns how the labels of the points are turned, in degrees, and the
// height of a chart that has room for them.
func (p *sheetChart) labels() (rotation, height int) {
	const character, width = 6, sheetChartWidth - 150 // pixels
	height = sheetChartHeight
	switch {
	case p.points*(p.longest+2)*character <= width:
		return 0, height
	case p.points*2*character <= width:
		rotation = -45
	default:
		rotation = -90
	}
	return rotation, height + min(max(p.longest-12, 0)*4, 200)
}

// format returns the number format of an axis: in the unit of its peak.
func (p *sheetChart) format(second bool) string {
	var kind any
	peak := 0.0
	for i, one := range p.chart.Series {
		if one.Second == second && p.kinds[i] != nil && (kind == nil || p.peaks[i] > peak) {
			kind, peak = p.kinds[i], p.peaks[i]
		}
	}
	return excelAxisFormat(kind, peak)
}

// excelAxisFormat returns the format of numbers that are like v, up to peak. A comma
// at the end of the digits divides by 1000; no format divides by 1024.
func excelAxisFormat(v any, peak float64) string {
	switch v.(type) {
	case Bytes:
		format, commas := `#,##0" B"`, ""
		for _, unit := range []string{"kB", "MB", "GB", "TB", "PB", "EB"} {
			if peak < 1000 {
				break
			}
			peak /= 1000
			commas += ","
			digits := "#,##0"
			if peak < 10 {
				digits = "#,##0.0"
			}
			format = `[=0]0;` + digits + commas + `" ` + unit + `"`
		}
		return format
	case Share:
		switch {
		case peak < 0.005:
			return "0.00%"
		case peak < 0.05:
			return "0.0%"
		}
		return "0%"
	case float64, Seconds:
		if peak < 10 {
			return "0.00"
		}
		return "#,##0"
	case time.Time:
		return "yyyy-mm-dd"
	}
	return "#,##0"
}

func chartFont(size float64) *excelize.Font {
	return &excelize.Font{Color: "262626", Size: size}
}

func chartTitle(text string, size float64) excelize.ChartTitle {
	if text == "" {
		return excelize.ChartTitle{}
	}
	font := chartFont(size)
	font.Bold = true
	return excelize.ChartTitle{Paragraph: []excelize.RichTextRun{{Text: printable(text), Font: font}}}
}
