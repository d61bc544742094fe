package find

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hydrawalk/hydra"
	"github.com/spf13/pflag"
)

// find runs a search, and returns what is printed.
func find(t testing.TB, o *hydra.Options, roots []string, args ...string) (string, *hydra.Result[Stats]) {
	t.Helper()
	app := App()
	f := pflag.NewFlagSet("", pflag.ContinueOnError)
	app.Flags(f, &app.Settings)
	if err := f.Parse(args); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if o == nil {
		o = &hydra.Options{}
	}
	o.Output = &out
	r, err := hydra.Run(t.Context(), app, roots, o)
	if err != nil {
		t.Fatal(err)
	}
	return out.String(), r
}

func sorted(items []string) []string {
	slices.Sort(items)
	return items
}

// records are the parts of text that end with a byte.
func records(t testing.TB, text, end string) []string {
	t.Helper()
	if text == "" {
		return nil
	}
	if !strings.HasSuffix(text, end) {
		t.Fatalf("it does not end with %q: %q", end, text[max(0, len(text)-40):])
	}
	return strings.Split(strings.TrimSuffix(text, end), end)
}

var hostile = []string{
	"plain", "-rf", "$(touch x)", "; rm -rf ~", "a b", "new\nline", "tab\t", "\x1b[31mred", "\xff\xfe", "caf\xc3\xa9", "cafe\xcc\x81",
	strings.Repeat("n", 255), "*", "[a", "back\\slash", "'", `"`, "\u202egnp.exe", "trailing ", ".hidden", "...", "{}", "%s",
}

// grow makes a tree with all kinds of entries.
func grow(t testing.TB, r *rand.Rand, n int) string {
	t.Helper()
	root := t.TempDir()
	dirs := []string{root}
	used := map[string]bool{}
	for i := range n {
		name := hostile[r.IntN(len(hostile))]
		if r.IntN(2) == 0 {
			name = fmt.Sprintf("f%d.%s", i, []string{"c", "h", "tar.gz", "C", "x y"}[r.IntN(5)])
		}
		path := filepath.Join(dirs[r.IntN(len(dirs))], name)
		if used[path] {
			continue
		}
		used[path] = true
		var err error
		switch k := r.IntN(10); {
		case k < 3:
			if err = os.Mkdir(path, 0o755); err == nil {
				dirs = append(dirs, path)
			}
		case k == 3:
			err = os.Symlink([]string{"/", "nowhere", ".", name}[r.IntN(4)], path)
		case k == 4:
			err = fifo(path)
		default:
			err = os.WriteFile(path, make([]byte, r.IntN(3000)), fs.FileMode(0o400|r.IntN(0o400)))
			at := now.Add(-time.Duration(r.IntN(100)) * time.Hour)
			err = errors.Join(err, os.Chtimes(path, at.Add(time.Hour), at))
		}
		if err != nil {
			t.Skipf("no tree with %q here: %v", name, err)
		}
	}
	return root
}

var now = time.Now().Truncate(time.Second)

func seed(t testing.TB) *rand.Rand {
	n := uint64(time.Now().UnixNano())
	if text := os.Getenv("HYDRA_TEST_SEED"); text != "" {
		n, _ = strconv.ParseUint(text, 10, 64)
	}
	t.Logf("HYDRA_TEST_SEED=%d", n)
	return rand.New(rand.NewPCG(n, 1))
}

func TestItFindsWhatGNUFindDoes(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("GNU find is that of Linux")
	}
	if version, err := exec.Command("find", "--version").Output(); err != nil || !bytes.Contains(version, []byte("GNU findutils")) {
		t.Skip("there is no GNU find here")
	}
	r := seed(t)
	for round := range 5 {
		root := grow(t, r, 300)
		asOf := now.Add(time.Duration(r.IntN(60)) * time.Minute)
		minutes := r.IntN(6000) + 1
		size := r.IntN(3000)
		// The age of GNU find is in whole minutes, so it is told a time.
		older := asOf.Add(-time.Duration(minutes) * time.Minute).UTC().Format("2006-01-02 15:04:05 UTC")
		for _, c := range []struct{ ours, theirs []string }{
			{nil, nil},
			{[]string{"--name", "*.c"}, []string{"-name", "*.c"}},
			{[]string{"--name", "*.c", "--name", "f*"}, []string{"(", "-name", "*.c", "-o", "-name", "f*", ")"}},
			{[]string{"--type", "d"}, []string{"-type", "d"}},
			{[]string{"--type", "l,p"}, []string{"-type", "l,p"}},
			{[]string{"--name", "[!f]*", "--type", "f"}, []string{"-name", "[!f]*", "-type", "f"}},
			{[]string{"--size", fmt.Sprintf("+%d", size)}, []string{"-type", "f", "-size", fmt.Sprintf("+%dc", size)}},
			{[]string{"--size", fmt.Sprintf("-%d", size+1)}, []string{"-type", "f", "-size", fmt.Sprintf("-%dc", size+1)}},
			{[]string{"--older-than", fmt.Sprintf("%dm", minutes), "--as-of", asOf.Format(time.RFC3339), "--type", "f"}, []string{"-type", "f", "!", "-newermt", older, "!", "-newermt", older}},
			{[]string{"--newer-than", fmt.Sprintf("%dm", minutes), "--as-of", asOf.Format(time.RFC3339)}, []string{"-newermt", older}},
			{[]string{"--owner", strconv.Itoa(os.Getuid()), "--filter", "nlink > 2"}, []string{"-uid", strconv.Itoa(os.Getuid()), "-links", "+2"}},
			{[]string{"--filter", `type == "f" and bitand(mode, 0o200) != 0`}, []string{"-type", "f", "-perm", "-200"}},
			{[]string{"--filter", `depth >= 3`}, []string{"-mindepth", "3"}},
		} {
			out, err := exec.Command("find", append(append([]string{root}, c.theirs...), "-print0")...).Output()
			if err != nil {
				t.Fatal(err)
			}
			want := sorted(records(t, string(out), "\x00"))
			if slices.Contains(c.theirs, "!") {
				// Not newer is older or just as old, which is not older.
				want = slices.DeleteFunc(want, func(path string) bool {
					st, err := os.Lstat(path)
					return err == nil && st.ModTime().Equal(asOf.Add(-time.Duration(minutes)*time.Minute))
				})
			}
			text, res := find(t, &hydra.Options{Workers: 1 + r.IntN(8)}, []string{root}, append([]string{"-0"}, c.ours...)...)
			if diff := cmp.Diff(want, sorted(records(t, text, "\x00"))); diff != "" {
				t.Errorf("round %d, %q (-find +hydra):\n%.2000s", round, c.ours, diff)
			}
			if int(res.Stats.Matched) != len(want) || res.Stats.Files+res.Stats.Dirs+res.Stats.Symlinks+res.Stats.Others != res.Stats.Matched {
				t.Errorf("%q: counted %+v, found %d", c.ours, res.Stats, len(want))
			}
		}
	}
}

func TestHostileNamesComeOutAsTheyAre(t *testing.T) {
	root := t.TempDir()
	want := []string{root}
	for _, name := range hostile {
		path := filepath.Join(root, name)
		if err := os.WriteFile(path, []byte("12345"), 0o600); err != nil {
			t.Skip(err)
		}
		want = append(want, path)
	}
	sorted(want)
	text, _ := find(t, nil, []string{root}, "-0")
	if diff := cmp.Diff(want, sorted(records(t, text, "\x00"))); diff != "" {
		t.Errorf("-0: %s", diff)
	}
	text, _ = find(t, nil, []string{root}, "-0", "--sort", "path")
	if diff := cmp.Diff(want, records(t, text, "\x00")); diff != "" {
		t.Errorf("sorted: %s", diff)
	}
	var fromJSON, fromCSV []string
	text, _ = find(t, nil, []string{root}, "--jsonl")
	for _, line := range records(t, text, "\n") {
		var e struct {
			Path string `json:"path"`
			Raw  []byte `json:"path_b64"`
			Type string
			Size int64
		}
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatal(err)
		}
		if e.Raw != nil {
			e.Path = string(e.Raw)
		}
		if e.Type == "f" && e.Size != 5 {
			t.Errorf("%s", line)
		}
		fromJSON = append(fromJSON, e.Path)
	}
	if diff := cmp.Diff(want, sorted(fromJSON)); diff != "" {
		t.Errorf("JSON: %s", diff)
	}
	text, _ = find(t, nil, []string{root}, "--csv", "--sort=-path")
	rows, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil || strings.Join(rows[0], ",") != strings.Join(csvHeader, ",") {
		t.Fatal(rows, err)
	}
	for _, row := range rows[1:] {
		path := row[0]
		if row[1] != "" {
			var raw []byte
			if err := json.Unmarshal([]byte(`"`+row[1]+`"`), &raw); err != nil {
				t.Fatal(err)
			}
			path = string(raw)
		}
		fromCSV = append(fromCSV, path)
	}
	slices.Reverse(fromCSV)
	if diff := cmp.Diff(want, fromCSV); diff != "" {
		t.Errorf("CSV: %s", diff)
	}
	for _, expr := range []string{`name matches "."`, `len(path) > 0`, `ext != "zz"`, `path startsWith "/" or true`, `name contains "a" or not (name contains "a")`} {
		text, res := find(t, nil, []string{root}, "-0", "--filter", expr)
		if got := len(records(t, text, "\x00")); got != len(want) || !res.IsComplete() {
			t.Errorf("%s: %d of %d, %v", expr, got, len(want), res.Errors)
		}
	}
}

func TestARootIsFoundWhateverItIs(t *testing.T) {
	root := t.TempDir()
	file := filepath.Join(root, "one.c")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for args, want := range map[string]string{
		"":                        file,
		"--name one.c":            file,
		"--name *.c --type f":     file,
		"--name *.h":              "",
		"--size 0":                file,
		"--filter name=='one.c'":  file,
		"--filter depth==0":       file,
		"--type d":                "",
		"--sort name --name o*.c": file,
	} {
		text, res := find(t, nil, []string{file}, strings.Fields(args)...)
		if strings.TrimSuffix(text, "\n") != want || !res.IsComplete() {
			t.Errorf("%q: %q, want %q", args, text, want)
		}
	}
	base := filepath.Base(root)
	text, _ := find(t, nil, []string{root + "/"}, "--name", base)
	if text != root+"\n" {
		t.Errorf("%q, want %s", text, root)
	}
	text, _ = find(t, nil, []string{root}, "--filter", "name=='"+base+"' and size >= 0 and type == 'd'")
	if text != root+"\n" {
		t.Errorf("%q, want %s", text, root)
	}
}

func TestOrdersAndTheirLimits(t *testing.T) {
	fsys := fstest.MapFS{}
	at := time.Unix(1e9, 0)
	for i, name := range []string{"c", "a", "d/b", "d/e"} {
		fsys[name] = &fstest.MapFile{Data: make([]byte, 10*(4-i)), ModTime: at.Add(time.Duration(i-1) * time.Hour)}
	}
	for args, want := range map[string]string{
		"--sort path":           "a c d/b d/e",
		"--sort=-path":          "d/e d/b c a",
		"--sort name":           "a d/b c d/e",
		"--sort=-name":          "d/e c d/b a",
		"--sort size":           "d/e d/b a c",
		"--sort=-size":          "c a d/b d/e",
		"--sort mtime":          "c a d/b d/e",
		"--sort=-mtime":         "d/e d/b a c",
		"--sort size --limit 2": "d/e d/b",
		"--sort size --limit 9": "d/e d/b a c",
	} {
		text, _ := find(t, &hydra.Options{FS: fsys}, []string{"."}, append(strings.Fields(args), "--type", "f")...)
		if got := strings.Join(strings.Fields(text), " "); got != want {
			t.Errorf("%s: %s, want %s", args, got, want)
		}
	}
}

func TestWhatDoesNotFitIntoMemoryIsSortedToo(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	r := seed(t)
	for _, c := range []struct {
		n, memory, limit int
		order            string
	}{{5000, 2000, 0, "path"}, {5000, 2000, 0, "-path"}, {30, 1, 0, "path"}, {5000, 2000, 100, "path"}, {5000, 1 << 20, 7, "-path"}, {0, 10, 0, "path"}} {
		var out bytes.Buffer
		s := newSorter(&Settings{Sort: c.order, Limit: c.limit}, &out)
		s.memory = c.memory
		var want []string
		for range c.n {
			path := fmt.Sprintf("%d/%s", r.IntN(1000000), strings.Repeat("x", r.IntN(30)))
			want = append(want, path)
			frame := append([]byte{byte(len(path))}, path...)
			line := append([]byte{byte(len(path) + 1)}, path+"\n"...)
			if _, err := s.Write(append(frame, line...)); err != nil {
				t.Fatal(err)
			}
		}
		if c.n > 1000 && c.memory < 1<<20 && len(s.runs) < 2 {
			t.Errorf("%+v: %d runs: the test says little", c, len(s.runs))
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		slices.Sort(want)
		if c.order == "-path" {
			slices.Reverse(want)
		}
		if c.limit > 0 {
			want = want[:min(c.limit, len(want))]
		}
		if diff := cmp.Diff(want, records(t, out.String(), "\n")); c.n > 0 && diff != "" {
			t.Errorf("%+v: %.1000s", c, diff)
		}
	}
	if left, err := os.ReadDir(os.Getenv("TMPDIR")); err != nil || len(left) > 0 {
		t.Errorf("files are left: %v, %v", left, err)
	}
}

func TestNothingIsAskedForWithoutNeed(t *testing.T) {
	for args, need := range map[string]bool{
		"":                            false,
		"--name *.c --type f":         false,
		"--filter name=='a'":          false,
		"--filter depth>1||type=='d'": false,
		"--filter ext=='c'":           false,
		"--sort path":                 false,
		"--sort name":                 false,
		"--filter size>1":             true,
		"--filter owner=='x'":         true,
		"--sort size":                 true,
		"--long":                      true,
		"--csv":                       true,
		"--jsonl":                     true,
		"--newer-than 1d":             true,
	} {
		s := App().Settings
		f := pflag.NewFlagSet("", pflag.ContinueOnError)
		flags(f, &s)
		if err := f.Parse(strings.Fields(args)); err != nil {
			t.Fatal(err)
		}
		if got := s.fields() != 0; got != need {
			t.Errorf("%q needs attributes: %v, want %v", args, got, need)
		}
	}
}

func TestAWrongFilterSaysWhere(t *testing.T) {
	for filter, want := range map[string]string{
		"sise > 1":             "unknown name sise (1:1)",
		"size > 'a'":           "(1:6)",
		"size":                 "expected bool, but got int",
		"name matches '['":     "error parsing regexp",
		"now() > mtime":        "now",
		"size >":               "unexpected token EOF",
		"name == 'a' && owner": "(1:",
	} {
		s := App().Settings
		s.Filter = filter
		if err := s.prepare(); err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "--filter: ") {
			t.Errorf("%s: %v, want %s", filter, err, want)
		}
	}
}

func TestAFilterThatIsNotMeantIsRefused(t *testing.T) {
	for filter, want := range map[string]string{
		// As octal numbers are written elsewhere.
		"mode == 0644":                        "0644 would not be octal: write 0o644 (1:9)",
		"mode in [0o755, 0_600]":              "0_600 would not be octal: write 0o600 (1:17)",
		"nlink == 089":                        "089 begins with 0: write 89 (1:10)",
		"name == '\xff0644' and mode == 0755": "write 0o755 (1:29)",
		"mode == 0o644 or mode == 0":          "",
		"mode == 0x1a4 or depth == 00":        "",
		"age > 0.5 and age < 01.5":            "",
		"name == '0644' // 0644":              "",

		// As sizes are written elsewhere.
		"size > 10M":              `bad number syntax: "10M": sizes are written as 10*MiB (1:10)`,
		"size > 1MiB":             "10*MiB",
		"size > 1.5g":             "10*MiB",
		"size > 2 GB and age > 1": `unexpected token Identifier("GB"): sizes are written as 10*MiB (1:10)`,
		"size > 10x":              `bad number syntax: "10x" (1:10)`,
		"size > 1 and and":        "unexpected token Operator",

		// What fails for every entry.
		`mtime > date("yesterday")`:                              `invalid date yesterday: write it as "2026-01-31" or "2026-01-31 15:04:05" (1:9)`,
		`mtime > date("2026-11-28 12:00")`:                       "invalid date 2026-11-28 12:00",
		`as_of - mtime > duration("30d")`:                        "its units are h, m and s (1:17)",
		`false and date("x").Year() > 1`:                         "invalid date x",
		`mtime > date("1st") or mtime < date("2nd")`:             "invalid date 1st",
		`nlink > int("many")`:                                    "(1:9)",
		`any(["a"], mtime > date("b"))`:                          "invalid date b",
		`size > int(name)`:                                       "",
		`any(["a"], mtime > date(#))`:                            "",
		`let d = date("c"); mtime > d`:                           "invalid date c",
		`mtime > date("2026-11-28") + duration("1h30m")`:         "",
		`mtime > date("2026-11-28", "2006-01-02", "Asia/Tokyo")`: "",
		`size in map(1..3, # * MiB) or name == repeat("a", 3)`:   "",
	} {
		s := App().Settings
		s.Filter = filter
		if err := s.prepare(); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", filter, err, want)
		}
	}
}

func TestTheFiltersInTheHelpAreRight(t *testing.T) {
	filters := regexp.MustCompile(`--filter '([^']+)'`).FindAllStringSubmatch(App().Example, -1)
	if len(filters) < 2 {
		t.Errorf("there are %d", len(filters))
	}
	for _, f := range filters {
		s := App().Settings
		s.Filter = f[1]
		if err := s.prepare(); err != nil {
			t.Error(err)
		}
	}
}

func TestAFilterThatFailsForAnEntryIsAnError(t *testing.T) {
	text, res := find(t, &hydra.Options{FS: fstest.MapFS{"a": {}, "abc": {}, "dd/x": {}}}, []string{"."}, "--filter", `split(name, "b")[1] == "c"`)
	// The root, a, and in it what is a directory too.
	if text != "abc\n" || res.IsComplete() || res.Walked.Errors != 4 || res.ErrorCounts[hydra.OpSelect] != 2 {
		t.Errorf("%q, %d errors: %v", text, res.Walked.Errors, res.Errors)
	}
}

func TestCallsThatMeanNothing(t *testing.T) {
	for args, want := range map[string]string{
		"--limit 3":          "give --sort too",
		"--limit -1":         "--limit can not be negative",
		"--sort inode":       `"inode" is no order`,
		"--long --csv":       "contradict each other",
		"--jsonl --long":     "contradict each other",
		"--jsonl=maybe":      "neither true nor false",
		"--long --long=true": "",
		"--sort=":            `"" is no order`,
		"--filter=":          "it is empty",
	} {
		s := App().Settings
		f := pflag.NewFlagSet("", pflag.ContinueOnError)
		flags(f, &s)
		err := f.Parse(strings.Fields(args))
		if err == nil {
			err = s.prepare()
		}
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", args, err, want)
		}
	}
}

// tty is a terminal.
type tty struct{ bytes.Buffer }

func (*tty) IsTerminal() bool { return true }

func TestOnATerminalNamesAreHarmless(t *testing.T) {
	for _, c := range []struct {
		s        Settings
		in, want string
	}{
		{Settings{Format: asText}, "a\nb\x00\x1b[2J\x00\xff\x00caf\u00e9\x00\u202e\x00", "a\\nb\n\\x1b[2J\n\\xff\ncaf\u00e9\n\\u202e\n"},
		{Settings{Format: asText, Null: true}, "a\nb\x00", "a\\nb\x00"},
		{Settings{Format: asJSONL}, "{\"path\":\"\x7f\"}\n", "{\"path\":\"\\x7f\"}\n"},
	} {
		var screen tty
		w, err := newWriter(&c.s, &screen)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(c.in)); err != nil {
			t.Fatal(err)
		}
		if screen.String() != c.want {
			t.Errorf("%q, want %q", screen.String(), c.want)
		}
	}
}

func TestModesAreWrittenAsLsDoes(t *testing.T) {
	for want, mode := range map[string]fs.FileMode{
		"-rwxr-x--x": 0o751, "drwxrwxrwt": fs.ModeDir | fs.ModeSticky | 0o777, "-rwsr-Sr-T": fs.ModeSetuid | fs.ModeSetgid | fs.ModeSticky | 0o744,
		"lrwxrwxrwx": fs.ModeSymlink | 0o777, "crw-------": fs.ModeDevice | fs.ModeCharDevice | 0o600, "brw-rw----": fs.ModeDevice | 0o660, "---S------": fs.ModeSetuid,
	} {
		if got := string(appendMode(nil, mode.Type(), mode)); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

func TestASearchIsNotChangedWhileItRuns(t *testing.T) {
	a := App()
	b := a.Settings
	b.Null = true
	if change(a.Settings, a.Settings) != nil || change(a.Settings, b) == nil {
		t.Error("a change is allowed, or none is refused")
	}
}

func BenchmarkFind(b *testing.B) {
	root := b.TempDir()
	for i := range 100 {
		dir := filepath.Join(root, fmt.Sprint("directory", i))
		if err := os.Mkdir(dir, 0o755); err != nil {
			b.Fatal(err)
		}
		for j := range 100 {
			if err := os.WriteFile(filepath.Join(dir, fmt.Sprint("file", j)), nil, 0o600); err != nil {
				b.Fatal(err)
			}
		}
	}
	for name, filter := range map[string]string{"all": "", "filter": `name endsWith "7" and depth > 1`} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			app := App()
			app.Settings.Filter = filter
			for b.Loop() {
				if _, err := hydra.Run(context.Background(), app, []string{root}, &hydra.Options{Workers: 2, Output: &bytes.Buffer{}}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
