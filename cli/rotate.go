package cli

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"
)

// logFile is a file that lines are appended to. Several processes may append to
// one. When it has grown it is renamed, and a new one begun:
//
//	hydra.log   hydra.log.20260102T030405.000000006   hydra.log.20251231T...gz
//
// The newest old one is not compressed: another process may be writing to it yet.
// What can not be written is lost, which is said when it can be again; nobody
// waits for a disk that is full.
type logFile struct {
	path string
	max  int64 // bytes; 0: it grows
	keep int   // old files; 0: all
	says func(text string, args ...any)

	mu      sync.Mutex
	f       *os.File
	regular bool  // it can be renamed: it is no device or pipe
	size    int64 // as far as we know
	most    int64 // at which it is rotated: more than max after that failed
	looked  time.Time
	torn    bool  // it ends within a line
	lost    int64 // lines
	closing bool

	work sync.WaitGroup // what is said, and done about old files
	old  sync.Mutex     // one at a time looks after old files
}

// lookAfter is how long another process may have rotated the file unnoticed.
const lookAfter = time.Second

// open opens the file, also again after somebody renamed it.
func (l *logFile) open() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.reopen(); err != nil {
		return err
	}
	if l.regular && l.max > 0 {
		l.later(l.tidy)
	}
	return nil
}

// later does something that close waits for; mu is held.
func (l *logFile) later(do func()) {
	if !l.closing {
		l.work.Go(do)
	}
}

// reopen opens the file in place of the one that is open; mu is held.
func (l *logFile) reopen() error {
	f, err := os.OpenFile(l.path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	fi, err := f.Stat()
	if err != nil {
		f.Close()
		return err
	}
	if l.f != nil {
		l.f.Close()
	}
	l.f, l.regular, l.size, l.most, l.looked, l.torn = f, fi.Mode().IsRegular(), fi.Size(), l.max, time.Now(), false
	return nil
}

func (l *logFile) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.f != nil && l.regular && l.max > 0 {
		l.follow(int64(len(p)))
	}
	if l.f == nil && !l.closing {
		_ = l.reopen() // it could not be when it was rotated
	}
	if l.f == nil {
		l.lost++
		return 0, &fs.PathError{Op: "write", Path: l.path, Err: fs.ErrClosed}
	}
	text := p
	if l.torn {
		text = append([]byte{'\n'}, p...)
	}
	n, err := l.f.Write(text)
	l.size += int64(n)
	if n > 0 {
		l.torn = n < len(text)
	}
	if err != nil {
		l.lost++
		return 0, err
	}
	if lost := l.lost; lost > 0 {
		l.lost = 0
		l.say("lines of the log were lost: it could not be written", "lines", lost)
	}
	return len(p), nil
}

// say says something about the log in the log. It is written when the line at hand
// is; mu is held.
func (l *logFile) say(text string, args ...any) {
	l.later(func() { l.says(text, args...) })
}

// follow begins a new file if the one at hand would grow too large, or is not the
// one of its name any more; mu is held.
func (l *logFile) follow(more int64) {
	full := l.size > 0 && l.size+more > l.most
	if !full && time.Since(l.looked) < lookAfter {
		return
	}
	l.looked = time.Now()
	fi, err := l.f.Stat()
	if err != nil {
		return
	}
	named, err := os.Lstat(l.path)
	switch {
	case err == nil && named.Mode()&fs.ModeSymlink != 0:
		// Whoever made the link wants the file that it leads to.
		if named, err = os.Stat(l.path); err == nil && os.SameFile(fi, named) {
			l.size = named.Size()
			return
		}
		_ = l.reopen()
		return
	case err != nil || !os.SameFile(fi, named):
		_ = l.reopen() // somebody else has rotated it
		return
	}
	if l.size = fi.Size(); l.size > 0 && l.size+more > l.most { // others write too
		if err := l.rotate(); err != nil {
			l.most = l.size + max(l.max/10, 1)
			l.say("the log file could not be rotated: it goes on growing", "err", err)
			return
		}
		l.later(l.tidy)
	}
}

// rotated is how the time of rotation stands in the name of an old file: sorted by
// name they are sorted by time.
const rotated = "20060102T150405.000000000"

// rotate renames the file and begins a new one; mu is held. The old one is written
// to until there is a new one.
func (l *logFile) rotate() error {
	name := l.path + "." + time.Now().UTC().Format(rotated)
	if _, err := os.Lstat(name); err == nil {
		return &fs.PathError{Op: "rename", Path: name, Err: fs.ErrExist}
	}
	if runtime.GOOS == "windows" {
		// What is open can not be renamed there.
		l.f.Close()
		l.f = nil
		return errors.Join(os.Rename(l.path, name), l.reopen())
	}
	if err := os.Rename(l.path, name); err != nil {
		return err
	}
	if err := l.reopen(); err != nil {
		return errors.Join(err, os.Rename(name, l.path))
	}
	return nil
}

// tidy compresses and removes old files.
func (l *logFile) tidy() {
	l.old.Lock()
	defer l.old.Unlock()
	files, err := l.olds()
	for i, name := range files { // the newest first
		switch {
		case err != nil:
		case l.keep > 0 && i >= l.keep:
			err = gone(os.Remove(name))
		case i > 0 && !strings.HasSuffix(name, ".gz"):
			err = gone(compress(name))
		}
	}
	if err != nil {
		l.says("old log files could not be looked after", "err", err)
	}
}

// olds are the old files, the newest first. Parts of a compression that was
// interrupted are removed.
func (l *logFile) olds() ([]string, error) {
	dir, base := filepath.Split(l.path)
	entries, err := os.ReadDir(filepath.Clean(dir + "."))
	if err != nil {
		return nil, err
	}
	var files []string
	for _, e := range entries {
		rest, ok := strings.CutPrefix(e.Name(), base+".")
		if !ok || !e.Type().IsRegular() {
			continue
		}
		stamp, part, _ := strings.Cut(rest, ".gz")
		if _, err := time.Parse(rotated, stamp); err != nil {
			continue // it is not ours
		}
		name := filepath.Join(dir, e.Name())
		if part != "" {
			if fi, err := e.Info(); err == nil && time.Since(fi.ModTime()) > time.Hour {
				_ = os.Remove(name)
			}
			continue
		}
		files = append(files, name)
	}
	slices.SortFunc(files, func(a, b string) int { return strings.Compare(b, a) })
	return files, nil
}

func gone(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil // another process did it
	}
	return err
}

// compress puts a compressed file in the place of another.
func compress(name string) (err error) {
	in, err := os.Open(name)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.CreateTemp(filepath.Dir(name), filepath.Base(name)+".gz*") // for the user only
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			out.Close()
			os.Remove(out.Name())
			err = fmt.Errorf("compress %s: %w", name, err)
		}
	}()
	z := gzip.NewWriter(out)
	if _, err := io.Copy(z, in); err != nil {
		return err
	}
	if err := errors.Join(z.Close(), out.Sync(), out.Close()); err != nil {
		return err
	}
	if err := os.Rename(out.Name(), name+".gz"); err != nil {
		return err
	}
	in.Close()
	return os.Remove(name)
}

// close waits for what is done about old files.
func (l *logFile) close() {
	l.mu.Lock()
	l.closing = true
	l.mu.Unlock()
	l.work.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.f != nil {
		l.f.Close()
		l.f = nil
	}
}
