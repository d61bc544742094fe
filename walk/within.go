package walk

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/hydrawalk/hydra/internal/rawdir"
)

// ErrOutside is the error of a path that leads out of a [Within].
var ErrOutside = rawdir.ErrOutside

// Within is a directory that a walk does not leave, nor what belongs to it. It is opened
// once, and all else through that descriptor, wherever the directory is moved: so no "..",
// no symbolic link and nobody who puts one in place of a directory leads out of it. A link
// in a path is followed if it is relative and stays in the directory. Paths are absolute.
//
// All methods of a nil Within may be called: it is no bound, and they do what their
// counterparts in package os do. Any goroutine may use it.
type Within struct{ w *rawdir.Within }

// OpenWithin opens a directory. A symbolic link is followed.
func OpenWithin(dir string) (*Within, error) {
	w, err := rawdir.OpenWithin(dir)
	if err != nil {
		return nil, &Error{Op: OpOpen, Path: dir, Err: cause(err), Dir: true}
	}
	return &Within{w}, nil
}

// Close closes it. What was opened through it stays open.
func (w *Within) Close() error {
	if w == nil {
		return nil
	}
	return w.w.Close()
}

// Path is that of the directory, "" if there is no bound.
func (w *Within) Path() string {
	if w == nil {
		return ""
	}
	return w.w.Path()
}

// Check tells why a path does not lie in the directory, by its words: nothing is looked at.
func (w *Within) Check(path string) error {
	if w == nil {
		return nil
	}
	_, err := w.w.Below(path)
	return err
}

// OpenBase is [OpenBase] in the directory.
func (w *Within) OpenBase(path string) (*Base, error) {
	if w == nil {
		return OpenBase(path)
	}
	return openBase(w.w.Open, &systemPaths, path)
}

// Look is [Look] at a root in the directory. The error is ErrOutside.
func (w *Within) Look(root string, followRoots bool) (Sight, error) {
	if w == nil {
		return Look(root, followRoots, nil), nil
	}
	return look(w.w.Open, root, followRoots, false)
}

// Stat is [os.Stat] in the directory.
func (w *Within) Stat(path string) (fs.FileInfo, error) {
	return inside(w, path, os.Stat, (*os.Root).Stat)
}

// Lstat is [os.Lstat] in the directory.
func (w *Within) Lstat(path string) (fs.FileInfo, error) {
	return inside(w, path, os.Lstat, (*os.Root).Lstat)
}

// Readlink is [os.Readlink] in the directory.
func (w *Within) Readlink(path string) (string, error) {
	return inside(w, path, os.Readlink, (*os.Root).Readlink)
}

// OpenRoot is [os.OpenRoot] in the directory.
func (w *Within) OpenRoot(path string) (*os.Root, error) {
	return inside(w, path, os.OpenRoot, (*os.Root).OpenRoot)
}

// MkdirAll is [os.MkdirAll] in the directory.
func (w *Within) MkdirAll(path string, perm fs.FileMode) error {
	_, err := inside(w, path,
		func(path string) (struct{}, error) { return struct{}{}, os.MkdirAll(path, perm) },
		func(r *os.Root, path string) (struct{}, error) { return struct{}{}, r.MkdirAll(path, perm) })
	return err
}

// inside does something by a path: by its name, or below the directory.
func inside[T any](w *Within, path string, anywhere func(string) (T, error), below func(*os.Root, string) (T, error)) (T, error) {
	if w == nil {
		return anywhere(path)
	}
	rel, err := w.w.Below(path)
	if err != nil {
		var none T
		return none, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	if n := len(path); n > 1 && os.IsPathSeparator(path[n-1]) {
		rel += string(filepath.Separator) // then a link at its end is followed
	}
	return below(w.w.Root(), rel)
}

// opener opens directories by their paths; parent only for what is in them.
func (w *Within) opener() rawdir.Opener {
	if w == nil {
		return rawdir.System
	}
	return w.w.Open
}

func (w *Within) parent() func(string) (rawdir.Dir, error) {
	if w == nil {
		return rawdir.SystemParent
	}
	return w.w.Parent
}

// Confine confines the mounts to a directory. It is called before they are used.
func (ms *Mounts) Confine(w *Within) error {
	for _, m := range ms.list {
		if err := w.Check(m.path); err != nil {
			return fmt.Errorf("the prefix %s: %w", printable(m.path), err)
		}
	}
	ms.within = w
	return nil
}
