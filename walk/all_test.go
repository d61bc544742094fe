package walk_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/fstest"

	"go.uber.org/goleak"

	"github.com/hydrawalk/hydra/walk"
)

func ExampleAll() {
	tree := fstest.MapFS{
		"src/main.go":   {Data: []byte("package main")},
		"src/README.md": {},
		"docs/index.md": {Data: []byte("# Docs")},
	}
	var paths []string
	for e, err := range walk.All(context.Background(), ".", &walk.Options{FS: tree}) {
		if err != nil {
			fmt.Println(err)
			continue
		}
		if !e.IsDir() {
			paths = append(paths, e.Path())
		}
	}
	slices.Sort(paths)
	fmt.Println(paths)
	// Output: [docs/index.md src/README.md src/main.go]
}

func TestALoopThatEndsEarlyLeavesNothingBehind(t *testing.T) {
	root := t.TempDir()
	for i := range 200 {
		if err := os.MkdirAll(fmt.Sprintf("%s/%d/x", root, i), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	defer goleak.VerifyNone(t)
	for stopAt := range 50 {
		n := 0
		for e, err := range walk.All(t.Context(), root, nil) {
			if err != nil {
				t.Fatal(err)
			}
			if _, err := e.Stat(); err != nil {
				t.Fatal(err)
			}
			if n++; n > stopAt {
				break
			}
		}
		if n != stopAt+1 {
			t.Fatalf("%d entries, want %d", n, stopAt+1)
		}
	}
	func() {
		defer func() {
			if recover() != "the body's own" {
				t.Error("the body's panic did not arrive")
			}
		}()
		for range walk.All(t.Context(), root, nil) {
			panic("the body's own")
		}
	}()
}

func TestAllYieldsErrorsAndTheCauseOfACancelledWalk(t *testing.T) {
	var got *walk.Error
	for e, err := range walk.All(t.Context(), filepath.Join(t.TempDir(), "none"), nil) {
		if e != nil || !errors.As(err, &got) {
			t.Fatalf("yielded %v, %v", e, err)
		}
	}
	if got == nil || got.Op != walk.OpOpen || !errors.Is(got, os.ErrNotExist) {
		t.Fatalf("got %v", got)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var last error
	for _, err := range walk.All(ctx, t.TempDir(), nil) {
		last = err
	}
	if !errors.Is(last, context.Canceled) {
		t.Errorf("the last error is %v", last)
	}
}

func TestAllYieldsARootThatIsAFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(file, []byte("abc"), 0o600); err != nil {
		t.Fatal(err)
	}
	n := 0
	for e, err := range walk.All(t.Context(), file, nil) {
		if err != nil {
			t.Fatal(err)
		}
		st, err := e.Stat()
		if err != nil || st.Size != 3 || e.Path() != file || e.Depth() != 0 || e.Dir() != nil {
			t.Errorf("%q: %+v, %v", e.Path(), st, err)
		}
		n++
	}
	if n != 1 {
		t.Errorf("%d entries", n)
	}
}

func TestALoopWhoseContextIsCancelledEndsWithTheCause(t *testing.T) {
	top := fileTree(t, "a", "b", "c", "d", "e")
	for range 100 {
		ctx, cancel := context.WithCancelCause(t.Context())
		entries := 0
		var last error
		for _, err := range walk.All(ctx, top, nil) {
			if last = err; err != nil {
				continue
			}
			if entries++; entries == 2 {
				cancel(errBroken)
			}
		}
		cancel(nil)
		if entries != 2 || !errors.Is(last, errBroken) {
			t.Fatalf("%d entries, at last %v", entries, last)
		}
	}
}
