package exec

import (
	"fmt"
	"os"
)

// workDir is a directory in which a command is run.
type workDir struct {
	path string
	file *os.File // to which the path leads; nil: it is an ordinary one
}

func (d *workDir) close() {
	if d.file != nil {
		_ = d.file.Close() // nothing was written to it
	}
}

// workDir finds the directory for a command. Where all is confined to a directory, it is
// opened in it, so that nobody who puts a link in its place has the command run elsewhere.
// Another user goes there by his own rights, which he has outside as well.
func (h *handler) workDir(path string) (*workDir, error) {
	if h.w.Within.Path() == "" || h.w.RunAs != nil {
		return &workDir{path: path}, nil
	}
	root, err := h.w.Within.OpenRoot(path)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	if _, err := os.Stat(ownDescriptors); err != nil {
		return &workDir{path: path}, nil
	}
	dir, err := root.Open(".")
	if err != nil {
		return nil, err
	}
	return &workDir{fmt.Sprintf("%s/%d", ownDescriptors, dir.Fd()), dir}, nil
}

// ownDescriptors is where Linux shows what a process has open: also to one that is about to
// become a command.
const ownDescriptors = "/proc/self/fd"
