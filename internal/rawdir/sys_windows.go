package rawdir

import (
	"io/fs"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/windows"
)

const openNonblock = 0

func statOfSys(fi fs.FileInfo, st *Stat) {
	sys, ok := fi.Sys().(*syscall.Win32FileAttributeData)
	if !ok {
		return
	}
	st.Known |= FieldAtime | FieldBtime
	st.Known &^= FieldMode // package os makes up the permissions from one attribute
	st.Atime = timeOf(time.Unix(0, sys.LastAccessTime.Nanoseconds()))
	st.Btime = timeOf(time.Unix(0, sys.CreationTime.Nanoseconds()))
}

// identify adds the volume and the file index, which tell directories apart.
func identify(f *os.File, st *Stat) {
	var info windows.ByHandleFileInformation
	if windows.GetFileInformationByHandle(windows.Handle(f.Fd()), &info) != nil {
		return // without it loops and other volumes are not seen
	}
	st.Known |= FieldIno | FieldNlink
	st.Dev = uint64(info.VolumeSerialNumber)
	st.Ino = uint64(info.FileIndexHigh)<<32 | uint64(info.FileIndexLow)
	st.Nlink = uint64(info.NumberOfLinks)
}
