package check

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"
	"time"
	"unicode/utf8"

	"github.com/hydrawalk/hydra"
	"github.com/hydrawalk/hydra/stats"
	"github.com/hydrawalk/hydra/stats/statstest"
	"github.com/spf13/pflag"
	"github.com/xuri/excelize/v2"
	"golang.org/x/text/unicode/norm"
)

// checked runs a check of names that need no disk.
func checked(t testing.TB, fsys fs.FS, format string, args ...string) (string, *Stats) {
	t.Helper()
	a := App()
	f := pflag.NewFlagSet("check", pflag.ContinueOnError)
	a.Flags(f, &a.Settings)
	if err := f.Parse(append(args, "--findings", format)); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	r, err := hydra.Run(t.Context(), a, []string{"."}, &hydra.Options{FS: fsys, Output: &out, Workers: 2})
	if err != nil {
		t.Fatal(err)
	}
	return out.String(), r.Stats
}

func TestLimitsAreThoseOfThePresetsUnlessTheyAreGiven(t *testing.T) {
	name := strings.Repeat("ü", 100) // 200 bytes, 100 units
	emoji := strings.Repeat("\U0001f600", 60)
	deep := strings.Repeat("d/", 110) + "x" // 221 bytes, names of one
	tree := fstest.MapFS{name: {}, emoji: {}, deep: {}}
	for _, tt := range []struct {
		args              string
		names, paths, key int
	}{
		{"--check name-length,path-length", 0, 0, 0},
		{"--check name-length,path-length --for windows", 0, 0, 0},
		{"--check name-length --max-name-bytes 200", 1, 0, 0},
		{"--check name-length --max-name-bytes 199", 2, 0, 0},
		{"--check name-length --max-name-units 100", 1, 0, 0}, // an emoji has two units
		{"--check name-length --max-name-units 120", 0, 0, 0},
		{"--check name-length --for posix-portable", 2, 0, 0},
		{"--check name-length --for posix-portable --max-name-bytes 255", 0, 0, 0},
		{"--check path-length --max-path-bytes 221", 0, 1, 0}, // the emoji has 240 bytes
		{"--check path-length --max-path-bytes 220", 0, 2, 0},
		{"--check path-length --max-path-units 221", 0, 0, 0},
		{"--check path-length --max-path-units 220", 0, 1, 0},
		{"--check path-length --max-path-units 218", 0, 2, 0}, // and the directory that holds it
	} {
		_, s := checked(t, tree, "jsonl", strings.Fields(tt.args)...)
		if int(s.NameLength) != tt.names || int(s.PathLength) != tt.paths || int(s.KeyLength) != tt.key {
			t.Errorf("%s: %d names, %d paths, %d keys, want %d, %d, %d", tt.args, s.NameLength, s.PathLength, s.KeyLength, tt.names, tt.paths, tt.key)
		}
	}
}

func TestALimitIsThatOfThePresetsIfTheyHaveOne(t *testing.T) {
	usual := Limits{NameBytes: 255, NameUnits: 255, PathBytes: 4095, KeyBytes: 1024, Size: 4 << 40, Inflation: 1 << 30}
	with := func(change func(*Limits)) Limits {
		l := usual
		change(&l)
		return l
	}
	const s3 = 50_000 << 30
	for args, want := range map[string]Limits{
		"":                                 usual,
		"--for s3":                         with(func(l *Limits) { l.Size = s3 }),
		"--for s3 --max-size 1G":           with(func(l *Limits) { l.Size = 1 << 30 }),
		"--for s3 --max-size 60T":          with(func(l *Limits) { l.Size = 60 << 40 }),
		"--max-size 5T":                    with(func(l *Limits) { l.Size = 5 << 40 }),
		"--for windows":                    with(func(l *Limits) { l.NameBytes, l.PathBytes, l.PathUnits = 0, 0, 259 }),
		"--for smb":                        with(func(l *Limits) { l.NameBytes, l.PathBytes, l.PathUnits = 0, 0, 32767 }),
		"--for smb,windows":                with(func(l *Limits) { l.NameBytes, l.PathBytes, l.PathUnits = 0, 0, 259 }),
		"--for macos":                      with(func(l *Limits) { l.PathBytes = 1023 }),
		"--for posix-portable":             with(func(l *Limits) { l.NameBytes, l.NameUnits, l.PathBytes = 14, 0, 255 }),
		"--for windows,s3 --for macos":     with(func(l *Limits) { l.PathBytes, l.PathUnits, l.Size = 1023, 259, s3 }),
		"--for windows --max-path-bytes 9": with(func(l *Limits) { l.NameBytes, l.PathBytes, l.PathUnits = 0, 9, 259 }),
	} {
		a := App()
		f := pflag.NewFlagSet("check", pflag.ContinueOnError)
		a.Flags(f, &a.Settings)
		if err := f.Parse(strings.Fields(args)); err != nil {
			t.Fatal(err)
		}
		if err := a.Prepare(&a.Settings); err != nil || a.Settings.Limits != want {
			t.Errorf("%s: %+v, %v, want %+v", args, a.Settings.Limits, err, want)
		}
	}
}

func TestPathsAreMeasuredAsTheyWillBeAtTheTarget(t *testing.T) {
	root := filepath.Join(t.TempDir(), "a-long-name-that-goes-away")
	if err := os.MkdirAll(filepath.Join(root, "sub"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "sub", "füle"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		args     []string
		dir, key int64 // longest path, in the unit of the limit
	}{
		{[]string{"--target-prefix", `D:\x`, "--max-path-units", "12"}, 13, 0},                              // D:\x\sub\füle
		{[]string{"--target-prefix", `D:\`, "--max-path-units", "10"}, 11, 0},                               // D:\sub\füle
		{[]string{"--target-prefix", `/t/`, "--max-path-bytes", "11"}, 12, 0},                               // /t/sub/füle
		{[]string{"--target-prefix", `/t`, "--max-path-bytes", "11"}, 12, 0},                                // /t/sub/füle
		{[]string{"--target-prefix", `/t`, "--max-path-bytes", "12"}, 0, 0},                                 //
		{[]string{"--target-prefix", "/" + strings.Repeat("k", 1015), "--check", "s3-key-length"}, 0, 1025}, // k.../sub/füle
		{[]string{"--target-prefix", "/" + strings.Repeat("k", 1014), "--check", "s3-key-length"}, 0, 0},
	} {
		a := App()
		f := pflag.NewFlagSet("check", pflag.ContinueOnError)
		a.Flags(f, &a.Settings)
		if err := f.Parse(append(tt.args, "--findings", "jsonl")); err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		r, err := hydra.Run(t.Context(), a, []string{root + "/"}, &hydra.Options{Output: &out})
		if err != nil {
			t.Fatal(err)
		}
		dir, key := int64(0), int64(0)
		for line := range bytes.Lines(out.Bytes()) {
			var f finding
			if err := json.Unmarshal(line, &f); err != nil {
				t.Fatal(err)
			}
			switch f.Kind {
			case targetLength:
				dir = max(dir, f.Value)
			case "err_s3_key_length":
				key = max(key, f.Value)
			}
		}
		if dir != tt.dir || key != tt.key || r.Stats.PathLength != 0 {
			t.Errorf("%.60q: paths of %d, keys of %d, want %d and %d; %d paths are too long as they are", tt.args, dir, key, tt.dir, tt.key, r.Stats.PathLength)
		}
	}
}

func TestChecksAreChosenByPresetsAndByName(t *testing.T) {
	for _, tt := range []struct {
		args string
		want set
		err  string
	}{
		{"", byDefault, ""},
		{"--for windows", byDefault | presets[0].kinds, ""},
		{"--for windows,s3 --for macos", byDefault | presets[0].kinds | presets[2].kinds | presets[3].kinds, ""},
		{"--for windows --check case,size", setOf(caseDupe, fileSize), ""},
		{"--check err_file_size", setOf(fileSize), ""},
		{"--check all --skip all", 0, "nothing is left"},
		{"--check all --skip hard-link", set(1)<<numKinds - 1 - setOf(hardLink), ""},
		{"--check nothing", 0, `"nothing" is no check; there are encoding, case,`},
		{"--for amiga", 0, `"amiga" is not known; there are windows, smb, s3, macos, posix-portable`},
		{"--max-name-units=-1", 0, "--max-name-units"},
		{"--check size --target-prefix /x", 0, "--target-prefix is for"},
	} {
		a := App()
		f := pflag.NewFlagSet("check", pflag.ContinueOnError)
		a.Flags(f, &a.Settings)
		if err := f.Parse(strings.Fields(tt.args)); err != nil {
			t.Fatal(err)
		}
		err := a.Prepare(&a.Settings)
		got, _ := kindsOf("", a.Settings.Checks)
		if (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) || err == nil && got != tt.want {
			t.Errorf("%s: %v, %v, want %v, %q", tt.args, got.keys(), err, tt.want.keys(), tt.err)
		}
	}
	// A job has them as they were, whatever the defaults of another version are.
	a := App()
	a.Settings.For = []string{"s3"}
	if err := a.Prepare(&a.Settings); err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(a.Settings)
	if err != nil {
		t.Fatal(err)
	}
	var back Settings
	if err := json.Unmarshal(text, &back); err != nil || back.Limits != a.Settings.Limits || !slices.Equal(back.Checks, a.Settings.Checks) {
		t.Errorf("%s became %+v, %v", text, back, err)
	}
	later := a.Settings
	later.Limits.Size++
	if change(a.Settings, a.Settings) != nil || change(a.Settings, later) == nil {
		t.Error("settings can be changed")
	}
}

func TestEachCounterHasItsPlace(t *testing.T) {
	s := new(Stats)
	for i, by := range counters() {
		s.of(by).Add(int64(i + 1))
		if whatOf(by) == by || len(whatOf(by)) > 49 {
			t.Errorf("%s: %q", by, whatOf(by))
		}
	}
	text, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	var fields map[string]int64
	if err := json.Unmarshal(text, &fields); err != nil {
		t.Fatal(err)
	}
	sum := int64(0)
	for i, by := range counters() {
		if fields[by] != int64(i+1) {
			t.Errorf("%s is %d in JSON, want %d", by, fields[by], i+1)
		}
		sum += int64(i + 1)
	}
	if s.found() != sum {
		t.Errorf("%d problems, want %d", s.found(), sum)
	}
	var b strings.Builder
	if err := summarize(&b, &hydra.Result[Stats]{Stats: s}); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(b.String()) {
		if n := utf8.RuneCountInString(line); n > 81 {
			t.Errorf("%d columns: %q", n, line)
		}
	}
}

// Two names have one key exactly if they are the same text but for case and form.
func TestNamesThatAreAlikeHaveOneKey(t *testing.T) {
	alike := [][]string{
		{"a", "A"}, {"README", "readme", "ReadMe"}, {"\u00e9", "e\u0301", "\u00c9", "E\u0301"},
		{"\u03a3", "\u03c3", "\u03c2"}, {"K", "k", "\u212a"}, {"\u01c4", "\u01c5", "\u01c6"}, {"s", "S", "\u017f"},
		{"\u1e69", "s\u0323\u0307", "s\u0307\u0323", "\u1e63\u0307"}, {"\xff", "\xff"}, {"X\xff\u00c4", "x\xff\u00e4"},
		{"\u00df", "\u1e9e"}, {"ss"}, {"\u0131"}, {"i", "I"}, {"\xe4"}, {"\xc4"}, {"\uac00", "\u1100\u1161"}, {"1"}, {"a b"}, {"ab"},
	}
	seen := map[string]string{}
	for _, group := range alike {
		first := string(key(nil, []byte(group[0])))
		if other, ok := seen[first]; ok {
			t.Errorf("%q and %q have one key", group[0], other)
		}
		seen[first] = group[0]
		for _, name := range group {
			if got := string(key(nil, []byte(name))); got != first {
				t.Errorf("the key of %q is %q, and of %q it is %q", name, got, group[0], first)
			}
		}
	}
}

func FuzzTheKeyIsThatOfEveryForm(f *testing.F) {
	f.Add([]byte("Stra\u00dfe\u0301\xff"))
	f.Add([]byte("\u0345\u03b1\u0313"))
	f.Fuzz(func(t *testing.T, name []byte) {
		want := string(key([]byte("kept"), name))
		if string(key(nil, name)) != want && "kept"+string(key(nil, name)) != want {
			t.Errorf("the key of %q depends on the buffer", name)
		}
		want = string(key(nil, name))
		for _, form := range [][]byte{norm.NFC.Bytes(name), norm.NFD.Bytes(name)} {
			if got := string(key(nil, form)); got != want {
				t.Errorf("the key of %q is %q, of %q it is %q", name, want, form, got)
			}
		}
		if got := string(key(nil, []byte(want))); got != want {
			t.Errorf("the key of %q is %q, and its own %q", name, want, got)
		}
	})
}

// fake is a file system of links: a target, "/" for a directory, "" for a file.
type fake map[string]string

type fakeInfo struct {
	fs.FileInfo
	mode fs.FileMode
	dev  uint64
}

func (f fakeInfo) Mode() fs.FileMode { return f.mode }
func (f fakeInfo) IsDir() bool       { return f.mode.IsDir() }

func TestLinksAreResolvedWithoutLeavingTheRoot(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("paths of this test are those of other systems")
	}
	const root = "/r/oot"
	tree := fake{
		"": "/", "/d": "/", "/d/e": "/", "/f": "", "/d/f": "", "/to-d": "d", "/d/up": "..", "/out": "../x", "/abs": "/r/oot/d", "/absout": "/etc",
		"/mnt": "dev", "/mnt/x": "", "/denied": "eacces", "/l1": "l2", "/l2": "l1", "/d/\xff": "", "/climb": "d/../../oot/f",
	}
	for i := range 50 {
		tree[fmt.Sprint("/n", i)] = fmt.Sprint("n", i+1)
	}
	tree["/n50"] = ""
	asked := 0
	r := resolver{
		lstat: func(path string) (fs.FileInfo, error) {
			asked++
			below, ok := strings.CutPrefix(path, root)
			if !ok || strings.Contains(path, "..") {
				t.Errorf("%q was looked at, which is not below the root", path)
			}
			what, ok := tree[below]
			parent := tree[below[:max(strings.LastIndexByte(below, '/'), 0)]]
			switch {
			case below != "" && parent != "/":
				t.Errorf("%q was looked at, which is behind %q", path, parent)
				return nil, fs.ErrNotExist
			case !ok:
				return nil, &fs.PathError{Op: "lstat", Path: path, Err: syscall.ENOENT}
			case what == "/":
				return fakeInfo{mode: fs.ModeDir}, nil
			case what == "dev":
				return fakeInfo{mode: fs.ModeDir, dev: 7}, nil
			case what == "eacces":
				return nil, syscall.EACCES
			case what == "":
				return fakeInfo{}, nil
			}
			return fakeInfo{mode: fs.ModeSymlink}, nil
		},
		readlink: func(path string) (string, error) { return tree[strings.TrimPrefix(path, root)], nil },
		deviceOf: func(info fs.FileInfo) (uint64, bool) { return info.(fakeInfo).dev, true },
	}
	for _, tt := range []struct {
		dir, target string
		want        fate
	}{
		{"", "f", inside}, {"", "./f", inside}, {"", "d//f", inside}, {"", ".", inside}, {"/d", "..", inside}, {"/d", "../f", inside},
		{"", "g", broken}, {"", "f/g", broken}, {"", "d/g", broken}, {"", "d/\xff", inside}, {"", "d/\xfe", broken},
		{"", "..", outside}, {"/d", "../..", outside}, {"/d", "../../oot/f", outside}, {"", "/etc/passwd", outside}, {"", "/r", outside}, {"", "/r/ootx", outside},
		{"", "/r/oot", inside}, {"/d", "/r/oot/f", inside}, {"/d", "/r//oot/./g", broken}, {"", "/r/oot/../x", outside},
		{"", "to-d/f", inside}, {"", "to-d/up/f", inside}, {"", "to-d/..", inside}, {"", "to-d/../f", inside}, {"", "to-d/e/../f", inside}, {"", "d/up/up", broken},
		{"", "out", outside}, {"", "abs/f", inside}, {"", "absout/x", outside}, {"", "climb", outside},
		{"", "mnt", inside}, {"", "mnt/x", unknown}, {"", "denied", unknown}, {"", "denied/x", unknown},
		{"", "l1", looping}, {"", "n20", inside}, {"", "n0", looping}, {"", "", inside},
	} {
		asked = 0
		if got := r.resolve(root, tt.dir, tt.target); got != tt.want {
			t.Errorf("from %q to %q: %v, want %v", tt.dir, tt.target, got, tt.want)
		}
		if asked > 200 {
			t.Errorf("from %q to %q: %d questions", tt.dir, tt.target, asked)
		}
	}
}

func TestLinksMergeInAnyOrder(t *testing.T) {
	statstest.TestMerge(t, 0, func(r *rand.Rand) *Stats {
		s := new(Stats)
		for range r.IntN(20) {
			var id identity
			id[0] = byte(r.IntN(8))
			s.Links.add(id, []string{"/a", "/b", "/\xff", ""}[r.IntN(4)])
		}
		for _, by := range counters() {
			if r.IntN(3) == 0 {
				s.of(by).Add(int64(r.IntN(5)))
			}
		}
		if r.IntN(4) == 0 {
			s.LeftOut.See(1)
		}
		return s
	})
}

// What statistics count of files with several names is what the output tells, also if
// there are more than are kept, however they were dealt.
func TestOfTooManyHardLinksAllKeepTheSame(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Log("seed", seed)
	rnd := rand.New(rand.NewPCG(seed, 1))
	n := 3*mostLinked + 1000
	type name struct {
		id   identity
		root string
	}
	var names []name
	for range n {
		var id identity
		for i := range id {
			id[i] = byte(rnd.Uint32())
		}
		names = append(names, name{id, "/a"})
		if rnd.IntN(2) == 0 {
			names = append(names, name{id, "/b"})
		}
	}
	rnd.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	parts := []Stats{{}, {}, {}}
	var j joiner
	for i, m := range names {
		if parts[i%3].Links.add(m.id, m.root) {
			f := &finding{Kind: candidate, ID: m.id[:], Root: []byte(m.root), Path: stats.PathOf(m.root + fmt.Sprint("/", i))}
			if err := j.add(f); err != nil {
				t.Fatal(err)
			}
		}
	}
	var all Stats
	for i := range parts {
		if err := stats.Merge(&all, &parts[i]); err != nil {
			t.Fatal(err)
		}
	}
	all.compare()
	if got := len(j.findings()); got != int(all.HardLink) || got < mostLinked/3 || all.LeftOut != 1 || !all.Links.IsZero() {
		t.Errorf("%d findings, %d are counted; left out: %d", got, all.HardLink, all.LeftOut)
	}
}

func TestAJoinedFileHasItsFirstNames(t *testing.T) {
	var id identity
	fs := []finding{
		{Root: []byte("/b"), Path: stats.PathOf("/b/1")}, {Root: []byte("/b"), Path: stats.PathOf("/b/0")}, {Root: []byte("/a"), Path: stats.PathOf("/a/2")},
		{Root: []byte("/c"), Path: stats.PathOf("/c/0")}, {Root: []byte("/a"), Path: stats.PathOf("/a/1")},
	}
	for range 50 {
		rand.Shuffle(len(fs), func(i, j int) { fs[i], fs[j] = fs[j], fs[i] })
		var j joiner
		for _, f := range fs {
			f.ID = id[:]
			if err := j.add(&f); err != nil {
				t.Fatal(err)
			}
		}
		got := j.findings()
		if len(got) != 1 || got[0].Path.String() != "/a/1" || got[0].OtherPath != "/b/0" {
			t.Fatalf("%+v", got[0])
		}
	}
	if err := new(joiner).add(&finding{ID: []byte{1}}); err == nil {
		t.Error("an identity that is too short is taken")
	}
}

// hostile is a tree whose names would do harm in a terminal, or in a spreadsheet.
var hostile = fstest.MapFS{
	"esc\x1b[31m": {}, "=cmd()": {}, "A": {}, "a": {}, "trail ": {}, "caf\u00e9": {}, "cafe\u0301": {}, "-x": {}, "two\nlines": {},
}

func TestFindingsAreATableForPeople(t *testing.T) {
	out, s := checked(t, hostile, "table")
	if strings.ContainsAny(out, "\x1b\u0301") {
		t.Errorf("it has raw names: %q", out)
	}
	got := slices.Collect(strings.Lines(out))
	if len(got) != int(s.found())+1 {
		t.Errorf("%d lines, want %d findings and a head", len(got), s.found())
	}
	if got[0] != "CHECK             PATH: DETAIL\n" {
		t.Errorf("the head is %q", got[0])
	}
	for _, want := range []string{
		"control           \"esc\\x1b[31m\": U+001B at 3\n", "case              a: differs only by case, see A\n", "trailing-blank    \"trail \"\n",
		"normalization     \"caf\\u00e9\": is the same text in another normal form, see \"cafe\\u0301\"\n", "leading-dash      -x\n",
		"control           \"two\\nlines\": U+000A at 3\n",
	} {
		if !slices.Contains(got, want) {
			t.Errorf("%q is missing in %q", want, got)
		}
	}
	if out, _ := checked(t, fstest.MapFS{"fine": {}}, "table"); out != "" {
		t.Errorf("of nothing it says %q", out)
	}
}

func TestFindingsAreTablesForPrograms(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir()) // nothing of others is in it
	out, s := checked(t, hostile, "csv", "--check", "all", "--skip", "hard-link")
	rows, err := csv.NewReader(strings.NewReader(out)).ReadAll()
	if err != nil || len(rows) != int(s.found())+1 {
		t.Errorf("%d rows, %v, want %d and a head", len(rows), err, s.found())
	}
	if want := "check,path,path_b64,type,detail,value,limit,other_path,other_path_b64,target_path,target_path_b64,kind"; strings.Join(rows[0], ",") != want {
		t.Errorf("%q, want %s", rows[0], want)
	}
	if !slices.ContainsFunc(rows, func(r []string) bool { return r[0] == "posix-chars" && r[1] == "'=cmd()" && r[2] != "" }) {
		t.Error("a formula is one")
	}

	out, s = checked(t, hostile, "xlsx")
	book, err := excelize.OpenReader(strings.NewReader(out))
	if err != nil {
		t.Fatal(err)
	}
	defer book.Close()
	rows, err = book.GetRows("Findings")
	if err != nil || len(rows) != int(s.found())+1 || rows[0][0] != "Check" {
		t.Errorf("%d rows, %v, want %d and a head", len(rows), err, s.found())
	}
	left, err := filepath.Glob(filepath.Join(os.TempDir(), "hydra-check-*"))
	if err != nil || len(left) > 0 {
		t.Errorf("%q remain, %v", left, err)
	}
}

// failing fails after some writes.
type failing struct{ left int }

var errFull = errors.New("full")

func (f *failing) Write(p []byte) (int, error) {
	if f.left--; f.left < 0 {
		return 0, errFull
	}
	return len(p), nil
}

func TestAnOutputThatFailsSaysSo(t *testing.T) {
	line, _ := json.Marshal(finding{Kind: "err_file_size", Check: "size", Path: stats.PathOf("/x")})
	line = append(line, '\n')
	for _, format := range formats {
		for left := range 2 {
			o, err := newOutput(formatFlag(format), &failing{left})
			if err != nil {
				t.Fatal(err)
			}
			for range 10_000 {
				if _, err = o.Write(line); err != nil {
					break
				}
			}
			if err := errors.Join(err, o.Close()); !errors.Is(err, errFull) {
				t.Errorf("%s after %d writes: %v", format, left, err)
			}
		}
		o, err := newOutput(formatFlag(format), io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := o.Write([]byte("{\n")); err == nil {
			t.Errorf("%s takes what is no finding", format)
		}
		if err := o.Close(); err == nil {
			t.Errorf("%s forgets what it was given", format)
		}
	}
}

func TestNothingIsAllocatedPerCleanName(t *testing.T) {
	count := func(files int) float64 {
		root := t.TempDir()
		for i := range files {
			if err := os.WriteFile(filepath.Join(root, fmt.Sprint("File-", i, ".txt")), nil, 0o666); err != nil {
				t.Fatal(err)
			}
		}
		app := App()
		app.Settings.Only = []string{"all"}
		return testing.AllocsPerRun(5, func() {
			if _, err := hydra.Run(context.Background(), app, []string{root}, &hydra.Options{Workers: 1, Output: io.Discard}); err != nil {
				t.Fatal(err)
			}
		})
	}
	if few, many := count(10), count(5000); runtime.GOOS == "linux" && many-few > 300 {
		t.Errorf("%v allocations for 10 files, %v for 5,000", few, many)
	}
}

func BenchmarkCheck(b *testing.B) {
	root := b.TempDir()
	const files = 10_000
	for i := range files {
		if err := os.WriteFile(filepath.Join(root, fmt.Sprint("File-", i, ".txt")), nil, 0o666); err != nil {
			b.Fatal(err)
		}
	}
	for _, only := range [][]string{nil, {"encoding"}, {"case", "normalization"}} {
		b.Run(fmt.Sprint(only), func(b *testing.B) {
			app := App()
			app.Settings.Only = only
			b.ReportAllocs()
			for b.Loop() {
				if _, err := hydra.Run(b.Context(), app, []string{root}, &hydra.Options{Workers: 1, Output: io.Discard}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
