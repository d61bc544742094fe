//go:build linux

package chaos

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// ballast fills the file system that dir is on. What it returns frees the space.
func ballast(t *testing.T, dir string) (free func()) {
	t.Helper()
	name := filepath.Join(dir, "ballast")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for block := make([]byte, 1<<20); len(block) > 0; {
		n, err := f.Write(block)
		switch {
		case errors.Is(err, unix.ENOSPC):
			block = block[:len(block)/2]
		case err != nil || n < len(block):
			t.Fatal(n, err)
		}
	}
	return func() {
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
}

// small is a world whose jobs are on a small disk.
func small(t *testing.T, world func(*testing.T) *world) *world {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("a small disk needs root to mount it")
	}
	w := world(t)
	if err := os.Mkdir(w.state(), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("none", w.state(), "tmpfs", 0, "size=8m,mode=700"); err != nil {
		t.Skipf("nothing can be mounted: %v", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(w.state(), unix.MNT_DETACH) })
	return w
}

// TestAFullDiskIsWaitedFor fills the disk that holds the jobs while one runs, and
// frees it again.
func TestAFullDiskIsWaitedFor(t *testing.T) {
	long(t)
	w := small(t, newWorld)
	root := tree(t, 20_000)
	want := w.alone(nil, root)
	server := w.server()
	clients := []*proc{w.client(2), w.client(2), w.client(2)}
	out := w.submit(root, "HYDRA_CHAOS_PER_FILE=2ms")
	w.says(1, "event: job started")
	for round := range 2 {
		free := ballast(t, w.state())
		at := time.Now()
		// The engine can not tell what of its log is on the disk: it ends.
		select {
		case <-server.ended:
		case got := <-out:
			t.Fatalf("the job ended on a full disk: %s %v", got.text, got.err)
		case <-time.After(time.Minute):
			t.Fatal("nobody has noticed that the disk is full")
		}
		said := w.says(round+1, "server: ", "no space left on device")
		t.Logf("noticed after %v: %s", time.Since(at).Round(time.Second/10), said[round])
		free()
		server = w.server()
		w.says(1, "job goes on", server.pid())
	}
	same(t, w.wait(out), want)
	w.stop(clients...)
	w.stop(server)
}

// TestAFullDiskOfAnEngineIsWaitedFor has an engine that goes on without space for
// its log, and is started anew when there is some.
func TestAFullDiskOfAnEngineIsWaitedFor(t *testing.T) {
	long(t)
	w := small(t, newWorldOutside)
	root := tree(t, 20_000)
	want := w.alone(nil, root)
	engine := w.startEngine()
	server := w.server()
	clients := []*proc{w.client(2), w.client(2), w.client(2)}
	out := w.submit(root, "HYDRA_CHAOS_PER_FILE=2ms")
	w.says(1, "event: job started")
	free := ballast(t, w.state())
	at := time.Now()
	said := w.says(1, "the server can not write") // what was done, or the state
	t.Logf("noticed after %v: %s", time.Since(at).Round(time.Second/10), said[0])
	free()
	engine.kill()
	w.startEngine()
	same(t, w.wait(out), want)
	w.stop(clients...)
	w.stop(server)
}

// TestALostLogIsAFailure deletes what the server knows of a job.
func TestALostLogIsAFailure(t *testing.T) {
	long(t)
	w := newWorld(t)
	server := w.server()
	client := w.client(2)
	out := w.submit(tree(t, 20_000), "HYDRA_CHAOS_PER_FILE=5ms")
	w.says(1, "event: job started")
	server.kill()
	if err := os.RemoveAll(w.state()); err != nil {
		t.Fatal(err)
	}
	server = w.server()
	got := w.wait(out)
	if got.exit() != 1 || len(got.text) > 0 {
		t.Errorf("exit status %d, %q", got.exit(), got.text)
	}
	w.says(1, "submit: job ", "failed: the server does not know it any more")
	// The client takes part in what comes.
	same(t, w.wait(w.submit(tree(t, 20_000))), w.alone(nil, tree(t, 20_000)))
	w.stop(client)
	w.stop(server)
}
