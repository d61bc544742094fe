//go:build unix && !linux

package purge

import "io/fs"

func isMountPoint(path string, st fs.FileInfo) bool { return otherDevice(path, st) }
