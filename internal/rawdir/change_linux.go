package rawdir

import (
	"io/fs"

	"golang.org/x/sys/unix"
)

// Move implements [Changer].
func (d *fdDir) Move(name Name, to Changer, toName Name) error {
	t, ok := to.(*fdDir)
	if !ok {
		return errNoMove
	}
	for {
		err := unix.Renameat2(d.fd, name.String(), t.fd, toName.String(), unix.RENAME_NOREPLACE)
		switch err {
		case unix.EINTR:
			continue
		case unix.EINVAL, unix.ENOSYS:
			// Network file systems can not do this.
			return moveByLink(d.fd, name, t.fd, toName)
		}
		return err
	}
}

// MakeDir implements [Changer].
func (d *fdDir) MakeDir(name Name, perm fs.FileMode) error {
	return unix.Mkdirat(d.fd, name.String(), uint32(perm.Perm()))
}

// RemoveDir implements [Changer].
func (d *fdDir) RemoveDir(name Name) error {
	for {
		if err := unix.Unlinkat(d.fd, name.String(), unix.AT_REMOVEDIR); err != unix.EINTR {
			return err
		}
	}
}
