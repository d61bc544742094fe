package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"largefiles": main})
}

func TestLargeFilesAreWrittenDownWithTheirPaths(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("XDG_CONFIG_HOME", dir)
	names := []string{"large", "line\nbreak", "small", "not utf-8 \xff"}
	if runtime.GOOS == "windows" || runtime.GOOS == "darwin" {
		names = names[:3:3]
	}
	if runtime.GOOS == "windows" {
		names[1] = "another"
	}
	tree, records := filepath.Join(dir, "tree"), filepath.Join(dir, "records")
	if err := os.Mkdir(tree, 0o700); err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, name := range names {
		text := make([]byte, 100)
		if name == "small" {
			text = text[:99]
		} else {
			want = append(want, filepath.Join(tree, name))
		}
		if err := os.WriteFile(filepath.Join(tree, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	out, err := exec.Command("largefiles", "run", "--size", "100", "--records", records, tree).Output()
	if err != nil || !strings.Contains(string(out), "large files of ") {
		t.Fatalf("%v\n%s", err, out)
	}
	files, err := filepath.Glob(filepath.Join(records, "local-*-worker-*.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			var r struct{ Record largeFile }
			if err := json.Unmarshal([]byte(line), &r); err != nil {
				t.Fatalf("%v in %s", err, line)
			}
			if r.Record.Size != 100 || r.Record.Modified.IsZero() {
				t.Errorf("%s", line)
			}
			got = append(got, r.Record.Path.String())
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
