package find

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/hydrawalk/hydra/stats"
	"github.com/hydrawalk/hydra/walk"
)

var separators = "/" + string(os.PathSeparator)

// formatter writes what was found, for one worker. What it writes is for a writer, which the command
// has: paths end with NUL whatever the user wants, for a newline can be in one; and what is to be
// sorted is framed.
type formatter struct {
	format    string
	key       string // of the order; "": none
	down      bool   // the larger ones first
	keyFields walk.Fields

	keyBuf, lineBuf []byte
	csvBuf          bytes.Buffer
	csv             *csv.Writer
}

func newFormatter(s *Settings) *formatter {
	f := &formatter{format: s.Format}
	f.key, f.down = orderOf(s)
	switch f.key {
	case "size":
		f.keyFields = walk.FieldSize
	case "mtime":
		f.keyFields = walk.FieldMtime
	}
	f.csv = csv.NewWriter(&f.csvBuf)
	return f
}

// orderOf is the key of the order, and whether the larger ones come first.
func orderOf(s *Settings) (key string, down bool) {
	key = strings.TrimPrefix(s.Sort, "-")
	return key, key != s.Sort
}

// append writes an entry. x.st is filled if the format or the order needs it.
func (f *formatter) append(b []byte, x *found) []byte {
	if f.key == "" {
		return f.appendLine(b, x)
	}
	f.keyBuf = f.appendKey(f.keyBuf[:0], x)
	f.lineBuf = f.appendLine(f.lineBuf[:0], x)
	b = binary.AppendUvarint(b, uint64(len(f.keyBuf)))
	b = append(b, f.keyBuf...)
	b = binary.AppendUvarint(b, uint64(len(f.lineBuf)))
	return append(b, f.lineBuf...)
}

// appendKey writes what is compared, byte by byte. The path comes last, so that no two are
// the same.
func (f *formatter) appendKey(b []byte, x *found) []byte {
	number := func(n uint64) []byte {
		if f.down {
			n = ^n
		}
		return binary.BigEndian.AppendUint64(b, n)
	}
	switch f.key {
	case "size":
		b = number(uint64(max(x.st.Size, 0)))
	case "mtime":
		b = number(uint64(x.st.Mtime.Sec) ^ 1<<63) // what is before 1970 is less
		b = number(uint64(x.st.Mtime.Nsec))
	case "name":
		b = append(append(b, x.name()...), 0)
	}
	return x.appendPath(b)
}

func (f *formatter) appendLine(b []byte, x *found) []byte {
	switch f.format {
	case asLong:
		return append(f.appendLong(b, x), 0)
	case asJSONL:
		return f.appendJSON(b, x)
	case asCSV:
		return f.appendCSV(b, x)
	}
	return append(x.appendPath(b), 0)
}

// appendLong writes what ls -l does, but the time in UTC, and numbers in full.
func (f *formatter) appendLong(b []byte, x *found) []byte {
	st := x.st
	b = appendMode(b, x.typ, st.Mode)
	b = appendRight(b, strconv.FormatUint(st.Nlink, 10), 4)
	b = appendLeft(b, who(users, st.UID, st.Known&walk.FieldUID), 8)
	b = appendLeft(b, who(groups, st.GID, st.Known&walk.FieldGID), 8)
	b = appendRight(b, strconv.FormatInt(st.Size, 10), 12)
	b = append(b, ' ')
	b = st.Mtime.Time().AppendFormat(b, "2006-01-02T15:04:05Z ")
	b = x.appendPath(b)
	if x.typ == fs.ModeSymlink && x.e != nil {
		if target, err := x.e.Readlink(); err == nil {
			b = append(append(b, " -> "...), target...)
		}
	}
	return b
}

func who(of *names, id uint32, known walk.Fields) string {
	if known == 0 {
		return "-"
	}
	return of.name(id)
}

func appendRight(b []byte, text string, width int) []byte {
	b = append(b, ' ')
	for range width - len(text) {
		b = append(b, ' ')
	}
	return append(b, text...)
}

func appendLeft(b []byte, text string, width int) []byte {
	b = append(append(b, ' '), text...)
	for range width - len(text) {
		b = append(b, ' ')
	}
	return b
}

// appendMode writes the type and the permissions in ten letters.
func appendMode(b []byte, typ, mode fs.FileMode) []byte {
	first := letter(typ)
	if first == 'f' {
		first = '-'
	}
	b = append(b, first)
	const letters = "rwxrwxrwx"
	for i := range len(letters) {
		if mode&(1<<(8-i)) != 0 {
			b = append(b, letters[i])
		} else {
			b = append(b, '-')
		}
	}
	special := func(bit fs.FileMode, at int, set byte) {
		if mode&bit == 0 {
			return
		}
		at = len(b) - at
		if b[at] == '-' {
			set -= 'a' - 'A'
		}
		b[at] = set
	}
	special(fs.ModeSetuid, 7, 's')
	special(fs.ModeSetgid, 4, 's')
	special(fs.ModeSticky, 1, 't')
	return b
}

// entryJSON is a line of JSON. What the file system does not know is left out.
type entryJSON struct {
	stats.Path
	Type      string  `json:"type"`
	Size      int64   `json:"size"`
	Allocated int64   `json:"allocated"`
	Mode      string  `json:"mode,omitempty"` // in octal
	UID       *uint32 `json:"uid,omitempty"`
	GID       *uint32 `json:"gid,omitempty"`
	Owner     string  `json:"owner,omitempty"`
	Group     string  `json:"group,omitempty"`
	Nlink     uint64  `json:"nlink"`
	Inode     uint64  `json:"inode,omitempty"`
	Atime     string  `json:"atime,omitempty"`
	Mtime     string  `json:"mtime"`
	Ctime     string  `json:"ctime,omitempty"`
	Btime     string  `json:"btime,omitempty"`
}

func attributesOf(x *found) entryJSON {
	st := x.st
	e := entryJSON{
		Path: stats.PathOf(string(x.appendPath(nil))), Type: string(letter(x.typ)), Size: st.Size, Allocated: st.Allocated(),
		Nlink: st.Nlink, Inode: st.Ino, Mtime: timeText(st.Mtime, walk.FieldMtime),
		Atime: timeText(st.Atime, st.Known&walk.FieldAtime), Ctime: timeText(st.Ctime, st.Known&walk.FieldCtime), Btime: timeText(st.Btime, st.Known&walk.FieldBtime),
	}
	if st.Known&walk.FieldMode != 0 {
		e.Mode = fmt.Sprintf("%04o", permissions(st.Mode))
	}
	if st.Known&walk.FieldUID != 0 {
		e.UID, e.Owner = &st.UID, users.name(st.UID)
	}
	if st.Known&walk.FieldGID != 0 {
		e.GID, e.Group = &st.GID, groups.name(st.GID)
	}
	return e
}

func timeText(t walk.Time, known walk.Fields) string {
	if known == 0 {
		return ""
	}
	return t.Time().Format(time.RFC3339Nano)
}

func (f *formatter) appendJSON(b []byte, x *found) []byte {
	line, err := json.Marshal(attributesOf(x))
	if err != nil {
		panic(err) // numbers and strings
	}
	return append(append(b, line...), '\n')
}

var csvHeader = []string{"path", "path_b64", "type", "size", "allocated", "mode", "uid", "gid", "owner", "group", "nlink", "inode", "atime", "mtime", "ctime", "btime"}

func (f *formatter) appendCSV(b []byte, x *found) []byte {
	e := attributesOf(x)
	var raw string
	if e.Bytes != nil {
		raw = base64.StdEncoding.EncodeToString(e.Bytes)
	}
	id := func(n *uint32) string {
		if n == nil {
			return ""
		}
		return strconv.FormatUint(uint64(*n), 10)
	}
	f.csvBuf.Reset()
	err := f.csv.Write([]string{
		e.Printable, raw, e.Type, strconv.FormatInt(e.Size, 10), strconv.FormatInt(e.Allocated, 10), e.Mode, id(e.UID), id(e.GID), e.Owner, e.Group,
		strconv.FormatUint(e.Nlink, 10), strconv.FormatUint(e.Inode, 10), e.Atime, e.Mtime, e.Ctime, e.Btime,
	})
	f.csv.Flush()
	if err != nil {
		panic(err) // into memory
	}
	return append(b, f.csvBuf.Bytes()...)
}
