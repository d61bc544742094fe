package exec

import (
	"os"

	"github.com/hydrawalk/hydra/walk"
)

// ownedBy tells whether something belongs to a user: nobody runs commands as another one.
func ownedBy(os.FileInfo, uint32) bool { return false }

// sameDir tells whether two are one directory: that can not be told here.
func sameDir(os.FileInfo, *walk.Stat) bool { return false }
