package walk

import (
	"syscall"
	"time"
)

// openFiles is the number of handles that the walk may have.
func openFiles() int64 { return 8192 }

// usage is what the process has used. Windows does not count
// waits: they are taken to be many, so that the load alone decides.
func usage() resources {
	var created, exited, kernel, user syscall.Filetime
	self, err := syscall.GetCurrentProcess()
	if err != nil || syscall.GetProcessTimes(self, &created, &exited, &kernel, &user) != nil {
		return resources{}
	}
	// In units of 100 ns.
	ticks := func(f syscall.Filetime) int64 { return int64(f.HighDateTime)<<32 | int64(f.LowDateTime) }
	return resources{
		cpu:   time.Duration(100 * (ticks(kernel) + ticks(user))),
		waits: time.Since(start).Milliseconds() * 1000,
	}
}

var start = time.Now()
