package audit

import (
	"cmp"
	"fmt"
	"io/fs"
	"strconv"

	"github.com/hydrawalk/hydra/stats"
	"github.com/hydrawalk/hydra/walk"
)

// Mode holds the permission bits of a file as Unix has them, setuid, setgid and
// sticky among them. Its text is octal: "0644".
type Mode uint16

// The bits that findings are about.
const (
	modeSetuid        Mode = 0o4000
	modeSetgid        Mode = 0o2000
	modeSticky        Mode = 0o1000
	modeWorldWritable Mode = 0o0002
)

func modeOf(m fs.FileMode) Mode {
	bits := Mode(m.Perm())
	if m&fs.ModeSetuid != 0 {
		bits |= modeSetuid
	}
	if m&fs.ModeSetgid != 0 {
		bits |= modeSetgid
	}
	if m&fs.ModeSticky != 0 {
		bits |= modeSticky
	}
	return bits
}

// String is the mode in octal.
func (m Mode) String() string { return fmt.Sprintf("%04o", uint16(m)) }

// MarshalText implements [encoding.TextMarshaler].
func (m Mode) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (m *Mode) UnmarshalText(text []byte) error {
	n, err := strconv.ParseUint(string(text), 8, 12)
	*m = Mode(n)
	return err
}

// File is what lists keep of a file. Sizes are bytes.
type File struct {
	Size      int64        `json:"filesize"`
	Allocated int64        `json:"allocated"`
	UID       uint32       `json:"uid"`
	GID       uint32       `json:"gid"`
	SID       string       `json:"sid,omitempty"` // of the owner, on Windows
	Mode      Mode         `json:"perm"`
	Links     uint64       `json:"links"`
	Inode     uint64       `json:"inode"`
	Atime     stats.Latest `json:"atime"`
	Mtime     stats.Latest `json:"mtime"`
	Ctime     stats.Latest `json:"ctime"`
	Btime     stats.Latest `json:"btime"` // null if it is not known
}

// born tells whether the time of birth is known. Some file systems say that they
// know it, and then it is 0.
func born(st *walk.Stat) bool { return st.Known&walk.FieldBtime != 0 && st.Btime != walk.Time{} }

func fileOf(st *walk.Stat, sid string) File {
	f := File{
		Size: st.Size, Allocated: st.Allocated(), UID: st.UID, GID: st.GID, SID: sid,
		Mode: modeOf(st.Mode), Links: st.Nlink, Inode: st.Ino,
	}
	for _, t := range []struct {
		field walk.Fields
		at    walk.Time
		into  *stats.Latest
	}{{walk.FieldAtime, st.Atime, &f.Atime}, {walk.FieldMtime, st.Mtime, &f.Mtime}, {walk.FieldCtime, st.Ctime, &f.Ctime}} {
		if st.Known&t.field != 0 {
			t.into.See(t.at.Sec, t.at.Nsec)
		}
	}
	if born(st) {
		f.Btime.See(st.Btime.Sec, st.Btime.Nsec)
	}
	return f
}

// Rank implements [stats.Ranked]: by size.
func (f File) Rank() int64 { return f.Size }

// Compare implements [stats.Ranked]. It only decides between documents of several
// runs: in one of them a path is there once.
func (f File) Compare(o File) int {
	return cmp.Or(
		cmp.Compare(f.Size, o.Size), cmp.Compare(f.Allocated, o.Allocated),
		cmp.Compare(f.Inode, o.Inode), cmp.Compare(f.UID, o.UID), cmp.Compare(f.GID, o.GID), cmp.Compare(f.SID, o.SID),
		cmp.Compare(f.Mode, o.Mode), cmp.Compare(f.Links, o.Links),
		f.Atime.Compare(o.Atime), f.Mtime.Compare(o.Mtime), f.Ctime.Compare(o.Ctime), f.Btime.Compare(o.Btime),
	)
}

// Sparse is a file that occupies less than its size.
type Sparse struct{ File }

// Rank implements [stats.Ranked]: by what is not occupied.
func (s Sparse) Rank() int64 { return s.Size - s.Allocated }

// Compare implements [stats.Ranked].
func (s Sparse) Compare(o Sparse) int { return s.File.Compare(o.File) }

// Entries is what a directory lists.
type Entries struct {
	Entries int64 `json:"entries"`
	Dirs    int64 `json:"dirs"`
	Files   int64 `json:"files"` // regular ones
	Other   int64 `json:"other"`
}

// Rank implements [stats.Ranked]: by all entries.
func (e Entries) Rank() int64 { return e.Entries }

// Compare implements [stats.Ranked].
func (e Entries) Compare(o Entries) int {
	return cmp.Or(cmp.Compare(e.Dirs, o.Dirs), cmp.Compare(e.Files, o.Files), cmp.Compare(e.Other, o.Other))
}

// Depth is how deep a directory lies below its root.
type Depth struct {
	Depth int64 `json:"depth"`
}

// Rank implements [stats.Ranked].
func (d Depth) Rank() int64 { return d.Depth }

// Compare implements [stats.Ranked].
func (d Depth) Compare(o Depth) int { return cmp.Compare(d.Depth, o.Depth) }
