// Package rawdir reads directory entries from the kernel.
package rawdir

import (
	"io/fs"
	"time"
)

// Fields says which fields of a Stat are wanted or known.
type Fields uint32

// Stat holds the attributes of an entry.
type Stat struct {
	Known  Fields      // those that the file system filled
	Mode   fs.FileMode // type and permission bits
	Size   int64       // logical size in bytes
	Blocks int64       // allocated, in units of 512 bytes
	Nlink  uint64
	UID    uint32
	GID    uint32
	Dev    uint64 // device that holds the entry
	Ino    uint64
	Atime  Time
	Mtime  Time
	Ctime  Time
	Btime  Time // birth
}

// Allocated is the number of bytes that the file occupies.
func (s *Stat) Allocated() int64 { return s.Blocks * 512 }

// Time is a point in time as the kernel gives it.
type Time struct {
	Sec  int64 // since 1970-01-01 UTC
	Nsec uint32
}

// Time is t as a time.Time in UTC.
func (t Time) Time() time.Time { return time.Unix(t.Sec, int64(t.Nsec)).UTC() }
