package rawdir

import (
	"io/fs"
	"strings"
)

// OpenBeneath opens what lies below an open directory by a path, of names joined
// with '/'. No symbolic link is followed, whichever of the names it stands for, and
// no mount point is crossed where the system can tell.
func OpenBeneath(d Dir, path string) (Dir, error) {
	if path == "" {
		return d.Again()
	}
	if f, ok := d.(fastBeneath); ok {
		if sub, err := f.beneath(path); sub != nil || err != nil {
			return sub, err
		}
	}
	at := d
	for name := range strings.SplitSeq(path, "/") {
		if name == "" || name == "." || name == ".." {
			err := error(&fs.PathError{Op: "open", Path: path, Err: fs.ErrInvalid})
			closeBut(at, d)
			return nil, err
		}
		sub, _, err := at.OpenDir(MakeName(name))
		closeBut(at, d)
		if err != nil {
			return nil, err
		}
		at = sub
	}
	return at, nil
}

// closeBut closes a directory, unless it is the one that belongs to somebody else.
func closeBut(d, other Dir) {
	if d != other {
		d.Close()
	}
}

// fastBeneath is a directory that needs not go name by name; both results are nil
// if it can not.
type fastBeneath interface {
	beneath(path string) (Dir, error)
}
