package exec

import "syscall"

// dieWithParent has the system kill a command whose parent dies before the guard knows it.
func dieWithParent(a *syscall.SysProcAttr) { a.Pdeathsig = syscall.SIGKILL }
