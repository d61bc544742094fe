package rawdir

import (
	"os"
	"unsafe"

	"golang.org/x/sys/windows"
)

// addTraits adds what the volume of a directory says. Modes are none there.
func addTraits(f *os.File, _ *Stat, t *Traits) error {
	h := windows.Handle(f.Fd())
	t.Mode |= 0o777
	var flags uint32
	if err := windows.GetVolumeInformationByHandle(h, nil, 0, nil, nil, &flags, nil, 0); err != nil {
		return err
	}
	t.ReadOnly = flags&windows.FILE_READ_ONLY_VOLUME != 0
	// A share shows snapshots as directories of the same volume. Only of files on
	// one there is this to be told; the structure has 116 bytes or more.
	var remote [32]uint64
	err := windows.GetFileInformationByHandleEx(h, windows.FileRemoteProtocolInfo,
		(*byte)(unsafe.Pointer(&remote)), uint32(unsafe.Sizeof(remote)))
	t.MadeUp = err == nil
	return nil
}
