package enemy

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hydrawalk/hydra"
	"github.com/hydrawalk/hydra/internal/gate"
)

// noises are attacks of those who say what nobody understands, or nothing.
var noises = []attack{
	{"64 KiB of noise", func(t *testing.T, w *world, _ string) {
		e, seed := w.host(), uint64(time.Now().UnixNano())
		t.Logf("seed %d", seed)
		random := rand.New(rand.NewPCG(seed, 0))
		noise := make([]byte, 64<<10)
		for i := range noise {
			noise[i] = byte(random.Uint32())
		}
		for _, c := range []net.Conn{e.plain(t), e.secure(t, config(gate.Protocol)), e.secure(t, config("http/1.1")), e.secure(t, config("", certificate(t, w.stolen(t, 0))))} {
			if _, err := says(c, string(noise)); err != nil && !strings.Contains(err.Error(), "cut") {
				t.Error(err)
			}
		}
		// And of who belongs.
		e.insideSays(t, w, string(noise))
		e.insideSays(t, w, strings.Repeat("\r\n", 32<<10))
		e.insideSays(t, w, strings.Repeat("\x00", 64<<10))
	}},
	{"a length of 4 GiB", func(t *testing.T, w *world, _ string) {
		e := w.host()
		for _, line := range []string{"PUB a 4294967296\r\n", "PUB a 4294967295\r\n", "HPUB a 4294967296 4294967296\r\n", "HPUB a 12 4294967308\r\n", "PUB a 18446744073709551617\r\n", "PUB a -1\r\n", "PUB a 2147483647\r\n", "PUB a 0x7f\r\n"} {
			e.insideSays(t, w, line)
		}
		head := "POST /v1/join HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
		for text, want := range map[string]int{
			head + "Content-Length: 4294967296\r\n\r\n{":                          413,
			head + "Content-Length: 99999999999999999999\r\n\r\n{":                400,
			head + "Transfer-Encoding: chunked\r\n\r\n100000000\r\n{":             413,
			head + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n": 400,
			head + "X: " + strings.Repeat("x", 1<<17) + "\r\n\r\n":                431,
		} {
			if status, err := e.request(config("http/1.1"), text+strings.Repeat("x", 80<<10)); status >= 200 && status < 400 {
				t.Errorf("%.120q: %d and not %d, %v", text, status, want, err)
			}
		}
		// A record of TLS says at most 64 KiB of itself; here before and in a handshake.
		for _, text := range []string{"\x16\x03\x01\xff\xff", "\x16\x03\x01\x00\x04\x01\xff\xff\xff", "\x17\x03\x03\xff\xff" + strings.Repeat("x", 1<<17)} {
			_, _ = io.WriteString(e.plain(t), text)
		}
	}},
	{"half a frame", func(t *testing.T, w *world, _ string) {
		e := w.host()
		// Then silence: they stay as they are while the job runs.
		for _, text := range []string{"PUB hydra.m.hydra.beat.x 1000\r\nhalf", "HPUB a 12 12\r\nNATS/1.0\r", "PU", "SUB _INBOX."} {
			conn := e.insider(t, w)
			if _, err := io.WriteString(conn, text); err != nil {
				t.Error(err)
			}
		}
		for _, text := range []string{"CONN", "CONNECT {\"user\":\"cl", "POST /v1/join HT", "\x16\x03\x01"} {
			_, _ = io.WriteString(e.secure(t, config("")), text)
			_, _ = io.WriteString(e.plain(t), text)
		}
	}},
	{"a silent connection x 1,000", func(t *testing.T, w *world, _ string) {
		e := w.host()
		dropped := make(chan struct{}, 1000)
		var dialing, reading sync.WaitGroup
		t.Cleanup(reading.Wait) // after the connections were closed
		for i := range 8 {
			dialing.Go(func() {
				for n := range 125 {
					conn, err := e.Dial("", "")
					if err != nil {
						t.Error(err)
						return
					}
					t.Cleanup(func() { conn.Close() })
					if i == 0 && n < 60 { // some begin TLS
						_, _ = io.WriteString(conn, "\x16\x03\x01\x02\x00\x01")
					}
					reading.Go(func() {
						if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
							dropped <- struct{}{}
						}
					})
				}
			})
		}
		dialing.Wait()
		// All but the newest of one address make room, long before their time is over.
		for n := range 900 {
			select {
			case <-dropped:
			case <-time.After(5 * time.Second): // they may be silent for ten
				t.Fatalf("%d of 1000 were dropped", n)
			}
		}
		for range 50 {
			e.secure(t, config(gate.Protocol))
		}
		// Another host gets in all the same, and so does a colleague on theirs.
		w.joined(t, hydra.RoleClient)
		nc, err := e.inside(t, certificate(t, w.stolen(t, 0)), "client."+named(t, w.stolen(t, 0), "quiet"), "")
		if err != nil {
			t.Fatal("who belongs can not come in from there:", err)
		}
		nc.Close()
	}},
	{"slow bytes", func(t *testing.T, w *world, _ string) {
		e := w.host()
		stop := make(chan struct{})
		var wg sync.WaitGroup
		slowly := func(conn net.Conn, text string) {
			wg.Go(func() {
				tick := time.NewTicker(10 * time.Millisecond)
				defer tick.Stop()
				for i := range text {
					if _, err := io.WriteString(conn, text[i:i+1]); err != nil {
						return
					}
					select {
					case <-tick.C:
					case <-stop:
						return
					}
				}
			})
		}
		hello := "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + strings.Repeat("x", 500)
		request := "POST /v1/join HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 60000\r\n\r\n" + strings.Repeat(" ", 60000)
		for range 10 {
			slowly(e.plain(t), hello)
			slowly(e.secure(t, config(gate.Protocol)), "CONNECT {\"name\":\""+strings.Repeat("x", 3000))
			slowly(e.secure(t, config("http/1.1")), request)
			slowly(e.secure(t, config("http/1.1")), request[100:])
			slowly(e.insider(t, w), fmt.Sprintf("PUB hydra.m.hydra.beat.%s 60000\r\n%s", "x", strings.Repeat("x", 60000)))
		}
		t.Cleanup(func() { close(stop); wg.Wait() }) // when the job has ended
		w.joined(t, hydra.RoleClient)
	}},
	{"HTTP to the engine", func(t *testing.T, w *world, _ string) {
		e := w.host()
		request := "GET /varz HTTP/1.1\r\nHost: x\r\n\r\n"
		for name, conn := range map[string]net.Conn{"plain": e.plain(t), "as hydra/1": e.secure(t, config(gate.Protocol)), "as nothing": e.secure(t, config(""))} {
			text, err := says(conn, request)
			if err != nil || strings.Contains(text, "HTTP/1.1 200") || strings.Contains(text, "PONG") {
				t.Errorf("%s: %q, %v", name, text, err)
			}
		}
		for _, path := range []string{"/", "/varz", "/jsz", "/connz", "/v1/../../etc/passwd", "/debug/pprof/", "*"} {
			if status, err := e.request(config("http/1.1"), "GET "+path+" HTTP/1.1\r\nHost: x\r\n\r\n"); status < 400 {
				t.Errorf("%s: %d, %v", path, status, err)
			}
		}
		// Of the engine's language nothing is understood there.
		if status, err := e.request(config("http/1.1"), "CONNECT {\"user\":\"admin.x-y\"}\r\nPING\r\n\r\n"); status != 400 {
			t.Errorf("CONNECT of NATS: %d, %v", status, err)
		}
	}},
}

// insider is a connection that has come in with a client's certificate, and on which
// CONNECT was said.
func (e *enemy) insider(t *testing.T, w *world) net.Conn {
	t.Helper()
	cred := w.stolen(t, 1)
	conn := e.secure(t, config(gate.Protocol, certificate(t, cred)))
	if text, err := connect(conn, "client."+named(t, cred, "noise"), ""); text != "PONG\r\n" {
		t.Fatalf("%q, %v", text, err)
	}
	return conn
}

// insideSays makes sure that the connection of who belongs ends when he says something.
func (e *enemy) insideSays(t *testing.T, w *world, text string) {
	t.Helper()
	conn := e.insider(t, w)
	answer, err := says(conn, text)
	if err != nil && !strings.Contains(err.Error(), "cut") {
		t.Errorf("%.60q: %q, %v", text, answer, err)
	}
}
