package purge

import "io/fs"

// The top of a volume is refused by its name. What is mounted at a directory is
// behind a link, which no walk enters.
func isMountPoint(string, fs.FileInfo) bool { return false }

// Whether files can be moved is found out by the first one.
func sameDevice(_, _ fs.FileInfo) bool { return true }

// inode is that of a directory: it is not known here.
func inode(fs.FileInfo) uint64 { return 0 }
