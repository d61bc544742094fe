package hydra

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestWhatHydraWritesItselfIsNotChanged(t *testing.T) {
	for _, way := range []string{"run", "job"} {
		root := t.TempDir()
		state := filepath.Join(root, "a[b]*{c}", "state")
		t.Setenv("XDG_STATE_HOME", state)
		acts := filepath.Join(root, "acts")
		own := []string{filepath.Join(state, "hydra", "jobs", "x.old")}
		if way == "run" {
			own = append(own, filepath.Join(acts, "y.old"))
		}
		other := filepath.Join(root, "a[b]*{c}", "state", "other.old")
		for _, path := range append([]string{other}, own...) {
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, nil, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		var err error
		if way == "run" {
			_, err = Run(t.Context(), sweepApp(), []string{root}, &Options{Acts: acts})
		} else {
			_, err = sweepApp().Configure(nil).RunJob(t.Context(), []string{root}, &JobOptions{ID: "sweep"})
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range own {
			if _, err := os.Stat(path); err != nil {
				t.Errorf("%s: %v", way, err)
			}
		}
		if _, err := os.Stat(other); err == nil {
			t.Errorf("%s: %s is still there", way, strings.TrimPrefix(other, root))
		}
	}
}
