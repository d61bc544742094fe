package rawdir

import (
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

func TestADirectoryHasTheTraitsOfItsParentAndItsOwnMode(t *testing.T) {
	top := t.TempDir()
	for name, mode := range map[string]fs.FileMode{"open": 0o777, "closed": 0o555} {
		path := filepath.Join(top, name)
		if err := os.Mkdir(path, 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	forEachReader(t, func(t *testing.T, name string, open Opener) {
		at, err := open(top, false)
		if err != nil {
			t.Fatal(err)
		}
		defer at.Close()
		var above Traits
		if err := at.Traits(&above); err != nil {
			t.Fatal(err)
		}
		if above.Dev == 0 || (above.Type == 0) == (name != "fs" && runtime.GOOS == "linux") {
			t.Errorf("%+v", above)
		}
		for sub, mode := range map[string]fs.FileMode{"open": 0o777, "closed": 0o555} {
			d, _, err := at.OpenDir(MakeName(sub))
			if err != nil {
				t.Fatal(err)
			}
			var got Traits
			err = d.Traits(&got)
			d.Close()
			want := above
			want.Mode = fs.ModeDir | mode
			if runtime.GOOS == "windows" {
				want.Mode = got.Mode
			}
			if err != nil || got != want {
				t.Errorf("%s has %+v, %v; want %+v", sub, got, err, want)
			}
		}
	})
}
