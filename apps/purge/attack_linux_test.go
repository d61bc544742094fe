package purge_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hydrawalk/hydra"
	"github.com/hydrawalk/hydra/apps/purge"
	"golang.org/x/sys/unix"
)

// attackTime is how long the attacker has.
func attackTime() time.Duration {
	if os.Getenv("HYDRA_TEST_ALL") != "" {
		return time.Minute
	}
	return 2 * time.Second
}

// growOld makes directories of three levels with old files in each, and old empty
// directories.
func growOld(t *testing.T, root string) (dirs []string) {
	t.Helper()
	old := time.Unix(1e9, 0)
	var fill func(dir string, depth int)
	fill = func(dir string, depth int) {
		if err := os.MkdirAll(filepath.Join(dir, "empty"), 0o755); err != nil {
			t.Fatal(err)
		}
		for i := range 5 {
			path := filepath.Join(dir, fmt.Sprint("f", i))
			if err := os.WriteFile(path, []byte("x"), 0o644); err != nil {
				t.Fatal(err)
			}
			if err := os.Chtimes(path, old, old); err != nil {
				t.Fatal(err)
			}
		}
		for i := range 3 {
			if depth < 3 {
				fill(filepath.Join(dir, fmt.Sprint("d", i)), depth+1)
			}
		}
		for _, path := range []string{filepath.Join(dir, "empty"), dir} {
			if err := os.Chtimes(path, old, old); err != nil {
				t.Fatal(err)
			}
			dirs = append(dirs, path)
		}
	}
	fill(root, 0)
	return dirs
}

// TestAnAttackerLeadsNoPurgeOutOfTheTree swaps directories at every level, and files,
// for symbolic links to the same places of another tree, which is as old, and back, as
// fast as that can be done.
func TestAnAttackerLeadsNoPurgeOutOfTheTree(t *testing.T) {
	rng := rand.New(rand.NewPCG(seedOf(t), 3))
	top := t.TempDir()
	root, victim, links := filepath.Join(top, "tree"), filepath.Join(top, "victim"), filepath.Join(top, "links")
	growOld(t, victim)
	want := listing(t, victim)
	end := time.Now().Add(attackTime())
	var runs, swaps, deleted int64
	for ; time.Now().Before(end); runs++ {
		for _, dir := range []string{root, links} {
			if err := os.RemoveAll(dir); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Mkdir(links, 0o755); err != nil {
			t.Fatal(err)
		}
		dirs := growOld(t, root)
		// What is swapped: all but the root itself, which may be anything.
		var targets []string
		for _, dir := range dirs {
			if dir != root {
				targets = append(targets, dir)
			}
			targets = append(targets, filepath.Join(dir, "f1"), filepath.Join(dir, "f2"))
		}
		targets = slices.DeleteFunc(targets, func(path string) bool {
			_, err := os.Lstat(path)
			return err != nil
		})
		for i, path := range targets {
			rel, err := filepath.Rel(root, path)
			if err == nil {
				err = os.Symlink(filepath.Join(victim, rel), filepath.Join(links, fmt.Sprint(i)))
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		// By descriptors: the attacker does not fall for its own links.
		parents := map[string]int{}
		for _, dir := range append(dirs, links) {
			fd, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
			if err != nil {
				t.Fatal(err)
			}
			parents[dir] = fd
		}
		stop := make(chan struct{})
		var wg sync.WaitGroup
		order := rng.Perm(len(targets))
		wg.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				i := order[n%len(order)]
				// It fails where one of the two is gone.
				if unix.Renameat2(parents[filepath.Dir(targets[i])], filepath.Base(targets[i]), parents[links], fmt.Sprint(i), unix.RENAME_EXCHANGE) == nil {
					swaps++
				}
			}
		})
		app := purge.App()
		app.Settings.Purge, app.Settings.EmptyDirs, app.Settings.OlderThan = true, true, 90*24*60*60*1e9
		if runs%3 == 2 {
			app.Settings = quarantined(t, app.Settings, filepath.Join(top, "quarantine"))
		}
		r, err := hydra.Run(t.Context(), app, []string{root}, &hydra.Options{Workers: 1 + int(runs%3), Acts: t.TempDir()})
		close(stop)
		wg.Wait()
		for _, fd := range parents {
			unix.Close(fd)
		}
		if err != nil {
			t.Fatal(err)
		}
		deleted += int64(r.Stats.Deleted + r.Stats.Quarantined + r.Stats.DeletedDirs)
		if diff := cmp.Diff(want, listing(t, victim)); diff != "" {
			t.Fatalf("the victim: -before +after\n%s", diff)
		}
	}
	t.Logf("%d runs, %d swaps, %d deleted", runs, swaps, deleted)
	if deleted == 0 || swaps < 100 {
		t.Errorf("%d swaps, and %d were deleted: that shows nothing", swaps, deleted)
	}
}

// quarantined are settings with a quarantine, as a command line gives them.
func quarantined(t *testing.T, s purge.Settings, dir string) purge.Settings {
	t.Helper()
	app := purge.App()
	app.Settings = s
	flags := newFlags()
	app.Flags(flags, &s)
	if err := flags.Parse([]string{"--quarantine", dir, "--purge", "--empty-dirs", "--older-than", "90d"}); err != nil {
		t.Fatal(err)
	}
	return s
}
