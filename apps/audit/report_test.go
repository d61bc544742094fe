package audit

import (
	"bytes"
	"encoding/csv"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hydrawalk/hydra"
	"github.com/hydrawalk/hydra/internal/report"
	"github.com/hydrawalk/hydra/stats"
	"github.com/spf13/pflag"
)

// run runs an audit as the command line sets it up.
func run(t *testing.T, flags ...string) (hydra.Document, hydra.Runner) {
	t.Helper()
	root := t.TempDir()
	if err := os.WriteFile(filepath.Join(root, "a.JPG"), []byte("12345"), 0o666); err != nil {
		t.Fatal(err)
	}
	set := pflag.NewFlagSet("audit", pflag.ContinueOnError)
	runner := App().Configure(set)
	if err := set.Parse(flags); err != nil {
		t.Fatal(err)
	}
	d, err := runner.Run(t.Context(), []string{root}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return d, runner
}

func TestATableIsWrittenAsCSVByItsName(t *testing.T) {
	d, runner := run(t, "--table=file_extensions")
	if err := runner.CheckReports([]string{"x.html", "x.CSV"}); err != nil {
		t.Error(err)
	}
	var b bytes.Buffer
	if err := d.WriteReport(&b, "x.CSV"); err != nil {
		t.Fatal(err)
	}
	records, err := csv.NewReader(&b).ReadAll()
	if err != nil || len(records) != 2 || !slices.Equal(records[1][:5], []string{"jpg", "image", "1", "1", "5"}) {
		t.Errorf("%q, %v, want one line for jpg", records, err)
	}
}

func TestAnUnknownTableListsThoseThatThereAre(t *testing.T) {
	d, runner := run(t, "--table=nonsense")
	for what, err := range map[string]error{"before the walk": runner.CheckReports([]string{"x.csv"}), "after it": d.WriteReport(new(bytes.Buffer), "x.csv")} {
		if err == nil {
			t.Errorf("%s: no error", what)
			continue
		}
		_, list, _ := strings.Cut(err.Error(), "only ")
		tables := strings.Split(list, ", ")
		if len(tables) != 28 || tables[0] != "summary" || !slices.Contains(tables, "use_by_directory") || !strings.Contains(err.Error(), `"nonsense"`) {
			t.Errorf("%s: %v", what, err)
		}
	}
	_, runner = run(t, "--table=summary")
	if err := runner.CheckReports([]string{"x.html"}); err == nil {
		t.Error("a page has all tables: --table does nothing for it")
	}
}

// All that a workbook, a page and CSV need of a table.
func TestAPageNamesTheClientsThatTookNoPart(t *testing.T) {
	d, _ := run(t)
	d.Common().Refused = []string{"c1 (host7): /data: no such file or directory"}
	var b bytes.Buffer
	if err := d.WriteReport(&b, "x.html"); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(b.String(), "A client took no part: c1 (host7): /data") {
		t.Error("the page does not name it")
	}
}

func TestTablesAreWellFormed(t *testing.T) {
	full := newStatsWithin(limits{1, 1, 1, 1, 1, 1}, Settings{BlockSize: 8192, TreeDepth: 2, Top: 2})
	for i := range 3 {
		path := []byte{'/', byte('a' + i)}
		full.Extensions.At(string(path), "").Add(1, math.MaxInt64, 1)
		full.ByUID.At(uint32(i), "").Add(1, math.MaxInt64, 1)
		full.ByGID.At(uint32(i), "").Add(1, 0, 1)
		full.BySID.At(string(path), "").Add(1, 0, 1)
		full.ByLinks.At(uint64(i), "").Add(1, 1, 1)
		full.ByMode.At(Mode(i), "").Add(1, 1, 1)
		full.TopFiles.AddPath(File{Inode: math.MaxUint64, SID: "S-1"}, path)
		full.TopSparse.AddPath(Sparse{File{Size: 5}}, path)
		full.TopByUID.At(0).AddPath(File{}, path)
		full.Tree.At(0, path)
		full.Tree.At(1, []byte("/a/b"))
		full.ByBtime.Add(1, 1, 1)
	}
	full.FilesPerDepth, full.DirsPerDepth = stats.PerDepth{1, 2, 3}, stats.PerDepth{1}
	for name, s := range map[string]*Stats{"nothing": new(Stats), "no file": newStats(App().Settings), "all bounds reached": full} {
		r := &hydra.Result[Stats]{Stats: s}
		r.Errors = []hydra.ErrorItem{{Op: "stat", Path: "\xff", Error: "denied", Count: 1}}
		if name == "nothing" { // no audit has such
			s.BySize, s.ByBlocks, s.ByMtime = full.BySize, full.ByBlocks, full.ByMtime
			s.ByAtime, s.ByCtime, s.ByBtime, s.Tree = full.ByAtime, full.ByCtime, full.ByBtime, stats.NewTree(0, 1)
		}
		d := document(r, &Settings{BlockSize: 8192, Top: 2})
		keys, names := map[string]bool{}, map[string]bool{}
		for _, table := range d.Tables {
			if keys[table.Key] || names[strings.ToLower(table.Name)] || len(table.Name) > 31 {
				t.Errorf("%s: table %s, %q is there twice, or its name is too long", name, table.Key, table.Name)
			}
			keys[table.Key], names[strings.ToLower(table.Name)] = true, true
			columns := map[string]bool{}
			for _, c := range table.Columns {
				if columns[c.Key] {
					t.Errorf("%s: table %s has two columns %s", name, table.Key, c.Key)
				}
				columns[c.Key] = true
			}
			for _, chart := range table.Charts {
				for _, s := range chart.Series {
					if s.Column >= len(table.Columns) || chart.Labels >= len(table.Columns) || !table.Columns[s.Column].Number {
						t.Errorf("%s: table %s has a chart of what is no column of numbers", name, table.Key)
					}
				}
			}
			for row := range table.Rows {
				if len(row) != len(table.Columns) {
					t.Errorf("%s: table %s has a row of %d cells for %d columns: %v", name, table.Key, len(row), len(table.Columns), row)
				}
				for i, cell := range row {
					switch cell.(type) {
					case string, report.Path:
						if table.Columns[i].Number {
							t.Errorf("%s: table %s, column %s has text among numbers: %v", name, table.Key, table.Columns[i].Key, cell)
						}
					}
				}
			}
		}
		for _, kind := range reports {
			if err := kind.Write(new(bytes.Buffer), r, Settings{BlockSize: 8192, Top: 2}); err != nil {
				t.Errorf("%s as %s: %v", name, kind.Ends, err)
			}
		}
	}
}

func TestAgesAreCountedToTheTimeThatIsAskedFor(t *testing.T) {
	zone := time.FixedZone("", -5*60*60)
	defer func(local *time.Location) { time.Local = local }(time.Local)
	time.Local = zone
	for text, want := range map[string]time.Time{
		"2026-01-31":                          time.Date(2026, 1, 31, 0, 0, 0, 0, zone),
		"2026-01-31 12:34":                    time.Date(2026, 1, 31, 12, 34, 0, 0, zone),
		"2026-01-31T12:34":                    time.Date(2026, 1, 31, 12, 34, 0, 0, zone),
		"2026-01-31 12:34:56":                 time.Date(2026, 1, 31, 12, 34, 56, 0, zone),
		"2026-01-31T12:34:56":                 time.Date(2026, 1, 31, 12, 34, 56, 0, zone),
		"2026-01-31T12:34:56.5":               time.Date(2026, 1, 31, 12, 34, 56, 5e8, zone),
		"2026-01-31T12:34:56Z":                time.Date(2026, 1, 31, 12, 34, 56, 0, time.UTC),
		"2026-01-31T12:34:56.123456789+02:00": time.Date(2026, 1, 31, 10, 34, 56, 123456789, time.UTC),
	} {
		var at AsOf
		if err := at.Set(text); err != nil || !at.Equal(want) || at.Location() != time.UTC {
			t.Errorf("%s is %v, %v, want %v", text, at, err, want)
		}
		var again AsOf
		if err := again.Set(at.String()); err != nil || !again.Equal(at.Time) {
			t.Errorf("%s is written as %s, which is %v, %v", text, at.String(), again, err)
		}
	}
	for _, text := range []string{"yesterday", "2026-13-01", "2026-02-30", "31.01.2026", "1234567890", "2026-01-31T12:34:56 ", "12026-01-01", "9999-12-31T23:59:59-01:00", "0000-01-01"} {
		at := AsOf{Time: time.Unix(1, 0)}
		if err := at.Set(text); err == nil || !at.Equal(time.Unix(1, 0)) || !strings.Contains(err.Error(), text) {
			t.Errorf("%q became %v, %v, want an error that names it", text, at, err)
		}
	}
}

func TestWithoutATimeAgesAreThoseAtTheStart(t *testing.T) {
	before := time.Now()
	d, _ := run(t)
	got := d.(*hydra.Result[Stats]).Stats.ReferenceTime.Time()
	if got.Before(before.Truncate(0)) || got.After(time.Now()) {
		t.Errorf("ages are those at %v, not after %v", got, before)
	}
}

func TestSettingsThatCanNotBeAreRefused(t *testing.T) {
	for _, tt := range []struct {
		flag string
		set  func(*Settings)
	}{
		{"--block-size", func(s *Settings) { s.BlockSize = 0 }}, {"--block-size", func(s *Settings) { s.BlockSize = -1 }},
		{"--tree-depth", func(s *Settings) { s.TreeDepth = -1 }}, {"--tree-depth", func(s *Settings) { s.TreeDepth = 101 }},
		{"--top", func(s *Settings) { s.Top = 0 }}, {"--top", func(s *Settings) { s.Top = 1_000_001 }},
	} {
		s := App().Settings
		tt.set(&s)
		if err := s.prepare(); err == nil || !strings.HasPrefix(err.Error(), tt.flag+" has to be ") {
			t.Errorf("%+v: %v, want an error of %s", s, err, tt.flag)
		}
	}
}
