//go:build freebsd || darwin || netbsd

package rawdir

import "syscall"

func statTimes(sys *syscall.Stat_t, st *Stat) {
	st.Known |= FieldBtime
	st.Atime = Time{int64(sys.Atimespec.Sec), uint32(sys.Atimespec.Nsec)}
	st.Ctime = Time{int64(sys.Ctimespec.Sec), uint32(sys.Ctimespec.Nsec)}
	st.Btime = Time{int64(sys.Birthtimespec.Sec), uint32(sys.Birthtimespec.Nsec)}
}
