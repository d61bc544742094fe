//go:build !linux

package rawdir

import (
	"errors"
	"syscall"
)

// System opens directories of the operating system.
var System Opener = Portable

// Descriptors is how many each open directory takes.
const Descriptors = 2

// SystemParent opens a directory only for what is in it.
func SystemParent(path string) (Dir, error) { return Portable(path, true) }

// IsNotDir says that what should be opened is not a directory, or not any more.
func IsNotDir(err error) bool {
	return errors.Is(err, syscall.ENOTDIR) || errors.Is(err, syscall.ELOOP)
}
