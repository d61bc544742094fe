package chaos

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hydrawalk/hydra"
)

// proc is a process of the cluster.
type proc struct {
	role  string
	cmd   *exec.Cmd
	out   io.Reader
	ended chan struct{}
	err   error
}

// world is a cluster of real processes.
type world struct {
	t       *testing.T
	dir     string
	address string
	log     *os.File
	env     []string
	mu      sync.Mutex
	procs   []*proc
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, dir: t.TempDir()}
	var err error
	if w.log, err = os.Create(filepath.Join(w.dir, "log")); err != nil {
		t.Fatal(err)
	}
	w.address = freeAddress(t)
	w.env = []string{
		"XDG_CONFIG_HOME=" + filepath.Join(w.dir, "config"),
		"XDG_STATE_HOME=" + filepath.Join(w.dir, "state"),
		"HYDRA_CHAOS_ADDRESS=" + w.address,
		"HYDRA_CHAOS_STATE=" + filepath.Join(w.dir, "jobs"),
	}
	t.Cleanup(func() {
		w.mu.Lock()
		procs := slices.Clone(w.procs)
		w.mu.Unlock()
		for _, p := range procs {
			_ = p.cmd.Process.Signal(syscall.SIGKILL)
			<-p.ended
		}
		if t.Failed() {
			text, _ := os.ReadFile(w.log.Name())
			if keep := os.Getenv("HYDRA_CHAOS_LOG"); keep != "" {
				_ = os.WriteFile(keep, text, 0o600)
			}
			if len(text) > 20_000 {
				text = text[len(text)-20_000:]
			}
			t.Logf("%s", text)
		}
		w.log.Close()
	})
	return w
}

// freeAddress is one of the loopback that nobody uses now.
func freeAddress(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// start starts a process; prefix is a command that runs it, as ip netns exec.
func (w *world) start(role string, env []string, prefix ...string) *proc {
	w.t.Helper()
	self, err := os.Executable()
	if err != nil {
		w.t.Fatal(err)
	}
	args := append(slices.Clone(prefix), self)
	p := &proc{role: role, cmd: exec.Command(args[0], args[1:]...), ended: make(chan struct{})}
	p.cmd.Env = slices.Concat(os.Environ(), w.env, env, []string{roleVar + "=" + role})
	p.cmd.Stderr = w.log
	if p.out, err = p.cmd.StdoutPipe(); err != nil {
		w.t.Fatal(err)
	}
	// Whatever happens to the test, they end with it.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	fmt.Fprintf(w.log, "--- %s started: process %d\n", role, p.cmd.Process.Pid)
	w.mu.Lock()
	w.procs = append(w.procs, p)
	w.mu.Unlock()
	return p
}

// wait collects a process whose output was read.
func (w *world) reap(p *proc) {
	go func() {
		p.err = p.cmd.Wait()
		close(p.ended)
	}()
}

// server starts a server, and waits until it listens.
func (w *world) server(env ...string) *proc {
	w.t.Helper()
	p := w.start("server", env)
	w.ready(p)
	return p
}

func (w *world) ready(p *proc) {
	w.t.Helper()
	line, err := bufio.NewReader(p.out).ReadString('\n')
	w.reap(p)
	if err != nil {
		w.t.Fatalf("%s did not start: %v", p.role, err)
	}
	_ = line
}

func (w *world) client(workers int, env ...string) *proc {
	p := w.start("client", append([]string{fmt.Sprint("HYDRA_CHAOS_WORKERS=", workers)}, env...))
	w.reap(p)
	return p
}

func (p *proc) kill() {
	_ = p.cmd.Process.Signal(syscall.SIGKILL)
	<-p.ended
}

func (p *proc) signal(s syscall.Signal) { _ = p.cmd.Process.Signal(s) }

func (p *proc) isDead() bool {
	select {
	case <-p.ended:
		return true
	default:
		return false
	}
}

// submit submits a job, and sends its result when it has ended.
func (w *world) submit(root string, env ...string) <-chan []byte {
	p := w.start("submit", append([]string{"HYDRA_CHAOS_ROOTS=" + root}, env...))
	result := make(chan []byte, 1)
	go func() {
		text, _ := io.ReadAll(p.out)
		p.err = p.cmd.Wait()
		close(p.ended)
		result <- text
	}()
	return result
}

// tree makes a tree of so many files, skewed, or takes it as it was left by an
// earlier test.
func tree(t *testing.T, files int) string {
	t.Helper()
	root := filepath.Join(os.TempDir(), fmt.Sprintf("hydra-chaos-%d-%d", os.Getuid(), files))
	done := filepath.Join(root, "done")
	if _, err := os.Stat(done); err == nil {
		return root
	}
	if err := os.RemoveAll(root); err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(uint64(files), 7))
	dirs := []string{root}
	for made := 0; made < files; {
		parent := dirs[rng.IntN(len(dirs))]
		if rng.IntN(3) == 0 {
			parent = dirs[len(dirs)-1] // deeper
		}
		if strings.Count(parent, "/") > 20 {
			parent = root
		}
		dir := filepath.Join(parent, fmt.Sprintf("d%d", len(dirs)))
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		dirs = append(dirs, dir)
		n := min(int(3/(0.02+rng.Float64())), files-made)
		if len(dirs) == 40 {
			n = min(files/10, files-made) // a large one
		}
		for i := range n {
			if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("f%d", i)), make([]byte, i%7), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		made += n
	}
	if err := os.WriteFile(done, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	return root
}

// undisturbed is the result of one process.
func undisturbed(t *testing.T, root string) map[string]any {
	t.Helper()
	a := app()
	a.Settings.PerFile = 0
	doc, err := hydra.Run(context.Background(), a, []string{root}, &hydra.Options{Workers: 2})
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	return comparable(t, text)
}

// comparable is a result without what differs from run to run.
func comparable(t *testing.T, text []byte) map[string]any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal(text, &m); err != nil {
		t.Fatalf("no result: %v: %q", err, bytes.TrimSpace(text))
	}
	for _, name := range []string{"job", "started", "finished", "wall_seconds", "clients", "workers", "settings"} {
		delete(m, name)
	}
	return m
}

// await waits for a result, while something may be done now and then.
func await(t *testing.T, result <-chan []byte, limit time.Duration, every func() time.Duration, do func()) []byte {
	t.Helper()
	end := time.NewTimer(limit)
	defer end.Stop()
	for {
		next := time.NewTimer(every())
		select {
		case text := <-result:
			next.Stop()
			return text
		case <-end.C:
			next.Stop()
			t.Fatalf("the job has not ended in %v", limit)
		case <-next.C:
			do()
		}
	}
}

func never() time.Duration { return time.Hour }

func same(t *testing.T, got []byte, want map[string]any) {
	t.Helper()
	if diff := cmp.Diff(want, comparable(t, got)); diff != "" {
		t.Errorf("not the result of an undisturbed run (-want +got):\n%s", diff)
	}
}
