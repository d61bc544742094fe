//go:build unix

package cli

import (
	"errors"
	"os"
	"syscall"
)

// hangup asks to open the log file again.
var hangup os.Signal = syscall.SIGHUP

// brokenPipe is for who writes what nobody reads. If it is asked for, the write fails and the
// process lives. Were it ignored, children would ignore it too.
var brokenPipe os.Signal = syscall.SIGPIPE

// isClosedPipe tells whether nobody reads any more what is written.
func isClosedPipe(err error) bool { return errors.Is(err, syscall.EPIPE) }
