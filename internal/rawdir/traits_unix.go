//go:build linux || freebsd || darwin

package rawdir

import (
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// addSystem adds what the file system of an open directory says, to what is known
// of the directory. uid is its owner.
func addSystem(fd int, uid uint32, t *Traits) error {
	readOnly, err := statfs(fd, t)
	if err != nil {
		return err
	}
	for {
		err = unix.Faccessat(fd, ".", unix.W_OK, 0)
		if err != unix.EINTR {
			break
		}
	}
	t.ReadOnly, err = refuses(err, t.Mode, uint64(uid) == uint64(os.Getuid()))
	t.ReadOnly = t.ReadOnly || readOnly
	return err
}

// refuses tells, of the error of a check for writing in a directory, whether that
// comes from what the directory lies on: a mode that does not let us write says
// nothing of it. NFS servers show snapshots with modes as directories have that
// can be written to, and refuse.
func refuses(check error, mode fs.FileMode, owner bool) (bool, error) {
	switch check {
	case nil:
		return false, nil
	case unix.EROFS:
		return true, nil
	case unix.EACCES, unix.EPERM:
		return mode&0o002 != 0 || owner && mode&0o200 != 0, nil
	}
	return false, check
}

// addTraits is addSystem for a directory of package os.
func addTraits(f *os.File, st *Stat, t *Traits) error {
	c, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var inner error
	if err := c.Control(func(fd uintptr) { inner = addSystem(int(fd), st.UID, t) }); err != nil {
		return err
	}
	return inner
}
