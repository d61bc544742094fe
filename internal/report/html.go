package report

import (
	"bufio"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"html/template"
	"io"
	"slices"
	"strings"
	"sync"
	"time"
)

// A page has at most so much of what could be long; workbook and CSV have all.
const (
	pageRows   = 100  // of a table
	pageNodes  = 5000 // of a tree
	pagePoints = 150  // of a chart
	fewRows    = 20   // of a table that needs no filter
)

//go:embed page/page.html.tmpl page/page.css page/page.js page/d3-hierarchy/d3-hierarchy.min.js
var pageFiles embed.FS

// page is what the template shows: all is text by now, or a number to print.
type page struct {
	Policy   string
	Style    template.CSS
	Scripts  []template.JS
	Title    string
	Program  string
	Made     string
	MadeAt   string // as programs read it
	Warnings []string
	Tiles    []pageTile
	Tree     *pageTree
	Sections []pageSection
}

type pageTile struct {
	Label string
	Value pageCell
	Note  string
}

// TileColumns makes rows of the same length, as far as that can be.
func (p *page) TileColumns() int {
	n := len(p.Tiles)
	if n <= 5 {
		return max(n, 3)
	}
	for columns := 5; columns > 3; columns-- {
		if n%columns == 0 {
			return columns
		}
	}
	if n%3 == 0 {
		return 3
	}
	return 4
}

// HTML writes d as one self-contained page.
//
// The page loads nothing, and its policy forbids that it does. It can be read
// without script, which adds the map of directories, sorting and filters.
func HTML(w io.Writer, d *Document) error {
	p, err := newPage(d)
	if err != nil {
		return err
	}
	// The template writes a few bytes at a time.
	buf := bufio.NewWriterSize(w, 64<<10)
	if err := pageTemplate().Execute(buf, p); err != nil {
		return err
	}
	return buf.Flush()
}

func newPage(d *Document) (*page, error) {
	p := &page{
		Style:   template.CSS(pageFile("page.css")),
		Title:   prose(d.Title),
		Program: prose(d.Program),
	}
	if !d.Made.IsZero() {
		p.Made = d.Made.UTC().Format(minuteFormat) + " UTC"
		p.MadeAt = d.Made.UTC().Format(time.RFC3339)
	}
	for _, w := range d.Warnings {
		p.Warnings = append(p.Warnings, prose(w))
	}
	for _, t := range d.Tiles {
		p.Tiles = append(p.Tiles, pageTile{prose(t.Label), newPageCell(t.Value), prose(t.Note)})
	}
	for _, t := range pageOrder(d) {
		if s := newPageSection(t); s != nil {
			p.Sections = append(p.Sections, *s)
		}
	}
	if d.Tree != nil {
		tree, err := newPageTree(d)
		if err != nil {
			return nil, err
		}
		p.Tree = tree
		p.Scripts = append(p.Scripts, template.JS(pageFile("d3-hierarchy/d3-hierarchy.min.js")))
	}
	p.Scripts = append(p.Scripts, template.JS(pageFile("page.js")))
	p.Policy = policy(string(p.Style), p.Scripts)
	return p, nil
}

// pageOrder is the tables of d in the order of a page.
func pageOrder(d *Document) []*Table {
	place := func(t *Table) int {
		if i := slices.Index(d.First, t.Key); i >= 0 {
			return i
		}
		return len(d.First)
	}
	var tables []*Table
	for i := range d.Tables {
		tables = append(tables, &d.Tables[i])
	}
	slices.SortStableFunc(tables, func(a, b *Table) int { return place(a) - place(b) })
	return tables
}

// policy is the Content-Security-Policy: what is written into the page may run,
// and nothing else.
func policy(style string, scripts []template.JS) string {
	hash := func(text string) string {
		sum := sha256.Sum256([]byte(text))
		return " 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
	}
	var b strings.Builder
	b.WriteString("default-src 'none'; script-src")
	for _, s := range scripts {
		b.WriteString(hash(string(s)))
	}
	b.WriteString("; style-src" + hash(style))
	b.WriteString("; img-src data:; base-uri 'none'; form-action 'none'")
	return b.String()
}

// pageFile is a file of the page. A browser reads CR LF as LF before it hashes,
// and a checkout may have written it.
func pageFile(name string) string {
	text, err := pageFiles.ReadFile("page/" + name)
	if err != nil {
		panic(err) // it is embedded
	}
	return strings.ReplaceAll(string(text), "\r\n", "\n")
}

var pageTemplate = sync.OnceValue(func() *template.Template {
	return template.Must(template.New("page").Parse(pageFile("page.html.tmpl")))
})
