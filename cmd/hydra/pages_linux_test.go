package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// page is a page whose examples are run.
type page struct {
	name  string
	least int                             // so many there have to be
	dir   string                          // how the page calls the directory where they are run
	make  func(t *testing.T, root string) // what has to be there; nil: the examples make it
}

// The examples stand in blocks of the kind console, each behind a $, and what they print
// follows, in any order unless they sort. In it … stands for anything in a line, and a
// line of its own for any lines.
func TestTheExamplesOfThePagesAreTrue(t *testing.T) {
	for _, p := range []page{
		{"check", 6, "$WORK", nil},
		{"exec", 5, "$WORK", nil},
		{"find", 9, "/data", findTree},
		{"purge", 8, "/work", purgeTree},
	} {
		t.Run(p.name, func(t *testing.T) {
			root, err := filepath.EvalSymlinks(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			root = filepath.Join(root, "examples")
			if err := os.Mkdir(root, 0o755); err != nil {
				t.Fatal(err)
			}
			if p.make != nil {
				p.make(t, root)
			}
			p.run(t, root)
		})
	}
}

func (p *page) run(t *testing.T, root string) {
	text, err := os.ReadFile("../../docs/" + p.name + ".md")
	if err != nil {
		t.Fatal(err)
	}
	_, noJQ := exec.LookPath("jq")
	home, ran := t.TempDir(), 0
	for _, block := range regexp.MustCompile("(?s)```console\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
		for _, part := range strings.Split("\n"+block[1], "\n$ ")[1:] {
			command, want, _ := strings.Cut(part, "\n")
			if noJQ != nil && strings.Contains(command, "jq") {
				continue
			}
			ran++
			cmd := exec.Command("sh", "-c", strings.ReplaceAll(command, p.dir, root))
			cmd.Dir = root
			cmd.Env = append(os.Environ(), "TZ=UTC", "HOME="+home, "XDG_CONFIG_HOME="+home, "XDG_STATE_HOME="+home)
			out, err := cmd.CombinedOutput()
			var exit *exec.ExitError
			if err != nil && !errors.As(err, &exit) { // some examples are wrong calls
				t.Fatal(err)
			}
			got := strings.ReplaceAll(string(out), root, p.dir)
			if !same(got, want, strings.Contains(command, "sort") || strings.Contains(want, "…") || strings.Contains(got, "Try `")) {
				t.Errorf("$ %s\n%s\nbut the page says\n%s", command, got, want)
			}
		}
	}
	if ran < p.least {
		t.Errorf("only %d commands were found", ran)
	}
}

// same tells whether an output is what a page says.
func same(got, want string, ordered bool) bool {
	got, want = strings.TrimSpace(got), strings.TrimSpace(want)
	if !ordered {
		return slices.Equal(sortedLines(got), sortedLines(want))
	}
	pattern := strings.ReplaceAll(regexp.QuoteMeta(want), "\n…\n", "\n(?s:.*)\n")
	return regexp.MustCompile("^" + strings.ReplaceAll(pattern, "…", ".*") + "$").MatchString(got)
}

func sortedLines(text string) []string {
	lines := strings.Split(text, "\n")
	slices.Sort(lines)
	return lines
}

// findTree is what docs/find.md searches.
func findTree(t *testing.T, root string) {
	if os.Getuid() != 0 {
		t.Skip("the page shows files of root")
	}
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
		t.Fatal(err)
	}
	for _, dir := range []string{"logs", "src", "."} {
		if err := os.Chtimes(filepath.Join(root, dir), day("2026-02-01"), day("2026-02-01")); err != nil {
			t.Fatal(err)
		}
	}
}

// purgeTree is what docs/purge.md purges.
func purgeTree(t *testing.T, root string) {
	for path, old := range map[string]bool{"old": true, "x.tmp": true, "new": false, "project/deep/old": true} {
		path = filepath.Join(root, "scratch", path)
		err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte("text"), 0o644))
		if err == nil && old {
			err = os.Chtimes(path, time.Unix(1e9, 0), time.Unix(1e9, 0))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}
