package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hydrawalk/hydra/stats"
	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"extensions": main})
}

func TestTheProgramRuns(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("XDG_CONFIG_HOME", dir)
	for name, text := range map[string]string{"a.go": "package a", "b.go": "", "sub/c.txt": "text", "sub/README": "r"} {
		path := filepath.Join(dir, "tree", name)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	tree := filepath.Join(dir, "tree")
	if err := os.Symlink("a.go", filepath.Join(tree, "link.go")); err != nil && runtime.GOOS != "windows" {
		t.Fatal(err)
	}
	out, err := exec.Command("extensions", "run", "--json", tree).Output()
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Complete bool
		Stats    counts
	}
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatal(err)
	}
	want := counts{stats.Group[string]{".go": {Count: 2, Bytes: 9}, ".txt": {Count: 1, Bytes: 4}, "": {Count: 1, Bytes: 1}}}
	if diff := cmp.Diff(want, got.Stats); diff != "" || !got.Complete {
		t.Errorf("complete: %v, -want +got\n%s", got.Complete, diff)
	}

	text, err := exec.Command("extensions", "extensions", tree).Output()
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), "        2 files               9 bytes  \".go\"\n") {
		t.Errorf("%s", text)
	}
}
