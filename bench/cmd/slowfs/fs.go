package main

import (
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"

	"github.com/hydrawalk/hydra/bench/internal/count"
)

// slowFS has a root, directories d0, d1, ... in it, and files f0, f1, ... in
// each. Nothing is stored: a node's number tells what it is.
//
//	1            the root
//	2 + i        directory i
//	2^32 + k     file k, in directory k / perDir
type slowFS struct {
	fuse.RawFileSystem
	dirs, perDir uint64
	valid        time.Duration // of names and attributes in the kernel
	slow         *delay

	lookups, getattrs, readdirs, opendirs atomic.Int64
}

const firstFile = 1 << 32

// operations is what the kernel asked for.
type operations struct {
	Lookup  int64 `json:"lookup"`
	GetAttr int64 `json:"getattr"`
	ReadDir int64 `json:"readdir"` // readdirplus as well
	OpenDir int64 `json:"opendir"`
}

func (f *slowFS) operations() operations {
	return operations{f.lookups.Load(), f.getattrs.Load(), f.readdirs.Load(), f.opendirs.Load()}
}

// counts is what a walk has to find.
func (f *slowFS) counts() count.Counts {
	c := count.Counts{Dirs: int64(1 + f.dirs), Files: int64(f.dirs * f.perDir)}
	for k := range uint64(c.Files) {
		c.Bytes += int64(fileSize(k))
	}
	return c
}

func fileSize(k uint64) uint64 { return k * 7919 % 1_000_003 }

func (f *slowFS) Lookup(_ <-chan struct{}, h *fuse.InHeader, name string, out *fuse.EntryOut) fuse.Status {
	f.lookups.Add(1)
	f.slow.wait()
	node, ok := f.child(h.NodeId, name)
	if !ok {
		return fuse.ENOENT
	}
	f.entry(node, out)
	return fuse.OK
}

func (f *slowFS) child(parent uint64, name string) (node uint64, ok bool) {
	kind, first, n := "d", uint64(2), f.dirs
	if parent != fuse.FUSE_ROOT_ID {
		kind, first, n = "f", firstFile+(parent-2)*f.perDir, f.perDir
	}
	digits, ok := strings.CutPrefix(name, kind)
	if !ok {
		return 0, false
	}
	i, err := strconv.ParseUint(digits, 10, 32)
	return first + i, err == nil && i < n
}

func (f *slowFS) entry(node uint64, out *fuse.EntryOut) {
	out.NodeId = node
	out.Generation = 1
	out.SetEntryTimeout(f.valid)
	out.SetAttrTimeout(f.valid)
	f.attr(node, &out.Attr)
}

func (f *slowFS) attr(node uint64, a *fuse.Attr) {
	a.Ino, a.Nlink, a.Blksize = node, 1, 4096
	a.Mtime = 1_700_000_000
	a.Atime, a.Ctime = a.Mtime, a.Mtime
	if node < firstFile {
		a.Mode, a.Nlink, a.Size = unix.S_IFDIR|0o755, 2, 4096
	} else {
		a.Mode, a.Size = unix.S_IFREG|0o644, fileSize(node-firstFile)
	}
	a.Blocks = (a.Size + 511) / 512
}

func (f *slowFS) GetAttr(_ <-chan struct{}, in *fuse.GetAttrIn, out *fuse.AttrOut) fuse.Status {
	f.getattrs.Add(1)
	f.slow.wait()
	out.SetTimeout(f.valid)
	f.attr(in.NodeId, &out.Attr)
	return fuse.OK
}

func (f *slowFS) OpenDir(_ <-chan struct{}, in *fuse.OpenIn, _ *fuse.OpenOut) fuse.Status {
	f.opendirs.Add(1)
	if in.NodeId >= firstFile {
		return fuse.ENOTDIR
	}
	return fuse.OK
}

func (f *slowFS) ReadDir(_ <-chan struct{}, in *fuse.ReadIn, out *fuse.DirEntryList) fuse.Status {
	f.readdirs.Add(1)
	f.slow.wait()
	f.list(in, out.AddDirEntry)
	return fuse.OK
}

func (f *slowFS) ReadDirPlus(_ <-chan struct{}, in *fuse.ReadIn, out *fuse.DirEntryList) fuse.Status {
	f.readdirs.Add(1)
	f.slow.wait()
	f.list(in, func(e fuse.DirEntry) bool {
		entry := out.AddDirLookupEntry(e)
		if entry == nil {
			return false
		}
		// The kernel looks up no dots.
		if e.Name != "." && e.Name != ".." {
			f.entry(e.Ino, entry)
		}
		return true
	})
	return fuse.OK
}

// list gives entries to add from the offset on, until it has no more room.
func (f *slowFS) list(in *fuse.ReadIn, add func(fuse.DirEntry) bool) {
	kind, first, n, typ := "d", uint64(2), f.dirs, uint32(unix.S_IFDIR)
	if in.NodeId != fuse.FUSE_ROOT_ID {
		kind, first, n, typ = "f", firstFile+(in.NodeId-2)*f.perDir, f.perDir, unix.S_IFREG
	}
	for i := in.Offset; i < n+2; i++ {
		e := fuse.DirEntry{Name: ".", Ino: in.NodeId, Mode: unix.S_IFDIR, Off: i + 1}
		switch {
		case i == 1:
			e.Name = ".."
		case i > 1:
			e = fuse.DirEntry{Name: kind + strconv.FormatUint(i-2, 10), Ino: first + i - 2, Mode: typ, Off: i + 1}
		}
		if !add(e) {
			return
		}
	}
}

func (f *slowFS) StatFs(_ <-chan struct{}, _ *fuse.InHeader, out *fuse.StatfsOut) fuse.Status {
	*out = fuse.StatfsOut{Bsize: 4096, NameLen: 255, Files: f.dirs * f.perDir}
	return fuse.OK
}

func (f *slowFS) String() string { return fmt.Sprintf("slowfs(%d x %d)", f.dirs, f.perDir) }
