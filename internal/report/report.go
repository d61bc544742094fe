// Package report writes a result as Excel, HTML, CSV or text.
//
// It knows nothing of the application: a [Document] holds tables of typed cells,
// charts over their columns and a tree of directories. Each kind of file shows
// of it what suits that kind.
package report

import (
	"iter"
	"time"
)

// Document is a result as tables, whatever file is made of it.
type Document struct {
	Title    string    // "Audit of /usr"
	Program  string    // what made it, with its version
	Made     time.Time // when
	Warnings []string  // what is missing from it; empty if nothing is
	Tiles    []Tile    // the numbers that matter most
	Tree     *Node     // use by directory; nil if it is not known
	TreeNote string    // what of the tree is left out, if anything is
	Tables   []Table
	// First are the keys of the tables that a page begins with; the others
	// follow in their order.
	First []string
}

// Tile is one of the numbers that are shown first.
type Tile struct {
	Label string
	Value any // a cell
	Note  string
}

// Table is a sheet of a workbook, a section of a page, a file of a CSV archive.
type Table struct {
	Name    string // at most 31 characters, as Excel wants it
	Key     string // lower case with underlines: the name of a CSV file
	Note    string // what its numbers mean, or why it is empty
	Columns []Column
	// Rows are as long as Columns. They can be ranged over several times; a row
	// is valid until the next one.
	Rows   iter.Seq[[]any]
	Charts []Chart
	// Detail marks a table that is too long for a page: a workbook and CSV have
	// it.
	Detail bool
}

// Column is a column of a table.
type Column struct {
	Title  string // for people
	Key    string // for programs: lower case with underlines, and the unit
	Number bool   // its cells are numbers: they are aligned at their end
	Width  int    // of most cells, in characters; 0: as the title
	// Detail marks a column that is left out where there is little room.
	Detail bool
}

// What a cell may be, besides nil for none: string, int64 for a count, float64,
// time.Time in UTC, and these.
type (
	// Bytes is a number of bytes.
	Bytes int64
	// Share is a part of a whole: 1 is all.
	Share float64
	// Path is a path of any bytes.
	Path string
	// Seconds is a duration.
	Seconds float64
	// ID is a number that names something, and is not counted.
	ID uint64
)

// Chart shows columns of its table.
type Chart struct {
	Title  string
	Labels int // the column whose cells name the points
	XTitle string
	Series []Series
	// YTitle and Y2Title name the axes.
	YTitle  string
	Y2Title string // of the second axis, at the right
	// Most is how many rows are shown, from the first; 0 is all.
	Most int
}

// Series is one column in a chart.
type Series struct {
	Column int
	Line   bool // a line, not columns
	Second bool // measured at the second axis
}

// Node is a directory in a tree of use. What its children do not account for
// lies in itself, or in directories that are not shown.
type Node struct {
	Name      Path // of a root, the whole path
	Files     int64
	Dirs      int64 // with itself
	Bytes     Bytes
	Allocated Bytes
	Newest    time.Time // the latest mtime of a file; zero if there is none
	Children  []*Node   // by size, the largest first
}
