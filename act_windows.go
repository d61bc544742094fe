package hydra

import "io/fs"

// inodeOf is the inode of a file: it is not known here.
func inodeOf(fs.FileInfo) uint64 { return 0 }
