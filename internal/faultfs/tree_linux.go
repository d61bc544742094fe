package faultfs

import (
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// Tree describes a file system: what is at which path, relative to the root.
// Directories that lead there need not be named.
type Tree map[string]Node

// Node is what a path of a [Tree] leads to.
type Node struct {
	mode   fs.FileMode
	listed fs.FileMode // type that listings tell
	size   uint64
	target string // of a symbolic link, or the directory that this one is
	loop   bool   // target is a directory
	many   uint64 // generated entries
	entry  *Node  // what each of these is
}

// File is a regular file of zeros.
func File(size int) Node { return Node{mode: 0o644, size: uint64(size)} }

// Dir is an empty directory, unless the tree has paths below it.
func Dir() Node { return Node{mode: fs.ModeDir | 0o755, listed: fs.ModeDir} }

// Symlink is a symbolic link.
func Symlink(target string) Node {
	return Node{mode: fs.ModeSymlink | 0o777, listed: fs.ModeSymlink, target: target, size: uint64(len(target))}
}

// Loop is the directory that is at another path of the tree: it has its inode
// number and its entries. An ancestor as target makes a loop.
func Loop(target string) Node {
	n := Dir()
	n.loop, n.target = true, target
	return n
}

// Many is a directory of n entries, e0, e1, e2 ..., that are made when they are
// asked for.
func Many(n int, entry Node) Node {
	d := Dir()
	d.many, d.entry = uint64(n), &entry
	return d
}

// Unknown is the type that a listing gives when it does not tell one.
const Unknown = fs.ModeIrregular

// ListedAs returns n with another type in the listing of its directory, as if
// it had changed since, or with [Unknown].
func (n Node) ListedAs(typ fs.FileMode) Node {
	n.listed = typ.Type()
	return n
}

// file is a Node in its place.
type file struct {
	Node
	ino      uint64
	children map[string]*file
	names    []string // of children, in the order of the listing
}

// build makes the files of a tree.
func build(t Tree) (*file, error) {
	next := uint64(1)
	add := func(n Node) *file {
		f := &file{Node: n, ino: next}
		next += 1 + n.many
		if n.mode.IsDir() {
			f.children = map[string]*file{}
		}
		return f
	}
	root := add(Dir())
	if top, ok := t["."]; ok {
		root.Node = top
		next += top.many
	}
	paths := make([]string, 0, len(t))
	for p := range t {
		if p == "" || p != path.Clean(p) || p[0] == '/' || p == ".." || strings.HasPrefix(p, "../") || strings.Contains(p, "\x00") {
			return nil, fmt.Errorf("path %q is not a clean path below the root", p)
		}
		if p != "." {
			paths = append(paths, p)
		}
	}
	// Whatever lies below a path comes after it.
	slices.Sort(paths)
	var loops []*file
	for _, p := range paths {
		at := root
		elems := strings.Split(p, "/")
		for i, name := range elems {
			n := Dir()
			if i == len(elems)-1 {
				n = t[p]
			}
			child := at.children[name]
			if child == nil {
				if at.children == nil || at.many > 0 || at.loop {
					return nil, fmt.Errorf("%q lies below what is no plain directory", p)
				}
				child = add(n)
				at.children[name] = child
				at.names = append(at.names, name)
				if child.loop {
					loops = append(loops, child)
				}
			}
			at = child
		}
	}
	for _, l := range loops {
		to := root
		for name := range strings.SplitSeq(l.target, "/") {
			if l.target != "." && to != nil {
				to = to.children[name]
			}
		}
		if to == nil || to.children == nil || to.loop {
			return nil, fmt.Errorf("loop to %q, which is no directory", l.target)
		}
		l.ino, l.children = to.ino, to.children
		l.many, l.entry = to.many, to.entry
	}
	// Loops see all names of what they lead to.
	for _, l := range loops {
		for name := range l.children {
			l.names = append(l.names, name)
		}
		slices.Sort(l.names)
	}
	return root, nil
}

// child finds an entry of a directory.
func (f *file) child(name string) *file {
	if f.many == 0 {
		return f.children[name]
	}
	digits, ok := strings.CutPrefix(name, "e")
	i, err := strconv.ParseUint(digits, 10, 64)
	if !ok || err != nil || i >= f.many || strconv.FormatUint(i, 10) != digits {
		return nil
	}
	return f.generated(i)
}

func (f *file) generated(i uint64) *file {
	c := &file{Node: *f.entry, ino: f.ino + 1 + i}
	if c.mode.IsDir() {
		c.children = map[string]*file{}
	}
	return c
}

// length is the number of entries that a listing has.
func (f *file) length() uint64 {
	if f.many > 0 {
		return f.many
	}
	return uint64(len(f.names))
}

// at is the entry at a position of the listing.
func (f *file) at(i uint64) (name string, typ fs.FileMode, ino uint64) {
	if f.many > 0 {
		return "e" + strconv.FormatUint(i, 10), f.entry.listed, f.ino + 1 + i
	}
	name = f.names[i]
	c := f.children[name]
	return name, c.listed, c.ino
}

// modeOf is m as the kernel writes it; the type of Unknown is 0.
func modeOf(m fs.FileMode) uint32 {
	var types = map[fs.FileMode]uint32{
		0:                                 syscall.S_IFREG,
		fs.ModeDir:                        syscall.S_IFDIR,
		fs.ModeSymlink:                    syscall.S_IFLNK,
		fs.ModeNamedPipe:                  syscall.S_IFIFO,
		fs.ModeSocket:                     syscall.S_IFSOCK,
		fs.ModeDevice:                     syscall.S_IFBLK,
		fs.ModeDevice | fs.ModeCharDevice: syscall.S_IFCHR,
	}
	return types[m.Type()] | uint32(m.Perm())
}
