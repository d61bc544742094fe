package selection

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/hydrawalk/hydra"
	"github.com/hydrawalk/hydra/walk"
	"github.com/spf13/pflag"
)

// asked is a selection as a user says it, and what it means, told in the slowest way.
type asked struct {
	args []string
	// each has to hold of an entry
	all []func(x *item) bool
}

type item struct {
	name string
	st   walk.Stat
}

func (x *item) kind() fs.FileMode { return x.st.Mode.Type() }

var asOf = time.Date(2026, 3, 1, 12, 0, 0, 500, time.UTC)

func random(r *rand.Rand) asked {
	a := asked{args: []string{"--as-of", asOf.Format(time.RFC3339Nano)}}
	add := func(flag, value string, f func(x *item) bool) {
		a.args = append(a.args, "--"+flag, value)
		a.all = append(a.all, f)
	}
	some := func(of []string) []string {
		r.Shuffle(len(of), func(i, j int) { of[i], of[j] = of[j], of[i] })
		return of[:1+r.IntN(len(of))]
	}
	files := false
	if r.IntN(2) == 0 {
		globs := some([]string{"*.c", "a*", "?b", "[ab]c", "*", "{a,b}.c", "x\xff*"})
		for _, g := range globs {
			a.args = append(a.args, "--name", g)
		}
		a.all = append(a.all, func(x *item) bool {
			return slices.ContainsFunc(globs, func(g string) bool {
				switch g {
				case "{a,b}.c":
					return x.name == "a.c" || x.name == "b.c"
				case "x\xff*":
					return strings.HasPrefix(x.name, "x\xff")
				}
				ok, _ := path.Match(g, x.name)
				return ok
			})
		})
	}
	if r.IntN(3) == 0 {
		n := []int64{0, 1, 1024, 4096}[r.IntN(4)]
		text := []string{"0", "1", "1K", "4KiB"}[slices.Index([]int64{0, 1, 1024, 4096}, n)]
		files = true
		switch r.IntN(3) {
		case 0:
			add("size", "+"+text, func(x *item) bool { return x.kind() == 0 && x.st.Size > n })
		case 1:
			add("size", text, func(x *item) bool { return x.kind() == 0 && x.st.Size == n })
		default:
			if n > 0 {
				add("size", "-"+text, func(x *item) bool { return x.kind() == 0 && x.st.Size < n })
			}
		}
	}
	if r.IntN(3) == 0 {
		letters := some([]string{"f", "d", "l", "p", "s", "b", "c"})
		if files && !slices.Contains(letters, "f") {
			letters = append(letters, "f")
		}
		add("type", strings.Join(letters, ","), func(x *item) bool {
			return slices.ContainsFunc(letters, func(l string) bool { return typeOf[l[0]] == x.kind() })
		})
	}
	if r.IntN(2) == 0 {
		older, newer := time.Duration(r.IntN(50))*time.Hour, time.Duration(50+r.IntN(50))*time.Hour
		words := []string{"mtime"}
		if r.IntN(2) == 0 {
			older = max(older, time.Hour)
			words = some([]string{"mtime", "atime", "ctime", "btime"})
			a.args = append(a.args, "--time", strings.Join(words, ","))
		}
		if older > 0 {
			a.args = append(a.args, "--older-than", fmt.Sprintf("%dh", older/time.Hour))
		}
		both := r.IntN(2) == 0
		if both {
			a.args = append(a.args, "--newer-than", fmt.Sprintf("%dm", newer/time.Minute))
		}
		a.all = append(a.all, func(x *item) bool {
			for _, word := range words {
				t := reflect.ValueOf(x.st).FieldByName(strings.ToUpper(word[:1]) + word[1:]).Interface().(walk.Time).Time()
				if word == "btime" && x.st.Known&walk.FieldBtime == 0 {
					continue
				}
				age := asOf.Sub(t)
				if (older == 0 || age > older) && (!both || age < newer) {
					return true
				}
			}
			return older == 0 && !both
		})
	}
	if r.IntN(3) == 0 {
		uid := uint32(r.IntN(3))
		add("owner", fmt.Sprintf("%d,7", uid), func(x *item) bool { return x.st.UID == uid || x.st.UID == 7 })
	}
	if r.IntN(3) == 0 {
		gid := uint32(r.IntN(3))
		add("group", strconv.Itoa(int(gid)), func(x *item) bool { return x.st.GID == gid })
	}
	return a
}

func randomItem(r *rand.Rand) item {
	at := func() walk.Time {
		t := asOf.Add(-time.Duration(r.IntN(120)-10) * time.Hour)
		if r.IntN(3) == 0 {
			t = t.Add(time.Duration(r.IntN(3) - 1))
		}
		return walk.Time{Sec: t.Unix(), Nsec: uint32(t.Nanosecond())}
	}
	x := item{name: []string{"a.c", "b.c", "ab", "bb", "ac", "bc", "x\xffy", "-"}[r.IntN(8)]}
	kinds := []fs.FileMode{0, 0, 0, fs.ModeDir, fs.ModeSymlink, fs.ModeNamedPipe, fs.ModeSocket, fs.ModeDevice, fs.ModeDevice | fs.ModeCharDevice}
	x.st = walk.Stat{
		Known: walk.FieldBtime*2 - 1, Mode: kinds[r.IntN(len(kinds))] | 0o644,
		Size: []int64{0, 1, 2, 1023, 1024, 1025, 4096, 5000}[r.IntN(8)], UID: uint32(r.IntN(4)), GID: uint32(r.IntN(4)),
		Mtime: at(), Atime: at(), Ctime: at(), Btime: at(),
	}
	if r.IntN(4) == 0 {
		x.st.Known &^= walk.FieldBtime
		x.st.Btime = walk.Time{}
	}
	return x
}

// parse makes a selection of arguments, prepared and sent to a client.
func parse(args ...string) (*Selection, error) {
	var s, sent Selection
	f := pflag.NewFlagSet("", pflag.ContinueOnError)
	s.Flags(f)
	if err := f.Parse(args); err != nil {
		return nil, err
	}
	if err := s.Prepare(); err != nil {
		return nil, err
	}
	text, err := json.Marshal(&s)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(text, &sent); err != nil {
		return nil, fmt.Errorf("%s: %w", text, err)
	}
	if !reflect.DeepEqual(s, sent) {
		return nil, fmt.Errorf("%s is not what was sent: %+v, %+v", text, s, sent)
	}
	return &sent, nil
}

// listing is a directory of items, whose attributes are counted when they are asked for.
type listing struct {
	items []item
	asked int
}

func (l *listing) Open(name string) (fs.File, error) { return &opened{l: l}, nil }
func (l *listing) ReadLink(string) (string, error)   { return "", fs.ErrInvalid }

func (l *listing) Lstat(name string) (fs.FileInfo, error) {
	if name == "." {
		return listedEntry{l, &item{name: ".", st: walk.Stat{Mode: fs.ModeDir | 0o755}}}, nil
	}
	for i := range l.items {
		if l.items[i].name == name {
			l.asked++
			return listedEntry{l, &l.items[i]}, nil
		}
	}
	return nil, fs.ErrNotExist
}

type opened struct {
	l    *listing
	done bool
}

func (o *opened) Stat() (fs.FileInfo, error) { return o.l.Lstat(".") }
func (o *opened) Read([]byte) (int, error)   { return 0, fs.ErrInvalid }
func (o *opened) Close() error               { return nil }
func (o *opened) ReadDir(int) ([]fs.DirEntry, error) {
	if o.done {
		return nil, io.EOF
	}
	o.done = true
	var all []fs.DirEntry
	for i := range o.l.items {
		all = append(all, listedEntry{o.l, &o.l.items[i]})
	}
	return all, nil
}

type listedEntry struct {
	l *listing
	x *item
}

func (e listedEntry) Name() string               { return e.x.name }
func (e listedEntry) IsDir() bool                { return e.x.kind() == fs.ModeDir }
func (e listedEntry) Type() fs.FileMode          { return e.x.kind() }
func (e listedEntry) Info() (fs.FileInfo, error) { return e, nil }
func (e listedEntry) Size() int64                { return e.x.st.Size }
func (e listedEntry) Mode() fs.FileMode          { return e.x.st.Mode }
func (e listedEntry) ModTime() time.Time         { return e.x.st.Mtime.Time() }
func (e listedEntry) Sys() any                   { return nil }

func TestMatchMeansWhatWasAsked(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("HYDRA_TEST_SEED"); text != "" {
		seed, _ = strconv.ParseUint(text, 10, 64)
	}
	t.Logf("HYDRA_TEST_SEED=%d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	yes := 0
	for range 800 {
		a := random(r)
		s, err := parse(a.args...)
		if err != nil {
			t.Fatalf("%q: %v", a.args, err)
		}
		m, err := NewMatcher(s)
		if err != nil {
			t.Fatal(err)
		}
		for range 20 {
			x := randomItem(r)
			want := true
			for _, f := range a.all {
				want = want && f(&x)
			}
			got := m.types == 0 || m.types>>kind(x.kind())&1 != 0
			got = got && (m.globs == nil || matches(t, m.globs, x.name))
			got = got && m.holds(&x.st)
			if got != want {
				t.Fatalf("%q: %q %+v: %v, want %v", a.args, x.name, x.st, got, want)
			}
			if got {
				yes++
			}
		}
	}
	if yes < 300 {
		t.Errorf("only %d matched: the test says little", yes)
	}
}

// matches walks a tree of one file to see whether a glob matches it.
func matches(t *testing.T, g *hydra.Globs, name string) (is bool) {
	t.Helper()
	l := &listing{items: []item{{name: name}}}
	for e, err := range walk.All(context.Background(), ".", &walk.Options{FS: l, Workers: 1}) {
		if err != nil {
			t.Fatal(err)
		}
		is = g.Match(e)
	}
	return is
}

func TestTheFileSystemIsAskedOnlyIfItMustBe(t *testing.T) {
	l := &listing{items: []item{{name: "a.c"}, {name: "b.c", st: walk.Stat{Size: 5}}, {name: "c.h"}, {name: "d", st: walk.Stat{Mode: fs.ModeDir}}}}
	for _, c := range []struct {
		args  string
		found int
		asked int
	}{
		{"", 4, 0},
		{"--name *.c --type f", 2, 0},
		{"--type d", 1, 0},
		{"--name *.c --size +1", 1, 2},
		{"--size +1", 1, 3},
		{"--type f --older-than 1h", 3, 3},
	} {
		s, err := parse(strings.Fields(c.args)...)
		if err != nil {
			t.Fatal(err)
		}
		m, err := NewMatcher(s)
		if err != nil {
			t.Fatal(err)
		}
		l.asked = 0
		found := 0
		for e, err := range walk.All(t.Context(), ".", &walk.Options{FS: l, Workers: 1, Fields: s.Fields(), MaxDepth: 1}) {
			if err != nil {
				t.Fatal(err)
			}
			ok, err := m.Match(e)
			if err != nil {
				t.Fatal(err)
			}
			if ok {
				found++
			}
		}
		if found != c.found || l.asked != c.asked {
			t.Errorf("%q: %d found and %d asked, want %d and %d", c.args, found, l.asked, c.found, c.asked)
		}
		if (s.Fields() == 0) != (c.asked == 0) || s.IsAll() != (c.args == "") {
			t.Errorf("%q: needs %b, is all: %v", c.args, s.Fields(), s.IsAll())
		}
	}
}

func TestAPathIsMatchedByAGlobWithASlash(t *testing.T) {
	fsys := fstest.MapFS{"a/b/c.txt": {}, "a/c.txt": {}, "c.txt": {}}
	for glob, want := range map[string]string{
		"a/*.txt": "a/c.txt", "**/c.txt": "a/b/c.txt a/c.txt c.txt", "./c.txt": "c.txt", "a/**": "a a/b a/b/c.txt a/c.txt", "b/": "a/b",
	} {
		s, err := parse("--name", glob)
		if err != nil {
			t.Fatal(err)
		}
		m, err := NewMatcher(s)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for e, err := range walk.All(t.Context(), ".", &walk.Options{FS: fsys, Workers: 1}) {
			if err != nil {
				t.Fatal(err)
			}
			if ok, _ := m.Match(e); ok {
				got = append(got, e.Path())
			}
		}
		if slices.Sort(got); strings.Join(got, " ") != want {
			t.Errorf("%s: %q, want %s", glob, got, want)
		}
	}
}

func TestAWrongSelectionSaysWhatIsWrong(t *testing.T) {
	for args, want := range map[string]string{
		"--name [":                               "is not a glob",
		"--name=":                                "it is empty",
		"--type x":                               `"x" is no type: there are f`,
		"--type=":                                "it is empty",
		"--size 1X":                              "is not a size",
		"--size -0":                              "nothing is smaller than 0 bytes",
		"--size +":                               "is not a size",
		"--older-than 90":                        `"90" is no age such as 90d`,
		"--older-than 2d1w":                      "is no age",
		"--older-than 0d":                        "is no age",
		"--older-than -1d":                       "is no age",
		"--older-than 99999999w":                 "longer than this program can count",
		"--older-than 2w --newer-than 1w":        "nothing is older than 2w and newer than 1w",
		"--time mtime":                           "give --older-than or --newer-than too",
		"--time xtime --older-than 1d":           `"xtime" is no time: there are mtime, atime`,
		"--owner no-such-user-here":              `there is no user "no-such-user-here" here: give its number`,
		"--group no-such-group-here":             `there is no group "no-such-group-here" here: give its number`,
		"--owner 4294967296":                     "there is no user",
		"--size 1 --type d":                      "--size is for files, which --type leaves out: add f to it",
		"--as-of 0001-01-01T00:00:00Z":           "is no time such as", // it would be now
		"--as-of yesterday":                      "is no time such as",
		"--owner --help":                         "there is no user",
		"--type f --type d,l --size 1 --name=a/": "",
	} {
		_, err := parse(strings.Fields(args)...)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", args, err, want)
		}
	}
}

func TestAgesAreWrittenAsTheyAreRead(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"90d": 90 * 24 * time.Hour, "1w2d": 9 * 24 * time.Hour, "12h": 12 * time.Hour, "30m": 30 * time.Minute, "1w1d1h1m1s": 694861 * time.Second,
	} {
		a, err := ParseAge(text)
		if err != nil || time.Duration(a) != want {
			t.Errorf("%s: %v, %v", text, time.Duration(a), err)
		}
		if b, err := ParseAge(a.String()); err != nil || b != a {
			t.Errorf("%s is written %s", text, &a)
		}
	}
}

func TestNamesOfOwnersAreLookedUpOnce(t *testing.T) {
	s, err := parse("--owner", "root,12", "--group", "0")
	if err != nil {
		t.Skip(err)
	}
	if *s.Owners[0].ID != 0 || *s.Owners[1].ID != 12 || *s.Groups[0].ID != 0 {
		t.Errorf("%+v", s)
	}
	// On a machine where the name is another's, or nobody's.
	s.Owners[0].Name = "nobody-has-this-name"
	if err := s.Prepare(); err != nil || *s.Owners[0].ID != 0 {
		t.Errorf("looked up again: %v", err)
	}
}

func TestWhatIsSetLaterReplacesWhatWasThere(t *testing.T) {
	s, err := parse("--name", "*.c", "--type", "f", "--size", "+1", "--older-than", "1d", "--time", "mtime", "--owner", "1")
	if err != nil {
		t.Fatal(err)
	}
	f := pflag.NewFlagSet("", pflag.ContinueOnError)
	s.Flags(f)
	if err := f.Parse([]string{"--name", "*.h", "--name", "*.x", "--type", "d,f", "--size", "2", "--time", "atime", "--owner", "2"}); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(&s.Names, &s.Types, &s.Sizes, &s.Times, &s.Owners); got != "*.h,*.x d,f 2 atime 2" {
		t.Errorf("got %s", got)
	}
}

func BenchmarkMatchByName(b *testing.B) {
	s, err := parse("--name", "*.go", "--type", "f")
	if err != nil {
		b.Fatal(err)
	}
	m, err := NewMatcher(s)
	if err != nil {
		b.Fatal(err)
	}
	for e := range walk.All(b.Context(), ".", &walk.Options{FS: fstest.MapFS{"some-file.go": {}}, Workers: 1}) {
		b.ReportAllocs()
		for b.Loop() {
			if ok, _ := m.Match(e); !ok {
				b.Fatal("no match")
			}
		}
	}
}
