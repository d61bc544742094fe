package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// closedTree makes a tree in which no two directories belong to the same user, and each is
// closed to all others.
func closedTree(t *testing.T, dir string) {
	t.Helper()
	uid := 2000
	own := func(path string, mode os.FileMode) {
		uid++
		if err := errors.Join(os.Chown(path, uid, uid), os.Chmod(path, mode)); err != nil {
			t.Fatal(err)
		}
	}
	for _, sub := range []string{"a", "a/b", "a/b/c", "d\xff", "d\xff/e"} {
		path := filepath.Join(dir, sub)
		if err := os.Mkdir(path, 0o700); err != nil {
			t.Fatal(err)
		}
		for i, mode := range []os.FileMode{0o600, 0, 0o4711} {
			file := filepath.Join(path, string('x'+rune(i)))
			if err := os.WriteFile(file, bytes.Repeat([]byte("z"), 1000*i), 0o600); err != nil {
				t.Fatal(err)
			}
			own(file, mode)
		}
		if err := os.Symlink("/nowhere", filepath.Join(path, "link")); err != nil {
			t.Fatal(err)
		}
		own(path, 0o700)
	}
	own(filepath.Join(dir, "d\xff"), 0) // closed even to its owner
}

// TestOneCapabilityIsEnoughForAnAudit has a user without rights read what others closed.
func TestOneCapabilityIsEnoughForAnAudit(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can make files of other users")
	}
	dir := t.TempDir()
	tree := filepath.Join(dir, "tree")
	program, err := exec.LookPath("hydra")
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(letOthersIn(dir), letOthersIn(filepath.Dir(program)), os.Mkdir(tree, 0o755)); err != nil {
		t.Fatal(err)
	}
	closedTree(t, tree)
	// audit is what it says of the tree but for times, and its exit code.
	audit := func(attr *syscall.SysProcAttr) (map[string]any, int) {
		t.Helper()
		cmd := exec.Command(program, "audit", "--json", "--as-of", "2030-01-01", tree)
		cmd.Dir, cmd.SysProcAttr = dir, attr
		cmd.Env = []string{"XDG_CONFIG_HOME=" + filepath.Join(dir, "none"), "PATH=" + os.Getenv("PATH")}
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		var exit *exec.ExitError
		if err != nil && !errors.As(err, &exit) {
			t.Fatal(err)
		}
		var doc map[string]any
		if err := json.Unmarshal(out, &doc); err != nil {
			t.Fatalf("%v\n%s", err, &stderr)
		}
		for _, key := range []string{"job", "started", "finished", "wall_seconds", "workers"} {
			delete(doc, key)
		}
		stats := doc["stats"].(map[string]any)
		for _, key := range []string{"num_workers", "time_elapsed", "time_total", "time_handling"} {
			delete(stats, key)
		}
		for key := range stats {
			if len(key) > 5 && key[:5] == "time_" {
				delete(stats, key)
			}
		}
		return doc, cmd.ProcessState.ExitCode()
	}
	nobody := &syscall.Credential{Uid: 65534, Gid: 65534}
	asRoot, code := audit(nil)
	if code != 0 || asRoot["complete"] != true || asRoot["expected_dirs"] != 6.0 {
		t.Fatalf("as root: exit code %d, %v", code, asRoot)
	}
	if got, code := audit(&syscall.SysProcAttr{Credential: nobody}); code != 3 || got["complete"] != false {
		t.Errorf("without the capability: exit code %d, complete %v", code, got["complete"])
	}
	got, code := audit(&syscall.SysProcAttr{Credential: nobody, AmbientCaps: []uintptr{unix.CAP_DAC_READ_SEARCH}})
	if diff := cmp.Diff(asRoot, got); code != 0 || diff != "" {
		t.Errorf("with the capability: exit code %d, and what differs from what root sees:\n%s", code, diff)
	}
}
