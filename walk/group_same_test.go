package walk_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"testing"

	"github.com/hydrawalk/hydra/walk"
)

// byName makes each name its own group: that changes how a walk is done, and not what it
// shows.
func byName(_, name []byte) []byte { return name }

func TestAWalkInGroupsShowsWhatAnyOtherDoes(t *testing.T) {
	paths := []string{"a/b/c/d", "a/b/e", "a/f/", "z/", "file", "other/x/y/z"}
	for i := range 600 {
		paths = append(paths, "large/"+longName(i), fmt.Sprint("large/sub", i%40, "/f", i))
	}
	root := fileTree(t, paths...)
	roots := []string{root, filepath.Join(root, "a", "b"), filepath.Join(root, "file"), filepath.Join(root, "missing"), root + "/z"}
	for _, h := range []how{
		{stat: true},
		{Options: walk.Options{MaxDepth: 2}},
		{filter: func(_ *walk.Dir, e []walk.Entry) []walk.Entry { return e[:len(e)/2*2] }, Options: walk.Options{MaxDepth: 1}},
		{enter: func(d *walk.Dir) error {
			if filepath.Base(d.Path()) == "large" {
				return fs.SkipDir
			}
			return nil
		}},
		{leave: func(*walk.Dir) error { return errors.New("no") }},
		{file: func(*walk.Entry) error { return walk.SkipFile }},
	} {
		for _, workers := range someWorkers {
			for _, roots := range [][]string{{root}, roots, {root + "/file"}, {root + "/missing"}, {}} {
				h.Workers, h.Group = workers, nil
				want := take(t.Context(), t, h, roots...)
				h.Group = byName
				got := take(t.Context(), t, h, roots...)
				if h.filter == nil { // it keeps an even number of each chunk
					same(t, "entries", got.entries, want.entries)
					same(t, "sizes", got.sizes, want.sizes)
					same(t, "directories", got.left, want.left)
				}
				a, b := got.totals, want.totals
				a.Workers, b.Workers, a.FirstError, b.FirstError = 0, 0, nil, nil
				if h.filter == nil && a != b || fmt.Sprint(got.err) != fmt.Sprint(want.err) {
					t.Errorf("%d workers, %q: %+v, %v, want %+v, %v", workers, roots, a, got.err, b, want.err)
				}
				var errs []string
				for _, err := range want.errs {
					errs = append(errs, fmt.Sprintf("%s %s: %v", err.Op, err.Path, err.Err))
				}
				got.wantErrors(t, errs...)
			}
		}
	}
}

func TestAWalkInGroupsEndsAsAnyOtherDoes(t *testing.T) {
	var paths []string
	for i := range 300 {
		paths = append(paths, fmt.Sprint("d", i, "/f"), longName(i))
	}
	root := fileTree(t, paths...)
	fatal := errors.New("fatal")
	for name, tt := range map[string]struct {
		file func(*walk.Entry) error
		err  error
	}{
		"fs.SkipAll": {func(*walk.Entry) error { return fs.SkipAll }, nil},
		"fatal":      {func(*walk.Entry) error { return walk.Fatal(fatal) }, fatal},
	} {
		got := take(t.Context(), t, how{Options: walk.Options{Group: byName, Workers: 2}, file: tt.file}, root)
		if !errors.Is(got.err, tt.err) || got.totals.QueuedDirs == 0 || got.totals.Stopped != (tt.err == nil) {
			t.Errorf("%s: %v, %+v", name, got.err, got.totals)
		}
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("why")
	got := take(ctx, t, how{Options: walk.Options{Group: byName, Workers: 2}, file: func(*walk.Entry) error { cancel(why); return nil }}, root)
	if got.err != why || got.totals.QueuedDirs == 0 {
		t.Errorf("cancelled: %v, %+v", got.err, got.totals)
	}
	got = take(ctx, t, how{Options: walk.Options{Group: byName}}, root)
	if got.err != why || got.totals.QueuedDirs != 1 || got.totals.Entries() != 0 {
		t.Errorf("cancelled before: %v, %+v", got.err, got.totals)
	}
	// Too late to matter.
	ctx, cancel = context.WithCancelCause(t.Context())
	got = take(ctx, t, how{Options: walk.Options{Group: byName, Workers: 1}, leave: func(*walk.Dir) error { cancel(why); return nil }}, filepath.Join(root, "d0"))
	if got.err != nil || !got.totals.Complete() {
		t.Errorf("cancelled at the end: %v, %+v", got.err, got.totals)
	}
}
