package tree

import (
	"context"
	"io/fs"
	"testing"

	"github.com/hydrawalk/hydra/walk"
)

// What the manifest says is what programs are measured by.
func TestATreeHoldsWhatItsManifestSays(t *testing.T) {
	dir := t.TempDir()
	for _, kind := range Kinds {
		path, want, made, err := Ensure(t.Context(), dir, Spec{Kind: kind, Seed: 1, Scale: 0.002})
		if err != nil || !made {
			t.Fatalf("%s: made: %v, %v", kind, made, err)
		}
		totals, err := walk.Trees(t.Context(), []string{path}, func(int) (walk.Handler, error) { return sizes{}, nil }, &walk.Options{Workers: 1})
		if err != nil || !totals.Complete() {
			t.Fatalf("%s: %v, %+v", kind, err, totals)
		}
		if totals.ProcessedDirs != want.Dirs || totals.ProcessedFiles != want.Files || totals.Bytes != want.Bytes {
			t.Errorf("%s holds %+v, want %+v", kind, totals, want)
		}
		if _, again, made, err := Ensure(t.Context(), dir, Spec{Kind: kind, Seed: 1, Scale: 0.002}); err != nil || made || again != want {
			t.Errorf("%s, again: made: %v, %+v, %v", kind, made, again, err)
		}
	}
}

type sizes struct{}

func (sizes) File(_ context.Context, e *walk.Entry) error {
	if e.Type() != fs.FileMode(0) {
		return walk.SkipFile
	}
	_, err := e.Stat()
	return err
}
