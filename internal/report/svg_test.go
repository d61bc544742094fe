package report

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
)

func TestAxisHasRoundTicks(t *testing.T) {
	for _, c := range []struct {
		unit    unit
		highest float64
		whole   bool
		want    string
	}{
		{unitNumber, 0, true, "0 1"},
		{unitNumber, 3, true, "0 1 2 3"},
		{unitNumber, 9999, true, "0 2k 4k 6k 8k 10k"},
		{unitNumber, 8000, true, "0 2,000 4,000 6,000 8,000"},
		{unitNumber, 126670, true, "0 50k 100k 150k"},
		{unitNumber, 3.2e6, true, "0 1M 2M 3M 4M"},
		{unitNumber, 0.37, false, "0 0.1 0.2 0.3 0.4"},
		{unitBytes, 0, false, "0 1 B"},
		{unitBytes, 1000, false, "0 200 B 400 B 600 B 800 B 1000 B"},
		{unitBytes, 5.1 * (1 << 30), false, "0 2 GiB 4 GiB 6 GiB"},
		{unitBytes, 1.2 * (1 << 40), false, "0 0.25 TiB 0.5 TiB 0.75 TiB 1 TiB 1.25 TiB"},
		{unitBytes, 1023 * (1 << 30), false, "0 250 GiB 500 GiB 750 GiB 1000 GiB 1250 GiB"},
		{unitShare, 1, false, "0 % 20 % 40 % 60 % 80 % 100 %"},
		{unitShare, 0.07, false, "0 % 2 % 4 % 6 % 8 %"},
		{unitSeconds, 42, false, "0 s 10 s 20 s 30 s 40 s 50 s"},
	} {
		a := newAxis(c.unit, c.highest, c.whole, 0)
		var labels []string
		for i := range a.steps + 1 {
			labels = append(labels, a.label(i))
		}
		if got := strings.Join(labels, " "); got != c.want {
			t.Errorf("up to %v of %v: %s, want %s", c.highest, c.unit, got, c.want)
		}
	}
}

func TestAxesShareTheirGrid(t *testing.T) {
	for highest := 1.0; highest < 1e15; highest *= 1.37 {
		for steps := 1; steps <= 6; steps++ {
			for _, u := range []unit{unitNumber, unitBytes, unitShare, unitSeconds} {
				if a := newAxis(u, highest, false, steps); a.steps != steps || a.top() < highest*(1-1e-9) || a.top() > 2.6*highest+float64(steps) {
					t.Fatalf("up to %v of %v in %d steps: %+v has the top %v", highest, u, steps, a, a.top())
				}
			}
		}
	}
}

// drawn is a chart of three series of rows, drawn.
func drawn(rows [][]any, most int) *pageChart {
	chart := &Chart{
		Title: "Chart", XTitle: "Name", YTitle: "Size", Y2Title: "Files", Most: most,
		Series: []Series{{Column: 1}, {Column: 2}, {Column: 3, Line: true, Second: true}},
	}
	p := newPlot(chart, []Column{{Title: "Name"}, {Title: "Size"}, {Title: "Allocated"}, {Title: "Files"}})
	for _, row := range rows {
		p.add(row)
	}
	return p.draw()
}

func TestChartsDrawExactValuesInsideTheirArea(t *testing.T) {
	for _, n := range []int{1, 2, 12, 40, 150} {
		for _, long := range []int{0, 10, 300} {
			var rows [][]any
			for i := range n {
				name := Path(fmt.Sprintf("/%d%s", i, strings.Repeat("日x", long)))
				rows = append(rows, []any{name, Bytes(1 << (i % 50)), Bytes(i), int64(i * 1000)})
			}
			c := drawn(rows, 0)
			if len(c.Points) != n {
				t.Fatalf("%d points of %d", len(c.Points), n)
			}
			marks := 0
			for i, p := range c.Points {
				want := fmt.Sprintf("Allocated: %s", newPageCell(Bytes(i)).Text)
				if !strings.Contains(p.Title, want) || !strings.HasPrefix(p.Title, string(rows[i][0].(Path))+"\n") {
					t.Errorf("point %d is %q, want its name and %q", i, p.Title, want)
				}
				for _, b := range p.Bars {
					if b.X < c.Left || b.X+b.Width > c.Right+0.1 || b.Y < c.Top || b.Height <= 0 || math.Abs(b.Y+b.Height-c.Bottom) > 0.2 {
						t.Errorf("%d points: the bar %+v is outside of %v-%v, %v-%v", n, b, c.Left, c.Right, c.Top, c.Bottom)
					}
				}
			}
			for _, l := range c.Lines {
				marks += len(l.Marks)
			}
			if marks != n {
				t.Errorf("%d marks of %d", marks, n)
			}
			for _, l := range c.Labels {
				reach := float64(width(l.Text)) * charWidth * math.Cos(38*math.Pi/180)
				if l.Turn != "" && l.X-reach < -1 || l.Y > c.Height {
					t.Errorf("%d points: the label %+v is cut off", n, l)
				}
				if l.Turn == "" && l.Text == "" {
					t.Errorf("a label is empty")
				}
			}
			for i := 1; i < len(c.Labels); i++ {
				if c.Labels[i].X-c.Labels[i-1].X < lineHeight-1 {
					t.Fatalf("%d points: labels are one upon another", n)
				}
			}
		}
	}
}

func TestChartsOfNothing(t *testing.T) {
	if c := drawn(nil, 0); c != nil {
		t.Errorf("no row is drawn as %+v", c)
	}
	c := drawn([][]any{{"empty", nil, Bytes(0), nil}, {"odd", math.NaN(), math.Inf(1), int64(7)}, {"text", "x", nil, nil}}, 0)
	for _, p := range c.Points {
		if len(p.Bars) > 0 {
			t.Errorf("%q has the bars %+v", p.Title, p.Bars)
		}
	}
	if len(c.Lines) != 1 || len(c.Lines[0].Marks) != 1 {
		t.Errorf("the lines are %+v, want one with one mark", c.Lines)
	}
}

func TestLinesBreakWhereThereIsNoValue(t *testing.T) {
	c := drawn([][]any{{"a", nil, nil, int64(1)}, {"b", nil, nil, int64(2)}, {"c", nil, nil, nil}, {"d", nil, nil, int64(3)}}, 0)
	if got := strings.Count(c.Lines[0].Path, "M"); got != 2 {
		t.Errorf("the line %s has %d parts, want 2", c.Lines[0].Path, got)
	}
}

func TestChartsShowTheFirstRows(t *testing.T) {
	rows := slices.Repeat([][]any{{"a", Bytes(1), Bytes(1), int64(1)}}, 1000)
	for _, c := range []struct {
		most, want int
		note       string
	}{
		{0, pagePoints, "The first 150 of 1,000 are drawn."},
		{20, 20, ""}, // as it was asked for
		{500, pagePoints, "The first 150 of 1,000 are drawn."},
	} {
		if chart := drawn(rows, c.most); len(chart.Points) != c.want || chart.Note != c.note {
			t.Errorf("at most %d: %d points and the note %q", c.most, len(chart.Points), chart.Note)
		}
	}
}

func TestSecondAxisHasItsTicks(t *testing.T) {
	c := drawn([][]any{{"a", Bytes(3 << 30), Bytes(1 << 30), int64(2_600_000)}}, 0)
	var left, right []string
	for _, g := range c.Grid {
		left, right = append(left, g.Left), append(right, g.Right)
	}
	if got, want := strings.Join(left, " ")+"|"+strings.Join(right, " "), "0 1 GiB 2 GiB 3 GiB|0 1M 2M 3M"; got != want {
		t.Errorf("the axes are %s, want %s", got, want)
	}
	var keys []string
	for _, k := range c.Legend {
		keys = append(keys, k.Name+" "+k.Class)
	}
	if got, want := strings.Join(keys, ", "), "Size s0, Allocated s2, Files s1"; got != want {
		t.Errorf("the legend is %s, want %s", got, want)
	}
}
