package rawdir

import (
	"errors"
	"io/fs"
)

// Changer is a directory whose entries can be changed. Like Dir.Remove, its methods
// follow no symbolic link.
type Changer interface {
	Dir
	// Move gives an entry that is not a directory a name in another directory of the
	// same file system, or another name in this one. What has the name already stays:
	// fs.ErrExist, unless it is the same file.
	Move(name Name, to Changer, toName Name) error
	// MakeDir makes a directory.
	MakeDir(name Name, perm fs.FileMode) error
	// RemoveDir removes an empty directory.
	RemoveDir(name Name) error
	// SetOwner sets owner, group and permissions of the directory itself.
	SetOwner(uid, gid uint32, perm fs.FileMode) error
}

// errNoMove is the error where a system has no way to move without following links.
var errNoMove = errors.Join(errors.ErrUnsupported, errors.New("files can not be moved safely on this system"))
