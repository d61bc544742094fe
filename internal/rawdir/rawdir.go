// Package rawdir reads directory entries from the kernel.
//
// On Linux it calls getdents64, openat and statx itself, relative to open
// directories and without allocating per entry. Elsewhere, and for an [fs.FS],
// portable readers produce the same records.
package rawdir

import (
	"io/fs"
	"math"
	"time"
	"unsafe"
)

// Name is the name of an entry with a NUL byte behind it, as system calls want
// it. One that was parsed from a buffer is valid as long as the buffer is.
type Name string

// MakeName returns s with its NUL byte.
func MakeName(s string) Name { return Name(s + "\x00") }

// String is the name without its NUL byte; it shares the memory of n.
func (n Name) String() string { return string(n[:len(n)-1]) }

// Bytes is like String for callers that want bytes. They must not change them.
func (n Name) Bytes() []byte {
	return unsafe.Slice(unsafe.StringData(string(n)), len(n)-1)
}

// NameIn is the name that b holds, with its NUL byte; it shares the memory.
func NameIn(b []byte) Name { return Name(unsafe.String(unsafe.SliceData(b), len(b))) }

// Clone returns a copy that does not share memory with a buffer.
func (n Name) Clone() Name { return Name(append([]byte(nil), n...)) }

// Dir is an open directory. Its methods but Close may be called by several
// goroutines at once; two that call Read share its position.
type Dir interface {
	// Read fills buf, of at least 4 KiB, with as many records as fit and
	// returns their length in bytes; 0 is the end. See Next.
	Read(buf []byte) (int, error)
	// OpenDir opens a subdirectory. A symbolic link is not followed: it gives
	// an error for which IsNotDir holds. sameMount says that no mount point was
	// crossed; where that is not known, it is false.
	OpenDir(name Name) (sub Dir, sameMount bool, err error)
	// Again opens the directory itself once more, with a position of its own.
	Again() (Dir, error)
	// Lstat reads the attributes of an entry, of a symbolic link its own.
	Lstat(name Name, want Fields, st *Stat) error
	// Stat reads the attributes of the directory itself.
	Stat(want Fields, st *Stat) error
	// Identity tells the directory from all others; inode 0 if it can not.
	Identity() (dev, ino uint64, err error)
	// Traits tells of the directory what a snapshot would be known by.
	Traits(t *Traits) error
	// Open opens an entry for reading; links are not followed, fifos do not block.
	Open(name Name) (fs.File, error)
	Readlink(name Name) (string, error)
	// Remove removes an entry that is not a directory.
	Remove(name Name) error
	Close() error
}

// Opener opens a directory by its path, following a symbolic link at its end
// if follow is set. Without it, one gives an error for which IsNotDir holds.
type Opener func(path string, follow bool) (Dir, error)

// Fields says which fields of a Stat are wanted, or known. The values are
// those of statx(2).
type Fields uint32

// The fields of a Stat.
const (
	FieldType Fields = 1 << iota
	FieldMode
	FieldNlink
	FieldUID
	FieldGID
	FieldAtime
	FieldMtime
	FieldCtime
	FieldIno
	FieldSize
	FieldBlocks
	FieldBtime

	AllFields = FieldBtime<<1 - 1
)

// Stat holds the attributes of an entry.
type Stat struct {
	Known  Fields      // those that the file system filled
	Mode   fs.FileMode // type and permission bits
	UID    uint32
	GID    uint32
	Nlink  uint64
	Size   int64  // logical size in bytes
	Blocks int64  // allocated, in units of 512 bytes
	Dev    uint64 // device that holds the entry
	Ino    uint64
	Atime  Time
	Mtime  Time
	Ctime  Time
	Btime  Time // birth
}

// Allocated is the number of bytes that the entry occupies. A file system may
// answer whatever it likes: it is not negative, and at most MaxInt64.
func (s *Stat) Allocated() int64 {
	if uint64(s.Blocks) > math.MaxInt64/512 {
		if s.Blocks < 0 {
			return 0
		}
		return math.MaxInt64
	}
	return s.Blocks * 512
}

// Time is a point in time as the kernel gives it.
type Time struct {
	Sec  int64 // since 1970-01-01 UTC
	Nsec uint32
}

// Time is t as a time.Time in UTC.
func (t Time) Time() time.Time { return time.Unix(t.Sec, int64(t.Nsec)).UTC() }

func timeOf(t time.Time) Time { return Time{t.Unix(), uint32(t.Nanosecond())} }

// statOf fills st from what package os or an fs.FS knows.
func statOf(fi fs.FileInfo, st *Stat) {
	*st = Stat{
		Known: FieldType | FieldMode | FieldSize | FieldMtime,
		Mode:  fi.Mode(),
		Size:  fi.Size(),
		Mtime: timeOf(fi.ModTime()),
		Nlink: 1,
	}
	statOfSys(fi, st)
}
