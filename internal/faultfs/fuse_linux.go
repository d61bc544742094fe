package faultfs

import (
	"sync"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fuse"
)

// server answers the kernel.
type server struct {
	fuse.RawFileSystem // answers what is not answered here: not implemented
	rules              rules

	mu     sync.Mutex
	inodes map[uint64]*inode
	ids    map[edge]uint64
	next   uint64
}

// inode is a name that the kernel knows. A file that is reached in two ways has
// two, because the kernel refuses directories with two parents.
type inode struct {
	*file
	path  string
	edge  edge
	known uint64 // how often the kernel was told of it, and did not forget
}

type edge struct {
	parent uint64
	name   string
}

func newServer(root *file) *server {
	return &server{
		RawFileSystem: fuse.NewDefaultRawFileSystem(),
		inodes:        map[uint64]*inode{fuse.FUSE_ROOT_ID: {file: root, path: "."}},
		ids:           map[edge]uint64{},
		next:          fuse.FUSE_ROOT_ID + 1,
	}
}

func (s *server) String() string { return "faultfs" }

// inode finds what a request is about.
func (s *server) inode(id uint64) *inode {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.inodes[id]
}

func (s *server) Lookup(cancel <-chan struct{}, in *fuse.InHeader, name string, out *fuse.EntryOut) fuse.Status {
	parent, id := s.inode(in.NodeId), in.NodeId
	if parent == nil {
		return fuse.Status(syscall.ESTALE)
	}
	path := name
	if parent.path != "." {
		path = parent.path + "/" + name
	}
	if err, _ := s.rules.apply(Lookup, path, 0, cancel); err != 0 {
		return fuse.Status(err)
	}
	f := parent.child(name)
	if f == nil {
		return fuse.ENOENT
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	e := edge{id, name}
	id, ok := s.ids[e]
	if !ok {
		id = s.next
		s.next++
		s.ids[e] = id
		s.inodes[id] = &inode{file: f, path: path, edge: e}
	}
	s.inodes[id].known++
	out.NodeId = id
	attributes(f, &out.Attr)
	return fuse.OK
}

func (s *server) Forget(id, n uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := s.inodes[id]
	if i == nil || id == fuse.FUSE_ROOT_ID {
		return
	}
	if i.known -= min(n, i.known); i.known == 0 {
		delete(s.inodes, id)
		delete(s.ids, i.edge)
	}
}

func (s *server) GetAttr(cancel <-chan struct{}, in *fuse.GetAttrIn, out *fuse.AttrOut) fuse.Status {
	i := s.inode(in.NodeId)
	if i == nil {
		return fuse.Status(syscall.ESTALE)
	}
	if err, _ := s.rules.apply(GetAttr, i.path, 0, cancel); err != 0 {
		return fuse.Status(err)
	}
	attributes(i.file, &out.Attr)
	return fuse.OK
}

// attributes are in no need of a clock: all times are the same.
func attributes(f *file, a *fuse.Attr) {
	const then = 1_700_000_000
	*a = fuse.Attr{
		Ino:    f.ino,
		Size:   f.size,
		Blocks: (f.size + 511) / 512,
		Atime:  then, Mtime: then, Ctime: then,
		Mode:    modeOf(f.mode),
		Nlink:   1,
		Blksize: 4096,
	}
}

func (s *server) Readlink(_ <-chan struct{}, in *fuse.InHeader) ([]byte, fuse.Status) {
	i := s.inode(in.NodeId)
	if i == nil {
		return nil, fuse.Status(syscall.ESTALE)
	}
	return []byte(i.target), fuse.OK
}

func (s *server) Read(_ <-chan struct{}, in *fuse.ReadIn, buf []byte) (fuse.ReadResult, fuse.Status) {
	i := s.inode(in.NodeId)
	if i == nil {
		return nil, fuse.Status(syscall.ESTALE)
	}
	n := uint64(0)
	if in.Offset < i.size {
		n = min(i.size-in.Offset, uint64(len(buf)))
	}
	clear(buf[:n])
	return fuse.ReadResultData(buf[:n]), fuse.OK
}

func (s *server) OpenDir(cancel <-chan struct{}, in *fuse.OpenIn, _ *fuse.OpenOut) fuse.Status {
	i := s.inode(in.NodeId)
	if i == nil {
		return fuse.Status(syscall.ESTALE)
	}
	err, _ := s.rules.apply(OpenDir, i.path, 0, cancel)
	return fuse.Status(err)
}

// ReadDir lists "." and ".." at the positions 0 and 1, and then the entries.
func (s *server) ReadDir(cancel <-chan struct{}, in *fuse.ReadIn, out *fuse.DirEntryList) fuse.Status {
	const dots = 2
	i := s.inode(in.NodeId)
	if i == nil {
		return fuse.Status(syscall.ESTALE)
	}
	at := in.Offset
	err, most := s.rules.apply(ReadDir, i.path, max(at, dots)-dots, cancel)
	if err != 0 {
		return fuse.Status(err)
	}
	end := dots + i.length()
	if most >= 0 {
		end = min(end, max(at, dots)+uint64(most))
	}
	for ; at < end; at++ {
		e := fuse.DirEntry{Name: ".", Ino: i.ino, Mode: syscall.S_IFDIR, Off: at + 1}
		switch at {
		case 0:
		case 1:
			e.Name = ".."
		default:
			name, typ, ino := i.at(at - dots)
			e.Name, e.Ino, e.Mode = name, ino, modeOf(typ)
		}
		if !out.AddDirEntry(e) {
			break
		}
	}
	return fuse.OK
}

func (s *server) StatFs(_ <-chan struct{}, _ *fuse.InHeader, out *fuse.StatfsOut) fuse.Status {
	*out = fuse.StatfsOut{Bsize: 4096, NameLen: 255}
	return fuse.OK
}
