package rawdir

import (
	"os"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

func topOf(root *os.Root) (*os.File, error) { return root.Open(".") }

func (w *Within) open(rel string, follow bool) (Dir, error) {
	flags := openFlags
	if !follow {
		flags |= unix.O_NOFOLLOW
	}
	atime := int(noatime.Load())
	d, err := w.beneath(rel, flags|atime)
	if err == unix.EPERM && atime != 0 {
		d, err = w.beneath(rel, flags)
	}
	if err == unix.ENOSYS || err == unix.EPERM {
		return w.byNames(rel, flags) // not available, or refused by a sandbox
	}
	return d, err
}

func (w *Within) parent(rel string) (Dir, error) {
	const flags = unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC
	d, err := w.beneath(rel, flags)
	if err == unix.ENOSYS || err == unix.EPERM {
		return w.byNames(rel, flags)
	}
	return d, err
}

// beneath opens a path with one call, or with one for each piece of a long path.
func (w *Within) beneath(rel string, flags int) (Dir, error) {
	top := int(w.top.Fd())
	at := top
	closeAt := func() {
		if at != top {
			unix.Close(at)
		}
	}
	for len(rel) >= unix.PathMax {
		cut := strings.LastIndexByte(rel[:unix.PathMax-1], '/')
		if cut <= 0 {
			break // the kernel says what is wrong
		}
		next, err := openat2Within(at, MakeName(rel[:cut]), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC)
		closeAt()
		if err != nil {
			return nil, err
		}
		at, rel = next, strings.TrimLeft(rel[cut:], "/")
	}
	fd, err := openat2Within(at, MakeName(rel), flags)
	closeAt()
	if err != nil {
		return nil, err
	}
	return &fdDir{fd}, nil
}

// byNames opens a path name by name, without any link, where the kernel has no openat2.
func (w *Within) byNames(rel string, flags int) (Dir, error) {
	const step = unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC | unix.O_NOFOLLOW
	names := strings.Split(rel, "/")
	at := int(w.top.Fd())
	for i, name := range names {
		how := step
		if i == len(names)-1 {
			how = flags | unix.O_NOFOLLOW
		}
		fd, err := openat(at, MakeName(name), how)
		if at != int(w.top.Fd()) {
			unix.Close(at)
		}
		if err != nil {
			return nil, err
		}
		at = fd
	}
	return &fdDir{at}, nil
}

// mostTries is how often something may be renamed meanwhile: who does nothing else can not
// keep anybody for ever.
const mostTries = 1000

// openat2Within opens a path below a directory. Mount points are crossed.
func openat2Within(at int, path Name, flags int) (int, error) {
	how := unix.OpenHow{Flags: uint64(flags), Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_MAGICLINKS}
	for tries := 0; ; tries++ {
		fd, _, e := unix.Syscall6(unix.SYS_OPENAT2, uintptr(at),
			uintptr(unsafe.Pointer(unsafe.StringData(string(path)))),
			uintptr(unsafe.Pointer(&how)), unix.SizeofOpenHow, 0, 0)
		switch {
		case e == 0:
			return int(fd), nil
		case e == unix.EXDEV:
			return -1, ErrOutside
		case e != unix.EINTR && (e != unix.EAGAIN || tries >= mostTries):
			return -1, e
		}
	}
}

// DirType is the type of the file system of an open directory, as statfs tells it; 0 if it
// can not be told.
func DirType(d Dir) uint64 {
	f, ok := d.(*fdDir)
	if !ok {
		return 0
	}
	for {
		var st unix.Statfs_t
		switch err := unix.Fstatfs(f.fd, &st); err {
		case nil:
			return uint64(st.Type)
		case unix.EINTR:
		default:
			return 0
		}
	}
}
