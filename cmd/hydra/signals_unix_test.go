//go:build unix

package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// process is a running waiter.
type process struct {
	t      *testing.T
	cmd    *exec.Cmd
	stdout bytes.Buffer
	stderr *bufio.Scanner
	said   []string
}

// start runs waiter over a tree of one directory with one file and another
// directory, and returns when the file is in its handler's hand.
func start(t *testing.T, args ...string) *process {
	t.Helper()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "sub"), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o666); err != nil {
		t.Fatal(err)
	}
	p := &process{t: t, cmd: exec.Command("waiter", append([]string{"run", "-j", "1", dir}, args...)...)}
	p.cmd.Env = append(os.Environ(), "XDG_CONFIG_HOME="+dir)
	p.cmd.Stdout = &p.stdout
	stderr, err := p.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.stderr = bufio.NewScanner(stderr)
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if p.cmd.ProcessState == nil {
			_ = p.cmd.Process.Kill()
			_ = p.cmd.Wait()
		}
	})
	p.until("in hand: file")
	return p
}

// until reads standard error up to a line that holds text.
func (p *process) until(text string) string {
	p.t.Helper()
	for p.stderr.Scan() {
		p.said = append(p.said, p.stderr.Text())
		if strings.Contains(p.stderr.Text(), text) {
			return p.stderr.Text()
		}
	}
	p.t.Fatalf("never said %q, but: %q", text, p.said)
	return ""
}

func (p *process) signal(s os.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

// exit waits for the end and returns the exit code.
func (p *process) exit() int {
	for p.stderr.Scan() {
		p.said = append(p.said, p.stderr.Text())
	}
	_ = p.cmd.Wait() // the code is what counts
	return p.cmd.ProcessState.ExitCode()
}

func TestTheFirstSignalPrintsThePartialResult(t *testing.T) {
	for _, tt := range []struct {
		signal os.Signal
		name   string
		code   int
	}{
		{syscall.SIGINT, "SIGINT", 130},
		{syscall.SIGTERM, "SIGTERM", 143},
	} {
		p := start(t, "--json")
		p.signal(tt.signal)
		p.until(tt.name + ": ending with what is in hand")
		if code := p.exit(); code != tt.code {
			t.Errorf("%s: exit code %d, want %d", tt.name, code, tt.code)
		}
		var got struct {
			State    string
			Reason   string
			Complete bool
			Expected int64 `json:"expected_dirs"`
			Stats    struct {
				Seen   int64
				Queued int64 `json:"queued_dirs"`
			}
		}
		if err := json.Unmarshal(p.stdout.Bytes(), &got); err != nil {
			t.Fatalf("%s: %v in %q", tt.name, err, p.stdout.String())
		}
		if got.State != "interrupted" || got.Reason != "interrupted by "+tt.name || got.Complete || got.Stats.Seen != 1 {
			t.Errorf("%s: %+v", tt.name, got)
		}
		if got.Expected != 0 || got.Stats.Queued == 0 {
			t.Errorf("%s: directories were not done, but %d are and %d wait", tt.name, got.Expected, got.Stats.Queued)
		}
	}
}

func TestAPartialResultSaysSoAsText(t *testing.T) {
	p := start(t)
	p.signal(syscall.SIGINT)
	if code := p.exit(); code != 130 {
		t.Errorf("exit code %d, want 130", code)
	}
	for _, want := range []string{"NOT COMPLETE: interrupted by SIGINT", "still waiting", "cover what was done until then"} {
		if !strings.Contains(p.stdout.String(), want) {
			t.Errorf("%q is not in\n%s", want, &p.stdout)
		}
	}
}

func TestTheSecondSignalEndsAtOnce(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	p := start(t, "--deaf", "-o", out)
	p.signal(syscall.SIGINT)
	p.until("deaf")
	p.signal(syscall.SIGTERM)
	if code := p.exit(); code != 143 {
		t.Errorf("exit code %d, want 143", code)
	}
	if left, err := os.ReadDir(filepath.Dir(out)); err != nil || len(left) != 0 || p.stdout.Len() != 0 {
		t.Errorf("left behind: %v, %q, %v", left, p.stdout.String(), err)
	}
}

func TestASignalShowsProgress(t *testing.T) {
	p := start(t, "-q")
	p.signal(syscall.SIGUSR1)
	line := p.until("entries")
	for _, want := range []string{"waiter waiter  0:0", "0 entries", "dirs 0 done, 1 queued", "1 worker"} {
		if !strings.Contains(line, want) {
			t.Errorf("%q is not in %q", want, line)
		}
	}
	p.signal(syscall.SIGINT)
	p.exit()
}

func TestProgressComesInTheFormAskedFor(t *testing.T) {
	p := start(t, "--progress", "plain", "--progress-interval", "1ms")
	p.until("dirs 0 done, 1 queued")
	p.signal(syscall.SIGINT)
	p.exit()

	p = start(t, "--progress", "json", "--progress-interval", "1ms")
	line := p.until("hydra.progress/1")
	var got map[string]any
	if err := json.Unmarshal([]byte(line), &got); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"elapsed_seconds", "entries", "entries_per_second", "done_dirs", "queued_dirs", "bytes", "workers", "errors"} {
		if _, ok := got[key].(float64); !ok {
			t.Errorf("%s is missing in %s", key, line)
		}
	}
	p.signal(syscall.SIGINT)
	p.exit()
}

func TestALogFileIsOpenedAgainAtSIGHUP(t *testing.T) {
	log := filepath.Join(t.TempDir(), "log")
	p := start(t, "--log-file", log, "-vv")
	if err := os.Rename(log, log+".1"); err != nil {
		t.Fatal(err)
	}
	// The new one is a pipe: to open it waits for the other side to do so.
	if err := syscall.Mkfifo(log, 0o600); err != nil {
		t.Fatal(err)
	}
	p.signal(syscall.SIGHUP)
	pipe, err := os.Open(log)
	if err != nil {
		t.Fatal(err)
	}
	defer pipe.Close()
	p.signal(syscall.SIGINT)
	if code := p.exit(); code != 130 {
		t.Errorf("exit code %d, want 130", code)
	}
	text, err := io.ReadAll(pipe)
	if err != nil || !strings.Contains(string(text), "run ended") {
		t.Errorf("the new log holds %q, %v", text, err)
	}
}

func TestAClosedPipeEndsTheProgramQuietly(t *testing.T) {
	for _, ignored := range []bool{false, true} {
		reader, writer, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		reader.Close()
		args := []string{"hydra", "audit", "--json", t.TempDir()}
		if ignored {
			// As a parent that ignores SIGPIPE makes it.
			args = append([]string{"sh", "-c", `trap "" PIPE; exec "$@"`, "sh"}, args...)
		}
		var stderr bytes.Buffer
		cmd := exec.Command(args[0], args[1:]...)
		cmd.Stdout, cmd.Stderr = writer, &stderr
		_ = cmd.Run() // how it ended is looked at below
		writer.Close()
		status := cmd.ProcessState.Sys().(syscall.WaitStatus)
		if !(status.Signaled() && status.Signal() == syscall.SIGPIPE) && status.ExitStatus() != 128+int(syscall.SIGPIPE) {
			t.Errorf("SIGPIPE ignored: %v: it ended with %v", ignored, cmd.ProcessState)
		}
		if stderr.Len() > 0 {
			t.Errorf("SIGPIPE ignored: %v: it said %q", ignored, stderr.String())
		}
	}
}

func TestAFullDiskIsAFailure(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("no device that is always full:", err)
	}
	defer full.Close()
	t.Setenv("TMPDIR", t.TempDir()) // for results that are saved
	var stderr strings.Builder
	cmd := exec.Command("hydra", "audit", "--json", t.TempDir())
	cmd.Stdout, cmd.Stderr = full, &stderr
	_ = cmd.Run() // the code is what counts
	if code := cmd.ProcessState.ExitCode(); code != 1 || !strings.Contains(stderr.String(), "the result could not be printed") {
		t.Errorf("exit code %d, it said %q", code, stderr.String())
	}
	// That the result is lost counts for more than what could not be read.
	cmd = exec.Command("hydra", "audit", "--json", t.TempDir(), "/nonexistent")
	cmd.Stdout, cmd.Stderr = full, io.Discard
	_ = cmd.Run() // the code is what counts
	if code := cmd.ProcessState.ExitCode(); code != 1 {
		t.Errorf("exit code %d, want 1", code)
	}
	// A list of errors that is not whole fails the run too, but the result comes.
	var stdout strings.Builder
	cmd = exec.Command("hydra", "audit", "--json", "--errors", "/dev/full", t.TempDir(), "/nonexistent")
	cmd.Stdout, cmd.Stderr = &stdout, io.Discard
	_ = cmd.Run() // the code is what counts
	if code := cmd.ProcessState.ExitCode(); code != 1 || !strings.Contains(stdout.String(), `"state": "complete"`) {
		t.Errorf("exit code %d, it printed %q", code, stdout.String())
	}
}
