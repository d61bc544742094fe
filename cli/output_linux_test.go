package cli

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// A file that is a mount point, as containers have them, can not be replaced.
func TestAFileThatCanNotBeReplacedIsWrittenTo(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "out")
	if err := os.WriteFile(path, []byte("an old and longer result"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount(path, path, "", unix.MS_BIND, ""); err != nil {
		t.Skip("can not mount a file: ", err)
	}
	defer unix.Unmount(path, unix.MNT_DETACH)
	var out target
	if err := out.probe(path); err != nil {
		t.Fatal(err)
	}
	if err := out.write(func(w io.Writer) error { _, err := io.WriteString(w, "new"); return err }); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(path); err != nil || string(text) != "new" {
		t.Errorf("it holds %q, %v", text, err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestAFullDiskIsFoundBeforeTheWorkIsDone(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=32k"); err != nil {
		t.Skip("can not mount a small file system: ", err)
	}
	defer unix.Unmount(dir, unix.MNT_DETACH)
	var out target
	err := out.probe(filepath.Join(dir, "out"))
	if !errors.Is(err, unix.ENOSPC) || !strings.Contains(err.Error(), filepath.Join(dir, "out")+":") {
		t.Errorf("got %v, want that there is no space for the file that was named", err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
