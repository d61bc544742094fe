//go:build linux

package chaos

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hydrawalk/hydra/internal/testaddr"
)

// proc is a process of the cluster.
type proc struct {
	role  string
	cmd   *exec.Cmd
	out   io.Reader
	ended chan struct{}
	err   error // how it ended, once ended is closed
	began time.Time
}

// world is a cluster of real processes.
type world struct {
	t       *testing.T
	dir     string
	engine  string // address of an engine that runs elsewhere, "" if it is the server's own
	address string // of the server, or its engine
	env     []string
	log     *logBook

	mu    sync.Mutex
	procs []*proc
}

// newWorld is a world in which nothing runs.
func newWorld(t *testing.T) *world {
	address, err := testaddr.Free()
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, dir: t.TempDir(), address: address}
	w.env = []string{
		"XDG_CONFIG_HOME=" + filepath.Join(w.dir, "config"),
		"XDG_STATE_HOME=" + filepath.Join(w.dir, "state"),
		"HYDRA_CHAOS_ADDRESS=" + w.address,
		"HYDRA_CHAOS_STATE=" + w.state(),
	}
	if w.log, err = newLogBook(filepath.Join(w.dir, "log")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		w.mu.Lock()
		procs := slices.Clone(w.procs)
		w.mu.Unlock()
		for _, p := range procs {
			p.kill()
		}
		w.log.close()
		if t.Failed() {
			text, _ := os.ReadFile(w.log.file.Name())
			if keep := os.Getenv("HYDRA_CHAOS_LOG"); keep != "" {
				_ = os.WriteFile(keep, text, 0o600)
			}
			if len(text) > 20_000 {
				text = text[len(text)-20_000:]
			}
			t.Logf("%s", text)
		}
	})
	return w
}

// newWorldOutside is a world whose engine is a process of its own.
func newWorldOutside(t *testing.T) *world {
	w := newWorld(t)
	w.engine = w.address
	host, port, err := net.SplitHostPort(w.address)
	if err != nil {
		t.Fatal(err)
	}
	// As the server does it that has its own engine.
	dir := filepath.Join(w.dir, "config", "hydra", "servers")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf(`{"user":%q,"password":%q}`, engineUser, enginePassword)
	if err := os.WriteFile(filepath.Join(dir, host+"_"+port+".json"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	w.env = append(w.env, "HYDRA_CHAOS_ADDRESS=nats://"+w.engine, "HYDRA_CHAOS_ENGINE=nats://"+w.engine)
	return w
}

// state is the directory that holds the jobs.
func (w *world) state() string { return filepath.Join(w.dir, "jobs") }

// place is a command before the program that it runs, as ip netns exec; nil: none.
type place []string

// start starts a process.
func (w *world) start(role string, at place, env ...string) *proc {
	w.t.Helper()
	self, err := os.Executable()
	if err != nil {
		w.t.Fatal(err)
	}
	args := append(slices.Clone(at), self)
	p := &proc{role: role, cmd: exec.Command(args[0], args[1:]...), ended: make(chan struct{}), began: time.Now()}
	p.cmd.Env = slices.Concat(os.Environ(), w.env, env, []string{roleVar + "=" + role})
	p.cmd.Stderr = w.log.to
	if p.out, err = p.cmd.StdoutPipe(); err != nil {
		w.t.Fatal(err)
	}
	// Whatever happens to the test, they end with it.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := onStarter(p.cmd); err != nil {
		w.t.Fatal(err)
	}
	fmt.Fprintf(w.log.to, "--- %s started: process %d\n", role, p.cmd.Process.Pid)
	w.mu.Lock()
	w.procs = append(w.procs, p)
	w.mu.Unlock()
	return p
}

// reap waits for the end of a process whose output nobody reads any more.
func (p *proc) reap() {
	go func() {
		p.err = p.cmd.Wait()
		close(p.ended)
	}()
}

// ready returns when a process has printed its first line.
func (w *world) ready(p *proc) {
	w.t.Helper()
	_, err := bufio.NewReader(p.out).ReadString('\n')
	p.reap()
	if err != nil {
		<-p.ended
		w.t.Fatalf("%s did not start: %v, %v", p.role, err, p.err)
	}
}

// server starts a server, and waits until it listens if the engine is its own.
func (w *world) server(env ...string) *proc { w.t.Helper(); return w.serverAt(nil, env...) }

func (w *world) serverAt(at place, env ...string) *proc {
	w.t.Helper()
	p := w.start("server", at, env...)
	if w.engine != "" {
		p.reap() // the engine may be frozen
	} else {
		w.ready(p)
	}
	return p
}

// startEngine starts the engine that is not the server's.
func (w *world) startEngine() *proc {
	w.t.Helper()
	p := w.start("engine", nil, "HYDRA_CHAOS_ADDRESS="+w.engine)
	w.ready(p)
	return p
}

func (w *world) client(workers int, env ...string) *proc {
	w.t.Helper()
	return w.clientAt(nil, workers, env...)
}

func (w *world) clientAt(at place, workers int, env ...string) *proc {
	w.t.Helper()
	p := w.start("client", at, append([]string{fmt.Sprint("HYDRA_CHAOS_WORKERS=", workers)}, env...)...)
	p.reap()
	return p
}

// result is what a command that submitted a job, or ran one, had to say.
type result struct {
	text []byte
	err  error // the exit status
}

// submit submits a job, and sends its result when it has ended.
func (w *world) submit(root string, env ...string) <-chan result {
	w.t.Helper()
	return w.command("submit", nil, root, env...)
}

func (w *world) command(role string, at place, root string, env ...string) <-chan result {
	w.t.Helper()
	p := w.start(role, at, append([]string{"HYDRA_CHAOS_ROOTS=" + root}, env...)...)
	out := make(chan result, 1)
	go func() {
		text, _ := io.ReadAll(p.out)
		p.err = p.cmd.Wait()
		close(p.ended)
		out <- result{text, p.err}
	}()
	return out
}

// alone is the result of one process that nobody disturbs.
func (w *world) alone(at place, root string, env ...string) map[string]any {
	w.t.Helper()
	got := <-w.command("run", at, root, append(env, "HYDRA_CHAOS_PER_FILE=0")...)
	return comparable(w.t, got.text)
}

// stop asks processes to end, and waits until they have.
func (w *world) stop(procs ...*proc) {
	w.t.Helper()
	for _, p := range procs {
		p.signal(syscall.SIGTERM)
	}
	limit := time.After(time.Minute)
	for _, p := range procs {
		select {
		case <-p.ended:
			// One that has just begun does not hear yet that it is to end.
			if p.err != nil && (p.err.Error() != "signal: terminated" || time.Since(p.began) > 5*time.Second) {
				w.t.Errorf("%s %d: %v", p.role, p.cmd.Process.Pid, p.err)
			}
		case <-limit:
			w.t.Errorf("%s %d has not ended a minute after it was asked to", p.role, p.cmd.Process.Pid)
		}
	}
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

// starter starts processes on one thread, which lives as long as this one does:
// Pdeathsig is sent when the thread ends that started them.
var starter = sync.OnceValue(func() chan<- func() {
	calls := make(chan func())
	go func() {
		runtime.LockOSThread()
		for f := range calls {
			f()
		}
	}()
	return calls
})

func onStarter(cmd *exec.Cmd) error {
	done := make(chan error)
	starter() <- func() { done <- cmd.Start() }
	return <-done
}

// logBook keeps what all processes say, and lets tests wait for it.
type logBook struct {
	file *os.File
	to   *os.File // where processes write
	done chan struct{}

	mu    sync.Mutex
	lines []string
	more  chan struct{} // closed with the next line
}

func newLogBook(name string) (*logBook, error) {
	file, err := os.Create(name)
	if err != nil {
		return nil, err
	}
	from, to, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	b := &logBook{file: file, to: to, done: make(chan struct{}), more: make(chan struct{})}
	go func() {
		defer close(b.done)
		defer from.Close()
		for r := bufio.NewReader(from); ; {
			line, err := r.ReadString('\n')
			if line != "" {
				_, _ = file.WriteString(line)
				b.mu.Lock()
				b.lines = append(b.lines, strings.TrimSuffix(line, "\n"))
				close(b.more)
				b.more = make(chan struct{})
				b.mu.Unlock()
			}
			if err != nil {
				return
			}
		}
	}()
	return b, nil
}

// close returns when all is in the file; the processes have ended.
func (b *logBook) close() {
	b.to.Close()
	<-b.done
	b.file.Close()
}

// find returns the lines that have all of the texts; of a text like "a|b", one of both.
func (b *logBook) find(texts ...string) (found []string, more <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, line := range b.lines {
		lacks := func(text string) bool {
			return !slices.ContainsFunc(strings.Split(text, "|"), func(s string) bool { return strings.Contains(line, s) })
		}
		if !slices.ContainsFunc(texts, lacks) {
			found = append(found, line)
		}
	}
	return found, b.more
}

// says waits until n lines have all of the texts.
func (w *world) says(n int, texts ...string) []string {
	w.t.Helper()
	limit := time.After(time.Minute)
	for {
		found, more := w.log.find(texts...)
		if len(found) >= n {
			return found
		}
		select {
		case <-more:
		case <-limit:
			w.t.Fatalf("after a minute nobody, or not %d times, said: %q", n, texts)
		}
	}
}

// pid is how the lines of a process are marked.
func (p *proc) pid() string { return fmt.Sprintf("pid=%d ", p.cmd.Process.Pid) }

// tree makes a tree of so many files, skewed, or takes it as it was left by an
// earlier test.
func tree(t *testing.T, files int) string {
	t.Helper()
	treeMu.Lock()
	defer treeMu.Unlock()
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
		dirs = append(dirs, dir)
		n := min(int(3/(0.02+rng.Float64())), files-made)
		if len(dirs) == 40 {
			n = min(files/10, files-made) // a large one
		}
		fill(t, dir, n)
		made += n
	}
	if err := os.WriteFile(done, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	return root
}

var treeMu sync.Mutex

// fill makes a directory with so many files.
func fill(t *testing.T, dir string, files int) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for i := range files {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("f%d", i)), make([]byte, i%7), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// comparable is a result without what differs from run to run.
func comparable(t *testing.T, text []byte) map[string]any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal(text, &m); err != nil {
		t.Fatalf("no result: %v: %q", err, bytes.TrimSpace(text))
	}
	for _, name := range []string{"job", "started", "finished", "wall_seconds", "clients", "workers", "settings", "refused_clients", "prefixes"} {
		delete(m, name)
	}
	// Audit counts also how it was run.
	if of, is := m["stats"].(map[string]any); is {
		maps.DeleteFunc(of, func(name string, _ any) bool {
			return strings.HasPrefix(name, "time_") || name == "num_clients" || name == "num_workers"
		})
	}
	return m
}

// await waits for a result, while something may be done now and then.
func await(t *testing.T, out <-chan result, limit time.Duration, every func() time.Duration, do func()) result {
	t.Helper()
	end := time.NewTimer(limit)
	defer end.Stop()
	for {
		next := time.NewTimer(every())
		select {
		case got := <-out:
			next.Stop()
			return got
		case <-end.C:
			next.Stop()
			t.Fatalf("the job has not ended in %v", limit)
		case <-next.C:
			do()
		}
	}
}

func never() time.Duration { return time.Hour }

// wait waits for a result.
func (w *world) wait(out <-chan result) result {
	w.t.Helper()
	return await(w.t, out, 3*time.Minute, never, nil)
}

// same checks that a result is that of an undisturbed run.
func same(t *testing.T, got result, want map[string]any) {
	t.Helper()
	if got.err != nil {
		t.Errorf("the command that submitted the job: %v", got.err)
	}
	if diff := cmp.Diff(want, comparable(t, got.text)); diff != "" {
		t.Errorf("not the result of an undisturbed run (-want +got):\n%.4000s", diff)
	}
}

// document is what tests look at in a result.
type document struct {
	State     string
	Reason    string
	Complete  bool
	Clients   int
	Refused   []string `json:"refused_clients"`
	Expected  int      `json:"expected_dirs"`
	Processed int      `json:"processed_dirs"`
	Failed    int      `json:"failed_dirs"`
	Errors    []struct{ Op, Path, Error string }
	Wall      float64 `json:"wall_seconds"`
	Stats     struct{ Files int }
	Prefixes  []struct {
		Path string
		Dirs int
		Out  bool
		Why  string
	}
}

func (r result) document(t *testing.T) (d document) {
	t.Helper()
	if err := json.Unmarshal(r.text, &d); err != nil {
		t.Fatalf("no result: %v: %q", err, bytes.TrimSpace(r.text))
	}
	return d
}

// exit is the exit status of a command.
func (r result) exit() int {
	if e := (*exec.ExitError)(nil); errors.As(r.err, &e) {
		return e.ExitCode()
	}
	return 0
}
