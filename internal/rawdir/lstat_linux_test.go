//go:build amd64 || arm64 || riscv64 || loong64 || ppc64le || s390x

package rawdir

import (
	"os"
	"path/filepath"
	"testing"
)

func TestAttributesAreTheSameWithoutStatx(t *testing.T) {
	top := t.TempDir()
	if err := os.WriteFile(filepath.Join(top, "f"), []byte("hello"), 0o640); err != nil {
		t.Fatal(err)
	}
	d, err := System(top, false)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	read := func() (file, dir Stat) {
		if err := d.Lstat(MakeName("f"), AllFields, &file); err != nil {
			t.Fatal(err)
		}
		if err := d.Stat(AllFields, &dir); err != nil {
			t.Fatal(err)
		}
		for _, st := range []*Stat{&file, &dir} {
			st.Known &^= FieldBtime
			st.Btime = Time{}
		}
		return file, dir
	}
	file, dir := read()
	if noStatx.Load() {
		t.Skip("there is no statx")
	}
	noStatx.Store(true)
	defer noStatx.Store(false)
	if f, d := read(); f != file || d != dir {
		t.Errorf("with statx    %+v, %+v\nwithout statx %+v, %+v", file, dir, f, d)
	}
}
