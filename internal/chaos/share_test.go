//go:build linux

package chaos

import (
	"fmt"
	"testing"
	"time"
)

// TestADirectoryOfSlowFilesIsShared has one directory, the files of which take
// long: all clients work on it.
func TestADirectoryOfSlowFilesIsShared(t *testing.T) {
	long(t)
	w := newWorld(t)
	root := t.TempDir()
	const n, each = 200, 100 * time.Millisecond
	fill(t, root, n)
	want := w.alone(nil, root)
	w.server()
	clients := []*proc{w.client(1), w.client(1), w.client(1)}
	w.says(len(clients), "joined the server")
	got := w.wait(w.submit(root, fmt.Sprint("HYDRA_CHAOS_PER_FILE=", each)))
	same(t, got, want)
	doc := got.document(t)
	t.Logf("%d files of %v, %d clients with a worker each: wall %.1f s, one worker would need %v", n, each, doc.Clients, doc.Wall, n*each)
	if doc.Clients != len(clients) {
		t.Errorf("%d clients took part, want %d", doc.Clients, len(clients))
	}
	w.stop(clients...)
}

// TestJobsShareTheWorkers has several jobs at once, while clients die.
func TestJobsShareTheWorkers(t *testing.T) {
	long(t)
	w := newWorld(t)
	root := tree(t, 5_000)
	want := w.alone(nil, root)
	w.server()
	clients := []*proc{w.client(1), w.client(1)}
	w.says(len(clients), "joined the server")
	priorities := []int{10, 10, 40}
	ended := make(chan int)
	results := make([]result, len(priorities))
	for i, p := range priorities {
		out := w.submit(root, "HYDRA_CHAOS_PER_FILE=2ms", fmt.Sprint("HYDRA_CHAOS_PRIORITY=", p))
		go func() {
			results[i] = <-out
			ended <- i
		}()
	}
	w.says(len(priorities), "event: job started")
	kill := func(i int) {
		clients[i].kill()
		clients[i] = w.client(1)
	}
	kill(0)
	w.says(1, "client lost: not heard of")
	kill(1)
	limit := time.After(5 * time.Minute)
	for range priorities {
		select {
		case i := <-ended:
			same(t, results[i], want)
			t.Logf("priority %d: wall %.1f s", priorities[i], results[i].document(t).Wall)
		case <-limit:
			t.Fatal("not all jobs have ended")
		}
	}
	w.stop(clients...)
}
