package runas

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

const needs = "it has to be root, or have the capabilities CAP_SETUID, CAP_SETGID and CAP_KILL"

// mayKill tells why a command of another user could not be ended.
func mayKill() error {
	effective, err := capabilities("CapEff")
	if err == nil && effective&(1<<unix.CAP_KILL) == 0 {
		err = unix.EPERM
	}
	return err
}

// giveUpAmbient gives up the ambient capabilities of this process, which keeps the others:
// a command would inherit them, whoever it runs as.
func giveUpAmbient() error {
	ambient, err := capabilities("CapAmb")
	if err != nil || ambient == 0 {
		return err
	}
	// Of all threads: each may start commands.
	if _, _, errno := syscall.AllThreadsSyscall6(unix.SYS_PRCTL, unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0, 0); errno != 0 {
		// In a program with cgo Go does not know all threads.
		return fmt.Errorf("its ambient capabilities can not be given up: %w", errno)
	}
	return nil
}

// capabilities is a set of them, as the system names it.
func capabilities(set string) (uint64, error) {
	text, err := os.ReadFile("/proc/thread-self/status")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, set+":"); ok {
			return strconv.ParseUint(strings.TrimSpace(value), 16, 64)
		}
	}
	return 0, nil // it is older than this set
}
