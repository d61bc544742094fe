package rawdir

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// slowly hides that a directory can open a path at once.
type slowly struct{ Dir }

func (d slowly) OpenDir(name Name) (Dir, bool, error) {
	sub, same, err := d.Dir.OpenDir(name)
	if err != nil {
		return nil, same, err
	}
	return slowly{sub}, same, nil
}

func TestNoLinkLeadsAnywhereBeneath(t *testing.T) {
	root := t.TempDir()
	if err := os.MkdirAll(filepath.Join(root, "a/b/c"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, target := range map[string]string{"link": "a", "a/last": "b", "a/up": "..", "a/out": os.TempDir()} {
		if err := os.Symlink(target, filepath.Join(root, name)); err != nil {
			t.Skip(err)
		}
	}
	d, err := System(root, false)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	for path, good := range map[string]bool{
		"": true, "a": true, "a/b/c": true,
		"link": false, "link/b": false, "a/last": false, "a/last/c": false, "a/up/a": false, "a/out": false,
		"none": false, "a/none/b": false, "..": false,
	} {
		for _, from := range []Dir{d, slowly{d}} {
			sub, err := OpenBeneath(from, path)
			if err == nil {
				sub.Close()
			}
			if (err == nil) != good {
				t.Errorf("%T, %q: %v", from, path, err)
			}
		}
	}
}

// TestALongPathIsOpenedInPieces: it is longer than a system call takes.
func TestALongPathIsOpenedInPieces(t *testing.T) {
	name := strings.Repeat("n", 200)
	root, err := os.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	top := root.Name()
	at := root
	var names []string
	for range 30 {
		if err := at.Mkdir(name, 0o755); err != nil {
			t.Skip(err)
		}
		next, err := at.OpenRoot(name)
		if err != nil {
			t.Fatal(err)
		}
		if at != root {
			at.Close()
		}
		at = next
		names = append(names, name)
	}
	want, err := at.Stat(".")
	at.Close()
	if err != nil {
		t.Fatal(err)
	}
	base, err := System(top, false)
	if err != nil {
		t.Fatal(err)
	}
	defer base.Close()
	for _, from := range []Dir{base, slowly{base}} {
		sub, err := OpenBeneath(from, strings.Join(names, "/"))
		if err != nil {
			t.Fatalf("%T: %v", from, err)
		}
		var st Stat
		if err := sub.Stat(AllFields, &st); err != nil || want.Mode().Type() != st.Mode.Type() {
			t.Errorf("%T: %v", from, err)
		}
		if _, ino, err := sub.Identity(); err != nil || ino == 0 {
			t.Errorf("%T: inode %d, %v", from, ino, err)
		}
		sub.Close()
	}
}
