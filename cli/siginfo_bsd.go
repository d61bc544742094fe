//go:build darwin || freebsd || netbsd || openbsd || dragonfly

package cli

import (
	"os"
	"syscall"
)

// progressSignals ask for a line of progress; the terminal sends SIGINFO for
// control-T.
var progressSignals = []os.Signal{syscall.SIGUSR1, syscall.SIGINFO}
