//go:build unix

package exec

import (
	"os"
	"syscall"

	"github.com/hydrawalk/hydra/walk"
)

// ownedBy tells whether something belongs to a user.
func ownedBy(fi os.FileInfo, uid uint32) bool {
	sys, ok := fi.Sys().(*syscall.Stat_t)
	return ok && sys.Uid == uid
}

// sameDir tells whether two are one directory.
func sameDir(fi os.FileInfo, st *walk.Stat) bool {
	sys, ok := fi.Sys().(*syscall.Stat_t)
	return ok && uint64(sys.Ino) == st.Ino && uint64(sys.Dev) == st.Dev
}
