//go:build unix

package check

import (
	"io/fs"
	"syscall"
)

// device is that of a file; false if it can not be told.
func device(info fs.FileInfo) (uint64, bool) {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, false
	}
	return uint64(st.Dev), true
}
