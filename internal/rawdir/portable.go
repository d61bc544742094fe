package rawdir

import (
	"cmp"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"sync"
	"syscall"
)

// Portable opens directories of the operating system by package os alone. It
// is System where no other reader exists.
func Portable(path string, follow bool) (Dir, error) {
	if !follow {
		fi, err := os.Lstat(path)
		if err != nil {
			return nil, err
		}
		if !fi.IsDir() {
			return nil, &fs.PathError{Op: "open", Path: path, Err: syscall.ENOTDIR}
		}
	}
	if fi, err := os.Stat(path); err != nil {
		return nil, err
	} else if !fi.IsDir() {
		return nil, &fs.PathError{Op: "open", Path: path, Err: syscall.ENOTDIR}
	}
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, err
	}
	return newRootDir(root)
}

// rootDir is a directory by an os.Root, which does not lead out of it.
type rootDir struct {
	entryReader
	root *os.Root
}

func newRootDir(root *os.Root) (Dir, error) {
	f, err := root.Open(".")
	if err != nil {
		root.Close()
		return nil, err
	}
	return &rootDir{entryReader{dir: f}, root}, nil
}

func (d *rootDir) OpenDir(name Name) (Dir, bool, error) {
	before, err := d.root.Lstat(name.String())
	if err != nil {
		return nil, false, err
	}
	if !before.IsDir() {
		return nil, false, &fs.PathError{Op: "open", Path: name.Clone().String(), Err: syscall.ENOTDIR}
	}
	root, err := d.root.OpenRoot(name.String())
	if err != nil {
		return nil, false, err
	}
	// os.Root follows links that stay inside: make sure that it met none.
	after, err := root.Stat(".")
	if err == nil && !os.SameFile(before, after) {
		err = &fs.PathError{Op: "open", Path: name.Clone().String(), Err: syscall.ENOTDIR}
	}
	if err != nil {
		root.Close()
		return nil, false, err
	}
	sub, err := newRootDir(root)
	return sub, false, err
}

func (d *rootDir) Again() (Dir, error) {
	root, err := d.root.OpenRoot(".")
	if err != nil {
		return nil, err
	}
	return newRootDir(root)
}

func (d *rootDir) Stat(_ Fields, st *Stat) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	f, ok := d.dir.(*os.File)
	if !ok {
		return fs.ErrInvalid
	}
	fi, err := f.Stat()
	if err != nil {
		return err
	}
	statOf(fi, st)
	identify(f, st)
	return nil
}

func (d *rootDir) Identity() (dev, ino uint64, err error) {
	var st Stat
	err = d.Stat(FieldIno, &st)
	return st.Dev, st.Ino, err
}

func (d *rootDir) Traits(t *Traits) error {
	var st Stat
	if err := d.Stat(AllFields, &st); err != nil {
		return err
	}
	*t = Traits{Dev: st.Dev, Mode: st.Mode}
	d.mu.Lock()
	defer d.mu.Unlock()
	return addTraits(d.dir.(*os.File), &st, t)
}

func (d *rootDir) Lstat(name Name, _ Fields, st *Stat) error {
	fi, err := d.root.Lstat(name.String())
	if err != nil {
		return err
	}
	statOf(fi, st)
	return nil
}

func (d *rootDir) Open(name Name) (fs.File, error) {
	// os.Root follows links that stay inside, whatever the flags: make sure that
	// it meets none.
	before, err := d.root.Lstat(name.String())
	if err != nil {
		return nil, err
	}
	if before.Mode()&fs.ModeSymlink != 0 {
		return nil, isLink(name.Clone().String())
	}
	f, err := d.root.OpenFile(name.Clone().String(), os.O_RDONLY|openNonblock, 0)
	if err != nil {
		return nil, err
	}
	if after, err := f.Stat(); err != nil || !os.SameFile(before, after) {
		f.Close()
		return nil, cmp.Or(err, isLink(name.Clone().String()))
	}
	return f, nil
}

// isLink is the error when a symbolic link should be opened.
func isLink(name string) error { return &fs.PathError{Op: "open", Path: name, Err: syscall.ELOOP} }

func (d *rootDir) Readlink(name Name) (string, error) { return d.root.Readlink(name.String()) }
func (d *rootDir) Remove(name Name) error {
	// os.Root has no way to remove only what is not a directory.
	if fi, err := d.root.Lstat(name.String()); err != nil || fi.IsDir() {
		return cmp.Or(err, error(&fs.PathError{Op: "remove", Path: name.Clone().String(), Err: syscall.EISDIR}))
	}
	return d.root.Remove(name.String())
}

// MakeDir implements [Changer].
func (d *rootDir) MakeDir(name Name, perm fs.FileMode) error {
	return d.root.Mkdir(name.Clone().String(), perm.Perm())
}

// SetOwner implements [Changer].
func (d *rootDir) SetOwner(uid, gid uint32, perm fs.FileMode) error {
	f, ok := d.dir.(*os.File)
	if !ok {
		return errors.ErrUnsupported
	}
	if err := f.Chown(int(uid), int(gid)); err != nil && !errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	return f.Chmod(perm)
}

// RemoveDir implements [Changer].
func (d *rootDir) RemoveDir(name Name) error {
	fi, err := d.root.Lstat(name.String())
	if err == nil && !fi.IsDir() {
		err = &fs.PathError{Op: "remove", Path: name.Clone().String(), Err: syscall.ENOTDIR}
	}
	if err != nil {
		return err
	}
	return d.root.Remove(name.Clone().String())
}

func (d *rootDir) Close() error { return errors.Join(d.dir.Close(), d.root.Close()) }

// FromFS opens directories of fsys.
func FromFS(fsys fs.FS) Opener {
	return func(name string, follow bool) (Dir, error) {
		return openFS(fsys, path.Clean(name), follow)
	}
}

// fsDir is a directory of an fs.FS by its name.
type fsDir struct {
	entryReader
	fsys   fs.FS
	name   string
	follow bool
}

func openFS(fsys fs.FS, name string, follow bool) (Dir, error) {
	stat := fs.Lstat
	if follow {
		stat = fs.Stat
	}
	fi, err := stat(fsys, name)
	if err == nil && !fi.IsDir() {
		err = &fs.PathError{Op: "open", Path: name, Err: syscall.ENOTDIR}
	}
	if err != nil {
		return nil, err
	}
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	dir, ok := f.(fs.ReadDirFile)
	if !ok {
		f.Close()
		return nil, &fs.PathError{Op: "open", Path: name, Err: errors.New("the file system can not list it")}
	}
	return &fsDir{entryReader{dir: dir}, fsys, name, follow}, nil
}

func (d *fsDir) join(name Name) string {
	if d.name == "." {
		return name.Clone().String()
	}
	return d.name + "/" + name.String()
}

func (d *fsDir) OpenDir(name Name) (Dir, bool, error) {
	sub, err := openFS(d.fsys, d.join(name), false)
	return sub, false, err
}

func (d *fsDir) Again() (Dir, error) { return openFS(d.fsys, d.name, d.follow) }

func (d *fsDir) Stat(_ Fields, st *Stat) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	fi, err := d.dir.Stat()
	if err != nil {
		return err
	}
	statOf(fi, st)
	return nil
}

func (d *fsDir) Identity() (dev, ino uint64, err error) {
	var st Stat
	err = d.Stat(FieldIno, &st)
	return st.Dev, st.Ino, err
}

// Traits knows no file system: device, if there is one, and mode have to do.
func (d *fsDir) Traits(t *Traits) error {
	var st Stat
	if err := d.Stat(AllFields, &st); err != nil {
		return err
	}
	*t = Traits{Dev: st.Dev, Mode: st.Mode}
	return nil
}

func (d *fsDir) Lstat(name Name, _ Fields, st *Stat) error {
	fi, err := fs.Lstat(d.fsys, d.join(name))
	if err != nil {
		return err
	}
	statOf(fi, st)
	return nil
}
func (d *fsDir) Open(name Name) (fs.File, error) {
	fi, err := fs.Lstat(d.fsys, d.join(name))
	if err != nil {
		return nil, err
	}
	if fi.Mode()&fs.ModeSymlink != 0 {
		return nil, isLink(d.join(name))
	}
	return d.fsys.Open(d.join(name))
}
func (d *fsDir) Readlink(name Name) (string, error) { return fs.ReadLink(d.fsys, d.join(name)) }
func (d *fsDir) Remove(name Name) error {
	return &fs.PathError{Op: "remove", Path: d.join(name), Err: errors.ErrUnsupported}
}
func (d *fsDir) Close() error { return d.dir.Close() }

// entryReader makes records of what ReadDir returns.
type entryReader struct {
	dir fs.ReadDirFile

	mu   sync.Mutex    // an open file of an fs.FS need not be safe for several
	held []fs.DirEntry // read, but did not fit into the buffer
	err  error         // comes when held is empty
}

func (r *entryReader) Read(buf []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.held) == 0 && r.err == nil {
		r.held, r.err = r.dir.ReadDir(256)
	}
	out := buf[:0]
	for len(r.held) > 0 {
		e := r.held[0]
		name := MakeName(e.Name())
		var wrong error
		if strings.ContainsAny(e.Name(), "/\x00") || e.Name() == "" {
			wrong = ErrCorrupt
		} else if RecordLen(name) > len(buf) {
			wrong = syscall.ENAMETOOLONG
		}
		if wrong != nil || len(out)+RecordLen(name) > len(buf) {
			if len(out) > 0 {
				return len(out), nil // it comes first next time
			}
			return 0, &fs.PathError{Op: "readdir", Path: e.Name(), Err: wrong}
		}
		out = AppendRecord(out, 0, TypeOf(e.Type()), name)
		r.held = r.held[1:]
	}
	if len(out) > 0 || r.err == nil || r.err == io.EOF {
		return len(out), nil
	}
	return 0, r.err
}
