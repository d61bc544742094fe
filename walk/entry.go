package walk

import (
	"github.com/hydrawalk/hydra/internal/rawdir"
	"io/fs"
	"os"
)

// Entry is a directory entry that a [Handler] was given. It is valid until the
// call that received it returns. Its methods may be called by that call only.
type Entry struct{}

// Name is the last element of the path.
func (e *Entry) Name() string { panic("") }

// NameBytes is Name without a copy; it is valid as long as e is and must not be changed.
func (e *Entry) NameBytes() []byte { panic("") }

// Path is the root's path joined with the names below it.
func (e *Entry) Path() string { panic("") }

// AppendPath appends Path to b.
func (e *Entry) AppendPath(b []byte) []byte { panic("") }

// Type is the entry's type, without permission bits.
func (e *Entry) Type() fs.FileMode { panic("") }
func (e *Entry) IsDir() bool       { panic("") }

// Depth is 1 for an entry of a root, 0 for a root that is not a directory.
func (e *Entry) Depth() int { panic("") }

// Dir is the directory that lists e, nil for a root that is not a directory.
func (e *Entry) Dir() *Dir { panic("") }

// Stat reads the attributes, of a symbolic link those of the link itself. The result is valid as long as e is.
func (e *Entry) Stat() (*Stat, error) { panic("") }

// Open opens the entry for reading; a symbolic link is not followed, a fifo does not block.
func (e *Entry) Open() (*os.File, error)   { panic("") }
func (e *Entry) Readlink() (string, error) { panic("") }

// Remove removes the entry itself, if it is not a directory.
func (e *Entry) Remove() error { panic("") }

// Dir is an open directory that a Handler was given, valid until LeaveDir returned.
type Dir struct{}

func (d *Dir) Name() string { panic("") }
func (d *Dir) Path() string { panic("") }
func (d *Dir) Depth() int   { panic("") }

// Root is the root below which d lies, as it was given.
func (d *Dir) Root() string         { panic("") }
func (d *Dir) Stat() (*Stat, error) { panic("") }

// Counts: what has been listed in d so far; final in LeaveDir.
func (d *Dir) Counts() DirCounts { panic("") }

// DirCounts counts the entries of one directory that the filter kept.
type DirCounts struct {
	Dirs  int64 // subdirectories
	Files int64 // regular files
	Other int64 // symbolic links, fifos, sockets, devices
}

type Stat = rawdir.Stat
type Fields = rawdir.Fields
