package main

import (
	"bytes"
	"net"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/hydrawalk/hydra/internal/testaddr"
)

// patience is how long a script waits for a line, on a machine that is busy.
const patience = 60 * time.Second

// background is a command that runs while the script goes on.
type background struct {
	name           string
	cmd            *exec.Cmd
	stdout, stderr buffer
	done           chan struct{} // closed when it has ended

	mu      sync.Mutex
	said    bytes.Buffer // on both
	looked  int          // what until has seen of said
	changed chan struct{}
}

// buffer is what is written on one of them.
type buffer struct {
	b    *background
	text bytes.Buffer
}

func (w *buffer) Write(p []byte) (int, error) {
	w.b.mu.Lock()
	defer w.b.mu.Unlock()
	w.text.Write(p)
	w.b.said.Write(p)
	close(w.b.changed)
	w.b.changed = make(chan struct{})
	return len(p), nil
}

// find looks for a line that until has not seen.
func (b *background) find(re *regexp.Regexp) (groups []string, changed <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	rest := b.said.Bytes()[b.looked:]
	rest = rest[:bytes.LastIndexByte(rest, '\n')+1]
	at := re.FindSubmatchIndex(rest)
	if at == nil {
		return nil, b.changed
	}
	b.looked += at[1] + bytes.IndexByte(rest[at[1]:], '\n') + 1
	for i := 0; i < len(at); i += 2 {
		groups = append(groups, string(rest[max(at[i], 0):max(at[i+1], 0)]))
	}
	return groups, nil
}

// backgrounds are those of a script, by name.
type backgrounds map[string]*background

func backgroundsOf(ts *testscript.TestScript) backgrounds {
	return ts.Value(backgroundsKey{}).(backgrounds)
}

type backgroundsKey struct{}

func (bs backgrounds) get(ts *testscript.TestScript, name string) *background {
	b := bs[name]
	if b == nil {
		ts.Fatalf("nothing runs as %s", name)
	}
	return b
}

// env is the environment of a command of a script.
func env(ts *testscript.TestScript, dir string) []string {
	env := []string{"PWD=" + dir}
	for _, name := range []string{
		"PATH", "HOME", "GORACE", "TMPDIR", "XDG_CONFIG_HOME", "XDG_STATE_HOME",
		"HYDRA_WORKERS", "HYDRA_EXCLUDE", "HYDRA_FORMAT", "HYDRA_MAX_DEPTH", "HYDRA_SERVER", "HYDRA_LOG_LEVEL", "HYDRA_PURGE", "HYDRA_YES", "HYDRA_ALL",
	} {
		if value := ts.Getenv(name); value != "" {
			env = append(env, name+"="+value)
		}
	}
	return env
}

// cmdStart runs a command while the script goes on:
//
//	start NAME CMD ARG...
func cmdStart(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: start NAME CMD ARG...")
	}
	bs := backgroundsOf(ts)
	if bs[args[0]] != nil {
		ts.Fatalf("%s runs already", args[0])
	}
	path, err := exec.LookPath(args[1])
	ts.Check(err)
	b := &background{name: args[0], done: make(chan struct{}), changed: make(chan struct{})}
	b.stdout.b, b.stderr.b = b, b
	b.cmd = exec.Command(path, args[2:]...)
	b.cmd.Args[0] = args[1]
	b.cmd.Dir = ts.MkAbs(".")
	b.cmd.Env = env(ts, b.cmd.Dir)
	b.cmd.Stdout, b.cmd.Stderr = &b.stdout, &b.stderr
	ts.Check(b.cmd.Start())
	bs[b.name] = b
	go func() {
		_ = b.cmd.Wait() // how it ended is looked at by who waits
		close(b.done)
	}()
	ts.Defer(func() {
		_ = b.cmd.Process.Kill()
		<-b.done
	})
}

// cmdUntil waits for a line on either output, after the one that it found last,
// and puts what its groups matched into variables:
//
//	until NAME REGEXP [VARIABLE...]
func cmdUntil(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: until NAME REGEXP [VARIABLE...]")
	}
	b := backgroundsOf(ts).get(ts, args[0])
	re, err := regexp.Compile("(?m)" + args[1])
	ts.Check(err)
	timeout := time.After(patience)
	ended := false
	for {
		groups, changed := b.find(re)
		if groups != nil {
			for i, variable := range args[2:] {
				ts.Setenv(variable, groups[i+1])
			}
			return
		}
		if ended {
			b.fail(ts, "it ended and never said "+args[1])
		}
		select {
		case <-changed:
		case <-b.done:
			ended = true
		case <-timeout:
			b.fail(ts, "it never said "+args[1])
		}
	}
}

// cmdStill passes if commands say nothing for so long that matches:
//
//	still TIME REGEXP NAME...
func cmdStill(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 {
		ts.Fatalf("usage: still TIME REGEXP NAME...")
	}
	d, err := time.ParseDuration(args[0])
	ts.Check(err)
	re, err := regexp.Compile("(?m)" + args[1])
	ts.Check(err)
	bs := backgroundsOf(ts)
	said := func() (n int) {
		for _, name := range args[2:] {
			b := bs.get(ts, name)
			b.mu.Lock()
			n += len(re.FindAll(b.said.Bytes(), -1))
			b.mu.Unlock()
		}
		return n
	}
	before := said()
	time.Sleep(d) // that nothing happens can not be waited for
	if after := said(); after > before {
		ts.Fatalf("%d times in %v: %s", after-before, d, args[1])
	}
}

func (b *background) fail(ts *testscript.TestScript, why string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	ts.Fatalf("%s: %s, but:\n%s", b.name, why, b.said.String())
}

// cmdSignal sends a signal:
//
//	signal NAME INT|TERM|KILL|HUP
func cmdSignal(ts *testscript.TestScript, neg bool, args []string) {
	signals := map[string]os.Signal{"INT": syscall.SIGINT, "TERM": syscall.SIGTERM, "KILL": syscall.SIGKILL, "HUP": syscall.SIGHUP}
	if neg || len(args) != 2 || signals[args[1]] == nil {
		ts.Fatalf("usage: signal NAME INT|TERM|KILL|HUP")
	}
	ts.Check(backgroundsOf(ts).get(ts, args[0]).cmd.Process.Signal(signals[args[1]]))
}

// cmdEnds waits for the end of a command, which has to exit with a code, -1 if a
// signal kills it. Its output is that of the script's last command then:
//
//	ends NAME CODE
func cmdEnds(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: ends NAME CODE")
	}
	bs := backgroundsOf(ts)
	b := bs.get(ts, args[0])
	want, err := strconv.Atoi(args[1])
	ts.Check(err)
	select {
	case <-b.done:
	case <-time.After(patience):
		b.fail(ts, "it did not end")
	}
	if got := b.cmd.ProcessState.ExitCode(); got != want {
		b.fail(ts, "exit code "+strconv.Itoa(got)+", want "+args[1])
	}
	_, _ = ts.Stdout().Write(b.stdout.text.Bytes())
	_, _ = ts.Stderr().Write(b.stderr.text.Bytes())
	delete(bs, b.name)
}

// cmdHolds waits until a file that others write has lines that match:
//
//	holds FILE REGEXP
func cmdHolds(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: holds FILE REGEXP")
	}
	re, err := regexp.Compile("(?m)" + args[1])
	ts.Check(err)
	var text []byte
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if text, err = os.ReadFile(ts.MkAbs(args[0])); err == nil && re.Match(text) {
			return
		}
	}
	ts.Fatalf("%s does not hold %s: %v\n%s", args[0], args[1], err, text)
}

// cmdFreePort puts an address of the loopback that is free into a variable:
//
//	freeport VARIABLE
func cmdFreePort(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 || len(args) > 2 {
		ts.Fatalf("usage: freeport VARIABLE [VARIABLE FOR ALL ADDRESSES]")
	}
	address, err := testaddr.Free()
	ts.Check(err)
	ts.Setenv(args[0], address)
	if len(args) == 2 {
		_, port, err := net.SplitHostPort(address)
		ts.Check(err)
		ts.Setenv(args[1], net.JoinHostPort("0.0.0.0", port))
	}
}

// differing is what differs between two runs over one tree, on however many
// machines.
var differing = regexp.MustCompile(`(?m)^ *"(job|started|finished|wall_seconds|clients|workers|num_clients|num_workers|settings_changes_count|delay|say|gate|time_[a-z_]+|rate_[a-z_]+)": .*\n|^  "acts": {\n.*\n  },\n|^  "(prefixes|settings_changes)": \[\n(    .*\n)*  \],\n`)

// cmdSame compares two results but for who made them and how fast:
//
//	same FILE FILE
func cmdSame(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: same FILE FILE")
	}
	a, b := strings.Split(differing.ReplaceAllString(ts.ReadFile(args[0]), ""), "\n"), strings.Split(differing.ReplaceAllString(ts.ReadFile(args[1]), ""), "\n")
	for i := range max(len(a), len(b)) {
		var left, right string
		if i < len(a) {
			left = a[i]
		}
		if i < len(b) {
			right = b[i]
		}
		if left != right {
			ts.Fatalf("%s has %s\n%s has %s", args[0], left, args[1], right)
		}
	}
}
