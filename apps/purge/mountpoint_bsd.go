//go:build unix && !linux

package purge

import (
	"io/fs"
	"os"
)

func isMountPoint(dir *os.File, st fs.FileInfo) bool { return otherDevice(dir, st) }
