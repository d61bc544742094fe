package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// clusterEnv is the environment of all programs that a cluster is compared with,
// and its own: as many goroutines run in parallel in each process.
func clusterEnv(dir string) []string {
	return append(os.Environ(), "GOMAXPROCS=4",
		"XDG_CONFIG_HOME="+filepath.Join(dir, "config"), "XDG_STATE_HOME="+filepath.Join(dir, "state"))
}

// cluster is a server and clients, each a process.
type cluster struct {
	server  *daemon
	clients []*daemon
	address string
}

// startCluster starts a server of a program with its state in dir, and clients of so
// many workers each, and returns when all have joined.
func (b *bench) startCluster(ctx context.Context, dir, program string, clients, workers int) (*cluster, error) {
	c := &cluster{}
	var err error
	c.server, err = start(ctx, clusterEnv(dir), b.bins.path(program), "server",
		"--listen", "127.0.0.1:0", "--state", filepath.Join(dir, "jobs"), "--log-level", "debug", "--log-format", "json")
	if err != nil {
		return nil, err
	}
	if c.address, err = c.server.ready(ctx); err != nil {
		return nil, errors.Join(err, c.stop())
	}
	for range clients {
		d, err := start(ctx, clusterEnv(dir), b.bins.path(program), "client", c.address, "-j", strconv.Itoa(workers))
		if err != nil {
			return nil, errors.Join(err, c.stop())
		}
		c.clients = append(c.clients, d)
	}
	for range clients {
		if _, err := c.server.said(ctx, "client joined"); err != nil {
			return nil, errors.Join(err, c.stop())
		}
	}
	time.Sleep(time.Second) // what starting takes is not measured
	return c, nil
}

// stop ends the clients, then the server.
func (c *cluster) stop() error {
	var errs []error
	for _, d := range append(c.clients, c.server) {
		errs = append(errs, d.stop())
	}
	return errors.Join(errs...)
}

// daemon is a process that runs until it is stopped.
type daemon struct {
	cmd    *exec.Cmd
	name   string
	stdout *bufio.Reader
	lines  chan line // of its log

	reading sync.WaitGroup
	log     bytes.Buffer // what is no JSON; to be read when it has ended
}

// line is one of a log in JSON, as far as it is of interest here.
type line struct {
	Msg      string        `json:"msg"`
	Job      string        `json:"job"`
	Since    time.Duration `json:"since_last_record"`
	In       int64         `json:"in"`
	Out      int64         `json:"out"`
	InBytes  int64         `json:"in_bytes"`
	OutBytes int64         `json:"out_bytes"`
	Writes   int64         `json:"writes"`
}

func start(ctx context.Context, env []string, argv ...string) (*daemon, error) {
	d := &daemon{cmd: exec.CommandContext(ctx, argv[0], argv[1:]...), name: "hydra " + argv[1], lines: make(chan line, 4096)}
	d.cmd.Env = env
	d.cmd.Cancel = func() error { return d.cmd.Process.Signal(syscall.SIGTERM) }
	d.cmd.WaitDelay = 30 * time.Second
	stdout, err := d.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	stderr, err := d.cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	d.stdout = bufio.NewReader(stdout)
	if err := d.cmd.Start(); err != nil {
		return nil, err
	}
	d.reading.Go(func() { d.read(stderr) })
	return d, nil
}

// read takes in its log, until it ends.
func (d *daemon) read(stderr io.Reader) {
	defer close(d.lines)
	in := bufio.NewScanner(stderr)
	in.Buffer(nil, 1<<20)
	for in.Scan() {
		var l line
		if json.Unmarshal(in.Bytes(), &l) != nil {
			d.log.Write(append(in.Bytes(), '\n'))
			continue
		}
		select {
		case d.lines <- l:
		default: // nobody waits for that many
		}
	}
	if err := in.Err(); err != nil {
		fmt.Fprintf(&d.log, "its log can not be read any more: %v\n", err)
		_, _ = io.Copy(io.Discard, stderr) // or it would wait for ever
	}
}

// ready returns the address at which a server says that it is.
func (d *daemon) ready(ctx context.Context) (string, error) {
	stop := context.AfterFunc(ctx, func() { _ = d.cmd.Process.Kill() })
	defer stop()
	text, err := d.stdout.ReadString('\n')
	_, address, found := strings.Cut(strings.TrimSpace(text), " is ready at ")
	if err != nil || !found {
		return "", fmt.Errorf("%s is not ready: it said %q", d.name, text)
	}
	return address, nil
}

// saidTime is how long a line of the log may take.
const saidTime = 30 * time.Second

// said waits for a line of the log.
func (d *daemon) said(ctx context.Context, msg string) (line, error) {
	timeout := time.NewTimer(saidTime)
	defer timeout.Stop()
	for {
		select {
		case l, open := <-d.lines:
			if !open {
				return l, fmt.Errorf("%s did not say %q, and ended", d.name, msg)
			}
			if l.Msg == msg {
				return l, nil
			}
		case <-timeout.C:
			return line{}, fmt.Errorf("%s did not say %q", d.name, msg)
		case <-ctx.Done():
			return line{}, context.Cause(ctx)
		}
	}
}

// stop ends it, unless it has ended, and tells if that went wrong.
func (d *daemon) stop() error {
	if err := d.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stop %s: %w", d.name, err)
	}
	kill := time.AfterFunc(saidTime, func() { _ = d.cmd.Process.Kill() })
	defer kill.Stop()
	_, _ = io.Copy(io.Discard, d.stdout)
	d.reading.Wait()
	err := d.cmd.Wait()
	if d.cmd.ProcessState.ExitCode() == 128+int(syscall.SIGTERM) || d.cmd.ProcessState.ExitCode() == 0 {
		return nil
	}
	return fmt.Errorf("%s: %w: %s", d.name, err, bytes.TrimSpace(d.log.Bytes()))
}

// cpu is what the process has used, of all its threads, in user and system mode.
// It is exact, which /proc/PID/stat is not.
func (d *daemon) cpu() (time.Duration, error) {
	// As clock_getcpuclockid does: the clock CPUCLOCK_SCHED of a process.
	clock := int32(^d.cmd.Process.Pid<<3 | 2)
	var t unix.Timespec
	if err := unix.ClockGettime(clock, &t); err != nil {
		return 0, fmt.Errorf("CPU time of %s: %w", d.name, err)
	}
	return time.Duration(t.Nano()), nil
}

// peak is the most memory that the process had, in bytes.
func (d *daemon) peak() (int64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", d.cmd.Process.Pid))
	if err != nil {
		return 0, fmt.Errorf("memory of %s: %w", d.name, err)
	}
	for text := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(text, "VmHWM:"); ok {
			kib, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			return kib << 10, err
		}
	}
	return 0, fmt.Errorf("memory of %s: nothing is said", d.name)
}

// used is what the processes of a cluster use.
type used struct {
	server, clients         time.Duration // of CPU
	serverPeak, clientsPeak int64         // bytes; of the largest client
}

func (c *cluster) used() (u used, err error) {
	if u.server, err = c.server.cpu(); err != nil {
		return u, err
	}
	if u.serverPeak, err = c.server.peak(); err != nil {
		return u, err
	}
	for _, d := range c.clients {
		cpu, err := d.cpu()
		if err != nil {
			return u, err
		}
		peak, err := d.peak()
		if err != nil {
			return u, err
		}
		u.clients += cpu
		u.clientsPeak = max(u.clientsPeak, peak)
	}
	return u, nil
}
