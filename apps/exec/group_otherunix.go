//go:build unix && !linux

package exec

import "syscall"

func dieWithParent(*syscall.SysProcAttr) {}
