package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

func TestOneFileSystemLeavesOutMounts(t *testing.T) {
	dir := t.TempDir()
	mount := filepath.Join(dir, "tree", "mount")
	if err := os.MkdirAll(mount, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("none", mount, "tmpfs", 0, ""); err != nil {
		t.Skip("can not mount a file system to leave out:", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(mount, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	for _, name := range []string{"tree/a", "tree/mount/b"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	tree := filepath.Join(dir, "tree")
	for _, tt := range []struct {
		args            []string
		files, filtered int64
	}{
		{[]string{tree}, 2, 0},
		{[]string{"-x", tree}, 1, 1},
		{[]string{"-x", tree, mount}, 2, 1},
		{[]string{tree, mount}, 2, 0},
	} {
		out, err := exec.Command("hydra", append([]string{"audit", "--json"}, tt.args...)...).Output()
		if err != nil {
			t.Fatal(err)
		}
		var got struct {
			Complete bool
			Filtered int64 `json:"filtered_dirs"`
			Stats    struct {
				Files int64 `json:"processed_files"`
			}
		}
		if err := json.Unmarshal(out, &got); err != nil {
			t.Fatal(err)
		}
		if !got.Complete || got.Stats.Files != tt.files || got.Filtered != tt.filtered {
			t.Errorf("%q: %+v, want %d files and %d directories left out", tt.args, got, tt.files, tt.filtered)
		}
	}
}
