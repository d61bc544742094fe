package walk

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"

	"github.com/hydrawalk/hydra/internal/rawdir"
)

// encodeNames writes the records of a chunk as Names has them. What makes no
// sense ends it: who handles the chunk reports that. What decodeNames would refuse
// is left out, and then not all was written.
func encodeNames(chunk []byte) (b []byte, all bool) {
	b, all = make([]byte, 0, len(chunk)), true
	var ent rawdir.Dirent
	for {
		rest, err := rawdir.Next(chunk, &ent)
		if err != nil || ent.Name == "" {
			return b, all
		}
		chunk = rest
		if !isName(ent.Name.Bytes()) {
			all = false
			continue
		}
		b = append(b, byte(ent.Type))
		b = binary.AppendUvarint(b, ent.Ino)
		b = binary.AppendUvarint(b, uint64(len(ent.Name)-1))
		b = append(b, ent.Name.Bytes()...)
	}
}

var errNames = errors.New("corrupt item: names that no directory has")

// decodeNames appends the records of names to chunks of at most size bytes. They
// come from another process: none of them may lead out of the directory.
func decodeNames(b []byte, size int) (chunks [][]byte, err error) {
	var chunk []byte
	for len(b) > 0 {
		typ := rawdir.Type(b[0])
		ino, n := binary.Uvarint(b[1:])
		if n <= 0 {
			return nil, errNames
		}
		b = b[1+n:]
		length, n := binary.Uvarint(b)
		if n <= 0 || length > uint64(len(b)-n) {
			return nil, errNames
		}
		name := b[n : n+int(length)]
		b = b[n+int(length):]
		if !isName(name) || length > math.MaxUint16 {
			return nil, errNames
		}
		record := rawdir.MakeName(string(name))
		if rawdir.RecordLen(record) > math.MaxUint16 {
			return nil, errNames
		}
		if len(chunk) > 0 && len(chunk)+rawdir.RecordLen(record) > size {
			chunks = append(chunks, chunk)
			chunk = nil
		}
		chunk = rawdir.AppendRecord(chunk, ino, typ, record)
	}
	if len(chunk) > 0 {
		chunks = append(chunks, chunk)
	}
	return chunks, nil
}

// isName tells whether an entry can have a name.
func isName(b []byte) bool {
	return len(b) > 0 && bytes.IndexByte(b, '/') < 0 && bytes.IndexByte(b, 0) < 0 && string(b) != "." && string(b) != ".."
}
