//go:build unix

package hydra

import (
	"io/fs"
	"syscall"
)

// inodeOf is the inode of a file, 0 if it is not known.
func inodeOf(fi fs.FileInfo) uint64 {
	if st, ok := fi.Sys().(*syscall.Stat_t); ok {
		return uint64(st.Ino)
	}
	return 0
}
