package exec

import "golang.org/x/sys/unix"

// argMax is how much arguments and environment may take together: a quarter of the
// stack, within bounds that the kernel sets.
func argMax() int {
	const least, most = 128 << 10, 6 << 20
	var r unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_STACK, &r); err != nil {
		return least
	}
	return int(max(least, min(r.Cur/4, most)))
}
