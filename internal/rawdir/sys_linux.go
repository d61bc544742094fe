package rawdir

import "syscall"

func statTimes(sys *syscall.Stat_t, st *Stat) {
	st.Atime = timespec(sys.Atim.Unix())
	st.Ctime = timespec(sys.Ctim.Unix())
}

func timespec(sec, nsec int64) Time { return Time{sec, uint32(nsec)} }
