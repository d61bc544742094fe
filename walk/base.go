package walk

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"sync"

	"github.com/hydrawalk/hydra/internal/rawdir"
)

// Base is an open directory, to look at and change what lies below it by paths.
// These are of names joined with '/', on every system. No symbolic link below the
// base is followed, whichever of the names stands for one; paths may have any length.
//
// Any goroutine may use it. Errors are of type [*Error].
type Base struct {
	path string
	root rawdir.Dir

	mu    sync.Mutex
	at    string     // whose directory is open
	dir   rawdir.Dir // nil: none
	asked bool       // MakeDirsIf opened it
}

// OpenBase opens a directory. A symbolic link is followed if the path ends with a
// separator, as for the roots of a walk.
func OpenBase(path string) (*Base, error) { return openBase(rawdir.System, &systemPaths, path) }

// OpenBaseFS opens a directory of a file system, in which nothing can be changed.
func OpenBaseFS(fsys fs.FS, path string) (*Base, error) {
	return openBase(rawdir.FromFS(fsys), &fsPaths, path)
}

func openBase(opener rawdir.Opener, ps *paths, path string) (*Base, error) {
	follow := path != "" && ps.isSeparator(path[len(path)-1])
	d, err := opener(path, follow)
	if err != nil {
		return nil, &Error{Op: OpOpen, Path: path, Err: cause(err), Dir: true}
	}
	return &Base{path: path, root: d}, nil
}

// Open opens a directory below the base, which is not needed any longer then.
func (b *Base) Open(path string) (*Base, error) {
	var sub rawdir.Dir
	err := b.in(path, func(d rawdir.Dir, name rawdir.Name) (err error) {
		sub, _, err = d.OpenDir(name)
		return err
	})
	if err != nil {
		return nil, b.fail(OpOpen, path, err)
	}
	return &Base{path: b.full(path), root: sub}, nil
}

// Close closes it.
func (b *Base) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.forget()
	return b.root.Close()
}

// forget closes the directory that is open besides the base. The caller holds mu.
func (b *Base) forget() {
	if b.dir != nil {
		_ = b.dir.Close() // nothing was written to it
		b.at, b.dir = "", nil
	}
}

// in calls f with the open directory that holds a path, and its name there.
func (b *Base) in(path string, f func(rawdir.Dir, rawdir.Name) error) error {
	dir, name := "", path
	if i := strings.LastIndexByte(path, '/'); i >= 0 {
		dir, name = path[:i], path[i+1:]
	}
	if strings.HasPrefix(path, "/") || name == "" || name == "." || name == ".." || strings.IndexByte(name, 0) >= 0 {
		return fs.ErrInvalid
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if dir == "" {
		return f(b.root, rawdir.MakeName(name))
	}
	if b.dir == nil || b.at != dir {
		b.forget()
		d, err := b.open(dir)
		if err != nil {
			return err
		}
		b.at, b.dir, b.asked = dir, d, false
	}
	return f(b.dir, rawdir.MakeName(name))
}

// open opens a directory below the base name by name: mount points are crossed, as a
// walk does.
func (b *Base) open(dir string) (rawdir.Dir, error) {
	at := b.root
	for name := range strings.SplitSeq(dir, "/") {
		var sub rawdir.Dir
		err := error(fs.ErrInvalid)
		if name != "" && name != "." && name != ".." && strings.IndexByte(name, 0) < 0 {
			sub, _, err = at.OpenDir(rawdir.MakeName(name))
		}
		if at != b.root {
			at.Close()
		}
		if err != nil {
			return nil, err
		}
		at = sub
	}
	return at, nil
}

// StatSelf reads the attributes of the base.
func (b *Base) StatSelf(st *Stat) error {
	return b.fail(OpStat, "", b.root.Stat(rawdir.AllFields, st))
}

// Stat reads the attributes of what has a path; of a symbolic link, its own.
func (b *Base) Stat(path string, st *Stat) error {
	return b.fail(OpStat, path, b.in(path, func(d rawdir.Dir, name rawdir.Name) error {
		return d.Lstat(name, rawdir.AllFields, st)
	}))
}

// Remove removes what has a path, unless it is a directory.
func (b *Base) Remove(path string) error {
	return b.fail(OpRemove, path, b.in(path, func(d rawdir.Dir, name rawdir.Name) error { return d.Remove(name) }))
}

// RemoveDir removes an empty directory.
func (b *Base) RemoveDir(path string) error {
	return b.fail(OpRemove, path, b.change(path, func(d rawdir.Changer, name rawdir.Name) error { return d.RemoveDir(name) }))
}

// MakeDir makes a directory, with an owner, a group and permissions.
func (b *Base) MakeDir(path string, uid, gid uint32, perm fs.FileMode) error {
	return b.fail(OpMake, path, b.change(path, func(d rawdir.Changer, name rawdir.Name) error {
		if err := d.MakeDir(name, 0o700); err != nil {
			return err
		}
		sub, _, err := d.OpenDir(name)
		if err != nil {
			return err
		}
		defer sub.Close()
		c, ok := sub.(rawdir.Changer)
		if !ok {
			return errors.ErrUnsupported
		}
		if err := isNew(sub); err != nil {
			return err
		}
		if err := c.SetOwner(uid, gid, perm); err != nil {
			_ = d.RemoveDir(name) // as it is, it is not the one that was wanted
			return fmt.Errorf("its owner or mode can not be set: %w", err)
		}
		return nil
	}))
}

// isNew tells why a directory is not one that was just made with mode 0700: somebody may
// have put another one in its place.
func isNew(d rawdir.Dir) error {
	var st Stat
	if err := d.Stat(rawdir.AllFields, &st); err != nil {
		return err
	}
	if st.Known&FieldUID != 0 && (int64(st.UID) != int64(os.Geteuid()) || st.Mode.Perm() != 0o700) {
		return fs.ErrExist
	}
	buf := make([]byte, 4<<10)
	for {
		n, err := d.Read(buf)
		if n == 0 || err != nil {
			return err
		}
		var in rawdir.Dirent
		if _, err := rawdir.Next(buf[:n], &in); err != nil || in.Name != "" {
			return fs.ErrExist // there is something in it
		}
	}
}

// MakeDirs makes a directory and those that lead to it, as far as they are missing.
func (b *Base) MakeDirs(path string, perm fs.FileMode) error { return b.MakeDirsIf(path, perm, nil) }

// MakeDirsIf is MakeDirs that asks ok about each directory on the way once it is open,
// whether it was there or not; its error ends this. What comes next in the directory, or
// below it, finds it open.
func (b *Base) MakeDirsIf(path string, perm fs.FileMode, ok func(part string, st *Stat) error) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.dir == nil || ok != nil && !b.asked || !strings.HasPrefix(path, b.at+"/") {
		b.forget()
	}
	again := b.dir != nil
	err := b.makeDirs(path, perm, ok)
	if again && errors.Is(err, fs.ErrNotExist) {
		err = b.makeDirs(path, perm, ok) // the one that was open is gone
	}
	return err
}

// makeDirs begins with the directory that is open, if one is: path lies below it then.
func (b *Base) makeDirs(path string, perm fs.FileMode, ok func(string, *Stat) error) error {
	at, end := b.root, 0
	if b.dir != nil {
		at, end = b.dir, len(b.at)+1
		b.at, b.dir = "", nil
	}
	leave := func() {
		if at != b.root {
			_ = at.Close() // nothing was written to it
		}
	}
	for name := range strings.SplitSeq(path[end:], "/") {
		end += len(name)
		part := path[:end]
		end++
		sub, err := makeDir(at, name, perm)
		leave()
		if err != nil {
			return b.fail(OpMake, part, err)
		}
		at = sub
		if ok == nil {
			continue
		}
		var st Stat
		if err = at.Stat(rawdir.AllFields, &st); err != nil {
			err = b.fail(OpStat, part, err)
		} else {
			err = ok(part, &st)
		}
		if err != nil {
			leave()
			return err
		}
	}
	b.at, b.dir, b.asked = path, at, ok != nil
	return nil
}

// makeDir opens a directory, which is made if it is missing.
func makeDir(at rawdir.Dir, name string, perm fs.FileMode) (rawdir.Dir, error) {
	if name == "" || name == "." || name == ".." || strings.IndexByte(name, 0) >= 0 {
		return nil, fs.ErrInvalid
	}
	sub, _, err := at.OpenDir(rawdir.MakeName(name))
	if !errors.Is(err, fs.ErrNotExist) {
		return sub, err
	}
	c, ok := at.(rawdir.Changer)
	if !ok {
		return nil, errors.ErrUnsupported
	}
	if err := c.MakeDir(rawdir.MakeName(name), perm); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	sub, _, err = at.OpenDir(rawdir.MakeName(name))
	return sub, err
}

// Move moves what has a path, and is no directory, to a path below another base, or
// this one, on the same file system. Nothing is replaced.
func (b *Base) Move(path string, to *Base, toPath string) error {
	if to == b {
		// Its lock would be taken twice.
		again, err := b.root.Again()
		if err != nil {
			return b.fail(OpOpen, path, err)
		}
		to = &Base{path: b.path, root: again}
		defer to.Close()
	}
	return b.fail(OpMove, path, b.change(path, func(from rawdir.Changer, name rawdir.Name) error {
		return to.change(toPath, func(into rawdir.Changer, toName rawdir.Name) error {
			return from.Move(name, into, toName)
		})
	}))
}

func (b *Base) change(path string, f func(rawdir.Changer, rawdir.Name) error) error {
	return b.in(path, func(d rawdir.Dir, name rawdir.Name) error {
		c, ok := d.(rawdir.Changer)
		if !ok {
			return errors.ErrUnsupported
		}
		return f(c, name)
	})
}

func (b *Base) fail(op, path string, err error) error {
	if err == nil {
		return nil
	}
	return &Error{Op: op, Path: b.full(path), Err: cause(err), gone: errors.Is(err, fs.ErrNotExist)}
}

// full is a path below the base with that of the base.
func (b *Base) full(path string) string {
	if b.path == "" || b.path[len(b.path)-1] != '/' {
		return b.path + "/" + path
	}
	return b.path + path
}
