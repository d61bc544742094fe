//go:build unix

package rawdir

import (
	"cmp"

	"golang.org/x/sys/unix"
)

// moveByLink moves a file by a second name: it replaces nothing either. Who dies in
// between leaves both names, and who comes again removes the first.
func moveByLink(from int, name Name, to int, toName Name) error {
	err := unix.Linkat(from, name.String(), to, toName.String(), 0)
	if err == unix.EEXIST {
		var a, b unix.Stat_t
		if statErr := cmp.Or(
			unix.Fstatat(from, name.String(), &a, unix.AT_SYMLINK_NOFOLLOW),
			unix.Fstatat(to, toName.String(), &b, unix.AT_SYMLINK_NOFOLLOW),
		); statErr != nil || a.Dev != b.Dev || a.Ino != b.Ino || a.Nlink < 2 {
			return err
		}
		err = nil
	}
	if err != nil {
		return err
	}
	return unix.Unlinkat(from, name.String(), 0)
}
