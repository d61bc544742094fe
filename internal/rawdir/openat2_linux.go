package rawdir

import (
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// mostTries is how often something may be renamed meanwhile: who does nothing else can not
// keep anybody for ever.
const mostTries = 1000

// openBelow opens a path below a directory, which resolve says how to find: with one call,
// or with one for each piece of a path that is too long for one.
func openBelow(dir int, path string, flags int, resolve uint64) (int, error) {
	at := dir
	for {
		piece, rest, how := path, "", flags
		if len(path) >= unix.PathMax {
			// Where there is no slash the kernel says what is wrong.
			if cut := strings.LastIndexByte(path[:unix.PathMax-1], '/'); cut > 0 {
				piece, rest = path[:cut], strings.TrimLeft(path[cut:], "/")
				how = unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC
			}
		}
		fd, err := openat2(at, MakeName(piece), how, resolve)
		if at != dir {
			unix.Close(at)
		}
		if err != nil || len(piece) == len(path) {
			return fd, err
		}
		at, path = fd, rest
	}
}

func openat2(at int, path Name, flags int, resolve uint64) (int, error) {
	how := unix.OpenHow{Flags: uint64(flags), Resolve: resolve}
	for tries := 0; ; tries++ {
		fd, _, e := unix.Syscall6(unix.SYS_OPENAT2, uintptr(at),
			uintptr(unsafe.Pointer(unsafe.StringData(string(path)))),
			uintptr(unsafe.Pointer(&how)), unix.SizeofOpenHow, 0, 0)
		switch {
		case e == 0:
			return int(fd), nil
		case e != unix.EINTR && (e != unix.EAGAIN || tries >= mostTries):
			return -1, e
		}
	}
}
