package rawdir

import (
	"os"
	"strings"

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

// beneath opens a path. Mount points are crossed.
func (w *Within) beneath(rel string, flags int) (Dir, error) {
	fd, err := openBelow(int(w.top.Fd()), rel, flags, unix.RESOLVE_BENEATH|unix.RESOLVE_NO_MAGICLINKS)
	switch err {
	case nil:
		return &fdDir{fd}, nil
	case unix.EXDEV:
		return nil, ErrOutside
	}
	return nil, err
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
