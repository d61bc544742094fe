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

// usage is what the process has used.
func usage() resources {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		return resources{}
	}
	return resources{
		cpu:   time.Duration(r.Utime.Nano() + r.Stime.Nano()),
		waits: int64(r.Nvcsw),
	}
}
