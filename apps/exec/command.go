package exec

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"
	"unicode/utf8"

	"github.com/hydrawalk/hydra"
)

// outcome is what came of a command.
type outcome struct {
	attempts int64
	took     time.Duration // the last attempt
	stopped  bool          // it was ended because the walk was: nothing came of it
	timedOut bool
	hangs    bool   // it was killed and did not end: nobody waits for it any more
	err      error  // it could not be started
	lost     error  // its output could not be written, or read
	code     int    // if it ended by itself
	signal   string // otherwise

	written int64  // bytes of its output
	stdout  []byte // what is kept of it
	cut     bool   // that is not all
	stderr  []byte
}

func (o *outcome) ok() bool { return o.succeeded() && o.lost == nil }

// final tells whether it makes no sense to run the command again: what hangs may still
// be doing what it was to do, and what lost only its output has done it.
func (o *outcome) final() bool { return o.succeeded() || o.stopped || o.hangs }

// succeeded tells whether the command itself did, whatever became of its output.
func (o *outcome) succeeded() bool {
	return o.err == nil && !o.timedOut && !o.hangs && o.signal == "" && o.code == 0
}

// why says how it failed.
func (o *outcome) why() string {
	switch {
	case o.err != nil:
		return "could not be started: " + o.err.Error()
	case o.hangs:
		return fmt.Sprintf("took longer than it may, and did not end when it was killed: it was left after %v", o.took.Round(time.Millisecond))
	case o.timedOut:
		return fmt.Sprintf("took longer than it may, and was ended after %v", o.took.Round(time.Millisecond))
	case o.signal != "":
		return "killed by " + o.signal
	case o.lost != nil:
		return fmt.Sprintf("exit code %d, and its output could not be kept: %v", o.code, o.lost)
	}
	return fmt.Sprintf("exit code %d", o.code)
}

// failure is the error of a command that failed for so many entries.
func (o *outcome) failure(entries int) error {
	text := o.why()
	if o.attempts > 1 {
		text += fmt.Sprintf(", %d attempts", o.attempts)
	}
	if entries > 1 {
		text += fmt.Sprintf(", for %d files", entries)
	}
	if lines := o.lines(); len(lines) > 0 {
		text += ": " + lines[0]
	}
	return errors.New(text)
}

// What is kept of standard error.
const (
	mostStderr = 4 << 10
	mostLines  = 10
	longest    = 300 // bytes of a line
)

// lines are the first lines of standard error, as text.
func (o *outcome) lines() (lines []string) {
	for line := range strings.Lines(string(o.stderr)) {
		line = strings.TrimRight(strings.ToValidUTF8(line, "\uFFFD"), "\r\n")
		if strings.TrimSpace(line) == "" {
			continue
		}
		if len(line) > longest {
			cut := longest
			for !utf8.RuneStart(line[cut]) {
				cut--
			}
			line = line[:cut] + "..."
		}
		if lines = append(lines, line); len(lines) == mostLines {
			break
		}
	}
	return lines
}

// mostDelay is the longest pause between two attempts, unless a user wants a longer one.
const mostDelay = time.Minute

// attempts runs a command until it succeeds, or often enough.
func (h *handler) attempts(ctx context.Context, c *Settings, t *target) *outcome {
	delay := time.Duration(c.RetryDelay)
	for attempt := int64(1); ; attempt++ {
		o := h.once(ctx, c, t, attempt)
		o.attempts = attempt
		if o.final() || attempt > int64(c.Retries) {
			return o
		}
		select {
		case <-ctx.Done():
			o.stopped = true
			return o
		case <-time.After(delay):
		}
		delay = max(min(2*delay, mostDelay), delay)
	}
}

// waitForPipes is how long it is waited for output of what a command has left behind.
const waitForPipes = time.Second

// once runs a command once.
func (h *handler) once(ctx context.Context, c *Settings, t *target, attempt int64) *outcome {
	o := new(outcome)
	if ctx.Err() != nil {
		o.stopped = true
		return o
	}
	argv := c.Command.expand(c, t.paths)
	program := h.program
	if program == "" {
		if program, o.err = exec.LookPath(argv[0]); o.err != nil {
			return o
		}
	}
	cmd := &exec.Cmd{
		Path:      program,
		Args:      argv,
		Env:       append(h.env[:len(h.env):len(h.env)], t.variables(attempt)...),
		WaitDelay: waitForPipes,
	}
	if c.Chdir {
		dir, err := h.workDir(t.in)
		if err != nil {
			o.err = err
			return o
		}
		defer dir.close()
		cmd.Dir = dir.path
	}
	out, err := h.openSinks(c, t)
	if err != nil {
		o.err = err
		return o
	}
	out.attach(cmd)
	o.run(ctx, cmd, c, h.w.RunAs)
	out.collect(o)
	return o
}

// waitForEnd is how long it is waited for a command that was killed. One that hangs in a
// system call does not end.
const waitForEnd = 5 * time.Second

// run runs a command and ends it, with all in its group, when it takes too long or
// ctx ends. as is as whom it runs.
func (o *outcome) run(ctx context.Context, cmd *exec.Cmd, c *Settings, as *hydra.Account) {
	// The system may kill it when the thread ends that started it.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	setGroup(cmd)
	as.Set(cmd)
	began := time.Now()
	group, err := start(cmd, as)
	if err != nil {
		o.err = err
		return
	}
	ended := make(chan struct{})
	// It is not waited for if the command hangs: nobody can end that.
	go func() {
		err = cmd.Wait()
		group.close()
		close(ended)
	}()
	o.await(ctx, started{group, cmd.Process}, ended, c)
	o.took = time.Since(began)
	if o.hangs {
		return // what cmd has is not to be looked at
	}
	o.code, o.signal = status(cmd.ProcessState)
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) && !errors.Is(err, exec.ErrWaitDelay) && !o.stopped && !o.timedOut {
		o.lost = err // of the pipes
	}
}

// process is what is waited for.
type process interface {
	exited() bool // by itself; its output may be waited for
	terminate()
	kill()
}

// started is a command that was started.
type started struct {
	group
	process *os.Process
}

func (s started) exited() bool {
	return errors.Is(s.process.Signal(syscall.Signal(0)), os.ErrProcessDone)
}

// await waits for the end of p, and brings it about when it takes too long or ctx ends.
//
//	running ── late, ctx ──► SIGTERM ── Grace ──► SIGKILL ── waitForEnd ──► hangs
//	   └──────── ended ─────────┴────── ended ───────┘
func (o *outcome) await(ctx context.Context, p process, ended <-chan struct{}, c *Settings) {
	var late <-chan time.Time
	if c.Timeout > 0 {
		late = time.After(time.Duration(c.Timeout))
	}
	stopped := false
	select {
	case <-ended:
		return
	case <-ctx.Done():
		stopped = true
	case <-late:
	}
	if p.exited() {
		<-ended // it has ended in time; only its output is waited for
		return
	}
	o.stopped, o.timedOut = stopped, !stopped
	p.terminate()
	select {
	case <-ended:
	case <-time.After(time.Duration(c.Grace)):
	}
	p.kill() // also what did not end with it
	select {
	case <-ended:
	case <-time.After(waitForEnd):
		o.hangs = true
	}
}
