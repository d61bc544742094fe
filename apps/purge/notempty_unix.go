//go:build unix

package purge

import (
	"errors"
	"syscall"
)

// isNotEmpty tells whether a directory was not removed for what is in it, or mounted on it.
func isNotEmpty(err error) bool {
	return errors.Is(err, syscall.ENOTEMPTY) || errors.Is(err, syscall.EEXIST) || errors.Is(err, syscall.EBUSY)
}
