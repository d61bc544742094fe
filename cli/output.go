package cli

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"encoding/json"
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

// writeJSON writes the document, indented.
func writeJSON(w io.Writer, doc hydra.Document) error {
	compact, err := doc.MarshalJSON()
	if err != nil {
		return err
	}
	var b bytes.Buffer
	if err := json.Indent(&b, compact, "", "  "); err != nil {
		return err
	}
	b.WriteByte('\n')
	_, err = w.Write(b.Bytes())
	return err
}

// target is a file that is there whole or not at all: it is written under
// another name beside its place and renamed.
type target struct {
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
	f.Close()
	t.discard()
	return nil
}

// create creates the file under its other name.
func (t *target) create() (*os.File, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	dir, name := filepath.Split(t.path)
	temp := filepath.Join(dir, "."+name+"."+rand.Text()[:8]+".tmp")
	f, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		// The name that people gave says more.
		var pe *fs.PathError
		if errors.As(err, &pe) {
			err = &fs.PathError{Op: "write", Path: t.path, Err: pe.Err}
		}
		return nil, err
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
		f, err := os.OpenFile(t.path, os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		return errors.Join(buffered(f, write), f.Close())
	}
	f, err := t.create()
	if err != nil {
		return err
	}
	defer t.discard()
	if err := buffered(f, write); err != nil {
		f.Close()
		return err
	}
	if st, err := os.Stat(t.path); err == nil {
		_ = f.Chmod(st.Mode().Perm()) // as the file was before, if that is possible
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := os.Rename(t.temp, t.path); err != nil {
		return err
	}
	t.temp = ""
	return nil
}

func buffered(w io.Writer, write func(io.Writer) error) error {
	b := bufio.NewWriter(w)
	if err := write(b); err != nil {
		return err
	}
	return b.Flush()
}
