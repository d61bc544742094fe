//go:build unix

package main

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// manager is a service manager, of one service.
type manager struct {
	*testing.T
	socket *net.UnixConn
	cmd    *exec.Cmd
}

// startService starts a service as systemd does.
func startService(t *testing.T, args ...string) *manager {
	t.Helper()
	dir := t.TempDir()
	at := &net.UnixAddr{Name: filepath.Join(dir, "notify"), Net: "unixgram"}
	socket, err := net.ListenUnixgram("unixgram", at)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { socket.Close() })
	program, err := exec.LookPath("hydra")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, args...)
	cmd.Env = append(os.Environ(), "NOTIFY_SOCKET="+at.Name)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // nothing, if it has ended
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return &manager{t, socket, cmd}
}

// told is the next thing that the service tells.
func (m *manager) told() string {
	m.Helper()
	buf := make([]byte, 4096)
	n, err := m.socket.Read(buf)
	if err != nil {
		m.Fatal(err)
	}
	return string(buf[:n])
}

// stop ends the service.
func (m *manager) stop() {
	m.Helper()
	if err := m.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		m.Fatal(err)
	}
	if got := m.told(); got != "STOPPING=1" {
		m.Errorf("when it is to end it tells %q", got)
	}
	// A signal ends it: its exit code says so.
	_ = m.cmd.Wait()
}

func TestAServiceTellsItsManagerWhenItIsReadyAndWhenItEnds(t *testing.T) {
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	server := startService(t, "server", "-q", "--listen", "127.0.0.1:0", "--state", filepath.Join(t.TempDir(), "state"))
	text := server.told()
	address, ok := strings.CutPrefix(text, "READY=1\nSTATUS=ready at ")
	if !ok {
		t.Fatalf("a server that is ready tells %q", text)
	}
	client := startService(t, "client", "-q", address)
	if got := client.told(); got != "READY=1\nSTATUS=joined the server "+address {
		t.Errorf("a client that has joined tells %q", got)
	}
	client.stop()
	server.stop()
}
