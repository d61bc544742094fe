package hydra_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/hydrawalk/hydra"
	"github.com/hydrawalk/hydra/stats"
	"github.com/hydrawalk/hydra/walk"
)

type files struct {
	Files stats.Counter `json:"files"`
}

type countFiles struct{ *files }

func (c countFiles) File(context.Context, *walk.Entry) error { c.Files.Inc(); return nil }

// What lies below another root is walked once, and always.
func TestARootBelowAnotherIsNeitherLostNorWalkedTwice(t *testing.T) {
	top := t.TempDir()
	for _, p := range []string{"a/f", "a/cache/f", "a/cache/x/f", "a/cache/x/g"} {
		p = filepath.Join(top, p)
		if err := os.MkdirAll(filepath.Dir(p), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		roots   []string
		exclude string
		files   int64
		errors  int64
		depth   int
	}{
		{[]string{"a", "a/cache/x"}, "", 4, 0, 0},
		{[]string{"a", "a/cache/x"}, "cache", 3, 0, 0},
		{[]string{"a", "a/cache/x"}, "x", 4, 0, 0},
		{[]string{"a", "a/cache/x"}, "cache/x", 4, 0, 0},
		{[]string{"a", "a/cache/x/f"}, "cache", 2, 0, 0},
		{[]string{"a", "a/cache/x/f"}, "f", 2, 0, 0}, // the one that was asked for, and g
		{[]string{"a", "a/cache/x/f"}, "g", 3, 0, 0},
		{[]string{"a", "a/missing"}, "", 4, 1, 0},
		{[]string{"a", "a/missing", "a/f"}, "", 4, 1, 0},
		// With a maximum depth a/cache stays a root, and lists what is below it.
		{[]string{"a", "a/cache", "a/cache/x/f"}, "x/*", 4, 0, 0},
		{[]string{"a", "a/cache", "a/cache/x/f"}, "x/*", 3, 0, 9},
	} {
		app := &hydra.App[struct{}, files]{
			Name: "count",
			NewHandler: func(_ context.Context, w *hydra.Worker[struct{}, files]) (walk.Handler, error) {
				return countFiles{w.Stats}, nil
			},
		}
		o := &hydra.Options{MaxDepth: c.depth}
		if c.exclude != "" {
			o.Rules = []hydra.Rule{{Glob: c.exclude}}
		}
		var roots []string
		for _, r := range c.roots {
			roots = append(roots, filepath.Join(top, r))
		}
		r, err := hydra.Run(t.Context(), app, roots, o)
		if err != nil || int64(r.Stats.Files) != c.files || r.Walked.Errors != c.errors {
			t.Errorf("%v without %q: %d files, %d errors, %v; want %d and %d", c.roots, c.exclude, r.Stats.Files, r.Walked.Errors, err, c.files, c.errors)
		}
	}
}
