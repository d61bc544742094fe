package audit

import "io/fs"

// allocated is 0: it is not known here.
func allocated(fs.FileInfo) int64 { return 0 }
