package report

import (
	"math"
	"strconv"
	"strings"

	"github.com/dustin/go-humanize"
)

// plot gathers what a chart shows, row by row.
type plot struct {
	chart  *Chart
	names  []string // of the series
	class  []string // of the series
	labels []string
	values [][]any // by point, then by series
	total  int
	most   int
}

func newPlot(c *Chart, columns []Column) plot {
	p := plot{chart: c, most: pagePoints}
	if c.Most > 0 {
		p.most = min(p.most, c.Most)
	}
	p.class = p.classes()
	for _, s := range c.Series {
		p.names = append(p.names, prose(columns[s.Column].Title))
	}
	return p
}

func (p *plot) add(row []any) {
	p.total++
	if len(p.labels) == p.most {
		return
	}
	values := make([]any, len(p.chart.Series))
	for i, s := range p.chart.Series {
		values[i] = row[s.Column]
	}
	p.labels = append(p.labels, newPageCell(row[p.chart.Labels]).Text)
	p.values = append(p.values, values)
}

// pageChart is a drawing: all lengths are in its own units, about a pixel each.
type pageChart struct {
	Title, Note             string
	XTitle, YTitle, Y2Title string
	Width, Height           float64
	Left, Right             float64 // of the area of the bars
	Top, Bottom, Area       float64 // its height
	MidX, MidY              float64
	Y2X                     float64 // where the title of the second axis is
	Legend                  []chartKey
	Grid                    []chartLine
	Labels                  []chartLabel
	Points                  []chartPoint
	Lines                   []chartCurve
}

type chartKey struct {
	Class, Name string
	Line        bool
	Mark        string // the path of its mark, around the middle of 24 x 12
}

type chartLine struct {
	Y, TextY    float64
	Left, Right string
}

type chartLabel struct {
	X, Y float64
	Text string
	Full string // if Text is shortened
	Turn string // a transformation, if it is turned
}

// chartPoint is all that belongs to one row.
type chartPoint struct {
	X, Width float64
	Title    string // its exact values
	Bars     []chartBar
}

type chartBar struct {
	Class               string
	X, Y, Width, Height float64
	Title               string
}

type chartCurve struct {
	Class string
	Path  string
	Marks []chartMark
}

type chartMark struct{ Path, Title string }

const (
	chartWidth  = 860
	chartHeight = 270 // of the area of the bars
	charWidth   = 6.6 // of a label, on average
	lineHeight  = 14
)

// draw returns nil if there is nothing to draw.
func (p *plot) draw() *pageChart {
	if len(p.labels) == 0 || len(p.names) == 0 {
		return nil
	}
	c := &pageChart{
		Title:  prose(p.chart.Title),
		XTitle: prose(p.chart.XTitle), YTitle: prose(p.chart.YTitle), Y2Title: prose(p.chart.Y2Title),
		Width: chartWidth, Top: 14, Bottom: 14 + chartHeight, Area: chartHeight,
	}
	if len(p.labels) < p.total && p.chart.Most != len(p.labels) {
		c.Note = "The first " + humanize.Comma(int64(len(p.labels))) + " of " + humanize.Comma(int64(p.total)) + " are drawn."
	}
	first, second, both := p.axes()
	c.grid(first, second, both)
	c.label(p.labels)
	p.points(c, first, second)
	for i, s := range p.chart.Series {
		key := chartKey{Class: p.class[i], Name: p.names[i], Line: s.Line}
		if s.Line {
			key.Mark = mark(i, 12, 6)
		}
		c.Legend = append(c.Legend, key)
	}
	return c
}

// axes returns the scales at the left and at the right, and whether there are
// both. A chart with a second axis alone has it at the left.
func (p *plot) axes() (first, second axis, both bool) {
	type extent struct {
		unit    unit
		highest float64
		whole   bool
		used    bool
	}
	var at [2]extent
	for _, values := range p.values {
		for i, v := range values {
			n, u, ok := number(v)
			if !ok {
				continue
			}
			e := &at[0]
			if p.chart.Series[i].Second {
				e = &at[1]
			}
			_, whole := v.(int64)
			if !e.used {
				*e = extent{unit: u, whole: whole, used: true}
			}
			e.whole = e.whole && whole
			e.highest = max(e.highest, n)
		}
	}
	first = newAxis(at[0].unit, at[0].highest, at[0].whole, 0)
	if !at[1].used {
		return first, first, false
	}
	second = newAxis(at[1].unit, at[1].highest, at[1].whole, 0)
	if !at[0].used {
		return second, second, false
	}
	// The grid is that of the first axis.
	second = newAxis(at[1].unit, at[1].highest, at[1].whole, first.steps)
	return first, second, true
}

// grid sets the edges of the area and its lines.
func (c *pageChart) grid(first, second axis, both bool) {
	widest := [2]int{}
	for i := range first.steps + 1 {
		line := chartLine{Y: fixed(c.Bottom - chartHeight*float64(i)/float64(first.steps)), Left: first.label(i)}
		line.TextY = line.Y + 4
		if both {
			line.Right = second.label(i)
		}
		widest[0], widest[1] = max(widest[0], len(line.Left)), max(widest[1], len(line.Right))
		c.Grid = append(c.Grid, line)
	}
	if !both {
		if c.YTitle == "" {
			c.YTitle = c.Y2Title
		}
		c.Y2Title = ""
	}
	c.Left = fixed(16 + charWidth*float64(widest[0]))
	c.Right = chartWidth - 12
	if c.YTitle != "" {
		c.Left += 20
	}
	if both {
		c.Right = fixed(chartWidth - 16 - charWidth*float64(widest[1]))
		c.Y2X = chartWidth - 8
		if c.Y2Title != "" {
			c.Right -= 20
		}
	}
	c.MidX, c.MidY = fixed((c.Left+c.Right)/2), fixed((c.Top+c.Bottom)/2)
}

// label places the names of the points below the area, turned if they need more
// room than there is, and sets the height.
func (c *pageChart) label(labels []string) {
	slot := (c.Right - c.Left) / float64(len(labels))
	longest := 0
	for _, l := range labels {
		longest = max(longest, width(l))
	}
	y := c.Bottom + 19
	if float64(longest)*charWidth <= slot-6 {
		for i, l := range labels {
			c.Labels = append(c.Labels, chartLabel{X: fixed(c.Left + slot*(float64(i)+0.5)), Y: y, Text: l})
		}
		c.Height = y + 12
	} else {
		const angle, most = 38, 24
		sin, cos := math.Sincos(angle * math.Pi / 180)
		every := int(math.Ceil(lineHeight / slot))
		deepest := 0.0
		for i := 0; i < len(labels); i += every {
			l := chartLabel{X: fixed(c.Left + slot*(float64(i)+0.5) + 4), Y: c.Bottom + 14}
			// It must not begin before the drawing does.
			l.Text = shorten(labels[i], min(most, int(l.X/cos/charWidth)))
			if l.Text != labels[i] {
				l.Full = labels[i]
			}
			l.Turn = "rotate(-" + strconv.Itoa(angle) + " " + plain(l.X) + " " + plain(l.Y) + ")"
			deepest = max(deepest, float64(width(l.Text))*charWidth*sin)
			c.Labels = append(c.Labels, l)
		}
		c.Height = fixed(c.Bottom + 24 + deepest)
	}
	if c.XTitle != "" {
		c.Height += 20
	}
}

// points draws the values.
func (p *plot) points(c *pageChart, first, second axis) {
	slot := (c.Right - c.Left) / float64(len(p.labels))
	bars := 0
	for _, s := range p.chart.Series {
		if !s.Line {
			bars++
		}
	}
	// A bar of a single point need not fill the chart.
	wide := min(slot*0.72, 64*float64(max(bars, 1)))
	y := func(series int, n float64) float64 {
		top := first.top()
		if p.chart.Series[series].Second {
			top = second.top()
		}
		return c.Bottom - chartHeight*max(0, n)/top
	}
	paths := make([]strings.Builder, len(p.names))
	marks := make([][]chartMark, len(p.names))
	pen := make([]bool, len(p.names)) // is it down?
	for i, values := range p.values {
		middle := c.Left + slot*(float64(i)+0.5)
		point := chartPoint{X: fixed(c.Left + slot*float64(i)), Width: fixed(slot), Title: p.labels[i]}
		bar := 0
		for s, v := range values {
			cell := newPageCell(v)
			text := p.names[s] + ": " + cell.Text
			if cell.Exact != "" {
				text += " (" + cell.Exact + ")"
			}
			n, _, ok := number(v)
			if ok {
				point.Title += "\n" + text
			}
			text = p.labels[i] + "\n" + text
			switch {
			case !p.chart.Series[s].Line:
				if ok && n > 0 {
					// What there is can be seen.
					top := min(y(s, n), c.Bottom-1.5)
					point.Bars = append(point.Bars, chartBar{
						Class: p.class[s], Title: text,
						X: fixed(middle - wide/2 + wide/float64(bars)*float64(bar)), Y: fixed(top),
						Width: fixed(max(1, wide/float64(bars)-1)), Height: fixed(c.Bottom - top),
					})
				}
				bar++
			case !ok:
				pen[s] = false
			default:
				command := "M"
				if pen[s] {
					command = "L"
				}
				pen[s] = true
				paths[s].WriteString(command + plain(middle) + " " + plain(y(s, n)))
				marks[s] = append(marks[s], chartMark{mark(s, middle, y(s, n)), text})
			}
		}
		c.Points = append(c.Points, point)
	}
	for s := range paths {
		if len(marks[s]) > 0 {
			c.Lines = append(c.Lines, chartCurve{p.class[s], paths[s].String(), marks[s]})
		}
	}
}

// classes have the colours of the series. Where there are columns and lines, each
// have their own.
func (p *plot) classes() []string {
	lines := 0
	for _, s := range p.chart.Series {
		if s.Line {
			lines++
		}
	}
	mixed := lines > 0 && lines < len(p.chart.Series)
	var classes []string
	var next [2]int
	for i, s := range p.chart.Series {
		kind := 0
		if s.Line {
			kind = 1
		}
		if mixed {
			i = 2*next[kind] + kind
		}
		next[kind]++
		classes = append(classes, "s"+strconv.Itoa(i%6))
	}
	return classes
}

// mark is a path around a point: a shape for each series, so that colour is not
// all that tells them apart.
func mark(series int, x, y float64) string {
	at := "M" + plain(x) + " " + plain(y)
	switch series % 4 {
	case 1:
		return at + "m-4 0a4 4 0 1 0 8 0a4 4 0 1 0 -8 0z"
	case 2:
		return at + "m0 -5l5 5l-5 5l-5 -5z"
	case 3:
		return at + "m0 -4.5l4.8 8.4h-9.6z"
	}
	return at + "m-3.6 -3.6h7.2v7.2h-7.2z"
}

// fixed rounds to what can be seen.
func fixed(n float64) float64 { return math.Round(n*10) / 10 }

func plain(n float64) string { return strconv.FormatFloat(fixed(n), 'f', -1, 64) }

// width is how many characters of Latin text is as wide as text.
func width(text string) int {
	n := 0
	for _, r := range text {
		n++
		if r >= 0x2e80 {
			n++ // from here on most are twice as wide: CJK
		}
	}
	return n
}

// shorten leaves out the middle of text, if it is wider than most. It keeps more
// of the end: that of a path tells more than its beginning.
func shorten(text string, most int) string {
	if width(text) <= most {
		return text
	}
	head, tail := []rune(text), []rune(text)
	for width(string(head)) > most/3 {
		head = head[:len(head)-1]
	}
	for width(string(tail)) > most-1-most/3 {
		tail = tail[1:]
	}
	return string(head) + "…" + string(tail)
}
