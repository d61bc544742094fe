//go:build unix && !linux

package exec

import "golang.org/x/sys/unix"

// argMax is how much arguments and environment may take together.
func argMax() int {
	n, err := unix.SysctlUint32("kern.argmax")
	if err != nil || n == 0 {
		return 128 << 10
	}
	return int(min(n, 1<<20))
}
