package walk

import (
	"errors"
	"io/fs"

	"github.com/hydrawalk/hydra/internal/rawdir"
)

// Entry is a directory entry that a [Handler] was given. It is valid until the
// call that received it returns, and only that call may use it.
//
// Its methods work relative to the open directory that listed it: they cost no
// path lookup, know no longest path, and do not follow a directory that was
// replaced meanwhile. Their errors are of type [*Error].
type Entry struct {
	w     *worker
	dir   *Dir
	name  rawdir.Name
	typ   rawdir.Type
	inode uint64 // as listed; only set for Filter
	stat  *Stat  // where Stat stores; nil before it was called from Filter
	have  bool   // *stat is filled
}

// Name is the last element of the path.
func (e *Entry) Name() string { return string(e.name.Bytes()) }

// NameBytes is Name without a copy. It is valid as long as e is, and must not
// be changed.
func (e *Entry) NameBytes() []byte { return e.name.Bytes() }

// Path is the root's path joined with the names below it.
func (e *Entry) Path() string { return string(e.AppendPath(nil)) }

// AppendPath appends Path to b.
func (e *Entry) AppendPath(b []byte) []byte {
	return append(append(b, e.w.prefixOf(e.dir)...), e.name.Bytes()...)
}

// AppendTail appends Path to b if that is not longer than most bytes, else ".../"
// and as many of its last elements as fit.
func (e *Entry) AppendTail(b []byte, most int) []byte {
	if e.dir.depth < 0 {
		return e.AppendPath(b) // as it was given
	}
	return e.dir.appendTail(b, e.name.Bytes(), most)
}

// Type is the entry's type, without permission bits: that of the listing, or of
// Stat once that was called.
func (e *Entry) Type() fs.FileMode {
	return e.typ.FileMode()
}

// IsDir says that the entry is a directory. Filter and All are given such ones,
// File is not.
func (e *Entry) IsDir() bool { return e.Type() == fs.ModeDir }

// Depth is 1 for an entry of a root and 0 for a root that is not a directory.
func (e *Entry) Depth() int { return int(e.dir.depth) + 1 }

// Dir is the directory that lists e, nil for a root that is not a directory.
func (e *Entry) Dir() *Dir {
	if e.dir.depth < 0 {
		return nil
	}
	return e.dir
}

// Root is the root below which e lies, as it was given but cleaned.
func (e *Entry) Root() string { return e.dir.Root() }

// Stat reads the attributes; of a symbolic link, those of the link itself. It
// reads them once: later calls return the same. The result is valid as long as
// e is.
func (e *Entry) Stat() (*Stat, error) {
	if e.have {
		return e.stat, nil
	}
	if e.stat == nil {
		e.stat = new(Stat)
	}
	st := e.stat
	e.w.called()
	e.w.enterCall(callStat, e.dir)
	begun := e.w.timed()
	err := e.dir.handle.Lstat(e.name, e.w.p.fields, st)
	e.w.took(begun)
	e.w.leaveCall()
	if err != nil {
		return nil, e.fail(OpStat, err)
	}
	is := rawdir.TypeOf(st.Mode)
	if is == rawdir.Directory && e.typ != rawdir.Directory && e.typ != rawdir.Unknown {
		// Something else was listed, and that is gone.
		return nil, e.fail(OpStat, fs.ErrNotExist)
	}
	e.typ, e.have = is, true
	return st, nil
}

// resolve sets a type that the listing did not tell.
func (e *Entry) resolve() error {
	if e.stat == nil {
		e.stat = new(Stat)
	}
	e.w.called()
	e.w.enterCall(callStat, e.dir)
	begun := e.w.timed()
	err := e.dir.handle.Lstat(e.name, e.w.p.fields, e.stat)
	e.w.took(begun)
	e.w.leaveCall()
	if err != nil {
		return err
	}
	e.typ, e.have = rawdir.TypeOf(e.stat.Mode), true
	return nil
}

// Open opens the entry for reading. A symbolic link is not followed, and a fifo
// does not block. On the operating system's files it is an [*os.File].
func (e *Entry) Open() (fs.File, error) {
	e.w.fsCall()
	f, err := e.dir.handle.Open(e.name)
	if err != nil {
		return nil, e.fail(OpOpen, err)
	}
	return f, nil
}

// Readlink reads the target of a symbolic link, which may be any bytes.
func (e *Entry) Readlink() (string, error) {
	e.w.fsCall()
	target, err := e.dir.handle.Readlink(e.name)
	if err != nil {
		return "", e.fail(OpReadlink, err)
	}
	return target, nil
}

// Remove removes the entry itself, unless it is a directory.
func (e *Entry) Remove() error {
	e.w.fsCall()
	if err := e.dir.handle.Remove(e.name); err != nil {
		return e.fail(OpRemove, err)
	}
	return nil
}

// fail makes the error of an operation on e.
func (e *Entry) fail(op string, err error) *Error {
	return &Error{Op: op, Path: e.Path(), Err: cause(err), gone: errors.Is(err, fs.ErrNotExist)}
}

// Stat holds the attributes of an entry:
//
//	Known                      Fields       those that the file system filled
//	Mode                       fs.FileMode  type and permission bits
//	UID, GID                   uint32
//	Nlink                      uint64       names that the inode has
//	Size                       int64        logical size in bytes
//	Blocks                     int64        allocated, of 512 bytes; Allocated() is in bytes
//	Dev, Ino                   uint64
//	Atime, Mtime, Ctime, Btime Time         Btime is the time of birth
type Stat = rawdir.Stat

// Time is a point in time as the kernel gives it: Sec int64, since 1970, and Nsec
// uint32. Its method Time makes a time.Time of it, in UTC.
type Time = rawdir.Time

// Fields names fields of a [Stat].
type Fields = rawdir.Fields

// The fields of a [Stat].
const (
	FieldType   = rawdir.FieldType
	FieldMode   = rawdir.FieldMode
	FieldNlink  = rawdir.FieldNlink
	FieldUID    = rawdir.FieldUID
	FieldGID    = rawdir.FieldGID
	FieldAtime  = rawdir.FieldAtime
	FieldMtime  = rawdir.FieldMtime
	FieldCtime  = rawdir.FieldCtime
	FieldIno    = rawdir.FieldIno
	FieldSize   = rawdir.FieldSize
	FieldBlocks = rawdir.FieldBlocks
	FieldBtime  = rawdir.FieldBtime
)
