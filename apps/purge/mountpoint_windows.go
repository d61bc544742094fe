package purge

import (
	"io/fs"
	"os"
)

// The top of a volume is refused by its name. What is mounted at a directory is
// behind a link, which no walk enters.
func isMountPoint(*os.File, fs.FileInfo) bool { return false }

// A directory that is open can not be replaced.
func idOf(fs.FileInfo) (dev, ino uint64, ok bool) { return 0, 0, false }

// Whether files can be moved is found out by the first one.
func sameDevice(_, _ fs.FileInfo) bool { return true }
