//go:build unix

package audit

import (
	"io/fs"
	"syscall"
)

// allocated is what a file occupies, in bytes.
func allocated(info fs.FileInfo) int64 { return int64(info.Sys().(*syscall.Stat_t).Blocks) * 512 }
