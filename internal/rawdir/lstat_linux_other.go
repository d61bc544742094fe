//go:build linux && !(amd64 || arm64 || riscv64 || loong64 || ppc64le || s390x)

package rawdir

import "golang.org/x/sys/unix"

// Lstat uses statx: here fstatat has no fields of 64 bits.
func (d *fdDir) Lstat(name Name, want Fields, st *Stat) error {
	return statx(d.fd, name, lstatFlags, want, st)
}

// fstatat would replace a statx that is missing.
func fstatat(int, Name, int, *Stat) error { return unix.ENOSYS }
