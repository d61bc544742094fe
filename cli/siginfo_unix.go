//go:build unix && !darwin && !freebsd && !netbsd && !openbsd && !dragonfly

package cli

import (
	"os"
	"syscall"
)

// progressSignals ask for a line of progress.
var progressSignals = []os.Signal{syscall.SIGUSR1}
