package cli

import (
	"bufio"
	"cmp"
	"crypto/rand"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/hydrawalk/hydra"
	"golang.org/x/term"
)

func isTerminal(f *os.File) bool { return term.IsTerminal(int(f.Fd())) }

// writeJSON writes the document, laid out for people too.
func writeJSON(w io.Writer, doc hydra.Document) error {
	compact, err := doc.MarshalJSON()
	if err != nil {
		return err
	}
	_, err = w.Write(hydra.Lay(compact))
	return err
}

// target is a file that is there whole or not at all: it is written under
// another name beside its place and renamed, wherever that is possible.
type target struct {
	name   string // as it was given
	path   string // with symbolic links resolved; "" if there is no target
	direct bool   // a device or a pipe, that can only be written to

	mu   sync.Mutex
	temp string // while it is written
}

func (t *target) set() bool { return t.path != "" }

// probe finds out before the work is done whether the file can be written.
func (t *target) probe(path string) error {
	if path == "" || path == "-" {
		return nil
	}
	if resolved, err := filepath.EvalSymlinks(path); err == nil {
		path = resolved
	} else if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		path = behindLinks(path)
	}
	t.path = path
	switch st, err := os.Stat(path); {
	case err == nil && st.IsDir():
		return &fs.PathError{Op: "write", Path: path, Err: errors.New("is a directory")}
	case err == nil && !st.Mode().IsRegular():
		t.direct = true
		return nil
	}
	f, err := t.create()
	if err != nil {
		return err
	}
	defer t.discard()
	// A full disk still takes an empty file.
	_, err = f.Write(make([]byte, probeBytes))
	closeErr := f.Close()
	return named(cmp.Or(err, closeErr), path)
}

// named makes an error about path, whose name says more to people than that of
// the file that was tried.
func named(err error, path string) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return &fs.PathError{Op: "write", Path: path, Err: pe.Err}
	}
	return err
}

// probeBytes is what there has to be room for before the work is done.
const probeBytes = 64 << 10

// behindLinks is where a path leads to which nothing is yet.
func behindLinks(path string) string {
	const most = 40 // as Linux follows
	for range most {
		to, err := os.Readlink(path)
		if err != nil {
			break // no link, or the path is wrong: who opens it finds out
		}
		if !filepath.IsAbs(to) {
			// ".." in it is the parent of where the link is.
			dir, err := filepath.EvalSymlinks(filepath.Dir(path))
			if err != nil {
				break
			}
			to = filepath.Join(dir, to)
		}
		path = to
	}
	return path
}

// create creates the file under its other name.
func (t *target) create() (*os.File, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	dir, name := filepath.Split(t.path)
	temp := filepath.Join(dir, "."+name+"."+rand.Text()[:8]+".tmp")
	f, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return nil, named(err, t.path)
	}
	t.temp = temp
	return f, nil
}

// discard removes what was begun.
func (t *target) discard() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.temp != "" {
		_ = os.Remove(t.temp) // there is nothing else to do about it
		t.temp = ""
	}
}

func (t *target) write(write func(io.Writer) error) error {
	if t.direct {
		return t.overwrite(write)
	}
	f, err := t.create()
	if err != nil {
		return err
	}
	defer t.discard()
	if err := buffered(f, write); err != nil {
		f.Close()
		return named(err, t.path)
	}
	if st, err := os.Stat(t.path); err == nil {
		_ = f.Chmod(st.Mode().Perm()) // as the file was before, if that is possible
	}
	syncErr := f.Sync()
	if err := cmp.Or(syncErr, f.Close()); err != nil {
		return named(err, t.path)
	}
	if err := t.rename(); err != nil {
		// A file that is a mount point, as in a container, or is somebody else's
		// in a directory like /tmp, can not be replaced, but perhaps written to.
		if worse := t.overwrite(write); worse != nil {
			return errors.Join(err, worse)
		}
	}
	return nil
}

func (t *target) rename() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	err := os.Rename(t.temp, t.path)
	if err == nil {
		t.temp = ""
	}
	return err
}

// overwrite writes into the file as it is.
func (t *target) overwrite(write func(io.Writer) error) error {
	flags := os.O_WRONLY
	if !t.direct {
		flags |= os.O_TRUNC
	}
	f, err := os.OpenFile(t.path, flags, 0)
	if err != nil {
		return err
	}
	return errors.Join(buffered(f, write), f.Close())
}

func buffered(w io.Writer, write func(io.Writer) error) error {
	b := bufio.NewWriter(w)
	if err := write(b); err != nil {
		return err
	}
	return b.Flush()
}

// errorsFile is the list of all errors. What it held before stays there until
// the first one is written: the call may turn out to be a wrong one.
type errorsFile struct {
	f     *os.File
	begun bool
}

func openErrorsFile(path string) (*errorsFile, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE, 0o666)
	if err != nil {
		return nil, err
	}
	return &errorsFile{f: f}, nil
}

func (e *errorsFile) begin() error {
	if e.begun {
		return nil
	}
	e.begun = true
	if st, err := e.f.Stat(); err != nil || !st.Mode().IsRegular() {
		return err // a pipe holds nothing
	}
	return e.f.Truncate(0)
}

func (e *errorsFile) Write(p []byte) (int, error) {
	if err := e.begin(); err != nil {
		return 0, err
	}
	return e.f.Write(p)
}

// close closes it; walked says that the list is that of a walk, even if empty.
func (e *errorsFile) close(walked bool) error {
	var err error
	if walked {
		err = e.begin()
	}
	return errors.Join(err, e.f.Close())
}
