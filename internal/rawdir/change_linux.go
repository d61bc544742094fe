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

// SetOwner implements [Changer].
func (d *fdDir) SetOwner(uid, gid uint32, perm fs.FileMode) error {
	if err := unix.Fchown(d.fd, int(uid), int(gid)); err != nil {
		return err
	}
	// Last, for a change of owner takes bits away.
	return unix.Fchmod(d.fd, unixPerm(perm))
}

// unixPerm are the permissions of a mode as the system has them.
func unixPerm(m fs.FileMode) uint32 {
	p := uint32(m.Perm())
	if m&fs.ModeSetuid != 0 {
		p |= unix.S_ISUID
	}
	if m&fs.ModeSetgid != 0 {
		p |= unix.S_ISGID
	}
	if m&fs.ModeSticky != 0 {
		p |= unix.S_ISVTX
	}
	return p
}
