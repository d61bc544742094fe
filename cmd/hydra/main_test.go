package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hydrawalk/hydra/cli"
	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	// The commands that tests run need not wait for reports of races.
	os.Setenv("GORACE", "atexit_sleep_ms=0")
	testscript.Main(m, map[string]func(){
		"hydra":  main,
		"waiter": func() { cli.Main(waiter()) },
		"slow":   func() { cli.Main(slow()) },
		"notes":  func() { cli.Main(notes()) },
	})
}

// TestScripts runs the command line from outside. Beside the usual commands the
// scripts have
//
//	status N CMD ARG...   run CMD, which has to exit with N
//	nobody N CMD ARG...   the same as a user without rights; skipped where there is none
//	file NAME [SIZE]      make a file; NAME may hold escapes such as \xff
//	files DIR N           make N files in ten directories
//	dir NAME              make a directory
//	list FILE NAME...     write names into FILE, with NUL behind each
//	normal FILE           take out of a result what differs from run to run
//	same FILE FILE        compare results but for who made them and how fast
//	lines FILE N          wait until FILE has N lines
//	dead FILE             wait until the processes that FILE names are gone
//	private GLOB...       files that nobody else can read
//	secret FILE NAME...   what FILE holds was not said by those in the background
//	value VARIABLE FILE   what FILE holds; with a pattern, what is in its parentheses
//
// and those of background_test.go for commands that run at the same time.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		Deadline:            time.Now().Add(5 * time.Minute), // what hangs is shown
		RequireExplicitExec: true,
		UpdateScripts:       os.Getenv("UPDATE_GOLDEN") != "",
		Setup: func(env *testscript.Env) error {
			// Nobody's own configuration, and places that nobody else can reach.
			env.Setenv("GORACE", os.Getenv("GORACE"))
			env.Setenv("XDG_CONFIG_HOME", filepath.Join(env.WorkDir, ".config"))
			env.Setenv("XDG_STATE_HOME", filepath.Join(env.WorkDir, ".state"))
			env.Values[backgroundsKey{}] = backgrounds{}
			return letOthersIn(env.WorkDir)
		},
		Condition: func(cond string) (bool, error) {
			if cond != "root" {
				return false, fmt.Errorf("unknown condition %q", cond)
			}
			return os.Geteuid() == 0, nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"status": func(ts *testscript.TestScript, neg bool, args []string) { run(ts, neg, args, nil) },
			"nobody": func(ts *testscript.TestScript, neg bool, args []string) { run(ts, neg, args, asNobody) },
			"file": func(ts *testscript.TestScript, neg bool, args []string) {
				name := ts.MkAbs(unescape(ts, args[0]))
				ts.Check(os.MkdirAll(filepath.Dir(name), 0o755))
				f, err := os.Create(name)
				ts.Check(err)
				if len(args) > 1 {
					size, err := strconv.ParseInt(args[1], 10, 64)
					ts.Check(err)
					ts.Check(f.Truncate(size))
				}
				ts.Check(f.Close())
			},
			"start":    cmdStart,
			"until":    cmdUntil,
			"signal":   cmdSignal,
			"ends":     cmdEnds,
			"still":    cmdStill,
			"holds":    cmdHolds,
			"freeport": cmdFreePort,
			"private":  cmdPrivate,
			"secret":   cmdSecret,
			"value":    cmdValue,
			"same":     cmdSame,
			"lines":    cmdLines,
			"dead":     cmdDead,
			"files": func(ts *testscript.TestScript, neg bool, args []string) {
				n, err := strconv.Atoi(args[1])
				ts.Check(err)
				for i := range n {
					name := ts.MkAbs(fmt.Sprintf("%s/d%d/f%d", args[0], i%10, i))
					ts.Check(os.MkdirAll(filepath.Dir(name), 0o755))
					ts.Check(os.WriteFile(name, nil, 0o644))
				}
			},
			"dir": func(ts *testscript.TestScript, neg bool, args []string) {
				ts.Check(os.MkdirAll(ts.MkAbs(unescape(ts, args[0])), 0o755))
			},
			"list": func(ts *testscript.TestScript, neg bool, args []string) {
				var all string
				for _, name := range args[1:] {
					all += unescape(ts, name) + "\x00"
				}
				ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(all), 0o644))
			},
			"normal": func(ts *testscript.TestScript, neg bool, args []string) {
				text := normal(ts.ReadFile(args[0]), ts.Getenv("WORK"))
				ts.Check(os.WriteFile(ts.MkAbs("normal"), []byte(text), 0o644))
			},
		},
	})
}

// run runs a command that has to exit with a code.
func run(ts *testscript.TestScript, neg bool, args []string, prepare func(*testscript.TestScript, *exec.Cmd)) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: status N CMD ARG...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	path, err := exec.LookPath(args[1])
	ts.Check(err)
	cmd := exec.Command(path, args[2:]...)
	cmd.Args[0] = args[1]
	cmd.Dir = ts.MkAbs(".")
	cmd.Env = env(ts, cmd.Dir)
	cmd.Stdout, cmd.Stderr = ts.Stdout(), ts.Stderr()
	if prepare != nil {
		prepare(ts, cmd)
	}
	err = cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		ts.Fatalf("%v", err)
	}
	if got := cmd.ProcessState.ExitCode(); got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// unescape reads a name with Go's escapes.
func unescape(ts *testscript.TestScript, name string) string {
	s, err := strconv.Unquote(`"` + name + `"`)
	ts.Check(err)
	return s
}

// varying are the statistics that differ from run to run, or from file system to
// file system: ages, what is allocated, owners, inodes. The tests of the
// application have them.
var varying = regexp.MustCompile(`(?m)^    "(` + strings.Join([]string{
	"hist_file_count_by_[acmb]time", "file_[am]time_age_quantiles", "top_n_.*", "use_by_directory", "total_by_.*", ".*_names",
	"error_.*_names", "extensions", "category", "hard_linked", "unique", "sparse_files", "files_without_.*",
}, "|") + `)": .*\n`)

// normal replaces what differs from run to run, or from file system to file
// system.
func normal(text, work string) string {
	text = varying.ReplaceAllString(text, "")
	text = strings.ReplaceAll(text, work, "$WORK")
	for _, r := range []struct{ old, new string }{
		{`"job": "local-[0-9T]+-[a-z0-9]+"`, `"job": "JOB"`},
		{`"(started|finished|as_of|reference_time)": "[-0-9]+T[0-9:.]+Z"`, `"$1": "TIME"`},
		{`"wall_seconds": [0-9.e-]+`, `"wall_seconds": 0`},
		{`"(workers|num_workers|allocated_total|allocated_dirs_total)": [1-9][0-9]*`, `"$1": 1`},
		{`"(time_[a-z_]+)": [0-9.]+`, `"$1": 0`},
		{`in [0-9.:]+( ms| s)? with [0-9]+ workers?`, `in TIME with N workers`},
		{`(?m)^Allocated  .*$`, `Allocated       ON DISK`},
		{`(?m)^  directories  .*$`, `  directories   ON DISK`},
		{`(?m)^  sparse  .*\n`, ``},
	} {
		text = regexp.MustCompile(r.old).ReplaceAllString(text, r.new)
	}
	return text
}

// letOthersIn makes a directory of the test reachable for other users.
func letOthersIn(dir string) error {
	for ; dir != filepath.Clean(os.TempDir()) && dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			return fmt.Errorf("let other users in: %w", err)
		}
	}
	return nil
}
