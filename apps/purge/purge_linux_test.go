package purge_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hydrawalk/hydra"
	"github.com/hydrawalk/hydra/apps/purge"
	"github.com/hydrawalk/hydra/internal/selection"
	"github.com/spf13/pflag"
	"golang.org/x/sys/unix"
)

// seedOf is a seed that HYDRA_SEED sets, and the log shows.
func seedOf(t testing.TB) uint64 {
	seed := rand.Uint64()
	if text := os.Getenv("HYDRA_SEED"); text != "" {
		if _, err := fmt.Sscan(text, &seed); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("HYDRA_SEED=%d", seed)
	return seed
}

// app is the application with a rule.
func (r *rule) app() *hydra.App[purge.Settings, purge.Stats] {
	app := purge.App()
	s := &app.Settings
	s.AsOf, s.OlderThan, s.Times, s.EmptyDirs = selection.AsOf{Time: r.at}, selection.Age(r.older), slices.Clone(r.times), r.emptyDirs
	if r.name != "" {
		s.Names = selection.Globs{selection.Glob(r.name)}
	}
	if r.larger >= 0 {
		s.Sizes = selection.Sizes{{Sign: '+', Bytes: hydra.Size(r.larger)}}
	}
	if r.owner >= 0 {
		s.Owners = selection.Owners{{Name: fmt.Sprint(r.owner)}}
	}
	return app
}

func (r *rule) options(t testing.TB, workers int) *hydra.Options {
	o := &hydra.Options{Workers: workers, MaxDepth: r.maxDepth, Acts: t.TempDir()}
	if r.exclude != "" {
		o.Rules = []hydra.Rule{{Glob: r.exclude}}
	}
	return o
}

// statsOf are the statistics as JSON, but for those of which only a real run has any.
func statsOf(t testing.TB, s *purge.Stats) map[string]any {
	t.Helper()
	text, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	var all map[string]any
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	return all
}

// check compares what was counted with the truth.
func (w *truth) check(t testing.TB, r *hydra.Result[purge.Stats]) {
	t.Helper()
	s := r.Stats
	type numbers struct{ files, size, dirs, scanned, matched, rest int64 }
	got := numbers{
		int64(s.Deleted), int64(s.DeletedSize), int64(s.DeletedDirs), int64(s.Scanned), s.Matched.Count,
		s.Failed.Count + s.Changed.Count + s.Gone.Count + s.InDoubt.Count + int64(s.Quarantined+s.DirsFailed+s.DirsChanged+s.DirsGone+s.DirsInDoubt),
	}
	want := numbers{int64(len(w.files)), w.size, int64(len(w.dirs)), w.scanned, int64(len(w.files)), 0}
	if got != want {
		t.Errorf("counted %+v, want %+v", got, want)
	}
	if r.State != hydra.Complete || !r.IsComplete() {
		t.Errorf("%s %s: %+v", r.State, r.Reason, r.Errors)
	}
}

// dirFor is a directory on the disk for one round of four, and in memory for the others,
// which takes a tenth of the time.
func dirFor(t *testing.T, round uint64) string {
	t.Helper()
	const inMemory = "/dev/shm"
	var st unix.Statfs_t
	if round%4 == 0 || unix.Statfs(inMemory, &st) != nil || st.Type != unix.TMPFS_MAGIC || st.Bavail*uint64(st.Bsize) < 1<<30 {
		return t.TempDir()
	}
	dir, err := os.MkdirTemp(inMemory, "hydra")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// TestWhatTheRuleNamesGoesAndNothingElse grows random trees, and purges them by random
// rules.
func TestWhatTheRuleNamesGoesAndNothingElse(t *testing.T) {
	seed := seedOf(t)
	rounds := uint64(8)
	if os.Getenv("HYDRA_TEST_ALL") != "" {
		rounds = 100
	}
	for i := range rounds {
		seed := seed + i
		t.Run(fmt.Sprintf("HYDRA_SEED=%d", seed), func(t *testing.T) {
			rule := randomRule(rand.New(rand.NewPCG(seed, 1)))
			workers := 1 + int(seed%5)
			// Reading a tree changes its times, so each who reads it has one of his own.
			make := func(name string) string {
				root := filepath.Join(dirFor(t, i), name)
				grow(t, rand.New(rand.NewPCG(seed, 2)), root, rule)
				return root
			}
			want := truth{rule: rule}
			root := make("truth")
			want.walk(t, root)
			before := listing(t, root)

			root = make("dry")
			dry, err := hydra.Run(t.Context(), rule.app(), []string{root}, rule.options(t, workers))
			if err != nil {
				t.Fatal(err)
			}
			want.check(t, dry)
			if diff := cmp.Diff(before, listing(t, root)); diff != "" {
				t.Errorf("a dry run changed something:\n%s", diff)
			}

			root = make("real")
			app := rule.app()
			app.Settings.Purge = true
			real, err := hydra.Run(t.Context(), app, []string{root}, rule.options(t, workers))
			if err != nil {
				t.Fatal(err)
			}
			want.check(t, real)
			if diff := cmp.Diff(want.without(before), listing(t, root)); diff != "" {
				t.Errorf("%+v: -want +is there\n%s", rule, diff)
			}
			if diff := cmp.Diff(statsOf(t, dry.Stats), statsOf(t, real.Stats)); diff != "" {
				t.Errorf("-dry +real\n%s", diff)
			}
			if _, err := os.Lstat(filepath.Join(root, "../victim/file")); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestOfWhatIsInTheFutureNothingIsOld(t *testing.T) {
	root := t.TempDir()
	path := filepath.Join(root, "f")
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	for _, at := range []time.Time{now.Add(time.Hour), now.AddDate(200, 0, 0)} {
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
		app := purge.App()
		app.Settings.OlderThan = selection.Age(time.Nanosecond)
		app.Settings.Purge = true
		r, err := hydra.Run(t.Context(), app, []string{root}, &hydra.Options{Acts: t.TempDir()})
		if err != nil {
			t.Fatal(err)
		}
		if n := r.Stats.Matched.Count; n != 0 {
			t.Errorf("%d files are old", n)
		}
	}
}

func newFlags() *pflag.FlagSet { return pflag.NewFlagSet("", pflag.ContinueOnError) }
