package rawdir

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io/fs"
	"unsafe"
)

// Type is the type of an entry as a directory records it (d_type).
type Type uint8

// The types of entries.
const (
	Unknown   Type = 0
	Fifo      Type = 1
	Char      Type = 2
	Directory Type = 4
	Block     Type = 6
	Regular   Type = 8
	Symlink   Type = 10
	Socket    Type = 12
	Whiteout  Type = 14
)

var fileModes = [16]fs.FileMode{
	Unknown:   fs.ModeIrregular,
	1:         fs.ModeNamedPipe,
	2:         fs.ModeDevice | fs.ModeCharDevice,
	3:         fs.ModeIrregular,
	Directory: fs.ModeDir,
	5:         fs.ModeIrregular,
	Block:     fs.ModeDevice,
	7:         fs.ModeIrregular,
	Regular:   0,
	9:         fs.ModeIrregular,
	Symlink:   fs.ModeSymlink,
	11:        fs.ModeIrregular,
	Socket:    fs.ModeSocket,
	13:        fs.ModeIrregular,
	14:        fs.ModeIrregular,
	15:        fs.ModeIrregular,
}

// FileMode is the type in the words of package fs; Unknown is irregular.
func (t Type) FileMode() fs.FileMode { return fileModes[t&15] }

// TypeOf is the type in the words of a directory record.
func TypeOf(m fs.FileMode) Type {
	if m.IsDir() {
		return Directory // on Windows perhaps an irregular one: its files are in a cloud
	}
	switch m.Type() {
	case 0:
		return Regular
	case fs.ModeSymlink:
		return Symlink
	case fs.ModeNamedPipe:
		return Fifo
	case fs.ModeSocket:
		return Socket
	case fs.ModeDevice:
		return Block
	case fs.ModeDevice | fs.ModeCharDevice:
		return Char
	}
	return Whiteout // neither of these, and known not to be a directory
}

// Dirent is one record of a directory.
type Dirent struct {
	Name Name // shares the memory of the buffer
	Ino  uint64
	Type Type
}

// ErrCorrupt is the cause when a directory record makes no sense.
var ErrCorrupt = errors.New("corrupt directory record")

// The layout of struct linux_dirent64, in the byte order of the machine:
//
//	0        8        16        18       19
//	| d_ino  | d_off  | d_reclen | d_type | d_name, NUL, padding ...
const (
	offReclen = 16
	offType   = 18
	offName   = 19
)

// Next parses the first record of buf but "." and "..", and returns what is
// behind it. The end is an empty Name. The padding behind a name may hold
// anything.
func Next(buf []byte, ent *Dirent) (rest []byte, err error) {
	for len(buf) > 0 {
		if len(buf) < offName+2 {
			return nil, ErrCorrupt
		}
		reclen := int(binary.NativeEndian.Uint16(buf[offReclen:]))
		if reclen < offName+2 || reclen > len(buf) {
			return nil, ErrCorrupt
		}
		name := buf[offName:reclen]
		n := bytes.IndexByte(name, 0)
		if n <= 0 {
			return nil, ErrCorrupt
		}
		rest = buf[reclen:]
		if name[0] == '.' && (n == 1 || n == 2 && name[1] == '.') {
			buf = rest
			continue
		}
		ent.Name = Name(unsafe.String(&name[0], n+1))
		ent.Ino = binary.NativeEndian.Uint64(buf)
		ent.Type = Type(buf[offType])
		return rest, nil
	}
	ent.Name = ""
	return nil, nil
}

// RecordLen is the number of bytes that AppendRecord needs for name.
func RecordLen(name Name) int { return (offName + len(name) + 7) &^ 7 }

// AppendRecord appends a record as Next parses it.
func AppendRecord(buf []byte, ino uint64, t Type, name Name) []byte {
	n := RecordLen(name)
	var head [offName]byte
	binary.NativeEndian.PutUint64(head[:], ino)
	binary.NativeEndian.PutUint16(head[offReclen:], uint16(n))
	head[offType] = byte(t)
	buf = append(buf, head[:]...)
	buf = append(buf, name...)
	for range n - offName - len(name) {
		buf = append(buf, 0)
	}
	return buf
}

// Half returns where the later half of the records in buf begins; len(buf) if
// there is but one.
func Half(buf []byte) int {
	at := 0
	for at < len(buf)/2 && len(buf)-at > offName {
		n := int(binary.NativeEndian.Uint16(buf[at+offReclen:]))
		if n <= offName || n > len(buf)-at {
			break // Next reports it
		}
		at += n
	}
	if at == 0 {
		return len(buf)
	}
	return at
}
