package rawdir

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestWithinIsKeptToWithoutOpenat2, where no link is followed at all.
func TestWithinIsKeptToWithoutOpenat2(t *testing.T) {
	in := t.TempDir()
	if err := os.MkdirAll(in+"/a/b", 0o755); err != nil {
		t.Fatal(err)
	}
	for name, target := range map[string]string{"link": "a", "abs": "/"} {
		if err := os.Symlink(target, filepath.Join(in, name)); err != nil {
			t.Fatal(err)
		}
	}
	w, err := OpenWithin(in)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	for rel, good := range map[string]bool{".": true, "a": true, "a/b": true, "link": false, "link/b": false, "abs": false, "abs/etc": false, "none": false} {
		for _, flags := range []int{openFlags, unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC} {
			d, err := w.byNames(rel, flags)
			if err == nil {
				d.Close()
			}
			if (err == nil) != good {
				t.Errorf("%s: %v", rel, err)
			}
		}
	}
}

func TestALongPathIsOpenedWithin(t *testing.T) {
	in := t.TempDir()
	root, err := os.OpenRoot(in)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	name := strings.Repeat("n", 200)
	long, at := in, root
	for range 30 {
		if err := at.Mkdir(name, 0o755); err != nil {
			t.Fatal(err)
		}
		next, err := at.OpenRoot(name)
		if err != nil {
			t.Fatal(err)
		}
		defer next.Close()
		at, long = next, long+"/"+name
	}
	w, err := OpenWithin(in)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	d, err := w.Open(long, false)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	want, err := at.Stat(".")
	if err != nil {
		t.Fatal(err)
	}
	var st Stat
	if err := d.Stat(AllFields, &st); err != nil || !want.IsDir() || st.Ino == 0 || DirType(d) == 0 {
		t.Errorf("%+v, %v", st, err)
	}
}
