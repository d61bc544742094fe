package hydra

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// localTree is a tree with three files, and a place for local jobs that nobody else has.
func localTree(t *testing.T) string {
	t.Helper()
	t.Setenv("XDG_STATE_HOME", t.TempDir())
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	root := t.TempDir()
	for _, name := range []string{"a", "b", "c"} {
		if err := os.WriteFile(filepath.Join(root, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func TestALocalJobHasOneResultHoweverOftenItIsAskedFor(t *testing.T) {
	root := localTree(t)
	app := counter(nil)
	count := func(doc Document, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		if o := doc.Common(); doc.(*Result[counts]).Stats.Files != 3 || o.State != Complete || o.Job != "j" || o.Clients != 1 {
			t.Errorf("%+v", o)
		}
	}
	count(runJob(t.Context(), app, []string{root}, &JobOptions{ID: "j"}))
	if _, err := runJob(t.Context(), app, []string{root}, &JobOptions{ID: "j"}); !errors.Is(err, ErrJobExists) {
		t.Errorf("a second one of the same name: %v", err)
	}
	// What is there now does not matter any more.
	if err := os.Remove(filepath.Join(root, "a")); err != nil {
		t.Fatal(err)
	}
	count(resumeJob(t.Context(), app, "j", nil))
	count(WaitLocal(t.Context(), app, "j", nil))
	jobs, err := LocalJobs(t.Context(), nil)
	if err != nil || len(jobs) != 1 || jobs[0].Job != "j" || jobs[0].State != Complete {
		t.Errorf("%+v, %v", jobs, err)
	}

	other := counter(nil)
	other.Version = "other"
	if _, err := resumeJob(t.Context(), other, "j", nil); err == nil || !strings.Contains(err.Error(), "job j is one of") {
		t.Errorf("by another version: %v", err)
	}
	if err := RemoveLocal(t.Context(), "j"); err != nil {
		t.Error(err)
	}
	if _, err := resumeJob(t.Context(), app, "j", nil); !errors.Is(err, ErrNoJob) {
		t.Errorf("when it was removed: %v", err)
	}
	if names, err := LocalJobNames(); err != nil || len(names) > 0 {
		t.Errorf("%q are left, %v", names, err)
	}
}

func TestAnOpenLocalJobCanNotBeRemoved(t *testing.T) {
	root := localTree(t)
	if _, err := runJob(t.Context(), counter(nil), []string{root}, &JobOptions{ID: "j"}); err != nil {
		t.Fatal(err)
	}
	s, err := OpenLocal(t.Context(), "j", nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := RemoveLocal(t.Context(), "j"); err == nil {
		t.Error("it was removed")
	}
	s.Close()
	if err := RemoveLocal(t.Context(), "j"); err != nil {
		t.Error(err)
	}
}

func TestNothingIsLeftOfALocalJobThatWasNotBegun(t *testing.T) {
	root := localTree(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := runJob(ctx, counter(nil), []string{root}, &JobOptions{ID: "j"}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	var usage *UsageError
	if _, err := runJob(t.Context(), counter(nil), nil, &JobOptions{ID: "j"}); !errors.As(err, &usage) {
		t.Errorf("without a path: %v", err)
	}
	if names, err := LocalJobNames(); err != nil || len(names) > 0 {
		t.Errorf("%q are left, %v", names, err)
	}
}

func TestNothingIsLeftOfALocalJobWheneverItIsCancelledBefore(t *testing.T) {
	root := localTree(t)
	for after := time.Duration(0); after < 10*time.Millisecond; after += 100 * time.Microsecond {
		ctx, cancel := context.WithTimeout(t.Context(), after)
		_, _ = runJob(ctx, counter(nil), []string{root}, &JobOptions{ID: "j"}) // or it is done
		cancel()
		names, err := LocalJobNames()
		if err != nil {
			t.Fatal(err)
		}
		if len(names) == 0 {
			continue
		}
		s, err := OpenLocal(t.Context(), "j", nil)
		if err != nil {
			t.Fatalf("after %v: %v", after, err)
		}
		s.Close()
		if err := RemoveLocal(t.Context(), "j"); err != nil {
			t.Fatal(err)
		}
	}
}

func TestNamesOfJobsAreNamesOfDirectoriesAndTables(t *testing.T) {
	for _, name := range []string{"", "-a", ".", "..", "a.b", "a/b", `a\b`, "a b", "ä", "a\n", strings.Repeat("a", 65)} {
		var usage *UsageError
		if err := CheckJobName(name); !errors.As(err, &usage) {
			t.Errorf("%q: %v", name, err)
		}
	}
	good := []string{"a", "_", "7", "nightly-2026_01", strings.Repeat("a", 64)}
	if i := slices.IndexFunc(good, func(name string) bool { return CheckJobName(name) != nil }); i >= 0 {
		t.Errorf("%q can not be a name", good[i])
	}
}
