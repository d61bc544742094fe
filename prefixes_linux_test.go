package hydra

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hydrawalk/hydra/internal/faultfs"
	"github.com/hydrawalk/hydra/stats"
	"github.com/hydrawalk/hydra/walk"
)

// mountsOfOneTree are two mounts of one tree, in which calls take their time.
func mountsOfOneTree(t *testing.T) (a, b *faultfs.Mounted) {
	tree := faultfs.Tree{}
	for i := range 30 {
		for j := range 4 {
			for k := range 3 {
				tree[fmt.Sprintf("d%d/e%d/f%d", i, j, k)] = faultfs.File(k)
			}
		}
	}
	a, b = faultfs.Mount(t, tree), faultfs.Mount(t, tree)
	for _, m := range []*faultfs.Mounted{a, b} {
		m.On(faultfs.OpenDir, faultfs.Everywhere, faultfs.Rule{Delay: time.Millisecond})
	}
	return a, b
}

// seenOnce is an application that keeps all paths that are counted, and how often
// each was.
func seenOnce() *App[struct{}, paths] {
	return &App[struct{}, paths]{
		Name:     "paths",
		NewStats: func(struct{}) *paths { return &paths{All: stats.Group[string]{}} },
		NewHandler: func(_ context.Context, w *Worker[struct{}, paths]) (walk.Handler, error) {
			return handler(func(_ context.Context, e *walk.Entry) error {
				w.Stats.All.Add(e.Path(), 0)
				_, err := e.Stat()
				return err
			}), nil
		},
	}
}

type paths struct {
	All stats.Group[string] `json:"all"`
}

func samePaths(t *testing.T, got, want stats.Group[string]) {
	t.Helper()
	for path, bin := range got {
		if bin.Count != 1 || want[path] == nil {
			t.Errorf("%s came %d times", path, bin.Count)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d paths, want %d", len(got), len(want))
	}
}

func TestARunWithPrefixesFindsWhatOneWithoutDoes(t *testing.T) {
	a, b := mountsOfOneTree(t)
	want, err := Run(t.Context(), seenOnce(), []string{a.Root}, &Options{Workers: 4})
	if err != nil {
		t.Fatal(err)
	}
	got, err := Run(t.Context(), seenOnce(), []string{a.Root}, &Options{Workers: 4, Prefixes: []string{a.Root, b.Root}})
	if err != nil {
		t.Fatal(err)
	}
	samePaths(t, got.Stats.All, want.Stats.All)
	if got.State != Complete || !strings.HasPrefix(got.Job, "local-") || got.Clients != 1 || got.Walked.ProcessedDirs != want.Walked.ProcessedDirs {
		t.Errorf("%+v", got.Outcome)
	}
	if len(got.Prefixes) != 2 || got.Prefixes[0].Dirs+got.Prefixes[1].Dirs != 151 || got.Prefixes[0].Dirs < 20 || got.Prefixes[1].Dirs < 20 {
		t.Errorf("prefixes: %+v", got.Prefixes)
	}
	text, err := got.MarshalJSON()
	if err != nil || !strings.Contains(string(text), `"prefixes":[{"path":`) {
		t.Errorf("%v %s", err, text)
	}
}

// TestAPrefixThatHangsFromTheMidstOnIsSurvived hangs in every call from some on.
func TestAPrefixThatHangsFromTheMidstOnIsSurvived(t *testing.T) {
	for hangs := range 2 {
		t.Run(fmt.Sprint("mount ", hangs), func(t *testing.T) {
			a, b := mountsOfOneTree(t)
			want, err := Run(t.Context(), seenOnce(), []string{a.Root}, &Options{Workers: 4})
			if err != nil {
				t.Fatal(err)
			}
			stuck, hang := []*faultfs.Mounted{a, b}[hangs], faultfs.NewHang()
			stuck.On(faultfs.OpenDir, faultfs.Everywhere, faultfs.Rule{After: 12, Hang: hang})
			begin := sync.OnceFunc(func() {
				for _, op := range []faultfs.Op{faultfs.Lookup, faultfs.GetAttr, faultfs.ReadDir} {
					stuck.On(op, faultfs.Everywhere, faultfs.Rule{Hang: hang})
				}
			})
			go func() {
				<-hang.Reached()
				begin()
			}()
			got, err := Run(t.Context(), seenOnce(), []string{a.Root}, &Options{Workers: 4, Prefixes: []string{a.Root, b.Root}, Stall: 300 * time.Millisecond})
			if err != nil {
				t.Fatal(err)
			}
			select {
			case <-hang.Reached():
			default:
				t.Error("nothing hung")
			}
			samePaths(t, got.Stats.All, want.Stats.All)
			if !got.IsComplete() || got.Walked.ProcessedDirs != 151 {
				t.Errorf("%s %s %+v", got.State, got.Reason, got.Walked)
			}
			if p := got.Prefixes; len(p) != 2 || !p[hangs].Out || p[hangs].Why == "" || p[1-hangs].Out || p[1-hangs].Dirs == 0 {
				t.Errorf("prefixes: %+v", p)
			}
		})
	}
}

// TestADirectoryThatAnswersThroughNoPrefixIsAnError is not done again for ever.
func TestADirectoryThatAnswersThroughNoPrefixIsAnError(t *testing.T) {
	a, b := mountsOfOneTree(t)
	hang := faultfs.NewHang()
	for _, m := range []*faultfs.Mounted{a, b} {
		m.On(faultfs.OpenDir, "d3/e1", faultfs.Rule{Hang: hang})
	}
	got, err := Run(t.Context(), seenOnce(), []string{a.Root}, &Options{Workers: 4, Prefixes: []string{a.Root, b.Root}, Stall: 200 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	if got.State != Complete || got.Walked.FailedDirs != 1 || got.Walked.ProcessedDirs != 150 || len(got.Stats.All) != 357 {
		t.Errorf("%s %+v", got.State, got.Walked)
	}
	if len(got.Errors) != 1 || got.Errors[0].Path != a.Path("d3/e1") || !strings.Contains(got.Errors[0].Error, "no answer to") {
		t.Errorf("%+v", got.Errors)
	}
}

func TestARunWithPrefixesIsInterrupted(t *testing.T) {
	a, b := mountsOfOneTree(t)
	cause := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	app := counter(func(_ context.Context, w *Worker[struct{}, counts], _ *walk.Entry) error {
		if w.Stats.Files == 20 {
			cancel(cause)
		}
		return nil
	})
	got, err := Run(ctx, app, []string{a.Root}, &Options{Workers: 2, Prefixes: []string{a.Root, b.Root}})
	if !errors.Is(err, cause) || got == nil || got.State != Interrupted || got.Stats.Files < 20 || got.Stats.Files == 360 {
		t.Fatalf("%v %+v", err, got)
	}
}

func TestPrefixesThatCanNotBeMeantAreUsageErrors(t *testing.T) {
	dir := t.TempDir()
	for want, prefixes := range map[string][]string{
		"does not lie in a prefix: there are " + dir + "/a, " + dir + "/b": {dir + "/a", dir + "/b"},
		"is no path":         {dir, ""},
		"lies in the prefix": {dir, dir + "/x"},
	} {
		_, err := Run(t.Context(), counter(nil), []string{dir}, &Options{Prefixes: prefixes})
		var usage *UsageError
		if !errors.As(err, &usage) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", prefixes, err)
		}
	}
}
