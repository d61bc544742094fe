//go:build unix

package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// life is one process that works on a local job until it ends or is killed.
type life struct {
	files  int // that its handler had in hand
	out    []byte
	killed bool
}

// live runs slow, and kills it when it has begun its file number kill; 0 never does.
func live(t *testing.T, env []string, kill int, args ...string) life {
	t.Helper()
	cmd := exec.Command("slow", append([]string{"run", "--json", "--progress", "none", "-j", "2"}, args...)...)
	cmd.Env = env
	var out bytes.Buffer
	cmd.Stdout = &out
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var l life
	var said []string
	for lines := bufio.NewScanner(stderr); lines.Scan(); {
		if !strings.HasPrefix(lines.Text(), "in hand:") {
			said = append(said, lines.Text())
			continue
		}
		if l.files++; l.files == kill {
			l.killed = true
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := cmd.Wait(); err != nil && !l.killed {
		t.Fatalf("%v: %v, %q", args, err, said)
	}
	l.out = out.Bytes()
	return l
}

// tree makes directories with files, some of them large.
func slowTree(t *testing.T, rng *rand.Rand) (root string, files int) {
	t.Helper()
	root = t.TempDir()
	for d := range 40 {
		dir := filepath.Join(root, fmt.Sprint("d", d%7), fmt.Sprint("e", d))
		if err := os.MkdirAll(dir, 0o777); err != nil {
			t.Fatal(err)
		}
		for f := range rng.IntN(12) {
			files++
			if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%d-%d", d, f)), make([]byte, rng.IntN(100)), 0o666); err != nil {
				t.Fatal(err)
			}
		}
	}
	return root, files
}

func TestALocalJobThatIsKilledGoesOnAndCountsEachFileOnce(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	t.Log("seed", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	root, files := slowTree(t, rng)
	home := t.TempDir()
	env := append(os.Environ(), "HOME="+home, "XDG_STATE_HOME="+home, "XDG_CONFIG_HOME="+home)
	gate := filepath.Join(root, "gate")
	if err := os.WriteFile(gate, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	files++
	walk := []string{"--gate", gate, "--delay", "30ms", root}
	plain := live(t, env, 0, walk...)

	// Records are written each second, in which 60 files are done: the first life
	// is long enough for one, others may be too short for any.
	l := live(t, env, min(110, files/2+20), append([]string{"--job", "j"}, walk...)...)
	done := []int{l.files}
	for range 5 {
		l = live(t, env, 1+rng.IntN(50), "--resume", "j")
		done = append(done, l.files)
		if !l.killed {
			break
		}
	}
	if l.killed {
		l = live(t, env, 0, "--resume", "j")
		done = append(done, l.files)
	}
	t.Log(files, "files, in each life", done)
	if len(done) < 3 || done[0] == files {
		t.Errorf("nothing was killed in the midst: %d files, in each life %d", files, done)
	}
	if last := done[len(done)-1]; last >= files {
		t.Errorf("the last process did all %d files once more", last)
	}
	got, want := differing.ReplaceAllString(string(l.out), ""), differing.ReplaceAllString(string(plain.out), "")
	if got != want {
		t.Errorf("the result of the job is\n%s\nwant\n%s", got, want)
	}
	for _, want := range []string{`"job": "j"`, `"clients": 1,`, `"complete": true`} {
		if !strings.Contains(string(l.out), want) {
			t.Errorf("%s is not in\n%s", want, l.out)
		}
	}
}

func TestADirectoryInWhichALocalJobIsKilledEachTimeIsNotSuspected(t *testing.T) {
	t.Parallel()
	root, home := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(root, "file"), nil, 0o666); err != nil {
		t.Fatal(err)
	}
	env := append(os.Environ(), "HOME="+home, "XDG_STATE_HOME="+home, "XDG_CONFIG_HOME="+home)
	gate := filepath.Join(home, "gate")
	live(t, env, 1, "--job", "j", "--gate", gate, root)
	for range 6 {
		if l := live(t, env, 1, "--resume", "j"); !l.killed {
			t.Fatalf("it ended: %s", l.out)
		}
	}
	if err := os.WriteFile(gate, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	l := live(t, env, 0, "--resume", "j")
	for _, want := range []string{`"complete": true`, `"seen": 1,`, `"errors": []`} {
		if !strings.Contains(string(l.out), want) {
			t.Errorf("%s is not in\n%s", want, l.out)
		}
	}
}

func TestFilesOfALocalJobArePrivateAndWithoutOneThereAreNone(t *testing.T) {
	t.Parallel()
	root, _ := slowTree(t, rand.New(rand.NewPCG(1, 2)))
	home := t.TempDir()
	var env []string
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "XDG_") {
			env = append(env, v)
		}
	}
	env = append(env, "HOME="+home, "TMPDIR="+home)
	live(t, env, 0, root)
	if left, err := os.ReadDir(home); err != nil || len(left) > 0 {
		t.Errorf("without --job %v is left, %v", left, err)
	}
	live(t, env, 0, "--job", "j", root)
	jobs := filepath.Join(home, ".local", "state", "hydra", "jobs")
	if _, err := os.Stat(filepath.Join(jobs, "j")); err != nil {
		t.Error(err)
	}
	err := filepath.WalkDir(jobs, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		fi, err := e.Info()
		if err == nil && fi.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", path, fi.Mode())
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(jobs, "j", "run.json")); err == nil {
		t.Error("it says that a process runs the job")
	}
}
