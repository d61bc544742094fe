//go:build unix

package walk

import (
	"syscall"
	"time"
)

// openFiles is the number of descriptors that the process may have.
func openFiles() int64 {
	var r syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &r); err != nil {
		return 256
	}
	return int64(min(uint64(r.Cur), 1<<20))
}

// processTime is the processors' time that the process has used.
func processTime() time.Duration {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		return 0
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}
