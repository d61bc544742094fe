package cli

import (
	"io"
	"os"
	"path/filepath"
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
