package exec

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	osexec "os/exec"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hydrawalk/hydra"
	"github.com/hydrawalk/hydra/stats"
	"github.com/hydrawalk/hydra/stats/statstest"
	"github.com/hydrawalk/hydra/walk"
)

// hostile are arguments and paths of all kinds.
var hostile = []string{
	"plain", "a b", "$(touch x)", "; rm -rf ~", "-rf", "{}", "'", `"`, `\`, "new\nline", "\xff\xfe", "\x1b[31m", "tab\t", "~", "*", "ü", "",
	strings.Repeat("long/", 60), "%2F", "..", ".", "\x7f", "\r", "a%", "\u202e",
}

func TestArgumentsOfAnyBytesSurviveJSON(t *testing.T) {
	text, err := json.Marshal(Argv(hostile))
	if err != nil {
		t.Fatal(err)
	}
	var back Argv
	if err := json.Unmarshal(text, &back); err != nil || !reflect.DeepEqual(back, Argv(hostile)) {
		t.Errorf("%q, %v", back, err)
	}
	for _, wrong := range []string{`[1]`, `{}`, `[{"b64":"?"}]`} {
		if err := json.Unmarshal([]byte(wrong), &back); err == nil {
			t.Errorf("%s was read as %q", wrong, back)
		}
	}
}

func TestADryRunPrintsWhatAShellWouldTake(t *testing.T) {
	bash, err := osexec.LookPath("bash")
	if err != nil {
		t.Skip("no bash")
	}
	line := quoted(hostile)
	if strings.Contains(line, "\n") {
		t.Errorf("%q is no line", line)
	}
	out, err := osexec.Command(bash, "-c", `printf '%s\0' `+line).Output()
	if want := strings.Join(hostile, "\x00") + "\x00"; err != nil || string(out) != want {
		t.Errorf("%q, %v\nwant\n%q", out, err, want)
	}
}

func TestFilesOfOutputHaveNamesOfTheirOwn(t *testing.T) {
	seen := map[string][]string{}
	check := func(paths ...string) {
		name := fileName(paths)
		if before, twice := seen[name]; twice {
			t.Errorf("%q and %q are both %s", before, paths, name)
		}
		seen[name] = paths
		if len(name) > longestName || name == "" || strings.ContainsAny(name, "/\\\x00\n*:") || name[0] == '.' || name[0] == '-' {
			t.Errorf("%q: %q", paths, name)
		}
	}
	for _, h := range hostile {
		check("/" + h)
		check("/"+h, "/more")
	}
	check("/" + strings.Repeat("a", 4000) + "1")
	check("/" + strings.Repeat("a", 4000) + "2")
}

func TestPlaceholdersAreReplacedOnce(t *testing.T) {
	s := &Settings{Per: perDir}
	for _, c := range []struct{ argv, want []string }{
		{[]string{"x"}, []string{"x", "/a/{/}b"}},
		{[]string{"x", "{}"}, []string{"x", "/a/{/}b"}},
		{[]string{"x", "1{/}2{//}3{}", "y"}, []string{"x", "1}b2/a/{3/a/{/}b", "y"}},
		{[]string{"{}"}, []string{"/a/{/}b"}},
	} {
		if got := Argv(c.argv).expand(s, []string{"/a/{/}b"}); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%q: %q, want %q", c.argv, got, c.want)
		}
	}
}

func TestStatisticsMergeInAnyOrder(t *testing.T) {
	statstest.TestMerge(t, 0, func(r *rand.Rand) *Stats {
		s := newStats(Settings{DryRun: r.IntN(2) == 0})
		h := &handler{w: &hydra.Worker[Settings, Stats]{Stats: s, Client: fmt.Sprint(r.IntN(3))}}
		for range r.IntN(20) {
			o := &outcome{attempts: 1 + r.Int64N(3), took: time.Duration(r.Int64N(1e10)), written: r.Int64N(1e6), cut: r.IntN(3) == 0}
			switch r.IntN(4) {
			case 0:
				o.err = errors.New("no")
			case 1:
				o.timedOut, o.signal = true, "SIGKILL"
			case 2:
				o.signal = "SIGSEGV"
			case 3:
				o.code = r.IntN(3)
			}
			if r.IntN(2) == 0 {
				o.stderr = fmt.Appendf(nil, "%d\nmore", r.IntN(3))
			}
			h.count(o, &target{paths: []string{fmt.Sprint("/", r.IntN(5), "\xff")}, again: r.IntN(2) == 0})
		}
		sum := s.NotStarted + s.TimedOut
		for _, b := range s.ByExitCode {
			sum.Add(b.Count)
		}
		for _, b := range s.BySignal {
			sum.Add(b.Count)
		}
		if sum != s.Commands || s.Succeeded+s.Failed != s.Commands {
			t.Errorf("%d commands have %d ends: %+v", s.Commands, sum, s)
		}
		return s
	})
}

// A command that writes a gigabyte on both takes no more than what is kept of it.
func TestAFloodIsNotHeldInMemory(t *testing.T) {
	if _, err := osexec.LookPath("head"); err != nil || runtime.GOOS == "windows" {
		t.Skip("no head")
	}
	app := App()
	app.Settings.Shell = true
	app.Settings.Command = Argv{"head -c 500000000 /dev/zero & head -c 500000000 /dev/zero >&2; wait; exit 5"}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	var out bytes.Buffer
	r, err := hydra.Run(t.Context(), app, []string{t.TempDir()}, &hydra.Options{Output: &out, Acts: t.TempDir()})
	runtime.ReadMemStats(&after)
	if err != nil || r.Stats.OutputBytes != 500000000 || r.Stats.OutputCut != 1 || r.Stats.ByExitCode[5] == nil {
		t.Fatalf("%+v, %v", r.Stats, err)
	}
	if out.Len() != 1<<20 {
		t.Errorf("%d bytes came out", out.Len())
	}
	if used := after.TotalAlloc - before.TotalAlloc; used > 64<<20 {
		t.Errorf("%d MiB were allocated", used>>20)
	}
}

// What a command leaves in the background is not waited for.
func TestACommandEndsThoughItsOutputIsHeldOpen(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no sh")
	}
	dir := t.TempDir()
	pid := filepath.Join(dir, "pid")
	app := App()
	app.Settings.Shell = true
	app.Settings.Command = Argv{`sleep 600 & echo $! > "$1/pid"; echo done`}
	var out bytes.Buffer
	began := time.Now()
	r, err := hydra.Run(t.Context(), app, []string{dir}, &hydra.Options{Output: &out, Acts: t.TempDir()})
	if err != nil || r.Stats.Succeeded != 1 || out.String() != "done\n" || time.Since(began) > time.Minute {
		t.Errorf("%+v, %v, %q", r.Stats, err, out.String())
	}
	text, err := os.ReadFile(pid)
	if err != nil {
		t.Fatal(err)
	}
	if out, err := osexec.Command("kill", strings.TrimSpace(string(text))).CombinedOutput(); err != nil {
		t.Errorf("what it left was killed: %s", out)
	}
}

func TestTheFirstLinesOfStandardErrorAreText(t *testing.T) {
	o := &outcome{stderr: []byte("one\n\n \ntw\xffo\r\n" + strings.Repeat("ü", 400) + "\n" + strings.Repeat("x\n", 20))}
	lines := o.lines()
	if len(lines) != mostLines || lines[0] != "one" || lines[1] != "tw\uFFFDo" || lines[2] != strings.Repeat("ü", 150)+"..." {
		t.Errorf("%q", lines)
	}
}

func TestEveryStatisticIsExplained(t *testing.T) {
	page, err := os.ReadFile("../../docs/exec.md")
	if err != nil {
		t.Fatal(err)
	}
	code := 0
	f := Failure{ExitCode: &code, Signal: "x", TimedOut: true, Error: "x", Stderr: []string{"x"}}
	for _, v := range []any{newStats(Settings{}), f} {
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		var fields map[string]json.RawMessage
		if err := json.Unmarshal(text, &fields); err != nil {
			t.Fatal(err)
		}
		for name := range fields {
			if !bytes.Contains(page, []byte("`"+name+"`")) {
				t.Errorf("docs/exec.md does not explain %s", name)
			}
		}
	}
}

func TestFailuresAreThoseWithTheSmallestPaths(t *testing.T) {
	a, b := newStats(Settings{}), newStats(Settings{})
	for i := range 3 * mostFailures {
		s := a
		if i%2 == 0 {
			s = b
		}
		s.Failures.AddPath(Failure{Entries: 1}, fmt.Appendf(nil, "%05d", i))
	}
	if err := stats.Merge(a, b); err != nil {
		t.Fatal(err)
	}
	list := a.Failures.List()
	if len(list) != mostFailures || list[0].Path != "00000" || list[mostFailures-1].Path != fmt.Sprintf("%05d", mostFailures-1) {
		t.Errorf("%d, from %s", len(list), list[0].Path)
	}
}

func TestTimesSurviveJSON(t *testing.T) {
	for _, d := range []time.Duration{0, 1, 99 * time.Microsecond, time.Second, 300 * time.Hour} {
		text, err := json.Marshal(Time(d))
		var back Time
		if err == nil {
			err = json.Unmarshal(text, &back)
		}
		if err != nil || time.Duration(back) != d {
			t.Errorf("%v became %s and %v: %v", d, text, time.Duration(back), err)
		}
	}
}

// What a command leaves behind may hold its output open: it has ended in time.
func TestACommandThatEndedInTimeIsNotTooLateForItsOutput(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no sh")
	}
	dir := t.TempDir()
	app := App()
	app.Settings.Shell, app.Settings.Retries, app.Settings.Timeout = true, 1, Time(900*time.Millisecond)
	app.Settings.Command = Argv{`sleep 3 & sleep 0.3; echo ran >> "$1/log"`}
	r, err := hydra.Run(t.Context(), app, []string{dir}, &hydra.Options{Acts: t.TempDir()})
	log, _ := os.ReadFile(filepath.Join(dir, "log"))
	if err != nil || r.Stats.Succeeded != 1 || r.Stats.TimedOut != 0 || string(log) != "ran\n" {
		t.Errorf("%+v, %v, %q", r.Stats, err, log)
	}
}

func TestTagsDoNotMultiplyTheOutput(t *testing.T) {
	c := &Settings{Tag: true, MaxOutput: 1000}
	o := &outcome{stdout: bytes.Repeat([]byte("\n"), 1000)}
	o.tag(c, &target{paths: []string{"/" + strings.Repeat("x", 99)}})
	if len(o.stdout) > 1000 || !o.cut || !bytes.HasSuffix(o.stdout, []byte("\t\n")) {
		t.Errorf("%d bytes, cut %v", len(o.stdout), o.cut)
	}
}

func TestNoCommandRunsForWhatCommandsHaveWritten(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no true")
	}
	for _, per := range []string{perFile, perBatch, perDir} {
		dir := t.TempDir()
		out := filepath.Join(dir, "out")
		if err := os.Mkdir(out, 0o700); err != nil {
			t.Fatal(err)
		}
		for i := range 20 {
			for _, path := range []string{filepath.Join(dir, fmt.Sprint(i)), filepath.Join(out, fmt.Sprint(i))} {
				if err := os.WriteFile(path, nil, 0o600); err != nil {
					t.Fatal(err)
				}
			}
		}
		app := App()
		app.Settings.Per, app.Settings.OutputDir = per, out
		app.Settings.Command = Argv{"true"}
		r, err := hydra.Run(t.Context(), app, []string{dir}, &hydra.Options{Acts: t.TempDir()})
		want := stats.Counter(20)
		if per == perDir {
			want = 1
		}
		if err != nil || r.Stats.Entries != want || r.Stats.Failed != 0 {
			t.Errorf("%v: %d entries, %d failed, %v %v", per, r.Stats.Entries, r.Stats.Failed, err, r.Errors)
		}
	}
}

// hanging is a process that no signal ends.
type hanging struct{ done string }

func (h *hanging) exited() bool { return false }
func (h *hanging) terminate()   { h.done += "TERM " }
func (h *hanging) kill()        { h.done += "KILL " }

func TestACommandThatNoSignalEndsIsNotWaitedForForEver(t *testing.T) {
	for _, cancelled := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			c := &Settings{Timeout: Time(time.Hour), Grace: Time(10 * time.Second), Retries: 3}
			ctx, cancel := context.WithCancel(t.Context())
			if cancelled {
				cancel()
			}
			defer cancel()
			want := time.Duration(c.Grace) + waitForEnd
			if !cancelled {
				want += time.Duration(c.Timeout)
			}
			o, p := new(outcome), new(hanging)
			began := time.Now()
			o.await(ctx, p, make(chan struct{}), c)
			if took := time.Since(began); took != want || p.done != "TERM KILL " {
				t.Errorf("%q, %v, want %v", p.done, took, want)
			}
			if !o.hangs || o.stopped != cancelled || o.timedOut == cancelled || !o.final() {
				t.Errorf("%+v", o)
			}
		})
	}
	s := newStats(Settings{})
	h := &handler{w: &hydra.Worker[Settings, Stats]{Stats: s}}
	h.count(&outcome{attempts: 1, timedOut: true, hangs: true}, &target{paths: []string{"/x"}})
	if f := s.Failures.List()[0]; f.Item.ExitCode != nil || s.TimedOut != 1 {
		t.Errorf("%+v", f)
	}
}

func TestACommandThatWasStoppedIsNotCounted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s := newStats(Settings{})
	h := &handler{w: &hydra.Worker[Settings, Stats]{Stats: s, Settings: Settings{Command: Argv{"true"}}}}
	// The end of the command is seen first.
	await := func(_ context.Context, done <-chan struct{}) error { <-done; return nil }
	if err := h.run(ctx, await, &target{paths: []string{"/x"}}); !errors.Is(err, walk.ErrEnding) || s.Commands != 0 {
		t.Errorf("%v, %d counted", err, s.Commands)
	}
}

func TestABatchIsALineThatCanBePrinted(t *testing.T) {
	paths := slices.Repeat([]string{"/" + strings.Repeat("\xff", 4000)}, 1500)
	length := func(i int) int { return len(paths[i]) }
	for _, argv := range []Argv{{"x"}, {"x", "{}", "{}"}} {
		s := &Settings{Per: perBatch, Command: argv}
		n := argv.fit(s, 1<<40, len(paths), length)
		if line := len(quoted(argv.expand(s, paths[:n]))) + 1; line > hydra.MostEmit || line < hydra.MostEmit/10*9 {
			t.Errorf("%q: %d paths, %d bytes", argv, n, line)
		}
		s.BatchSize = 10
		if n = argv.fit(s, 1<<40, len(paths), length); n != 10 {
			t.Errorf("%d paths", n)
		}
		if n = argv.fit(s, 3*argv.times()*(4001+perArg), len(paths), length); n != 3 {
			t.Errorf("%d paths where there is room for 3", n)
		}
	}
	// One that does not fit fails, and the walk goes on.
	h := &handler{w: &hydra.Worker[Settings, Stats]{Stats: newStats(Settings{}), Settings: Settings{Command: Argv{"x"}, DryRun: true}}}
	var failed *walk.Error
	if err := h.run(t.Context(), nil, &target{paths: []string{strings.Repeat("\xff", hydra.MostEmit/4)}}); !errors.As(err, &failed) {
		t.Errorf("%v", err)
	}
}

func TestAPathWhereTheOutputGoesIsRefused(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no true")
	}
	dir := t.TempDir()
	out := filepath.Join(dir, "out")
	if err := os.MkdirAll(filepath.Join(out, "a", "b"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"f", "a/f", "a/b/f"} {
		if err := os.WriteFile(filepath.Join(out, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"out", "out/a", "out/a/b", "out/f", "out/a/f"} {
		for _, per := range []string{perFile, perBatch, perDir} {
			if per == perDir && strings.HasSuffix(name, "f") {
				continue // there is no directory
			}
			app := App()
			app.Settings.Per, app.Settings.OutputDir, app.Settings.Command = per, out, Argv{"true"}
			r, err := hydra.Run(t.Context(), app, []string{filepath.Join(dir, name)}, &hydra.Options{Acts: t.TempDir()})
			if err != nil || r.Stats.Commands != 0 || len(r.Errors) != 1 || !strings.Contains(r.Errors[0].Error, "--output-dir") {
				t.Errorf("%s, per %s: %d commands, %v %v", name, per, r.Stats.Commands, err, r.Errors)
			}
		}
	}
}

// What a command did is done, whatever became of its output.
func TestACommandWhoseOutputIsLostIsNotRunAgain(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("commands of sh")
	}
	dir := t.TempDir()
	out, ran := filepath.Join(dir, "out"), filepath.Join(dir, "ran")
	app := App()
	app.Settings.Shell, app.Settings.Retries, app.Settings.OutputDir = true, 3, out
	app.Settings.Command = Argv{"echo ran >> " + ran + "; rm " + out + "/*.err"}
	r, err := hydra.Run(t.Context(), app, []string{t.TempDir()}, &hydra.Options{Acts: t.TempDir()})
	if text, _ := os.ReadFile(ran); err != nil || string(text) != "ran\n" || r.Stats.Succeeded != 1 || r.Stats.NotStarted != 0 {
		t.Errorf("it ran %q, %+v, %v", text, r.Stats, err)
	}
	o := &outcome{attempts: 1, lost: errors.New("disk full")}
	if o.ok() || !o.final() || !strings.Contains(o.why(), "exit code 0, and its output could not be kept: disk full") {
		t.Errorf("%+v: %s", o, o.why())
	}
	o.code = 1
	if o.final() {
		t.Error("one that failed is not run again")
	}
}

func TestWhatCouldTurnALineAroundIsQuoted(t *testing.T) {
	for arg, want := range map[string]string{
		"a\u202eb": `$'a\342\200\256b'`, "\u009b2J": `$'\302\2332J'`, "a\u2028": `$'a\342\200\250'`, "é": "'é'",
	} {
		if got := quotedArg(arg); got != want {
			t.Errorf("%q: %s, want %s", arg, got, want)
		}
	}
}

func TestALineForAShellIsNoProgram(t *testing.T) {
	for line, want := range map[string]bool{"wc -l {}": false, "wc": true, "{} -x": true, "/opt/my tools/x": true} {
		if err := (Argv{line}).check(&Settings{Per: perFile}); (err == nil) != want {
			t.Errorf("%q: %v", line, err)
		}
	}
	var at Time
	if err := at.Set("30"); err == nil || !strings.Contains(err.Error(), "30s, 5m") {
		t.Error(err)
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("full") }

func TestOutputThatCanNotBeReadIsNoCommandThatDidNotStart(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no echo")
	}
	cmd := osexec.Command("echo", "text")
	cmd.Stdout = full{}
	o := new(outcome)
	o.run(t.Context(), cmd, &Settings{}, nil)
	if o.err != nil || o.lost == nil || o.ok() || !o.final() {
		t.Errorf("%+v", o)
	}
}
