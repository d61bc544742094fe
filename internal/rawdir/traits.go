package rawdir

import "io/fs"

// Traits are what tells a snapshot that storage shows from a directory that only
// has such a name.
type Traits struct {
	Dev      uint64
	Type     uint64      // of its file system, as statfs has it; 0 where it can not be told
	FSID     uint64      // of its file system, as statfs has it; 0 where it can not be told
	Mode     fs.FileMode // type and permission bits
	ReadOnly bool        // nobody can write there, or not we although the mode says so
	MadeUp   bool        // who may write is not told: this side made it up
}
