package rawdir

import (
	"strings"

	"golang.org/x/sys/unix"
)

// beneath opens a path that no link and no mount point leads out of.
func (d *fdDir) beneath(path string) (Dir, error) {
	if noOpenat2.Load() || strings.IndexByte(path, 0) >= 0 {
		return nil, nil
	}
	const (
		flags   = openFlags | unix.O_NOFOLLOW
		resolve = unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_XDEV
	)
	atime := int(noatime.Load())
	fd, err := openBelow(d.fd, path, flags|atime, resolve)
	if err == unix.EPERM && atime != 0 {
		fd, err = openBelow(d.fd, path, flags, resolve)
	}
	switch err {
	case nil:
		return &fdDir{fd}, nil
	case unix.ENOSYS, unix.EPERM, unix.EINVAL:
		return nil, nil // openat2 may be what is missing
	}
	return nil, err
}
