package rawdir

import "syscall"

func statTimes(sys *syscall.Stat_t, st *Stat) {
	st.Atime = Time{sys.Atim.Sec, uint32(sys.Atim.Nsec)}
	st.Ctime = Time{sys.Ctim.Sec, uint32(sys.Ctim.Nsec)}
}
