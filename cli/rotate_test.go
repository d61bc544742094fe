package cli

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// logAt is a log file that says what it has to say to the test.
func logAt(t *testing.T, path string, max int64, keep int) (l *logFile, said func() string) {
	t.Helper()
	var mu sync.Mutex
	var all []string
	l = &logFile{path: path, max: max, keep: keep, says: func(text string, args ...any) {
		mu.Lock()
		defer mu.Unlock()
		all = append(all, text+fmt.Sprint(args...))
	}}
	if err := l.open(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.close)
	return l, func() string {
		l.work.Wait()
		mu.Lock()
		defer mu.Unlock()
		return strings.Join(all, "\n")
	}
}

// linesOf are the lines of the log file and its old ones, and how many of these
// there are.
func linesOf(t *testing.T, path string) (lines []string, plain, compressed int) {
	t.Helper()
	files, err := filepath.Glob(path + "*")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		fi, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if runtime.GOOS != "windows" && fi.Mode() != 0o600 {
			t.Errorf("%s has the mode %v", name, fi.Mode())
		}
		switch {
		case strings.HasSuffix(name, ".gz"):
			compressed++
			z, err := gzip.NewReader(bytes.NewReader(text))
			if err != nil {
				t.Fatal(name, err)
			}
			if text, err = io.ReadAll(z); err != nil {
				t.Fatal(name, err)
			}
		case name != path:
			plain++
		}
		for line := range strings.Lines(string(text)) {
			lines = append(lines, strings.TrimSuffix(line, "\n"))
		}
	}
	slices.Sort(lines)
	return lines, plain, compressed
}

func TestALogFileIsRotatedBySizeAndNoLineIsLost(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hydra.log")
	l, said := logAt(t, path, 1000, 0)
	var want []string
	for i := range 500 {
		line := fmt.Sprintf("line %05d of the log", i)
		want = append(want, line)
		if n, err := io.WriteString(l, line+"\n"); err != nil || n != len(line)+1 {
			t.Fatal(n, err)
		}
		if fi, err := os.Stat(path); err != nil || fi.Size() > 1000 {
			t.Fatal(fi.Size(), err)
		}
	}
	if text := said(); text != "" {
		t.Errorf("said: %s", text)
	}
	got, plain, compressed := linesOf(t, path)
	if !slices.Equal(got, want) || plain != 1 || compressed < 8 {
		t.Errorf("%d lines, %d plain and %d compressed files", len(got), plain, compressed)
	}
	// One that is larger than the size is written nevertheless.
	large := strings.Repeat("x", 5000)
	if _, err := io.WriteString(l, large+"\n"); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(path); err != nil || string(text) != large+"\n" {
		t.Errorf("%d bytes, %v", len(text), err)
	}
}

func TestOnlySoManyOldFilesAreKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hydra.log")
	foreign := path + ".20260101.mine"
	if err := os.WriteFile(foreign, []byte("not ours\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	stale := path + ".20260101T000000.000000000.gz123"
	if err := os.WriteFile(stale, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(stale, time.Time{}, time.Now().Add(-2*time.Hour)); err != nil {
		t.Fatal(err)
	}
	l, said := logAt(t, path, 100, 3)
	for i := range 100 {
		fmt.Fprintf(l, "line %05d of the log\n", i)
		if text := said(); text != "" {
			t.Fatal(text)
		}
	}
	got, plain, compressed := linesOf(t, path)
	if plain != 2 || compressed != 2 || got[0] != "line 00084 of the log" && len(got) < 16 {
		t.Errorf("%d plain with the foreign one, %d compressed, %q", plain, compressed, got)
	}
	if got[len(got)-1] != "not ours" {
		t.Error("a file of somebody else is gone")
	}
	if _, err := os.Lstat(stale); err == nil {
		t.Error("the part of a compression that was interrupted is there")
	}
}

func TestSeveralProcessesWriteToOneLogFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hydra.log")
	var all [3]*logFile
	for i := range all {
		all[i], _ = logAt(t, path, 1000, 0)
	}
	var want []string
	for i := range 60 {
		for k, l := range all {
			line := fmt.Sprintf("line %05d of %d", i, k)
			want = append(want, line)
			if _, err := io.WriteString(l, line+"\n"); err != nil {
				t.Fatal(err)
			}
		}
	}
	// Those that look see that another one has rotated.
	all[1].looked = time.Time{}
	fmt.Fprintln(all[1], "seen")
	if text, err := os.ReadFile(path); err != nil || !strings.Contains(string(text), "seen\n") {
		t.Errorf("%q, %v", text, err)
	}
	for _, l := range all {
		l.close()
	}
	slices.Sort(want)
	if got, _, _ := linesOf(t, path); !slices.Equal(slices.DeleteFunc(got, func(s string) bool { return s == "seen" }), want) {
		t.Errorf("got %q", got)
	}
}

func TestALogFileThatSomebodyRenamedIsOpenedAgain(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("what is open can not be renamed")
	}
	path := filepath.Join(t.TempDir(), "hydra.log")
	l, _ := logAt(t, path, 0, 0)
	fmt.Fprintln(l, "one")
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintln(l, "two") // it is not looked: there is no rotation
	if err := l.open(); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintln(l, "three")
	old, _ := os.ReadFile(path + ".1")
	now, _ := os.ReadFile(path)
	if string(old) != "one\ntwo\n" || string(now) != "three\n" {
		t.Errorf("%q %q", old, now)
	}
}

func TestALogFileThatCanNotBeRotatedGrows(t *testing.T) {
	// With the time its name would be too long.
	path := filepath.Join(t.TempDir(), strings.Repeat("n", 250))
	l, said := logAt(t, path, 100, 0)
	for i := range 10 {
		if _, err := fmt.Fprintf(l, "line %05d of the log\n", i); err != nil {
			t.Fatal(err)
		}
	}
	// It is said, but not for each line.
	text := said()
	if n := strings.Count(text, "the log file could not be rotated: it goes on growing"); n == 0 || n > 6 {
		t.Errorf("said: %s", text)
	}
	if got, _, _ := linesOf(t, path); len(got) != 10 {
		t.Errorf("%q", got)
	}
}

func TestALogFileThatCouldNotBeOpenedIsOpenedLater(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hydra.log")
	l, said := logAt(t, path, 100, 0)
	l.f.Close()
	l.f = nil // as after a rotation that failed
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(l, "lost\n"); err == nil {
		t.Error("written into a directory")
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(l, "there\n"); err != nil {
		t.Error(err)
	}
	if text := said(); !strings.Contains(text, "lines of the log were lost: it could not be writtenlines1") {
		t.Errorf("said: %s", text)
	}
	if text, err := os.ReadFile(path); string(text) != "there\n" {
		t.Errorf("%q, %v", text, err)
	}
}

func TestWhatIsNoFileIsNotRotated(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no such device")
	}
	l, said := logAt(t, os.DevNull, 10, 1)
	for range 10 {
		fmt.Fprintln(l, "a line of some length")
	}
	if fi, err := os.Lstat(os.DevNull); err != nil || fi.Mode()&fs.ModeCharDevice == 0 || said() != "" {
		t.Fatal(fi, err, said())
	}
}
