//go:build linux

package chaos

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hydrawalk/hydra/walk"
)

// TestPoison has directories, and files, that kill each client that comes to
// them: after three of them each is an error in the result, and the rest is
// counted.
func TestPoison(t *testing.T) {
	long(t)
	for name, c := range map[string]struct {
		dirs   map[string]int // files in each
		poison string         // names
		bad    []string       // directories that become errors
		lost   int            // directories that nobody can find then
		most   int            // clients that may die
		partly int            // files of theirs that may have been counted
	}{
		"one": {
			dirs:   map[string]int{"a/b": 2, "a/b/poison/below": 2, "c/d": 2},
			poison: "poison", bad: []string{"/a/b/poison"}, lost: 1, most: 3,
		},
		"two": {
			dirs:   map[string]int{"a/poison": 2, "b/c/poison": 2, "d": 2, "e/f": 2},
			poison: "poison", bad: []string{"/a/poison", "/b/c/poison"}, most: 8,
		},
		"deep": {
			dirs:   map[string]int{strings.Repeat("x/", 60) + "poison": 2, "a": 1},
			poison: "poison", bad: []string{"/" + strings.Repeat("x/", 60) + "poison"}, most: 3,
		},
		"the root": {
			dirs:   map[string]int{"a": 2},
			poison: "root", bad: []string{""}, lost: 1, most: 3,
		},
		"a file in a large directory": {
			dirs:   map[string]int{"a": 1, "b/large": 30_000, "c": 1},
			poison: "f20000", bad: []string{"/b/large"}, most: 5, partly: 29_999,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root := filepath.Join(t.TempDir(), "root")
			dirs := map[string]bool{"": true}
			files := 0
			for dir, n := range c.dirs {
				fill(t, filepath.Join(root, dir), n)
				for at := dir; at != "."; at = filepath.Dir(at) {
					dirs[at] = true
				}
				if !slices.ContainsFunc(c.bad, func(bad string) bool { return strings.HasPrefix("/"+dir+"/", bad+"/") }) {
					files += n
				}
			}
			w := newWorld(t)
			w.env = append(w.env, "HYDRA_CHAOS_POISON="+c.poison)
			server := w.server()
			clients := []*proc{w.client(2), w.client(2)}
			deaths := 0
			began := time.Now()
			got := await(t, w.submit(root), 3*time.Minute, func() time.Duration { return 20 * time.Millisecond }, func() {
				for i, p := range clients {
					if p.isDead() {
						deaths++
						clients[i] = w.client(2)
					}
				}
			})
			doc := got.document(t)
			t.Logf("%d clients died, wall %v: %s %s %+v", deaths, time.Since(began).Round(time.Second/10), doc.State, doc.Reason, doc.Errors)
			if deaths < 3*len(c.bad) && len(c.bad) == 1 || deaths > c.most {
				t.Errorf("%d clients died, want at most %d", deaths, c.most)
			}
			if bad := len(c.bad); doc.Failed != bad || doc.Processed != len(dirs)-bad-c.lost || doc.Complete {
				t.Errorf("%d directories failed and %d processed, want %d and %d", doc.Failed, doc.Processed, bad, len(dirs)-bad-c.lost)
			}
			// Of a large directory what was counted before is not lost.
			if n := doc.Stats.Files; n < files || n > files+c.partly {
				t.Errorf("%d files, want %d, and at most %d more", n, files, c.partly)
			}
			if name != "the root" && (doc.State != "complete" || got.err != nil) {
				t.Errorf("state %s: %s: %v", doc.State, doc.Reason, got.err)
			}
			var bad []string
			for _, e := range doc.Errors {
				bad = append(bad, strings.TrimPrefix(e.Path, root))
				if e.Op != walk.OpOpen || !strings.Contains(e.Error, "its client died") {
					t.Errorf("%+v", e)
				}
			}
			for i := range c.bad {
				c.bad[i] = strings.TrimSuffix(c.bad[i], "/")
			}
			if slices.Sort(bad); !slices.Equal(bad, c.bad) {
				t.Errorf("errors at %q, want %q", bad, c.bad)
			}
			w.stop(clients...)
			w.stop(server)
		})
	}
}

// TestNothingIsPoisonBecauseClientsDie kills clients at random, all of them at
// once now and then: the directories that they were in are not to blame.
func TestNothingIsPoisonBecauseClientsDie(t *testing.T) {
	long(t)
	root := tree(t, 5_000)
	for round := range number("HYDRA_CHAOS_ROUNDS_POISON", 1, 5) {
		t.Run(fmt.Sprint(round), func(t *testing.T) {
			w := newWorld(t)
			want := w.alone(nil, root)
			given, rng := seeds(t)()
			w.server()
			clients := []*proc{w.client(2), w.client(2), w.client(2)}
			kills := 0
			began := time.Now()
			got := await(t, w.submit(root, "HYDRA_CHAOS_PER_FILE=10ms"), 5*time.Minute, func() time.Duration {
				return time.Duration(100+rng.IntN(1000)) * time.Millisecond
			}, func() {
				n := 1
				if rng.IntN(4) == 0 {
					n = len(clients)
				}
				for _, i := range rng.Perm(len(clients))[:n] {
					if kills++; kills <= 20 {
						clients[i].kill()
						clients[i] = w.client(2)
					}
				}
			})
			same(t, got, want)
			t.Logf("HYDRA_TEST_SEED=%d %d killed, wall %v", given, min(kills, 20), time.Since(began).Round(time.Second/10))
			if kills < 20 && os.Getenv("HYDRA_TEST_SEED") == "" {
				t.Errorf("only %d clients were killed: the job is too short", kills)
			}
		})
	}
}

// TestALargeDirectoryIsNotPoisonBecauseClientsDie has a directory that takes longer
// than any client lives.
func TestALargeDirectoryIsNotPoisonBecauseClientsDie(t *testing.T) {
	long(t)
	if !all() {
		t.Skip("takes two minutes: HYDRA_TEST_ALL")
	}
	w := newWorld(t)
	root := t.TempDir()
	fill(t, filepath.Join(root, "large"), 4_000)
	want := w.alone(nil, root)
	w.server()
	clients := []*proc{w.client(1), w.client(1)}
	kills := 0
	got := await(t, w.submit(root, "HYDRA_CHAOS_PER_FILE=25ms"), 5*time.Minute, func() time.Duration { return 12 * time.Second }, func() {
		for i := range clients {
			clients[i].kill()
			clients[i] = w.client(1)
		}
		kills++
	})
	same(t, got, want)
	t.Logf("all clients killed %d times", kills)
	w.stop(clients...)
}
