//go:build linux || freebsd || darwin

package rawdir

import (
	"io/fs"
	"testing"

	"golang.org/x/sys/unix"
)

func TestWhoMayNotWriteAlthoughTheModeSaysSoMeetsAReadOnlyDirectory(t *testing.T) {
	for _, tt := range []struct {
		check error
		mode  fs.FileMode
		owner bool
		want  bool
		err   error
	}{
		{nil, 0o555, false, false, nil},
		{unix.EROFS, 0o700, false, true, nil},
		{unix.EACCES, 0o777, false, true, nil},
		{unix.EPERM, 0o777, false, true, nil},
		{unix.EACCES, 0o755, true, true, nil},
		{unix.EACCES, 0o755, false, false, nil}, // another's
		{unix.EACCES, 0o555, true, false, nil},  // the mode says it already
		{unix.EIO, 0o777, true, false, unix.EIO},
	} {
		if got, err := refuses(tt.check, fs.ModeDir|tt.mode, tt.owner); got != tt.want || err != tt.err {
			t.Errorf("%v with mode %o, owner %v: %v, %v", tt.check, tt.mode, tt.owner, got, err)
		}
	}
}
