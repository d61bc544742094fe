package report

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"
)

// render returns the page of d.
func render(t *testing.T, d *Document) string {
	t.Helper()
	var out strings.Builder
	if err := HTML(&out, d); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// between returns all that stands between two texts.
func between(text, begin, end string) []string {
	var found []string
	for {
		_, rest, ok := strings.Cut(text, begin)
		if !ok {
			return found
		}
		var inner string
		if inner, text, ok = strings.Cut(rest, end); !ok {
			return found
		}
		found = append(found, inner)
	}
}

// tag is an element's begin, attribute what it has; neither looks into scripts
// and styles, which withoutCode removes.
var (
	tag       = regexp.MustCompile(`<[a-zA-Z][^\s>]*(\s+[^\s=>"']+(="[^"]*")?)*\s*/?>`)
	attribute = regexp.MustCompile(`\s([^\s=>"']+)(?:="([^"]*)")?`)
	code      = regexp.MustCompile(`(?s)(<(script|style)[^>]*>).*?(</(script|style)>)`)
)

func withoutCode(page string) string { return code.ReplaceAllString(page, "$1$3") }

func TestPolicyAllowsWhatIsInThePageAndNoMore(t *testing.T) {
	page := render(t, sample())
	policies := between(page, `<meta http-equiv="Content-Security-Policy" content="`, `">`)
	if len(policies) != 1 {
		t.Fatalf("%d policies", len(policies))
	}
	hash := func(text string) string {
		sum := sha256.Sum256([]byte(text))
		return " 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
	}
	want := "default-src 'none'; script-src"
	scripts := between(page, "<script>", "</script>")
	if len(scripts) != 2 {
		t.Errorf("%d scripts, want d3-hierarchy and that of the page", len(scripts))
	}
	for _, s := range scripts {
		want += hash(s)
	}
	want += "; style-src"
	for _, s := range between(page, "<style>", "</style>") {
		want += hash(s)
	}
	want += "; img-src data:; base-uri 'none'; form-action 'none'"
	if got := html.UnescapeString(policies[0]); got != want {
		t.Errorf("the policy is\n%s, want\n%s", got, want)
	}
	if strings.Index(page, "Content-Security-Policy") > strings.Index(page, "<style") {
		t.Error("the policy comes after what it is for")
	}
}

func TestMarkupHasNothingThatThePolicyForbids(t *testing.T) {
	tags := tag.FindAllString(withoutCode(render(t, sample())), -1)
	if len(tags) < 800 {
		t.Fatalf("only %d tags were found", len(tags))
	}
	for _, tag := range tags {
		for _, a := range attribute.FindAllStringSubmatch(tag, -1) {
			switch name := strings.ToLower(a[1]); {
			case name == "style" || strings.HasPrefix(name, "on"):
				t.Errorf("%s has %s", tag, name)
			case name == "src" || name == "srcset" || name == "action" || name == "data":
				t.Errorf("%s loads something", tag)
			case name == "href" && !strings.HasPrefix(a[2], "#") && a[2] != "data:,":
				t.Errorf("%s leads out of the page", tag)
			}
		}
	}
	for _, style := range between(render(t, sample()), "<style>", "</style>") {
		for _, load := range []string{"url(", "@import", "@font-face"} {
			if strings.Contains(style, load) {
				t.Errorf("the style has %s", load)
			}
		}
	}
}

func TestLinksLeadToWhatIsInThePage(t *testing.T) {
	d := sample()
	d.Tables = append(d.Tables, Table{Name: "Use by directory", Key: "by_directory", Note: "In place of the map."})
	page := withoutCode(render(t, d))
	if want := `in the table <a href="#t-by_directory">Use by directory</a>`; !strings.Contains(page, want) {
		t.Errorf("without script there is no way from the map to its table: no %s", want)
	}
	links := between(page, `href="#`, `"`)
	if len(links) < 10 {
		t.Errorf("only %d links", len(links))
	}
	for _, id := range links {
		if strings.Count(page, ` id="`+id+`"`) != 1 {
			t.Errorf("#%s leads to %d elements", id, strings.Count(page, ` id="`+id+`"`))
		}
	}
}

// raw is what programs read of a cell, as its documentation says.
func raw(v any) (string, bool) {
	switch v := v.(type) {
	case int64, Bytes, ID:
		return fmt.Sprintf("%d", v), true
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64), true
	case Share:
		return strconv.FormatFloat(float64(v), 'g', -1, 64), true
	case Seconds:
		return strconv.FormatFloat(float64(v), 'g', -1, 64), true
	case time.Time:
		return v.Format(time.RFC3339), !v.IsZero()
	}
	return "", false
}

func TestEveryValueCanBeReadByPrograms(t *testing.T) {
	d := sample()
	page := withoutCode(render(t, d))

	var want []string
	for _, tile := range d.Tiles {
		if v, ok := raw(tile.Value); ok {
			want = append(want, v)
		}
	}
	var got []string
	for _, tile := range between(page, `<div class="tile"`, ">") {
		got = append(got, between(tile, `data-v="`, `"`)...)
	}
	if !slices.Equal(got, want) {
		t.Errorf("tiles have %q, want %q", got, want)
	}

	tables := 0
	for _, table := range d.Tables {
		parts := between(page, `<table data-key="`+table.Key+`"`, "</table>")
		if table.Detail {
			if len(parts) > 0 {
				t.Errorf("%s is a detail", table.Key)
			}
			continue
		}
		if len(parts) != 1 {
			t.Errorf("%s is there %d times", table.Key, len(parts))
			continue
		}
		tables++
		var heads, want []string
		for _, c := range table.Columns {
			if !c.Detail {
				heads = append(heads, c.Key)
			}
		}
		head, body, _ := strings.Cut(parts[0], "</thead>")
		if got := between(head, `data-key="`, `"`); !slices.Equal(got, heads) {
			t.Errorf("%s has the columns %q, want %q", table.Key, got, heads)
		}
		rows := 0
		for row := range table.Rows {
			if rows++; rows > pageRows {
				break
			}
			for i, v := range row {
				if v, ok := raw(v); ok && !table.Columns[i].Detail {
					want = append(want, v)
				}
			}
		}
		if got := between(body, `data-v="`, `"`); !slices.Equal(got, want) {
			t.Errorf("%s has %q, want %q", table.Key, got, want)
		}
	}
	if tables != 5 {
		t.Errorf("%d tables are in the page", tables)
	}
}

func TestHostileNamesAreText(t *testing.T) {
	hostile := []string{
		`<script>alert(1)</script>`, `</script><img src=x onerror=alert(1)>`, `" onmouseover="alert(1)`, `' x='`,
		"\u2028\u2029", "\x00\x1b[2J", "\xff\xfe", "\u202egnp.exe", "{{.Policy}}", "<!--", "]]>", "&lt;b&gt;", "javascript:alert(1)",
	}
	benign := make([]string, len(hostile))
	for i := range benign {
		benign[i] = strings.Repeat("n", width(printable(hostile[i]))) // long names look other than short ones
	}
	document := func(names []string) *Document {
		all := strings.Join(names, " ")
		d := &Document{Title: all, Program: all, Warnings: names, Tree: &Node{Name: Path(names[2])}, TreeNote: all}
		table := Table{Name: all, Key: "names", Note: all}
		table.Columns = []Column{{Title: all, Key: "name"}, {Title: all, Key: "path"}, {Title: all, Key: "bytes", Number: true}}
		var rows [][]any
		for i, n := range names {
			rows = append(rows, []any{n, Path(n), Bytes(i)})
			d.Tiles = append(d.Tiles, Tile{n, Path(n), n})
			d.Tree.Children = append(d.Tree.Children, &Node{Name: Path(n), Bytes: Bytes(i)})
		}
		table.Rows = slices.Values(rows)
		table.Charts = []Chart{{
			Title: all, XTitle: all, YTitle: all, Y2Title: all,
			Series: []Series{{Column: 2}, {Column: 2, Line: true, Second: true}},
		}}
		d.Tables = []Table{table}
		return d
	}
	// Elements, and the names of their attributes.
	markup := func(page string) []string {
		var all []string
		for _, tag := range tag.FindAllString(withoutCode(page), -1) {
			element := strings.Fields(strings.Trim(tag, "</>"))[0]
			for _, a := range attribute.FindAllStringSubmatch(tag, -1) {
				element += " " + a[1]
			}
			if !strings.HasPrefix(element, "title") && !strings.HasPrefix(element, "text") { // labels are shortened
				all = append(all, element)
			}
		}
		return all
	}
	page := render(t, document(hostile))
	got, want := markup(page), markup(render(t, document(benign)))
	if !slices.Equal(got, want) {
		t.Errorf("hostile names change the markup: %d tags, want %d", len(got), len(want))
	}
	for i, r := range page {
		if r == utf8.RuneError || r != '\n' && !unicode.IsPrint(r) {
			t.Errorf("%q is in the page, after %q", r, page[max(0, i-40):i])
		}
	}

	// The map reads the names as they are for people.
	var data treeData
	if err := json.Unmarshal([]byte(between(page, `<script type="application/json" id="tree">`, `</script>`)[0]), &data); err != nil {
		t.Fatal(err)
	}
	for i, n := range data.Nodes[1:] {
		if want := printable(hostile[len(hostile)-1-i]); n[1] != want {
			t.Errorf("the map has %q, want %q", n[1], want)
		}
	}
}

func TestLongTablesAreCutAndCounted(t *testing.T) {
	d := sample()
	table := &d.Tables[3]
	table.Rows = func(yield func([]any) bool) {
		row := []any{nil, nil, nil} // one for all: it is valid until the next
		for i := range 200_000 {
			row[0], row[1], row[2] = Bytes(i), Path(fmt.Sprint("/", i)), time.Time{}
			if !yield(row) {
				return
			}
		}
	}
	page := render(t, d)
	body := between(between(page, `<table data-key="top_files"`, "</table>")[0], "<tbody>", "</tbody>")[0]
	if got := strings.Count(body, "<tr>"); got != 100 {
		t.Errorf("%d rows", got)
	}
	if !strings.Contains(page, "the first 100 of 200,000 rows; the workbook and CSV have all") {
		t.Error("it is not said that there are more")
	}
	if got := between(body, `<td class="num" data-v="`, `"`); got[99] != "99" || got[0] != "0" {
		t.Errorf("the rows are from %s to %s", got[0], got[99])
	}
}

func TestTablesWithoutRowsAreTheirNote(t *testing.T) {
	empty := slices.Values([][]any{})
	d := &Document{Tables: []Table{
		{Name: "Noted", Key: "noted", Note: "There is none.", Rows: empty, Columns: []Column{{Title: "Only", Key: "only"}}},
		{Name: "Bare", Key: "bare", Rows: empty},
		{Name: "Nil", Key: "nil"},
	}}
	page := withoutCode(render(t, d))
	if got, want := between(page, "<h2>", "</h2>"), []string{"Noted"}; !slices.Equal(got, want) {
		t.Errorf("sections are %q, want %q", got, want)
	}
	if !strings.Contains(page, "There is none.") || strings.Contains(page, "<table") {
		t.Error("want the note and no table")
	}
}

// fullDisk is a disk without room.
type fullDisk struct{ room int }

var errDiskFull = errors.New("no space left")

func (f *fullDisk) Write(p []byte) (int, error) {
	if len(p) > f.room {
		n := f.room
		f.room = 0
		return n, errDiskFull
	}
	f.room -= len(p)
	return len(p), nil
}

func TestWriterErrorIsReturned(t *testing.T) {
	size := len(render(t, sample()))
	for _, room := range []int{0, 100, size / 2, size - 1} {
		if err := HTML(&fullDisk{room}, sample()); !errors.Is(err, errDiskFull) {
			t.Errorf("room for %d of %d bytes: %v", room, size, err)
		}
	}
	if err := HTML(&fullDisk{size}, sample()); err != nil {
		t.Error(err)
	}
}

func TestVendoredScriptIsWhatItsReadmeSays(t *testing.T) {
	const dir = "page/d3-hierarchy/"
	readme, err := os.ReadFile(dir + "README.md")
	if err != nil {
		t.Fatal(err)
	}
	script := pageFile("d3-hierarchy/d3-hierarchy.min.js")
	if want := fmt.Sprintf("sha256  %x\n", sha256.Sum256([]byte(script))); !strings.Contains(string(readme), want) {
		t.Errorf("the README does not have %s", want)
	}
	_, version, _ := strings.Cut(strings.SplitN(string(readme), "\n", 2)[0], "d3-hierarchy ")
	if line := strings.SplitN(script, "\n", 2)[0]; version == "" || !strings.Contains(line, " v"+version+" ") {
		t.Errorf("the script begins with %s, the README names version %q", line, version)
	}
	if license, err := os.ReadFile(dir + "LICENSE"); err != nil || !strings.Contains(string(license), "Mike Bostock") {
		t.Errorf("no licence: %v", err)
	}
}

func TestAPageBeginsWithTheTablesThatComeFirst(t *testing.T) {
	var keys []string
	for _, table := range pageOrder(sample()) {
		keys = append(keys, table.Key)
	}
	if want := []string{"use_by_uid", "file_sizes", "summary", "file_ages", "top_files", "use_by_sid"}; !slices.Equal(keys, want) {
		t.Errorf("%q, want %q", keys, want)
	}
}
