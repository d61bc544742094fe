//go:build freebsd || darwin

package rawdir

import "golang.org/x/sys/unix"

// statfs sets what the file system says of itself, and tells whether it is mounted
// read-only.
func statfs(fd int, t *Traits) (readOnly bool, err error) {
	var st unix.Statfs_t
	for {
		err := unix.Fstatfs(fd, &st)
		if err == nil {
			break
		}
		if err != unix.EINTR {
			return false, err
		}
	}
	t.Type = uint64(st.Type)
	t.FSID = uint64(uint32(st.Fsid.Val[0])) | uint64(uint32(st.Fsid.Val[1]))<<32
	if unix.ByteSliceToString(st.Fstypename[:]) == "smbfs" {
		t.MadeUp = true // modes are what the mount says
	}
	return uint64(st.Flags)&unix.MNT_RDONLY != 0, nil
}
