package rawdir

import "golang.org/x/sys/unix"

// Traits implements Dir.
func (d *fdDir) Traits(t *Traits) error {
	var st unix.Stat_t
	for {
		err := unix.Fstat(d.fd, &st)
		if err == nil {
			break
		}
		if err != unix.EINTR {
			return err
		}
	}
	*t = Traits{Dev: uint64(st.Dev), Mode: fileMode(uint16(st.Mode))}
	return addSystem(d.fd, st.Uid, t)
}

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
	// On some machines these are signed, or have 32 bits.
	t.Type = uint64(uint32(st.Type))
	t.FSID = uint64(uint32(st.Fsid.Val[0])) | uint64(uint32(st.Fsid.Val[1]))<<32
	switch t.Type {
	case unix.CIFS_SUPER_MAGIC, unix.SMB2_SUPER_MAGIC, unix.SMB_SUPER_MAGIC:
		t.MadeUp = true // modes are what the mount says, and are checked on this side
	}
	return st.Flags&unix.ST_RDONLY != 0, nil
}
