//go:build !linux

package rawdir

import (
	"errors"
	"syscall"
)

// System opens directories of the operating system.
var System Opener = Portable

// IsNotDir says that what should be opened is not a directory, or not any more.
func IsNotDir(err error) bool {
	return errors.Is(err, syscall.ENOTDIR) || errors.Is(err, syscall.ELOOP)
}
