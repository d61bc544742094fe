package natsbus

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/hydrawalk/hydra/internal/natsd"
	"github.com/hydrawalk/hydra/internal/testaddr"
)

// TestMain is also the engine of those tests that kill it.
func TestMain(m *testing.M) {
	dir := os.Getenv("NATSBUS_TEST_ENGINE")
	if dir == "" {
		os.Exit(m.Run())
	}
	s, err := natsd.Start(natsd.Options{
		Listen: os.Getenv("NATSBUS_TEST_LISTEN"), StateDir: dir,
		User: "u", Password: "p", MaxPayload: 64 << 10,
	})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println(s.Addr())
	io.Copy(io.Discard, os.Stdin) // until the test ends, in whatever way
	s.Shutdown()
	os.Exit(0)
}

// engine is a server in a process of its own.
type engine struct {
	t     *testing.T
	dir   string
	addr  string
	cmd   *exec.Cmd
	stdin io.Closer
}

func startEngine(t *testing.T) *engine {
	t.Helper()
	addr, err := testaddr.Free()
	if err != nil {
		t.Fatal(err)
	}
	e := &engine{t: t, dir: filepath.Join(t.TempDir(), "state"), addr: addr}
	e.start()
	t.Cleanup(func() { e.kill() })
	return e
}

func (e *engine) start() {
	e.t.Helper()
	e.cmd = exec.Command(os.Args[0])
	e.cmd.Env = append(os.Environ(), "NATSBUS_TEST_ENGINE="+e.dir, "NATSBUS_TEST_LISTEN="+e.addr)
	stdin, err := e.cmd.StdinPipe()
	if err != nil {
		e.t.Fatal(err)
	}
	stdout, err := e.cmd.StdoutPipe()
	if err != nil {
		e.t.Fatal(err)
	}
	if err := e.cmd.Start(); err != nil {
		e.t.Fatal(err)
	}
	e.stdin = stdin
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if e.addr = strings.TrimSpace(line); err != nil || strings.Contains(e.addr, " ") {
		e.t.Fatalf("engine: %q, %v", line, err)
	}
}

// kill is SIGKILL.
func (e *engine) kill() {
	e.cmd.Process.Kill()
	e.cmd.Wait()
	e.stdin.Close()
}

func (e *engine) options() Options {
	return Options{URL: "nats://" + e.addr, User: "u", Password: "p"}
}

// proxy is between a client and the engine.
type proxy struct {
	l  net.Listener
	to string

	mu    sync.Mutex
	deaf  bool // nothing comes back to the client
	conns map[net.Conn]struct{}
}

func startProxy(t *testing.T, to string) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{l: l, to: to, conns: map[net.Conn]struct{}{}}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s, err := net.Dial("tcp", to)
			if err != nil {
				c.Close()
				continue
			}
			p.mu.Lock()
			p.conns[c], p.conns[s] = struct{}{}, struct{}{}
			p.mu.Unlock()
			wg.Go(func() { p.copy(s, c, false) })
			wg.Go(func() { p.copy(c, s, true) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		p.cut()
		wg.Wait()
	})
	return p
}

func (p *proxy) copy(to, from net.Conn, back bool) {
	defer to.Close()
	defer from.Close()
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		if err != nil {
			return
		}
		p.mu.Lock()
		lost := back && p.deaf
		p.mu.Unlock()
		if lost {
			continue
		}
		if _, err := to.Write(buf[:n]); err != nil {
			return
		}
	}
}

// cut closes all connections; new ones are let through.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		c.Close()
		delete(p.conns, c)
	}
	p.deaf = false
}

// deafen loses all that comes back, until cut.
func (p *proxy) deafen() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.deaf = true
}
