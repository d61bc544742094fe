package cli

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestAFullDiskLosesLinesOfTheLogAndSaysSo writes to a disk that is full, and has
// space again later.
func TestAFullDiskLosesLinesOfTheLogAndSaysSo(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("a small disk needs root to mount it")
	}
	dir := t.TempDir()
	if err := unix.Mount("none", dir, "tmpfs", 0, "size=64k,mode=700"); err != nil {
		t.Skipf("nothing can be mounted: %v", err)
	}
	defer func() { _ = unix.Unmount(dir, unix.MNT_DETACH) }()
	ballast := filepath.Join(dir, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 40<<10), 0o600); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "hydra.log")
	l, said := logAt(t, path, 10_000, 0)
	lost, lines := 0, 500
	line := func(i int) string { return fmt.Sprintf("line %05d %s", i, strings.Repeat("x", 80)) }
	for i := range lines {
		_, err := fmt.Fprintln(l, line(i))
		switch {
		case errors.Is(err, unix.ENOSPC):
			lost++
		case err != nil:
			t.Fatal(err)
		}
	}
	if lost == 0 || lost == lines {
		t.Fatalf("%d of %d lines were lost", lost, lines)
	}
	said()
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Fprintln(l, "there is space"); err != nil {
		t.Fatal(err)
	}
	if text := said(); !strings.Contains(text, fmt.Sprint("lines of the log were lost: it could not be writtenlines", lost)) {
		t.Errorf("%d were lost, and it was said: %s", lost, text)
	}
	// A line that was written in part does not spoil the next one.
	got, _, _ := linesOf(t, path)
	whole, again := 0, false
	for _, text := range got {
		var i int
		if n, _ := fmt.Sscanf(text, "line %05d", &i); n == 1 && text == line(i) {
			whole++
		}
		again = again || text == "there is space"
	}
	if whole != lines-lost || !again {
		t.Errorf("%d whole lines, %d lost of %d; the last one is there: %v", whole, lost, lines, again)
	}
}
