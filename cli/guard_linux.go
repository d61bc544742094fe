package cli

import "golang.org/x/sys/unix"

// guardMemory lets nobody but root read the memory of this process, or its environment: no
// core file is written, and no debugger of the same user is let in. A command that the
// process executes does not have this.
func guardMemory() error { return unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0) }
