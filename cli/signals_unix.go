//go:build unix

package cli

import (
	"errors"
	"os"
	"syscall"
)

// hangup asks to open the log file again.
var hangup os.Signal = syscall.SIGHUP

// isClosedPipe tells whether nobody reads any more what is written.
func isClosedPipe(err error) bool { return errors.Is(err, syscall.EPIPE) }
