//go:build linux

package chaos

import (
	"context"
	"fmt"
	"io"
	"math"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// link is a cable between two network namespaces:
//
//	near: server ◄─ 127.0.0.1:P ◄─ relay ◄─ 10.111.x.1:Q │ cable │ relay ◄─ 127.0.0.1:P ◄─ clients: far
//
// A server listens on the loopback only; the relays pass on.
type link struct {
	t         *testing.T
	near, far place
	device    string // in near
	nearAddr  string
}

func newLink(t *testing.T) *link {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("network namespaces need root")
	}
	if _, err := exec.LookPath("ip"); err != nil {
		t.Skip("network namespaces need ip (Debian package iproute2)")
	}
	id := os.Getpid()
	near, far := fmt.Sprintf("hydra%da", id), fmt.Sprintf("hydra%db", id)
	l := &link{t: t, near: place{"ip", "netns", "exec", near}, far: place{"ip", "netns", "exec", far}, device: fmt.Sprintf("hyd%d", id), nearAddr: "10.111.1.1"}
	if out, err := exec.Command("ip", "netns", "add", near).CombinedOutput(); err != nil {
		t.Skipf("no network namespaces here: %v: %s", err, out)
	}
	t.Cleanup(func() {
		l.ip("netns", "delete", near)
		l.ip("netns", "delete", far)
	})
	l.ip("netns", "add", far)
	l.ip("link", "add", l.device, "netns", near, "type", "veth", "peer", "name", l.device, "netns", far)
	for ns, addr := range map[string]string{near: l.nearAddr, far: "10.111.1.2"} {
		l.ip("-n", ns, "link", "set", "lo", "up")
		l.ip("-n", ns, "address", "add", addr+"/24", "dev", l.device)
		l.ip("-n", ns, "link", "set", l.device, "up")
	}
	return l
}

func (l *link) ip(args ...string) {
	l.t.Helper()
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		l.t.Errorf("ip %s: %v: %s", strings.Join(args, " "), err, out)
	}
}

func (l *link) set(state string) {
	l.ip("-n", l.near[3], "link", "set", l.device, state)
}

// TestExactWhenTheLinkIsCut has some of the clients behind a cable that is
// unplugged now and then. That breaks no connection: nobody hears anything.
func TestExactWhenTheLinkIsCut(t *testing.T) {
	long(t)
	l := newLink(t)
	w := newWorld(t)
	files := number("HYDRA_CHAOS_FILES", 20_000, 300_000)
	root := tree(t, files)
	want := w.alone(nil, root)
	given, rng := seeds(t)()

	server := w.serverAt(l.near)
	_, port, _ := net.SplitHostPort(w.address)
	outside := l.nearAddr + ":" + port
	w.ready(w.start("relay", l.near, "HYDRA_CHAOS_ADDRESS="+outside, "HYDRA_CHAOS_TARGET="+w.address))
	w.ready(w.start("relay", l.far, "HYDRA_CHAOS_TARGET="+outside))
	clients := []*proc{w.clientAt(l.near, 2), w.clientAt(l.far, 2), w.clientAt(l.far, 2)}
	w.says(3, "joined the server")

	at := time.Now()
	each := 10 * time.Second * 6 / time.Duration(files)
	up, cuts, cutFor := true, 0, time.Duration(0)
	pause := func() time.Duration {
		d := time.Duration(500+rng.IntN(2000)) * time.Millisecond
		if !up {
			d = time.Duration(1000+rng.IntN(9000)) * time.Millisecond
			cutFor += d
		}
		return d
	}
	most := number("HYDRA_CHAOS_CUTS", 2, math.MaxInt)
	got := await(t, w.command("submit", l.near, root, fmt.Sprint("HYDRA_CHAOS_PER_FILE=", each)), 10*time.Minute, pause, func() {
		switch up = !up; {
		case up:
			l.set("up")
		case cuts == most:
			up = true
		default:
			l.set("down")
			cuts++
		}
	})
	if !up {
		l.set("up")
	}
	same(t, got, want)
	t.Logf("HYDRA_TEST_SEED=%d wall %v: cut %d times, %v in all", given, time.Since(at).Round(time.Second/10), cuts, cutFor.Round(time.Second/10))
	if cuts == 0 {
		t.Error("the link was not cut")
	}
	w.stop(clients...)
	w.stop(server)
}

// relay passes connections on.
func relay(ctx context.Context, listen, target string) error {
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	fmt.Println(l.Addr())
	defer context.AfterFunc(ctx, func() { l.Close() })()
	for {
		in, err := l.Accept()
		if err != nil {
			return nil // it is asked to end
		}
		go pass(in, target)
	}
}

func pass(in net.Conn, target string) {
	defer in.Close()
	out, err := net.DialTimeout("tcp", target, 10*time.Second)
	if err != nil {
		return
	}
	go func() {
		_, _ = io.Copy(out, in)
		out.Close()
	}()
	_, _ = io.Copy(in, out)
}
