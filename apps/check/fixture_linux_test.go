package check_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hydrawalk/hydra"
	"github.com/hydrawalk/hydra/apps/check"
	"github.com/spf13/pflag"
)

// made is something of the fixture, and the checks that find it.
type made struct {
	name   string // below the root; with a slash behind it a directory
	how    string // "", fifo, socket, "-> TARGET", "size N", "= NAME" for a hard link
	checks string // separated by blanks; a counter's name instead of a check where that differs
}

const (
	nfc = "caf\u00e9"
	nfd = "cafe\u0301"
)

// fixture has something of each kind, and for each kind something that is nearly one.
var fixture = []made{
	{"plain", "", ""},
	{"plain.txt", "", ""},
	{"latin-caf\xe9", "", "encoding posix-chars"},
	{"surrogate-\xed\xa0\x80", "", "encoding posix-chars"},
	{"dir-\xff/", "", "err_path_name_encoding posix-chars"},
	{"dir-\xff/inner", "", ""},
	{"utf8-日本", "", "posix-chars"},

	{"case/", "", ""},
	{"case/README", "", ""},
	{"case/readme", "", "case"},
	{"case/Readme", "", "case"},
	{"case/DIR/", "", ""},
	{"case/dir", "", "case"},
	{"case/stra\u00dfe", "", "posix-chars"},
	{"case/strasse", "", ""},
	{"case/\u00c4", "", "posix-chars"},
	{"case/\u00e4", "", "case posix-chars"},
	{"case/other/", "", ""},
	{"case/other/README", "", ""},
	{"form/", "", ""},
	{"form/" + nfd, "", "posix-chars"},
	{"form/" + nfc, "", "normalization posix-chars"},
	{"both/", "", ""},
	{"both/CAF\u00c9", "", "posix-chars"},
	{"both/" + nfd, "", "normalization posix-chars"},

	{strings.Repeat("n", 255), "", ""},
	{strings.Repeat("ü", 127), "", "posix-chars"},

	{"ctl-\n", "", "control posix-chars"},
	{"ctl-\x7f", "", "control posix-chars"},
	{"ctl-\u0085", "", "control posix-chars"},
	{"bidi-\u202egnp.exe", "", "bidi posix-chars"},
	{"zero-\u200b", "", "invisible posix-chars"},
	{"joiner-\u200d", "", "invisible posix-chars"},
	{"family-\U0001f468\u200d\U0001f469", "", "posix-chars"},
	{"persian-\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645", "", "posix-chars"},
	{"wales-\U0001f3f4\U000e0067\U000e0062\U000e007f", "", "posix-chars"},
	{"tag-\U000e0067", "", "invisible posix-chars"},
	{"-rf", "", "leading-dash"},
	{"a-b", "", ""},
	{" lead", "", "leading-blank posix-chars"},
	{"\u00a0lead", "", "leading-blank posix-chars"},
	{"trail ", "", "trailing-blank posix-chars"},
	{"in side", "", "posix-chars"},
	{"dot.", "", "trailing-dot"},
	{".hidden", "", ""},

	{"colon:", "", "windows-chars macos-chars posix-chars"},
	{"win-<>\"\\|?*", "", "windows-chars s3-chars posix-chars"},
	{"CON", "", "windows-reserved"},
	{"nul.tar.gz", "", "windows-reserved"},
	{"Com1.txt", "", "windows-reserved"},
	{"LPT\u00b2", "", "windows-reserved posix-chars"},
	{"com0", "", ""},
	{"COM10", "", ""},
	{"console", "", ""},
	{"aux .c", "", "windows-reserved posix-chars"},
	{"conin$", "", "windows-reserved posix-chars"},
	{"s3-{}", "", "s3-chars posix-chars"},

	{"fifo", "fifo", "special"},
	{"socket", "socket", "special"},
	{"large", "size 4398046511105", "size sparse"},
	{"limit", "size 4398046511104", "sparse"},
	{"small-hole", "size 1073741824", ""},

	{"to-plain", "-> plain", "symlink"},
	{"to-nothing", "-> nothing", "symlink symlink-broken"},
	{"to-file/", "", ""},
	{"to-file/up", "-> ../plain", "symlink"},
	{"to-file/below", "-> ../plain/x", "symlink symlink-broken"},
	{"to-file/out", "-> ../../elsewhere", "symlink symlink-outside"},
	{"to-file/via", "-> ../to-dir/up", "symlink"},
	{"to-file/back", "-> ../to-dir/../plain", "symlink"},
	{"to-dir", "-> to-file", "symlink"},
	{"circle", "-> circle", "symlink symlink-broken"},
	{"abs-out", "-> /etc/passwd", "symlink symlink-absolute symlink-outside"},
	{"abs-in", "-> ROOT/plain", "symlink symlink-absolute"},
	{"abs-gone", "-> ROOT/gone\xff", "symlink symlink-absolute symlink-broken"},
	{"chain", "-> to-nothing", "symlink symlink-broken"},
	{"chain-out", "-> abs-out", "symlink symlink-outside"},

	{"linked", "", ""},
	{"linked-too", "= linked", ""},
}

// lay makes the fixture in a directory, and another with names of the same files.
func lay(t *testing.T) (root, other string) {
	t.Helper()
	// A short path: one of the sockets' names has to fit.
	base, err := os.MkdirTemp("", "hy")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(base) })
	root, other = filepath.Join(base, "a"), filepath.Join(base, "b")
	for _, dir := range []string{root, other} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, m := range fixture {
		path := root + "/" + m.name
		var err error
		switch word, rest, _ := strings.Cut(m.how, " "); word {
		case "fifo":
			err = syscall.Mkfifo(path, 0o600)
		case "socket":
			err = syscall.Mknod(path, syscall.S_IFSOCK|0o600, 0)
		case "->":
			err = os.Symlink(strings.Replace(rest, "ROOT", root, 1), path)
		case "=":
			err = os.Link(root+"/"+rest, path)
		default:
			if strings.HasSuffix(path, "/") {
				err = os.Mkdir(path, 0o755)
				break
			}
			var f *os.File
			if f, err = os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600); err == nil {
				var size int64
				if word == "size" {
					_, err = fmt.Sscan(rest, &size)
				}
				if err == nil {
					err = f.Truncate(size)
				}
				f.Close()
			}
		}
		if err != nil {
			t.Fatalf("%q: %v", m.name, err)
		}
	}
	for _, name := range []string{"linked", "plain.txt"} {
		if err := os.Link(root+"/"+name, other+"/"+name); err != nil {
			t.Fatal(err)
		}
	}
	return root, other
}

// truth is what is to be found: a line for each, sorted.
func truth(root string) (want []string) {
	for _, m := range fixture {
		for name := range strings.FieldsSeq(m.checks) {
			want = append(want, fmt.Sprintf("%s %q", name, root+"/"+strings.TrimSuffix(m.name, "/")))
		}
	}
	for _, name := range []string{"linked", "plain.txt"} {
		want = append(want, fmt.Sprintf("hard-link %q", root+"/"+name))
	}
	slices.Sort(want)
	return want
}

// found are the lines of an output, as truth has them.
func found(t *testing.T, out []byte) (got []string) {
	t.Helper()
	for in := bufio.NewScanner(bytes.NewReader(out)); in.Scan(); {
		var f struct {
			Kind, Check, Path string
			B64               string `json:"path_b64"`
		}
		d := json.NewDecoder(bytes.NewReader(in.Bytes()))
		if err := d.Decode(&f); err != nil {
			t.Fatalf("%q: %v", in.Text(), err)
		}
		if f.B64 != "" {
			path, err := base64.StdEncoding.DecodeString(f.B64)
			if err != nil {
				t.Fatal(err)
			}
			f.Path = string(path)
		}
		if f.Kind == "err_path_name_encoding" || f.Kind == "err_target_path_length" {
			f.Check = f.Kind
		}
		got = append(got, fmt.Sprintf("%s %q", f.Check, f.Path))
	}
	slices.Sort(got)
	return got
}

func compare(t *testing.T, what string, got, want []string) {
	t.Helper()
	for _, line := range want {
		if !slices.Contains(got, line) {
			t.Errorf("%s: %.300s is missing", what, line)
		}
	}
	for _, line := range got {
		if !slices.Contains(want, line) {
			t.Errorf("%s: %.300s is too much", what, line)
		}
	}
	if !t.Failed() && !slices.Equal(got, want) {
		t.Errorf("%s: %d findings, want %d: some came twice", what, len(got), len(want))
	}
}

// app is the application with arguments, and findings as lines.
func app(t testing.TB, args ...string) (*hydra.App[check.Settings, check.Stats], hydra.Runner) {
	t.Helper()
	a := check.App()
	f := pflag.NewFlagSet("check", pflag.ContinueOnError)
	runner := a.Configure(f)
	if err := f.Parse(append([]string{"--findings", "jsonl"}, args...)); err != nil {
		t.Fatal(err)
	}
	return a, runner
}

// run is one run in this process.
func run(t testing.TB, workers int, roots []string, args ...string) ([]byte, *check.Stats) {
	t.Helper()
	var out bytes.Buffer
	_, runner := app(t, args...)
	doc, err := runner.Run(t.Context(), roots, &hydra.Options{Workers: workers, Output: &out})
	if err != nil {
		t.Fatal(err)
	}
	return out.Bytes(), doc.(*hydra.Result[check.Stats]).Stats
}

func TestEachProblemIsFoundAndNothingElse(t *testing.T) {
	root, other := lay(t)
	for _, workers := range []int{1, 2, 8} {
		out, stats := run(t, workers, []string{root, other}, "--check", "all")
		compare(t, fmt.Sprint(workers, " workers"), found(t, out), truth(root))
		checkCounts(t, out, stats)
	}
}

// checkCounts wants the statistics to count what the output has.
func checkCounts(t *testing.T, out []byte, s *check.Stats) {
	t.Helper()
	text, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	var counted map[string]any
	if err := json.Unmarshal(text, &counted); err != nil {
		t.Fatal(err)
	}
	lines := map[string]int{}
	for line := range bytes.Lines(out) {
		var f struct{ Kind string }
		if err := json.Unmarshal(line, &f); err != nil {
			t.Fatal(err)
		}
		lines[f.Kind]++
	}
	for name, n := range counted {
		if strings.HasPrefix(name, "err_") && int(n.(float64)) != lines[name] {
			t.Errorf("%s is %v, and %d are in the output", name, n, lines[name])
		}
		delete(lines, name)
	}
	if len(lines) > 0 {
		t.Errorf("nothing counts %v", lines)
	}
}

// cluster starts a server and clients in this process, and runs a job on them.
func cluster(t *testing.T, clients int, runner hydra.Runner, roots []string) ([]byte, *check.Stats) {
	t.Helper()
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	t.Setenv("XDG_STATE_HOME", t.TempDir())
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	ready := make(chan string, 1)
	wg.Go(func() {
		o := &hydra.ServeOptions{Listen: "127.0.0.1:0", StateDir: filepath.Join(t.TempDir(), "state"), Apps: []hydra.Application{check.App()}}
		o.Ready = func(s hydra.Serving) { ready <- s.Address }
		if err := hydra.Serve(ctx, o); err != nil {
			t.Error(err)
			cancel()
		}
	})
	var address string
	select {
	case address = <-ready:
	case <-ctx.Done():
		t.Fatal("there is no server")
	}
	// Clients end before the server does.
	working, stop := context.WithCancel(ctx)
	var workers sync.WaitGroup
	defer workers.Wait()
	defer stop()
	for range clients {
		workers.Go(func() {
			if err := hydra.Work(working, address, &hydra.WorkOptions{Workers: 2}, check.App()); err != nil {
				t.Error(err)
			}
		})
	}
	s, err := hydra.Connect(ctx, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var out bytes.Buffer
	job, err := runner.Submit(ctx, s, roots, &hydra.JobOptions{MinClients: clients, Options: hydra.Options{Output: &out}})
	if err != nil {
		t.Fatal(err)
	}
	doc, err := job.Wait(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return out.Bytes(), doc.(*hydra.Result[check.Stats]).Stats
}

func TestAJobAndAClusterFindTheSame(t *testing.T) {
	root, other := lay(t)
	roots := []string{root, other}
	t.Setenv("XDG_STATE_HOME", t.TempDir())
	_, runner := app(t, "--check", "all")
	var out bytes.Buffer
	doc, err := runner.RunJob(t.Context(), roots, &hydra.JobOptions{ID: "nightly", Options: hydra.Options{Workers: 2, Output: &out}})
	if err != nil {
		t.Fatal(err)
	}
	compare(t, "a job of this machine", found(t, out.Bytes()), truth(root))
	checkCounts(t, out.Bytes(), doc.(*hydra.Result[check.Stats]).Stats)

	_, runner = app(t, "--check", "all")
	text, stats := cluster(t, 2, runner, roots)
	compare(t, "a cluster", found(t, text), truth(root))
	checkCounts(t, text, stats)
}

// The name of a PATH is one like others; what it lies in is not looked at.
func TestTheNameOfAPathIsCheckedToo(t *testing.T) {
	base := filepath.Join(t.TempDir(), "-base ")
	var roots, want []string
	for _, m := range []made{
		{"-dir/", "", "leading-dash"},
		{"trail /", "", "trailing-blank posix-chars"},
		{"latin-\xe9/", "", "err_path_name_encoding posix-chars"},
		{"latin-\xe8", "", "encoding posix-chars"},
		{"con.txt", "", "windows-reserved"},
		{"-link", "-> con.txt", "leading-dash symlink"},
		{"readme", "", ""},
		{"README", "", ""},
	} {
		path := filepath.Join(base, m.name)
		err := os.MkdirAll(base, 0o755)
		switch {
		case err != nil:
		case m.how != "":
			err = os.Symlink(strings.TrimPrefix(m.how, "-> "), path)
		case strings.HasSuffix(m.name, "/"):
			err = os.Mkdir(path, 0o755)
		default:
			err = os.WriteFile(path, nil, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		roots = append(roots, path)
		for name := range strings.FieldsSeq(m.checks) {
			want = append(want, fmt.Sprintf("%s %q", name, path))
		}
	}
	slices.Sort(want)
	out, stats := run(t, 2, roots, "--check", "all")
	compare(t, "one process", found(t, out), want)
	checkCounts(t, out, stats)
	_, runner := app(t, "--check", "all")
	out, onMany := cluster(t, 2, runner, roots)
	compare(t, "two clients", found(t, out), want)
	if len(roots) != int(stats.Names) || stats.Names != onMany.Names {
		t.Errorf("%d and %d names were checked, want %d", stats.Names, onMany.Names, len(roots))
	}

	// What is meant is in them.
	t.Chdir(roots[0])
	for _, root := range []string{roots[0] + "/", roots[0] + "/.", ".", "./", "../-dir/"} {
		if out, stats := run(t, 1, []string{root}, "--check", "all"); len(out) > 0 || stats.Names != 0 {
			t.Errorf("%q: %d names, %s", root, stats.Names, out)
		}
	}
	t.Chdir(base)
	if out, _ := run(t, 1, []string{"-dir"}, "--check", "leading-dash"); len(found(t, out)) != 1 {
		t.Errorf("of -dir: %q", out)
	}
}

// One directory that no client has alone: whoever lists which part of it, names that
// collide are found.
func TestNamesOfAHugeDirectoryCollideWhoeverSharesIt(t *testing.T) {
	n := 300_000
	if testing.Short() {
		n = 60_000
	}
	root := t.TempDir()
	var want []string
	// They share inodes: many new ones take ext4 long, if many others were freed lately.
	var of string
	added := 0
	add := func(kind, name string) {
		path := filepath.Join(root, name)
		var err error
		if added%30_000 == 0 {
			of, err = path, os.WriteFile(path, nil, 0o600)
		} else {
			err = os.Link(of, path)
		}
		if err != nil {
			t.Fatal(err)
		}
		added++
		if kind != "" {
			want = append(want, fmt.Sprintf("%s %q", kind, filepath.Join(root, name)))
		}
	}
	for i := range n {
		add("", fmt.Sprintf("file-%06d", i))
	}
	for i := range 40 {
		at := i * (n / 40)
		add("case", fmt.Sprintf("file-%06d-x", at))
		add("", fmt.Sprintf("File-%06d-X", at))
		add("", fmt.Sprintf("%d-%s", at, nfd))
		add("normalization", fmt.Sprintf("%d-%s", at, nfc))
	}
	if err := os.Mkdir(filepath.Join(root, "FILE-000001"), 0o755); err != nil {
		t.Fatal(err)
	}
	want = append(want, fmt.Sprintf("case %q", filepath.Join(root, "file-000001")))
	slices.Sort(want)
	args := []string{"--check", "case,normalization"}
	out, stats := run(t, 4, []string{root}, args...)
	compare(t, "one process", found(t, out), want)
	if got := int(stats.Names); got != n+162 { // with that of the root
		t.Errorf("%d names were checked, want %d", got, n+162)
	}
	_, runner := app(t, args...)
	out, stats = cluster(t, 3, runner, []string{root})
	compare(t, "three clients", found(t, out), want)
	if got := int(stats.Names); got != n+162 {
		t.Errorf("three clients checked %d names, want %d", got, n+162)
	}
}
