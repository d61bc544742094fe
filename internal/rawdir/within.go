package rawdir

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// ErrOutside is the error of a path that leads out of a [Within].
var ErrOutside = errors.New("it leads out of the directory to which all is confined")

// Within is a directory that is opened once. What is opened through it lies below it,
// whoever renames what, or puts links where: not even its own path is looked at again. A
// symbolic link is followed if it is relative and stays below.
type Within struct {
	names []string // its path, and where it is
	root  *os.Root
	top   *os.File // on Linux, root; nil elsewhere
}

// OpenWithin opens a directory.
func OpenWithin(dir string) (*Within, error) {
	path, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	w := &Within{names: []string{path}}
	if real, err := filepath.EvalSymlinks(path); err == nil && real != path {
		w.names = append(w.names, real)
	}
	if w.root, err = os.OpenRoot(path); err != nil {
		return nil, err
	}
	if w.top, err = topOf(w.root); err != nil {
		return nil, errors.Join(err, w.root.Close())
	}
	return w, nil
}

// Path is that of the directory, as it was when it was opened.
func (w *Within) Path() string { return w.names[0] }

// Below is an absolute path as it is below the directory: "." for the directory itself.
// ErrOutside, by its words.
func (w *Within) Below(path string) (string, error) {
	if filepath.IsAbs(path) {
		path = filepath.Clean(path)
		for _, name := range w.names {
			if rel, err := filepath.Rel(name, path); err == nil && filepath.IsLocal(rel) {
				return rel, nil
			}
		}
	}
	return "", fmt.Errorf("%w: it does not lie in %s", ErrOutside, w.Path())
}

// Root is for what package os can do below the directory.
func (w *Within) Root() *os.Root { return w.root }

// Open opens a directory by its path, as [System] does.
func (w *Within) Open(path string, follow bool) (Dir, error) {
	rel, err := w.checked(path)
	if err != nil {
		return nil, err
	}
	return w.open(rel, follow)
}

// Parent opens a directory by its path, as [SystemParent] does.
func (w *Within) Parent(path string) (Dir, error) {
	rel, err := w.checked(path)
	if err != nil {
		return nil, err
	}
	return w.parent(rel)
}

func (w *Within) checked(path string) (string, error) {
	if strings.IndexByte(path, 0) >= 0 {
		return "", syscall.EINVAL
	}
	return w.Below(path)
}

// Close closes it.
func (w *Within) Close() error {
	err := w.root.Close()
	if w.top != nil {
		err = errors.Join(err, w.top.Close())
	}
	return err
}

// openIn opens a directory by package os: there a link leads out nowhere.
func (w *Within) openIn(rel string, follow bool) (Dir, error) {
	if !follow {
		fi, err := w.root.Lstat(rel)
		if err == nil && !fi.IsDir() {
			err = syscall.ENOTDIR
		}
		if err != nil {
			return nil, escapes(err)
		}
	}
	root, err := w.root.OpenRoot(rel)
	if err != nil {
		return nil, escapes(err)
	}
	if !follow {
		// Somebody may have put a link in its place meanwhile.
		before, err := w.root.Lstat(rel)
		var after os.FileInfo
		if err == nil {
			after, err = root.Stat(".")
		}
		if err == nil && !os.SameFile(before, after) {
			err = syscall.ENOTDIR
		}
		if err != nil {
			return nil, errors.Join(escapes(err), root.Close())
		}
	}
	return newRootDir(root)
}

// escapes is an error of package os, as ErrOutside if it is that.
func escapes(err error) error {
	// It has no name in package os.
	if pe, ok := errors.AsType[*os.PathError](err); ok && pe.Err != nil && pe.Err.Error() == "path escapes from parent" {
		return ErrOutside
	}
	return err
}
