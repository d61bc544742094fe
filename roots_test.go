package hydra

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestRootsBecomeAbsoluteAndKeepWhetherTheyAreFollowed(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	// other/deep is where the link leads, so link/.. is other and not dir.
	if err := os.MkdirAll("other/deep", 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("other/deep", "link"); err != nil {
		t.Skip("no symbolic links:", err)
	}
	given := []string{"a", "a/", "./a//b", "link", "link/", "link/.", "link/..", "link/../x", ".", "/", "missing/../x", "-rf"}
	want := []string{"/a", "/a/", "/a/b", "/link", "/link/", "/link/", "/other/", "/other/x", "/", "ROOT", "/x", "/-rf"}
	got, err := absolute(given)
	if err != nil {
		t.Fatal(err)
	}
	real, err := filepath.EvalSymlinks(dir)
	if err != nil {
		t.Fatal(err)
	}
	for i, w := range want {
		base := dir
		if w == "/other/" || w == "/other/x" {
			base = real
		}
		want[i] = base + w
		if w == "ROOT" {
			want[i] = "/"
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("absolute(%q): -want +got\n%s", given, diff)
	}
}

// PWD may name the working directory by way of a symbolic link.
func TestDotDotIsTheParentOfWhereWeAre(t *testing.T) {
	top, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(top, "other", "deep"), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("other/deep", filepath.Join(top, "link")); err != nil {
		t.Skip("no symbolic links:", err)
	}
	t.Chdir(filepath.Join(top, "link"))
	got, err := absolute([]string{"..", "../x", "a/../..", "x"})
	other := filepath.Join(top, "other")
	want := []string{other + "/", other + "/x", other + "/", filepath.Join(top, "link", "x")}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v, -want +got\n%s", err, diff)
	}
}

func TestPathsThatNameNothingAreUsageErrors(t *testing.T) {
	for _, path := range []string{"", "a\x00b"} {
		var usage *UsageError
		if _, err := absolute([]string{path}); !errors.As(err, &usage) {
			t.Errorf("%q: error %v, want a usage error", path, err)
		}
	}
}
