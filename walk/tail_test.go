package walk_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hydrawalk/hydra/walk"
)

// tails compares the tails of all paths with the paths themselves.
type tails struct {
	t    *testing.T
	seen *int
}

func (h tails) compare(path string, tail func([]byte, int) []byte) {
	*h.seen++
	for most := 3; most < len(path)+3; most++ {
		got := string(tail([]byte("x:"), most))
		got, ok := strings.CutPrefix(got, "x:")
		switch rest, cut := strings.CutPrefix(got, "..."); {
		case !ok:
			h.t.Errorf("%d bytes of %s: what was in the buffer is gone: %s", most, path, got)
		case len(path) <= most && got != path:
			h.t.Errorf("%d bytes of %s are %s", most, path, got)
		case len(path) > most && (!cut || !strings.HasSuffix(path, rest) || rest != "" && rest[0] != filepath.Separator):
			h.t.Errorf("%d bytes of %s are %s", most, path, got)
		case len(path) > most && len(got) > most && strings.Count(rest, string(filepath.Separator)) > 1:
			h.t.Errorf("%d bytes of %s are %s, which is %d bytes", most, path, got, len(got))
		}
	}
}

func (h tails) File(_ context.Context, e *walk.Entry) error {
	h.compare(e.Path(), e.AppendTail)
	return nil
}
func (h tails) EnterDir(context.Context, *walk.Dir) error { return nil }
func (h tails) LeaveDir(_ context.Context, d *walk.Dir) error {
	h.compare(d.Path(), d.AppendTail)
	return nil
}

func TestATailIsTheEndOfAPathThatIsTooLong(t *testing.T) {
	root := t.TempDir()
	deep := root
	for i := range 5 {
		deep = filepath.Join(deep, strings.Repeat("d", i+1))
		if err := os.MkdirAll(deep, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(deep, fmt.Sprint("file", i)), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	seen := 0
	_, err := walk.Trees(t.Context(), []string{root}, func(int) (walk.Handler, error) { return tails{t, &seen}, nil }, &walk.Options{Workers: 1})
	if err != nil || seen != 11 {
		t.Fatal(seen, err)
	}
	t.Chdir(root)
	_, err = walk.Trees(t.Context(), []string{"."}, func(int) (walk.Handler, error) { return tails{t, &seen}, nil }, &walk.Options{Workers: 1})
	if err != nil || seen != 22 {
		t.Fatal(seen, err)
	}
}
