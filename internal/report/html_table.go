package report

import "github.com/dustin/go-humanize"

// pageSection is a table on a page, with its charts.
type pageSection struct {
	Key     string
	Name    string
	Note    string
	Charts  []pageChart
	Columns []pageColumn
	Rows    [][]pageCell
	Total   string // how many rows the table has, if they are not all shown
	Filter  bool
	Sticky  bool // its first column stays where it is while the others scroll
}

type pageColumn struct {
	Key   string
	Title string
	Class string
}

// newPageSection returns nil if the table has nothing to show on a page.
func newPageSection(t *Table) *pageSection {
	if t.Detail {
		return nil
	}
	var shown []int
	s := &pageSection{Key: t.Key, Name: prose(t.Name), Note: prose(t.Note)}
	for i, c := range t.Columns {
		if c.Detail {
			continue
		}
		shown = append(shown, i)
		column := pageColumn{Key: c.Key, Title: prose(c.Title)}
		if c.Number {
			column.Class = "num"
		}
		s.Columns = append(s.Columns, column)
	}
	plots := make([]plot, len(t.Charts))
	for i := range t.Charts {
		plots[i] = newPlot(&t.Charts[i], t.Columns)
	}
	total := int64(0)
	if t.Rows != nil {
		for row := range t.Rows {
			if total < pageRows {
				s.Rows = append(s.Rows, newPageRow(row, shown, t.Columns))
			}
			for i := range plots {
				plots[i].add(row)
			}
			total++
		}
	}
	if total == 0 && t.Note == "" {
		return nil
	}
	if total > pageRows {
		s.Total = humanize.Comma(total)
	}
	s.Filter = len(s.Rows) > fewRows
	s.Sticky = len(shown) > 2 && len(s.Rows) > 0 && s.Rows[0][0].Class != "path"
	for i := range plots {
		if c := plots[i].draw(); c != nil {
			s.Charts = append(s.Charts, *c)
		}
	}
	return s
}

// shortText is how wide a text may be that stays on one line.
const shortText = 16

// newPageRow formats the columns of row that are shown.
func newPageRow(row []any, shown []int, columns []Column) []pageCell {
	cells := make([]pageCell, len(shown))
	for i, column := range shown {
		cells[i] = newPageCell(row[column])
		// In a column of many kinds, numbers are not aligned: they can not be
		// compared.
		if c := &cells[i]; !columns[column].Number {
			switch c.Class {
			case "":
				if width(c.Text) <= shortText {
					c.Class = "short"
				}
			case "num":
				c.Class = "mixed"
			case "num share":
				c.Class, c.Bar = "mixed", 0
			}
		} else if c.Class == "" {
			c.Class = "num"
		}
	}
	return cells
}
