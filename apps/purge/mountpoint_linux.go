package purge

import (
	"io/fs"

	"golang.org/x/sys/unix"
)

// isMountPoint tells whether something is mounted at a directory: another file
// system, or a part of the same one.
func isMountPoint(path string, st fs.FileInfo) bool {
	var x unix.Statx_t
	// With a dot it is the directory, whether a link leads there or not.
	err := unix.Statx(unix.AT_FDCWD, path+"/.", unix.AT_NO_AUTOMOUNT, unix.STATX_TYPE, &x)
	if err == nil && x.Attributes_mask&unix.STATX_ATTR_MOUNT_ROOT != 0 {
		return x.Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0
	}
	return otherDevice(path, st)
}
