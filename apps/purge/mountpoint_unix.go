//go:build unix

package purge

import (
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// otherDevice tells whether a directory is on another device than what it lies in.
func otherDevice(dir *os.File, st fs.FileInfo) bool {
	var parent unix.Stat_t
	own, ok := st.Sys().(*syscall.Stat_t)
	err := unix.Fstatat(int(dir.Fd()), "..", &parent, 0)
	return err == nil && ok && uint64(own.Dev) != uint64(parent.Dev)
}

// idOf tells directories apart, as a [walk.Stat] does.
func idOf(fi fs.FileInfo) (dev, ino uint64, ok bool) {
	st, ok := fi.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, 0, false
	}
	return uint64(st.Dev), st.Ino, true
}

func sameDevice(a, b fs.FileInfo) bool {
	x, okX := a.Sys().(*syscall.Stat_t)
	y, okY := b.Sys().(*syscall.Stat_t)
	return okX && okY && x.Dev == y.Dev
}
