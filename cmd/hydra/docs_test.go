package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// docsTree is the tree of docs/find.md.
func docsTree(t *testing.T) string {
	root, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	root = filepath.Join(root, "data")
	day := func(text string) time.Time {
		at, err := time.Parse(time.DateOnly, text)
		if err != nil {
			t.Fatal(err)
		}
		return at
	}
	for _, f := range []struct {
		name, day string
		size      int64
		mode      os.FileMode
	}{
		{"disk.img", "2025-06-01", 5 << 20, 0o644}, {"logs/a.log.gz", "2020-01-01", 100, 0o644}, {"logs/b.LOG", "2026-01-31", 2000, 0o640},
		{"src/main.c", "2026-01-01", 300, 0o644}, {"src/main.h", "2026-01-01", 200, 0o644},
	} {
		path := filepath.Join(root, f.name)
		err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, nil, 0o600), os.Truncate(path, f.size), os.Chmod(path, f.mode), os.Chtimes(path, day(f.day), day(f.day)))
		if err != nil {
			t.Fatal(err)
		}
	}
	link := filepath.Join(root, "latest")
	if err := os.Symlink("disk.img", link); err != nil {
		t.Fatal(err)
	}
	if err := exec.Command("touch", "-h", "-d", "2026-02-01T00:00:00Z", link).Run(); err != nil {
		t.Skip("touch sets no times of links here")
	}
	for _, dir := range []string{"logs", "src", "."} {
		if err := os.Chtimes(filepath.Join(root, dir), day("2026-02-01"), day("2026-02-01")); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func TestTheCommandsOfThePageAboutFindPrintWhatItSays(t *testing.T) {
	if runtime.GOOS != "linux" || os.Getuid() != 0 {
		t.Skip("the page shows a tree of root, on Linux")
	}
	page, err := os.ReadFile("../../docs/find.md")
	if err != nil {
		t.Fatal(err)
	}
	root := docsTree(t)
	_, err = exec.LookPath("jq")
	noJQ := err != nil
	ran := 0
	for _, block := range regexp.MustCompile("(?s)```console\n(.*?)```").FindAllStringSubmatch(string(page), -1) {
		for _, part := range strings.Split("\n"+block[1], "\n$ ")[1:] {
			command, want, _ := strings.Cut(part, "\n")
			if noJQ && strings.Contains(command, "jq") {
				continue
			}
			ran++
			cmd := exec.Command("sh", "-c", strings.ReplaceAll(command, "/data", root))
			cmd.Env = append(os.Environ(), "TZ=UTC", "HOME="+t.TempDir(), "XDG_CONFIG_HOME="+t.TempDir())
			out, _ := cmd.CombinedOutput() // some examples are wrong calls
			got := strings.ReplaceAll(string(out), root, "/data")
			gotLines, wantLines := strings.Split(strings.TrimSpace(got), "\n"), strings.Split(strings.TrimSpace(want), "\n")
			if !strings.Contains(command, "--sort") && !strings.Contains(got, "Try `") {
				slices.Sort(gotLines)
				slices.Sort(wantLines)
			}
			if !slices.Equal(gotLines, wantLines) {
				t.Errorf("$ %s\n%s\nbut the page says\n%s", command, got, want)
			}
		}
	}
	if ran < 9 {
		t.Errorf("only %d commands were found", ran)
	}
}
