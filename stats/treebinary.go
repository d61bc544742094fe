package stats

import (
	"encoding/binary"
	"errors"
	"strings"
)

// A tree may have a hundred thousand directories, of which each path begins as the
// one before it. In binary it is
//
//	depths     and for each: whether it is left out, directories, and for each:
//	           bytes that its path shares with the one before, others, these
//	           files, dirs, empty, bytes, allocated
//	           newest: 0, or 1 and seconds, nanoseconds
//
// where all numbers are varints.

// AppendBinary implements [encoding.BinaryAppender].
func (t Tree) AppendBinary(b []byte) ([]byte, error) {
	b = binary.AppendVarint(b, int64(len(t.depths)))
	for depth := range t.depths {
		d := &t.depths[depth]
		over := int64(0)
		if d.over {
			over = 1
		}
		b = binary.AppendVarint(b, over)
		b = binary.AppendVarint(b, int64(len(d.dirs)))
		last := ""
		for path, u := range t.All(depth) {
			n := 0
			for n < len(last) && n < len(path) && last[n] == path[n] {
				n++
			}
			b = binary.AppendVarint(b, int64(n))
			b = binary.AppendVarint(b, int64(len(path)-n))
			b = append(b, path[n:]...)
			for _, v := range []int64{u.Files, u.Dirs, u.EmptyDirs, u.Bytes, u.Allocated} {
				b = binary.AppendVarint(b, v)
			}
			if !u.Newest.seen {
				b = binary.AppendVarint(b, 0)
			} else {
				b = binary.AppendVarint(b, 1)
				b = binary.AppendVarint(b, u.Newest.sec)
				b = binary.AppendVarint(b, int64(u.Newest.nsec))
			}
			last = path
		}
	}
	return b, nil
}

var errBinaryTree = errors.New("stats: this is no tree")

// maxTreePath bounds what a few bytes can make of a path.
const maxTreePath = 1 << 20

// UnmarshalBinary implements [encoding.BinaryUnmarshaler]. The bytes may be
// anybody's.
func (t *Tree) UnmarshalBinary(data []byte) error {
	bad := false
	number := func() int64 {
		v, n := binary.Varint(data)
		if n <= 0 {
			bad, data = true, nil
			return 0
		}
		data = data[n:]
		return v
	}
	depths := number()
	if bad || depths < 0 || depths > maxDepth+1 {
		return errBinaryTree
	}
	out := NewTree(int(depths)-1, 0)
	for depth := range out.depths {
		over, n := number(), number()
		if bad || n < 0 || n > int64(len(data)) || over != 0 && n > 0 {
			return errBinaryTree
		}
		out.depths[depth].over = over != 0
		last := ""
		for i := range n {
			shared, rest := number(), number()
			if bad || shared < 0 || shared > int64(len(last)) || rest < 0 || rest > int64(len(data)) || shared+rest > maxTreePath {
				return errBinaryTree
			}
			path := last[:shared] + string(data[:rest])
			data = data[rest:]
			if i > 0 && strings.Compare(path, last) <= 0 {
				return errBinaryTree // they are sorted, each once
			}
			u := out.At(depth, []byte(path))
			for _, into := range []*int64{&u.Files, &u.Dirs, &u.EmptyDirs, &u.Bytes, &u.Allocated} {
				*into = number()
			}
			if number() != 0 {
				sec, nsec := number(), number()
				u.Newest.See(sec, uint32(min(max(nsec, 0), 1e9-1)))
			}
			if bad {
				return errBinaryTree
			}
			last = path
		}
	}
	if len(data) > 0 {
		return errBinaryTree
	}
	*t = out
	return nil
}
