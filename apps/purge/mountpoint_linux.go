package purge

import (
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// isMountPoint tells whether something is mounted at a directory: another file
// system, or a part of the same one.
func isMountPoint(dir *os.File, st fs.FileInfo) bool {
	var x unix.Statx_t
	err := unix.Statx(int(dir.Fd()), "", unix.AT_EMPTY_PATH, unix.STATX_TYPE, &x)
	if err == nil && x.Attributes_mask&unix.STATX_ATTR_MOUNT_ROOT != 0 {
		return x.Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0
	}
	return otherDevice(dir, st)
}
