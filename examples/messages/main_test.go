package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hydrawalk/hydra"
)

// tree makes directories with a small file each, and one large file.
func tree(t *testing.T, dirs int) string {
	root := t.TempDir()
	for i := range dirs {
		dir := filepath.Join(root, fmt.Sprint("d", i))
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "small"), []byte("12345"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	large := filepath.Join(root, "large")
	if err := os.WriteFile(large, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(large, 2<<20); err != nil {
		t.Fatal(err)
	}
	return root
}

func TestTheExampleRunsInOneProcess(t *testing.T) {
	a := app()
	u := hydra.NewUser(a)
	var notes []string
	if err := note.Receive(u, func(_ context.Context, m hydra.Message[string]) error {
		notes = append(notes, m.Value)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	r, err := hydra.Run(t.Context(), a, []string{tree(t, 3)}, &hydra.Options{User: u})
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"I begin", "I was asked how it was"}; r.Stats.Large != 1 || !slices.Equal(notes, want) {
		t.Errorf("%d large files, notes %q", r.Stats.Large, notes)
	}
	if got := string(r.Phases["answers"]); got != `{"local":1}` {
		t.Error(got)
	}
}

// A real server and real clients, in this process; the threshold is changed while the
// walk waits for that.
func TestTheExampleRunsOnClients(t *testing.T) {
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	t.Setenv("XDG_STATE_HOME", t.TempDir())
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	ready := make(chan string, 1)
	wg.Go(func() {
		o := &hydra.ServeOptions{Listen: "127.0.0.1:0", StateDir: filepath.Join(t.TempDir(), "state"), Apps: []hydra.Application{app()}}
		o.Ready = func(s hydra.Serving) { ready <- s.Address }
		if err := hydra.Serve(ctx, o); err != nil {
			t.Error(err)
			cancel()
		}
	})
	var address string
	select {
	case address = <-ready:
	case <-ctx.Done():
		t.Fatal("there is no server")
	}
	a := app()
	s, err := hydra.Connect(ctx, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var mu sync.Mutex
	begun := map[string]int{}
	job, err := s.Submit(ctx, a, []string{tree(t, 300)}, &hydra.JobOptions{MinClients: 2, Options: hydra.Options{
		Messages: func(m hydra.UserMessage) {
			mu.Lock()
			defer mu.Unlock()
			begun[string(m.Value)]++
		},
	}})
	if err != nil {
		t.Fatal(err)
	}
	if err := threshold.Send(ctx, job, hydra.ToWorkers, 5); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		wg.Go(func() {
			if err := hydra.Work(ctx, address, &hydra.WorkOptions{Workers: 1}, app()); err != nil {
				t.Error(err)
			}
		})
	}
	doc, err := job.Wait(ctx)
	if err != nil {
		t.Fatal(err)
	}
	r := doc.(*hydra.Result[counts])
	// Who began before the message came left out small files.
	if n := int64(r.Stats.Large); n < 1 || n > 301 {
		t.Errorf("%d large files", n)
	}
	var answers map[string]int64
	if err := json.Unmarshal(r.Phases["answers"], &answers); err != nil || len(answers) != 2 {
		t.Errorf("answers %s: %v", r.Phases["answers"], err)
	}
	mu.Lock()
	defer mu.Unlock()
	if begun[`"I begin"`] != 2 || begun[`"I was asked how it was"`] != 2 {
		t.Errorf("the user was told %v", begun)
	}
	err = s.Send(ctx, job.ID(), hydra.ToServer, "answer", json.RawMessage("1"), a)
	if err == nil || !strings.Contains(err.Error(), "has ended") {
		t.Errorf("a message to a job that has ended: %v", err)
	}
}
