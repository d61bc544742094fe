//go:build linux

package chaos

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hydrawalk/hydra"
	"github.com/hydrawalk/hydra/apps/purge"
	"github.com/hydrawalk/hydra/internal/selection"
	"github.com/hydrawalk/hydra/walk"
)

// longAgo is when old files were made.
var longAgo = time.Unix(1_000_000_000, 0)

// slowPurge is purge, with a handler that takes its time. If it is blind it deletes what
// it planned without to look at it again: then nothing but the records of acts keeps
// clients from deleting twice.
func slowPurge() *hydra.App[purge.Settings, purge.Stats] {
	a := purge.App()
	a.Settings.Purge, a.Settings.EmptyDirs = true, true
	a.Settings.OlderThan = selection.Age(24 * time.Hour)
	inner, each := a.NewHandler, duration("HYDRA_CHAOS_PER_FILE")
	blind := os.Getenv("HYDRA_CHAOS_BLIND") != ""
	a.NewHandler = func(ctx context.Context, w *hydra.Worker[purge.Settings, purge.Stats]) (walk.Handler, error) {
		h, err := inner(ctx, w)
		if err != nil {
			return nil, err
		}
		return &slowPurger{purger: h.(purger), pace: pace{each: each}, blind: blind}, nil
	}
	return a
}

// purger is what purge's handler is.
type purger interface {
	auditor
	hydra.Actor
}

type slowPurger struct {
	purger
	pace  pace
	blind bool
}

func (s *slowPurger) Act(ctx context.Context, h *walk.Held, a *hydra.Act) {
	if s.blind {
		a.Result = hydra.ActDone
		if err := h.Remove(); err != nil {
			a.Result, a.Error = hydra.ActFailed, err.Error()
		}
	} else {
		s.purger.Act(ctx, h, a)
	}
	s.pace.file() // afterwards: little time is between what is looked at and what is done
}

// purgeTree is a tree of files of which every second one is old, and directories of
// which every fourth one has only old ones.
func purgeTree(t *testing.T, files int) (root string, old, young []string, empty []string) {
	t.Helper()
	root = t.TempDir()
	for i := range files {
		dir := filepath.Join(root, fmt.Sprint(i%7), fmt.Sprint(i/50))
		path := filepath.Join(dir, fmt.Sprint("f", i))
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, make([]byte, i%5), 0o644); err != nil {
			t.Fatal(err)
		}
		if all := i/50%4 == 0; all && i%50 == 0 {
			for j := range 7 {
				empty = append(empty, filepath.Join(root, fmt.Sprint(j), fmt.Sprint(i/50)))
			}
		}
		if i/50%4 != 0 && i/7%2 == 0 {
			young = append(young, path)
			continue
		}
		old = append(old, path)
		if err := os.Chtimes(path, longAgo, longAgo); err != nil {
			t.Fatal(err)
		}
	}
	return root, old, young, empty
}

// purged is what a purge says of itself.
type purged struct {
	State    string
	Complete bool
	Stats    struct {
		Matched, Failed, Changed, Gone struct{ Count int64 }
		InDoubt                        struct{ Count int64 } `json:"in_doubt"`
		Deleted                        int64                 `json:"deleted_files"`
		Dirs                           int64                 `json:"deleted_dirs"`
		DirsGone                       int64                 `json:"gone_dirs"`
		DirsInDoubt                    int64                 `json:"in_doubt_dirs"`
	}
}

func purgedOf(t *testing.T, got result) (p purged) {
	t.Helper()
	if err := json.Unmarshal(got.text, &p); err != nil {
		t.Fatalf("no result: %v: %q, %v", err, got.text, got.err)
	}
	return p
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// TestWhatIsPurgedIsWhatTheRuleNamesWhateverDies kills and freezes clients and the
// server at random.
func TestWhatIsPurgedIsWhatTheRuleNamesWhateverDies(t *testing.T) {
	long(t)
	files := number("HYDRA_CHAOS_PURGE_FILES", 6000, 60_000)
	seed := seeds(t)
	for round := range number("HYDRA_CHAOS_ROUNDS_PURGE", 1, 10) {
		t.Run(fmt.Sprint(round), func(t *testing.T) {
			root, old, young, empty := purgeTree(t, files)
			w := newWorld(t)
			w.env = append(w.env, "HYDRA_CHAOS_APP=purge")
			given, rng := seed()
			s := &storm{world: w, rng: rng, kills: map[string]int{}, blows: number("HYDRA_CHAOS_BLOWS", 8, math.MaxInt)}
			p := purgedOf(t, s.run(root, files))
			t.Logf("HYDRA_TEST_SEED=%d %v: %+v", given, s, p)
			for _, path := range old {
				if exists(path) {
					t.Fatalf("%s is still there", path)
				}
			}
			for _, path := range young {
				if !exists(path) {
					t.Fatalf("%s is gone, and was not named", path)
				}
			}
			for _, path := range empty {
				if exists(path) {
					t.Fatalf("%s is empty, and still there", path)
				}
			}
			if n := int64(len(old)); p.Stats.Matched.Count != n || p.Stats.Deleted+p.Stats.InDoubt.Count != n {
				t.Errorf("%d were to be deleted", n)
			}
			if p.State != "complete" || !p.Complete || p.Stats.Failed.Count+p.Stats.Changed.Count+p.Stats.Gone.Count != 0 {
				t.Errorf("not as it should be")
			}
			if n := int64(len(empty)); p.Stats.Dirs+p.Stats.DirsInDoubt+p.Stats.DirsGone != n {
				t.Errorf("%d directories were to be removed", n)
			}
		})
	}
}

// TestAClientThatWasFrozenDeletesNothingMore freezes a client amid a batch of what it
// has planned, and puts all files back when others have done its work.
func TestAClientThatWasFrozenDeletesNothingMore(t *testing.T) {
	long(t)
	root, old, _, _ := purgeTree(t, 3000)
	w := newWorld(t)
	w.env = append(w.env, "HYDRA_CHAOS_APP=purge", "HYDRA_CHAOS_BLIND=1", "HYDRA_CHAOS_PER_FILE=4ms")
	server := w.server()
	const workers = 2
	frozen := w.client(workers)
	done := w.submit(root)
	for n := 0; n < 20; time.Sleep(time.Millisecond) {
		n = 0
		for _, path := range old {
			if !exists(path) {
				n++
			}
		}
	}
	frozen.signal(syscall.SIGSTOP)
	other := w.client(4, "HYDRA_CHAOS_PER_FILE=0")
	p := purgedOf(t, await(t, done, 3*time.Minute, func() time.Duration { return time.Second }, func() {}))
	if n := int64(len(old)); p.Stats.Deleted+p.Stats.InDoubt.Count != n {
		t.Errorf("%d were to be deleted: %+v", n, p)
	}
	for _, path := range old {
		if exists(path) {
			t.Fatalf("%s is still there", path)
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	frozen.signal(syscall.SIGCONT)
	// What it was about to write is refused, or it is told that the job is over.
	w.says(1, frozen.pid(), "the session was lost|left a job")
	w.stop(frozen, other)
	w.stop(server)
	var gone []string
	for _, path := range old {
		if !exists(path) {
			gone = append(gone, path)
		}
	}
	// Who was frozen between its last look at the clock and the system call.
	if len(gone) > workers {
		t.Errorf("%d files were deleted afterwards: %s", len(gone), strings.Join(gone, " "))
	}
}
