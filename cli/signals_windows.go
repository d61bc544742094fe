package cli

import (
	"errors"
	"os"

	"golang.org/x/sys/windows"
)

var (
	progressSignals []os.Signal
	// hangup is nil: there is no such signal.
	hangup os.Signal
	// brokenPipe is nil: there is none either.
	brokenPipe os.Signal
)

// isClosedPipe tells whether nobody reads any more what is written.
func isClosedPipe(err error) bool {
	return errors.Is(err, windows.ERROR_BROKEN_PIPE) || errors.Is(err, windows.ERROR_NO_DATA)
}
