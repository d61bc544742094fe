package hydra

import (
	"os"
	"path/filepath"
	"testing"
)

// By whichever way an application comes to it.
func TestWhatHydraWritesItselfIsNotChanged(t *testing.T) {
	for _, way := range []string{"run", "job", "cluster"} {
		for _, link := range []bool{false, true} {
			t.Run(way, func(t *testing.T) {
				root := filepath.Join(t.TempDir(), "root")
				state, acts, served := filepath.Join(root, "a[b]*{c}", "state"), filepath.Join(root, "acts"), filepath.Join(root, "served")
				t.Setenv("XDG_STATE_HOME", state)
				own := []string{filepath.Join(state, "hydra", "jobs", "x.old")}
				switch way {
				case "run":
					own = append(own, filepath.Join(acts, "y.old"))
				case "cluster":
					own = append(own, filepath.Join(served, "jetstream", "z.old"))
				}
				other := filepath.Join(state, "other.old")
				for _, path := range append([]string{other}, own...) {
					if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
						t.Fatal(err)
					}
					if err := os.WriteFile(path, nil, 0o644); err != nil {
						t.Fatal(err)
					}
				}
				path := root
				if link {
					path = filepath.Join(t.TempDir(), "link") + "/"
					if err := os.Symlink(root, filepath.Clean(path)); err != nil {
						t.Fatal(err)
					}
				}
				var err error
				switch way {
				case "run":
					_, err = Run(t.Context(), sweepApp(), []string{path}, &Options{Acts: acts})
				case "job":
					_, err = sweepApp().Configure(nil).RunJob(t.Context(), []string{path}, &JobOptions{ID: "sweep"})
				case "cluster":
					c := newCluster(t)
					c.own = namedDirs(served)
					c.serve()
					c.work(nil, 1, sweepApp())
					var j *Job
					if j, err = c.connect().Submit(t.Context(), sweepApp(), []string{path}, nil); err == nil {
						_, err = j.Wait(t.Context())
					}
				}
				if err != nil {
					t.Fatal(err)
				}
				for _, path := range own {
					if _, err := os.Stat(path); err != nil {
						t.Error(err)
					}
				}
				if _, err := os.Stat(other); err == nil {
					t.Errorf("%s is still there", other)
				}
			})
		}
	}
}
