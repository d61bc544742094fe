//go:build unix

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// TestTheExamplesOfPurgePrintWhatThePageSays runs the commands of docs/purge.md, one after the
// other, in a directory with a scratch. Of the output … stands for anything in a line,
// and a line of its own for any lines.
func TestTheExamplesOfPurgePrintWhatThePageSays(t *testing.T) {
	dir := t.TempDir()
	for path, old := range map[string]bool{"old": true, "x.tmp": true, "new": false, "project/deep/old": true} {
		path = filepath.Join(dir, "scratch", path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("text"), 0o644); err != nil {
			t.Fatal(err)
		}
		if old {
			if err := os.Chtimes(path, time.Unix(1e9, 0), time.Unix(1e9, 0)); err != nil {
				t.Fatal(err)
			}
		}
	}
	page, err := os.ReadFile("../../docs/purge.md")
	if err != nil {
		t.Fatal(err)
	}
	home := t.TempDir()
	blocks := regexp.MustCompile("(?s)```sh\n(.*?)```\n```text\n(.*?)```\n").FindAllStringSubmatch(string(page), -1)
	if n := strings.Count(string(page), "```sh"); n != len(blocks) || n < 4 {
		t.Errorf("of %d blocks %d have an output", n, len(blocks))
	}
	for _, block := range blocks {
		cmd := exec.Command("sh", "-c", block[1])
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "HOME="+home, "XDG_STATE_HOME="+home, "XDG_CONFIG_HOME="+home)
		out, err := cmd.CombinedOutput()
		want := regexp.QuoteMeta(block[2])
		want = strings.ReplaceAll(want, "\n…\n", "\n(?s:.*)\n")
		want = strings.ReplaceAll(want, "…", ".*")
		if !regexp.MustCompile("^"+want+"$").Match(out) || err != nil {
			t.Errorf("%s: %v, it prints\n%s\nwant\n%s", block[1], err, out, block[2])
		}
	}
}
