package chaos

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hydrawalk/hydra/walk"
)

// TestPoison has a directory that kills each client that enters it: after three
// of them it is an error in the result, and the rest is counted.
func TestPoison(t *testing.T) {
	root := t.TempDir()
	for _, dir := range []string{"a", "a/b", "a/b/poison", "a/b/poison/below", "c", "c/d", "e"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
		for _, f := range []string{"1", "2"} {
			if err := os.WriteFile(filepath.Join(root, dir, f), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	w := newWorld(t)
	w.server()
	const poison = "HYDRA_CHAOS_POISON=poison"
	clients := []*proc{w.client(2, poison), w.client(2, poison)}
	deaths := 0
	text := await(t, w.submit(root, poison), 2*time.Minute, func() time.Duration { return 20 * time.Millisecond }, func() {
		for i, p := range clients {
			if p.isDead() {
				deaths++
				clients[i] = w.client(2, poison)
			}
		}
	})
	var got struct {
		State       string
		Complete    bool
		Expected    int `json:"expected_dirs"`
		Failed      int `json:"failed_dirs"`
		Processed   int `json:"processed_dirs"`
		Errors      []struct{ Op, Path, Error string }
		ErrorCounts map[string]int `json:"error_counts"`
		Stats       struct{ Files int }
	}
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d clients died: %+v", deaths, got)
	if deaths != 3 {
		t.Errorf("%d clients died, want 3", deaths)
	}
	if got.State != "complete" || got.Complete || got.Failed != 1 || got.Processed != 6 || got.Stats.Files != 10 {
		t.Errorf("%+v", got)
	}
	if len(got.Errors) != 1 || got.Errors[0].Op != walk.OpHandle && got.Errors[0].Op != walk.OpOpen ||
		!strings.HasSuffix(got.Errors[0].Path, "/a/b/poison") || !strings.Contains(got.Errors[0].Error, "3") {
		t.Errorf("errors: %+v", got.Errors)
	}
}
