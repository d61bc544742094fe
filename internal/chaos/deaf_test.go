//go:build linux

package chaos

import (
	"syscall"
	"testing"
	"time"
)

// TestWhoHearsNothingBlamesNobody freezes the server, or the engine that is not
// its own, for longer than a client may be silent: the clients were there.
func TestWhoHearsNothingBlamesNobody(t *testing.T) {
	long(t)
	root := tree(t, 20_000)
	for name, world := range map[string]func(*testing.T) *world{"server": newWorld, "engine": newWorldOutside} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := world(t)
			var frozen *proc
			if w.engine != "" {
				frozen = w.startEngine()
			}
			server := w.server()
			if frozen == nil {
				frozen = server
			}
			clients := []*proc{w.client(2), w.client(2), w.client(2)}
			w.says(len(clients), "joined the server")
			out := w.submit(root, "HYDRA_CHAOS_PER_FILE=3ms")
			w.says(1, "event: job started")
			frozen.signal(syscall.SIGSTOP)
			time.Sleep(7 * time.Second)
			frozen.signal(syscall.SIGCONT)
			same(t, w.wait(out), w.alone(nil, root))
			if lost, _ := w.log.find("lost: "); len(lost) > 0 {
				t.Errorf("%q", lost)
			}
			w.stop(clients...)
			w.stop(server)
		})
	}
}
