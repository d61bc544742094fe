package sim

import (
	"io"
	"io/fs"
	"syscall"
	"time"
)

// view is the tree as one client sees it.
type view struct {
	t    *tree
	seed uint64 // of the order of its listings
	r    rules

	unmounted bool             // no root is there
	moved     bool             // its roots are others
	missing   map[string]bool  // directories that are not there
	hangs     map[string]bool  // directories that do not answer, until released
	released  <-chan struct{}  // at the end of the world
	opened    func(dir string) // may be nil
	delay     time.Duration    // of opening a directory
	call      func(op string)  // may be nil: of each call, which takes as long
}

// calls is for the beginning of a call.
func (v *view) calls(op string) {
	if v.call != nil {
		v.call(op)
	}
}

func fail(op, path string, err error) error { return &fs.PathError{Op: op, Path: path, Err: err} }

// Lstat implements fs.ReadLinkFS.
func (v *view) Lstat(path string) (fs.FileInfo, error) {
	v.calls("lstat")
	return v.lstat(path)
}

func (v *view) lstat(path string) (fs.FileInfo, error) {
	if path == "." {
		return info{name: ".", dir: true, ino: 1}, nil
	}
	n, file, ok := v.t.find(path)
	if !ok || v.unmounted || v.missing[path] {
		return nil, fail("lstat", path, fs.ErrNotExist)
	}
	ino := mix(n.hash, 9) | 2
	if v.moved {
		ino ^= 1 << 40
	}
	return info{name: path, dir: file < 0, ino: ino}, nil
}

// ReadLink implements fs.ReadLinkFS. There are no links.
func (v *view) ReadLink(path string) (string, error) {
	return "", fail("readlink", path, fs.ErrInvalid)
}

// Stat implements fs.StatFS.
func (v *view) Stat(path string) (fs.FileInfo, error) { return v.Lstat(path) }

// Open implements fs.FS.
func (v *view) Open(path string) (fs.File, error) {
	v.calls("open")
	fi, err := v.lstat(path)
	if err != nil {
		return nil, err
	}
	if v.hangs[path] {
		<-v.released
	}
	if v.delay > 0 {
		time.Sleep(v.delay)
	}
	if v.opened != nil {
		v.opened(path)
	}
	if v.r.closed(path) {
		return nil, fail("open", path, fs.ErrPermission)
	}
	n, _, _ := v.t.find(path)
	return &file{v: v, n: n, i: fi.(info), path: path}, nil
}

// file is an open directory; nobody reads the others.
type file struct {
	v    *view
	n    node
	i    info
	path string
	at   int
}

func (f *file) Stat() (fs.FileInfo, error) {
	f.v.calls("fstat")
	return f.i, nil
}

func (f *file) Read([]byte) (int, error) { return 0, io.EOF }
func (f *file) Close() error             { return nil }

// ReadDir implements fs.ReadDirFile: the order is another one at each client.
func (f *file) ReadDir(most int) ([]fs.DirEntry, error) {
	f.v.calls("readdir")
	if f.path == "." {
		return nil, io.EOF
	}
	t := f.v.t
	dirs := t.subdirs(f.n)
	all := dirs + t.files(f.n)
	var list []fs.DirEntry
	for ; f.at < all && len(list) < most; f.at++ {
		i := int((uint64(f.at) + f.v.seed) % uint64(all))
		if i >= dirs {
			list = append(list, info{name: t.name(f.n, 'f', i-dirs)})
		} else if t.child(f.n, i, dirs).size > 0 {
			list = append(list, info{name: t.name(f.n, 'd', i), dir: true})
		}
	}
	if len(list) > 0 {
		return list, nil
	}
	if f.v.r.broken(t, f.n) {
		return nil, fail("readdir", f.path, syscall.EIO)
	}
	return nil, io.EOF
}

// info is what is known of an entry.
type info struct {
	name string
	dir  bool
	ino  uint64
}

func (i info) Name() string               { return i.name }
func (i info) Size() int64                { return 0 }
func (i info) ModTime() time.Time         { return time.Time{} }
func (i info) IsDir() bool                { return i.dir }
func (i info) Sys() any                   { return sys(i.ino) }
func (i info) Type() fs.FileMode          { return i.Mode().Type() }
func (i info) Info() (fs.FileInfo, error) { return i, nil }
func (i info) Mode() fs.FileMode {
	if i.dir {
		return fs.ModeDir | 0o755
	}
	return 0o644
}
