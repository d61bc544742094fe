//go:build amd64 || arm64 || riscv64 || loong64 || ppc64le || s390x

package rawdir

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// Lstat uses fstatat where size is wanted: statx could save the file system
// little then, and has more to copy. Only statx knows the time of birth.
func (d *fdDir) Lstat(name Name, want Fields, st *Stat) error {
	if want&FieldBtime != 0 || want&(FieldSize|FieldBlocks) == 0 {
		return statx(d.fd, name, lstatFlags, want, st)
	}
	return fstatat(d.fd, name, lstatFlags, st)
}

func fstatat(at int, name Name, flags int, st *Stat) error {
	var x unix.Stat_t
	for {
		_, _, e := unix.Syscall6(unix.SYS_NEWFSTATAT, uintptr(at),
			uintptr(unsafe.Pointer(unsafe.StringData(string(name)))),
			uintptr(unsafe.Pointer(&x)), uintptr(flags), 0, 0)
		if e == 0 {
			break
		}
		if e != unix.EINTR {
			return e
		}
	}
	st.Known = AllFields &^ FieldBtime
	st.Mode = fileMode(uint16(x.Mode))
	st.UID, st.GID = x.Uid, x.Gid
	st.Nlink = uint64(x.Nlink)
	st.Size, st.Blocks = x.Size, x.Blocks
	st.Dev, st.Ino = x.Dev, x.Ino
	st.Atime = Time{x.Atim.Sec, uint32(x.Atim.Nsec)}
	st.Mtime = Time{x.Mtim.Sec, uint32(x.Mtim.Nsec)}
	st.Ctime = Time{x.Ctim.Sec, uint32(x.Ctim.Nsec)}
	st.Btime = Time{}
	return nil
}
