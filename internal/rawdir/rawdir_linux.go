package rawdir

import (
	"errors"
	"io/fs"
	"os"
	"strings"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// System opens directories of the operating system.
var System Opener = openSystem

// Descriptors is how many each open directory takes.
const Descriptors = 1

// fdDir is a directory by its descriptor.
type fdDir struct{ fd int }

const openFlags = unix.O_RDONLY | unix.O_DIRECTORY | unix.O_CLOEXEC | unix.O_LARGEFILE

// noatime is O_NOATIME as long as the kernel grants it: reading a tree should
// not change its access times, but only an owner, root, or who has CAP_FOWNER may ask for
// that.
var noatime atomic.Int32

func init() {
	if os.Geteuid() == 0 || actsAsOwner() {
		noatime.Store(unix.O_NOATIME)
	}
}

// actsAsOwner tells whether the process has CAP_FOWNER.
func actsAsOwner() bool {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	return unix.Capget(&header, &data[0]) == nil && data[0].Effective&(1<<unix.CAP_FOWNER) != 0
}

func openSystem(path string, follow bool) (Dir, error) {
	flags := openFlags
	if !follow {
		flags |= unix.O_NOFOLLOW
	}
	return openPath(path, flags)
}

// SystemParent opens a directory only for what is in it: it need not be
// readable, and can not be read.
func SystemParent(path string) (Dir, error) {
	return openPath(path, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC)
}

func openPath(path string, flags int) (Dir, error) {
	if strings.IndexByte(path, 0) >= 0 {
		return nil, unix.EINVAL
	}
	at := unix.AT_FDCWD
	// A path that is too long for one call is opened in pieces.
	for len(path) >= unix.PathMax {
		cut := strings.LastIndexByte(path[:unix.PathMax-1], '/')
		if cut <= 0 {
			break // the kernel says what is wrong
		}
		next, err := openat(at, MakeName(path[:cut]), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC)
		if at != unix.AT_FDCWD {
			unix.Close(at)
		}
		if err != nil {
			return nil, err
		}
		at, path = next, strings.TrimLeft(path[cut:], "/")
	}
	fd, err := openatNoatime(at, MakeName(path), flags)
	if at != unix.AT_FDCWD {
		unix.Close(at)
	}
	if err != nil {
		return nil, err
	}
	return &fdDir{fd}, nil
}

func openatNoatime(at int, name Name, flags int) (int, error) {
	atime := int(noatime.Load())
	fd, err := openat(at, name, flags|atime)
	if err == unix.EPERM && atime != 0 {
		if fd, err = openat(at, name, flags); err == nil {
			noatime.Store(0)
		}
	}
	return fd, err
}

func openat(at int, name Name, flags int) (int, error) {
	for {
		fd, _, e := unix.Syscall6(unix.SYS_OPENAT, uintptr(at),
			uintptr(unsafe.Pointer(unsafe.StringData(string(name)))), uintptr(flags), 0, 0, 0)
		if e == 0 {
			return int(fd), nil
		}
		if e != unix.EINTR {
			return -1, e
		}
	}
}

// noOpenat2 is set where the kernel, before Linux 5.6, or a sandbox has no
// openat2.
var noOpenat2 atomic.Bool

func (d *fdDir) OpenDir(name Name) (Dir, bool, error) {
	const flags = openFlags | unix.O_NOFOLLOW
	if !noOpenat2.Load() {
		atime := int(noatime.Load())
		fd, err := openat2(d.fd, name, flags|atime, unix.RESOLVE_NO_XDEV)
		if err == unix.EPERM && atime != 0 {
			fd, err = openat2(d.fd, name, flags, unix.RESOLVE_NO_XDEV)
			if err == nil {
				noatime.Store(0)
			}
		}
		switch err {
		case nil:
			return &fdDir{fd}, true, nil
		case unix.EXDEV:
			// A mount point.
		case unix.ENOSYS, unix.EPERM, unix.EINVAL:
			// Not available, or refused by a sandbox; if not, openat says it again.
			if fd, err := openatNoatime(d.fd, name, flags); err == nil {
				noOpenat2.Store(true)
				return &fdDir{fd}, false, nil
			}
		default:
			return nil, false, err
		}
	}
	fd, err := openatNoatime(d.fd, name, flags)
	if err != nil {
		return nil, false, err
	}
	return &fdDir{fd}, false, nil
}

func (d *fdDir) Again() (Dir, error) {
	fd, err := openatNoatime(d.fd, ".\x00", openFlags)
	if err != nil {
		return nil, err
	}
	return &fdDir{fd}, nil
}

func (d *fdDir) Read(buf []byte) (int, error) {
	for {
		n, _, e := unix.Syscall(unix.SYS_GETDENTS64, uintptr(d.fd),
			uintptr(unsafe.Pointer(unsafe.SliceData(buf))), uintptr(len(buf)))
		if e == 0 {
			return int(n), nil
		}
		if e != unix.EINTR {
			return 0, e
		}
	}
}

const emptyName = Name("\x00")

func (d *fdDir) Stat(want Fields, st *Stat) error {
	return statx(d.fd, emptyName, unix.AT_EMPTY_PATH, want, st)
}

// Identity uses fstat, which takes half the time of statx.
func (d *fdDir) Identity() (dev, ino uint64, err error) {
	var st unix.Stat_t
	for {
		if err := unix.Fstat(d.fd, &st); err == nil {
			return uint64(st.Dev), st.Ino, nil
		} else if err != unix.EINTR {
			return 0, 0, err
		}
	}
}

// lstatFlags are those of every stat of an entry.
const lstatFlags = unix.AT_SYMLINK_NOFOLLOW | unix.AT_NO_AUTOMOUNT

// noStatx is set where the kernel, before Linux 4.11, or a sandbox has no statx.
var noStatx atomic.Bool

// statx falls back to fstatat.
func statx(at int, name Name, flags int, want Fields, st *Stat) error {
	if noStatx.Load() {
		return fstatat(at, name, flags, st)
	}
	var x unix.Statx_t
	for {
		_, _, e := unix.Syscall6(unix.SYS_STATX, uintptr(at),
			uintptr(unsafe.Pointer(unsafe.StringData(string(name)))), uintptr(flags), uintptr(want),
			uintptr(unsafe.Pointer(&x)), 0)
		if e == 0 {
			break
		}
		switch e {
		case unix.EINTR:
			continue
		case unix.ENOSYS, unix.EPERM:
			// Not available, or refused by a sandbox; if not, fstatat says it again.
			if fstatat(at, name, flags, st) == nil {
				noStatx.Store(true)
				return nil
			}
		}
		return e
	}
	st.Known = Fields(x.Mask) & AllFields
	st.Mode = fileMode(x.Mode)
	st.UID, st.GID = x.Uid, x.Gid
	st.Nlink = uint64(x.Nlink)
	st.Size, st.Blocks = int64(x.Size), int64(x.Blocks)
	st.Dev = unix.Mkdev(x.Dev_major, x.Dev_minor)
	st.Ino = x.Ino
	st.Atime = Time{x.Atime.Sec, x.Atime.Nsec}
	st.Mtime = Time{x.Mtime.Sec, x.Mtime.Nsec}
	st.Ctime = Time{x.Ctime.Sec, x.Ctime.Nsec}
	st.Btime = Time{x.Btime.Sec, x.Btime.Nsec}
	return nil
}

// fileMode says a mode_t in the words of package fs. The upper four bits of a
// mode_t are those of d_type.
func fileMode(m uint16) fs.FileMode {
	mode := Type(m>>12).FileMode() | fs.FileMode(m&0o777)
	if m&(unix.S_ISUID|unix.S_ISGID|unix.S_ISVTX) != 0 {
		if m&unix.S_ISUID != 0 {
			mode |= fs.ModeSetuid
		}
		if m&unix.S_ISGID != 0 {
			mode |= fs.ModeSetgid
		}
		if m&unix.S_ISVTX != 0 {
			mode |= fs.ModeSticky
		}
	}
	return mode
}

func (d *fdDir) Open(name Name) (fs.File, error) {
	fd, err := openat(d.fd, name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_CLOEXEC|unix.O_NONBLOCK|unix.O_NOCTTY)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), name.Clone().String()), nil
}

func (d *fdDir) Readlink(name Name) (string, error) {
	for size := 256; ; size *= 2 {
		buf := make([]byte, size)
		n, err := unix.Readlinkat(d.fd, name.String(), buf)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return "", err
		}
		if n < size {
			return string(buf[:n]), nil
		}
	}
}

func (d *fdDir) Remove(name Name) error {
	for {
		if err := unix.Unlinkat(d.fd, name.String(), 0); err != unix.EINTR {
			return err
		}
	}
}

func (d *fdDir) Close() error { return unix.Close(d.fd) }

// IsNotDir says that what should be opened is not a directory, or not any more.
func IsNotDir(err error) bool {
	return errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP)
}
