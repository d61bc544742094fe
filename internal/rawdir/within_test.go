package rawdir

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// opensWithin are the ways to open a directory in another one.
func opensWithin(w *Within) map[string]Opener {
	return map[string]Opener{
		"system": w.Open,
		"by package os": func(path string, follow bool) (Dir, error) {
			rel, err := w.Below(path)
			if err != nil {
				return nil, err
			}
			return w.openIn(rel, follow)
		},
		"parent": func(path string, _ bool) (Dir, error) { return w.Parent(path) },
	}
}

func TestNothingLeadsOutOfWithin(t *testing.T) {
	top := t.TempDir()
	in, out := filepath.Join(top, "in"), filepath.Join(top, "in-other")
	for _, dir := range []string{in + "/a/b", out + "/x"} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, target := range map[string]string{
		"in/link": "a", "in/a/up": "..", "in/a/round": "../../in/a", "in/out": "../in-other", "in/a/top": "../..", "in/abs": out, "in/self": in, "alias": in,
	} {
		if err := os.Symlink(target, filepath.Join(top, name)); err != nil {
			t.Skip(err)
		}
	}
	if err := os.WriteFile(in+"/file", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	w, err := OpenWithin(filepath.Join(top, "alias"))
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	for _, c := range []struct {
		path    string
		follow  bool
		good    bool
		outside bool
	}{
		{in, false, true, false},
		{top + "/alias", false, true, false},
		{in + "/", true, true, false},
		{in + "/a/b", false, true, false},
		{in + "/a/../a/b", false, true, false},
		{in + "/link/b", false, true, false},
		{in + "/link", true, true, false},
		{in + "/a/up/a", false, true, false},
		{in + "/file", true, false, false},
		{in + "/none", true, false, false},
		{in + "/out", true, false, true},
		{in + "/out/x", false, false, true},
		{in + "/abs", true, false, true},
		{in + "/abs/x", false, false, true},
		{in + "/self/a", false, false, true}, // it is absolute
		{in + "/a/top", true, false, true},
		{in + "/a/round", true, false, true}, // it goes out, and in again
		{in + "/..", false, false, true},
		{in + "/../in-other", false, false, true},
		{out, false, false, true},
		{out + "/x", false, false, true},
		{top, false, false, true},
		{"/", false, false, true},
		{"a", false, false, true},
		{"", false, false, true},
	} {
		for name, open := range opensWithin(w) {
			if name == "parent" && !c.follow && c.good {
				continue
			}
			d, err := open(c.path, c.follow)
			if err == nil {
				d.Close()
			}
			if (err == nil) != c.good || errors.Is(err, ErrOutside) != c.outside {
				t.Errorf("%s, %s, follow %v: %v", name, strings.TrimPrefix(c.path, top), c.follow, err)
			}
		}
	}
	if d, err := w.Open(in+"/link", false); err == nil || !IsNotDir(err) {
		t.Errorf("a link that is not followed: %v, %v", d, err)
	}
}

// TestWithinIsWhatWasOpened: its path is looked at once.
func TestWithinIsWhatWasOpened(t *testing.T) {
	top := t.TempDir()
	in := filepath.Join(top, "in")
	if err := os.MkdirAll(in+"/a", 0o755); err != nil {
		t.Fatal(err)
	}
	w, err := OpenWithin(in)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if err := os.Rename(in, filepath.Join(top, "moved")); err != nil {
		t.Skip(err) // not everywhere can what is open be renamed
	}
	if err := os.MkdirAll(in+"/b", 0o755); err != nil {
		t.Fatal(err)
	}
	for name, open := range opensWithin(w) {
		if d, err := open(in+"/a", true); err != nil {
			t.Errorf("%s: %v", name, err)
		} else {
			d.Close()
		}
		if d, err := open(in+"/b", true); err == nil {
			d.Close()
			t.Errorf("%s: what has the path now was opened", name)
		}
	}
}
