package rawdir

import (
	"os"
	"path/filepath"
	"testing"
)

// What is in a directory can be reached by who may not list it.
func TestAParentNeedNotBeReadable(t *testing.T) {
	top := t.TempDir()
	if err := os.WriteFile(filepath.Join(top, "f"), []byte("hello"), 0o640); err != nil {
		t.Fatal(err)
	}
	d, err := SystemParent(top)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	var st Stat
	if err := d.Lstat(MakeName("f"), AllFields, &st); err != nil || st.Size != 5 {
		t.Errorf("%+v, %v", st, err)
	}
	if f, err := d.Open(MakeName("f")); err != nil {
		t.Error(err)
	} else {
		f.Close()
	}
	if err := d.Remove(MakeName("f")); err != nil {
		t.Error(err)
	}
	if n, err := d.Read(make([]byte, 4096)); err == nil {
		t.Errorf("it was read: %d bytes", n)
	}
}
