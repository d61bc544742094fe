package stats

import (
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

// AppendBinary implements [encoding.BinaryAppender].
func (t Tree) AppendBinary(b []byte) ([]byte, error) {
	b = appendNumbers(b, int64(len(t.depths)))
	for depth := range t.depths {
		d := &t.depths[depth]
		over := int64(0)
		if d.over {
			over = 1
		}
		b = appendNumbers(b, over, int64(len(d.dirs)))
		last := ""
		for path, u := range t.All(depth) {
			n := 0
			for n < len(last) && n < len(path) && last[n] == path[n] {
				n++
			}
			b = append(appendNumbers(b, int64(n), int64(len(path)-n)), path[n:]...)
			b = appendNumbers(b, u.Files, u.Dirs, u.EmptyDirs, u.Bytes, u.Allocated)
			if !u.Newest.seen {
				b = appendNumbers(b, 0)
			} else {
				b = appendNumbers(b, 1, u.Newest.sec, int64(u.Newest.nsec))
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
	v := &varints{data: data}
	depths := v.next()
	if v.bad || depths < 0 || depths > maxDepth+1 {
		return errBinaryTree
	}
	out := NewTree(int(depths)-1, 0)
	for depth := range out.depths {
		over, n := v.next(), v.count()
		if v.bad || over != 0 && n > 0 {
			return errBinaryTree
		}
		out.depths[depth].over = over != 0
		last := ""
		for i := range n {
			shared, rest := v.next(), v.next()
			tail := v.bytes(rest)
			if v.bad || shared < 0 || shared > int64(len(last)) || shared+rest > maxTreePath {
				return errBinaryTree
			}
			path := last[:shared] + string(tail)
			if i > 0 && strings.Compare(path, last) <= 0 {
				return errBinaryTree // they are sorted, each once
			}
			u := out.At(depth, []byte(path))
			for _, into := range []*int64{&u.Files, &u.Dirs, &u.EmptyDirs, &u.Bytes, &u.Allocated} {
				*into = v.next()
			}
			if v.next() != 0 {
				sec, nsec := v.next(), v.next()
				u.Newest.See(sec, uint32(min(max(nsec, 0), 1e9-1)))
			}
			if v.bad {
				return errBinaryTree
			}
			last = path
		}
	}
	if !v.ended() {
		return errBinaryTree
	}
	*t = out
	return nil
}
