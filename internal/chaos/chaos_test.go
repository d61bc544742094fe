package chaos

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// size is how many files and rounds there are: few, or all.
func size() (files, rounds int) {
	if os.Getenv("HYDRA_TEST_ALL") != "" {
		return 300_000, 20
	}
	return envFiles(), envRounds()
}

func seed(t *testing.T) *rand.Rand {
	s := uint64(time.Now().UnixNano())
	if given := os.Getenv("HYDRA_TEST_SEED"); given != "" {
		s, _ = strconv.ParseUint(given, 10, 64)
	}
	t.Logf("HYDRA_TEST_SEED=%d", s)
	return rand.New(rand.NewPCG(s, 1))
}

func TestAnUndisturbedClusterIsExact(t *testing.T) {
	root := tree(t, 20_000)
	want := undisturbed(t, root)
	w := newWorld(t)
	w.server()
	for range 3 {
		w.client(2)
	}
	got := await(t, w.submit(root), time.Minute, never, nil)
	same(t, got, want)
}

// TestExactWhateverDies kills and freezes clients and the server at random.
func TestExactWhateverDies(t *testing.T) {
	files, rounds := size()
	root := tree(t, files)
	want := undisturbed(t, root)
	rng := seed(t)
	for round := range rounds {
		t.Run(fmt.Sprint(round), func(t *testing.T) {
			at := time.Now()
			w := newWorld(t)
			kills := w.chaos(rng, root, want)
			t.Logf("%v, killed or frozen: %v", time.Since(at).Round(time.Second), kills)
		})
	}
}

// chaos runs one job while processes die.
func (w *world) chaos(rng *rand.Rand, root string, want map[string]any) map[string]int {
	perFile := fmt.Sprint("HYDRA_CHAOS_PER_FILE=", time.Duration(200+rng.IntN(400))*time.Microsecond)
	server := w.server()
	var clients []*proc
	more := func() { clients = append(clients, w.client(1+rng.IntN(4))) }
	for range 3 + rng.IntN(3) {
		more()
	}
	kills := map[string]int{}
	var frozen []*proc
	got := await(w.t, w.submit(root, perFile), 10*time.Minute, func() time.Duration {
		return time.Duration(200+rng.IntN(2500)) * time.Millisecond
	}, func() {
		// Who was frozen wakes up again, sometimes after it was lost.
		if len(frozen) > 0 && rng.IntN(2) == 0 {
			frozen[0].signal(syscall.SIGCONT)
			frozen = frozen[1:]
		}
		switch i := rng.IntN(len(clients)); rng.IntN(6) {
		case 0, 1, 2:
			clients[i].kill()
			clients = append(clients[:i], clients[i+1:]...)
			more()
			kills["clients"]++
		case 3, 4:
			clients[i].signal(syscall.SIGSTOP)
			frozen = append(frozen, clients[i])
			kills["frozen"]++
		case 5:
			server.kill()
			server = w.server()
			kills["servers"]++
		}
	})
	for _, p := range frozen {
		p.signal(syscall.SIGCONT)
	}
	same(w.t, got, want)
	return kills
}

// relay passes connections on: a link that can be cut lies between two of them.
func relay(ctx context.Context, listen, target string) error {
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	fmt.Println(l.Addr())
	context.AfterFunc(ctx, func() { l.Close() })
	for {
		in, err := l.Accept()
		if err != nil {
			return nil
		}
		go func() {
			out, err := net.Dial("tcp", target)
			if err != nil {
				in.Close()
				return
			}
			go func() { _, _ = io.Copy(out, in); out.Close() }()
			_, _ = io.Copy(in, out)
			in.Close()
		}()
	}
}

func envRounds() int {
	if n, err := strconv.Atoi(os.Getenv("HYDRA_CHAOS_ROUNDS")); err == nil {
		return n
	}
	return 1
}

func envFiles() int {
	if n, err := strconv.Atoi(os.Getenv("HYDRA_CHAOS_FILES")); err == nil {
		return n
	}
	return 20_000
}
