//go:build unix

package purge

import (
	"io/fs"
	"os"
	"syscall"
)

// otherDevice tells whether a directory is on another device than what it lies in.
func otherDevice(path string, st fs.FileInfo) bool {
	parent, err := os.Stat(path + "/..")
	return err == nil && !sameDevice(st, parent)
}

// inode is that of a directory, 0 if it is not known.
func inode(fi fs.FileInfo) uint64 {
	if st, ok := fi.Sys().(*syscall.Stat_t); ok {
		return uint64(st.Ino)
	}
	return 0
}

func sameDevice(a, b fs.FileInfo) bool {
	x, okX := a.Sys().(*syscall.Stat_t)
	y, okY := b.Sys().(*syscall.Stat_t)
	return okX && okY && x.Dev == y.Dev
}
