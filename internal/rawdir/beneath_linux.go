package rawdir

import (
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// beneath opens a path with one call, or with one for each piece of a long path.
func (d *fdDir) beneath(path string) (Dir, error) {
	if noOpenat2.Load() || strings.IndexByte(path, 0) >= 0 {
		return nil, nil
	}
	const flags = openFlags | unix.O_NOFOLLOW
	at := d.fd
	closeAt := func() {
		if at != d.fd {
			unix.Close(at)
		}
	}
	for len(path) >= unix.PathMax {
		cut := strings.LastIndexByte(path[:unix.PathMax-1], '/')
		if cut <= 0 {
			break // the kernel says what is wrong
		}
		next, err := openat2Beneath(at, MakeName(path[:cut]), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC)
		closeAt()
		if err != nil {
			at = d.fd
			return nil, beneathError(err)
		}
		at, path = next, strings.TrimLeft(path[cut:], "/")
	}
	atime := int(noatime.Load())
	fd, err := openat2Beneath(at, MakeName(path), flags|atime)
	if err == unix.EPERM && atime != 0 {
		fd, err = openat2Beneath(at, MakeName(path), flags)
	}
	closeAt()
	if err != nil {
		return nil, beneathError(err)
	}
	return &fdDir{fd}, nil
}

// beneathError is nil if openat2 may be what is missing.
func beneathError(err error) error {
	switch err {
	case unix.ENOSYS, unix.EPERM, unix.EINVAL:
		return nil
	}
	return err
}

// openat2Beneath opens a path below a directory: no link and no mount point leads
// out of it.
func openat2Beneath(at int, path Name, flags int) (int, error) {
	how := unix.OpenHow{
		Flags:   uint64(flags),
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_XDEV,
	}
	for {
		fd, _, e := unix.Syscall6(unix.SYS_OPENAT2, uintptr(at),
			uintptr(unsafe.Pointer(unsafe.StringData(string(path)))),
			uintptr(unsafe.Pointer(&how)), unix.SizeofOpenHow, 0, 0)
		if e == 0 {
			return int(fd), nil
		}
		if e != unix.EINTR && e != unix.EAGAIN { // EAGAIN: something was renamed meanwhile
			return -1, e
		}
	}
}
