package purge

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/hydrawalk/hydra/internal/report"
	"github.com/hydrawalk/hydra/walk"
)

// quarantine is where files are moved to. Nobody else may have had a hand in any of its
// directories: who can write to one decides where the files go, and what they are when
// they are moved back.
type quarantine struct {
	path     string     // of the directory of this job in it
	base     *walk.Base // is that directory; nil in a dry run
	dev, ino uint64     // of the quarantine itself
	made     string     // the directory that was made last
}

// openQuarantine opens the directory of a job in a quarantine. Both are made if they are
// missing, but in a dry run: then the quarantine is nil.
func openQuarantine(within *walk.Within, path, job string, dry bool) (*quarantine, error) {
	parent, err := within.OpenBase(filepath.Dir(path) + string(filepath.Separator))
	if err != nil {
		return nil, err
	}
	defer parent.Close()
	name := filepath.Base(path)
	var st walk.Stat
	if dry {
		err := parent.Stat(name, &st)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
		return &quarantine{dev: st.Dev, ino: st.Ino}, err
	}
	top, err := makeOwn(parent, name, &st)
	if err != nil {
		return nil, err
	}
	defer top.Close()
	q := &quarantine{path: path + string(filepath.Separator) + job, dev: st.Dev, ino: st.Ino}
	if q.base, err = makeOwn(top, job, &st); err != nil {
		return nil, err
	}
	// A handler is not told when it has come to its end.
	runtime.AddCleanup(q, func(b *walk.Base) { _ = b.Close() }, q.base)
	return q, nil
}

// makeOwn opens a directory that is made if it is missing, and to which nobody else
// writes. What it is, is what was opened, whoever renames directories meanwhile.
func makeOwn(in *walk.Base, name string, st *walk.Stat) (*walk.Base, error) {
	if err := in.MakeDirs(name, 0o700); err != nil {
		return nil, err
	}
	b, err := in.Open(name)
	if err != nil {
		return nil, err
	}
	if err = b.StatSelf(st); err == nil {
		err = own(name, st)
	}
	if err != nil {
		_ = b.Close()
		return nil, err
	}
	return b, nil
}

// own tells why a directory is not one to which only this user writes.
func own(path string, st *walk.Stat) error {
	switch {
	case !st.Mode.IsDir():
		return fmt.Errorf("%s is no directory", report.Printable(path))
	case st.Known&walk.FieldUID != 0 && int64(st.UID) != int64(os.Geteuid()):
		return fmt.Errorf("%s belongs to user %d, and not to who purges", report.Printable(path), st.UID)
	case st.Known&walk.FieldMode != 0 && st.Mode.Perm()&0o022 != 0:
		return fmt.Errorf("to %s others may write: %s", report.Printable(path), st.Mode)
	}
	return nil
}

// is tells whether a directory is the quarantine.
func (q *quarantine) is(st *walk.Stat) bool {
	return q != nil && st.Dev == q.dev && st.Ino == q.ino && st.Ino != 0
}

// take moves a file to a path in the quarantine. The directories on the way have to be of
// this user, whether they are there or are made.
func (q *quarantine) take(h *walk.Held, to string) error {
	path := below(q.path, to)
	dir, _ := filepath.Split(path)
	dir = strings.TrimRight(dir, "/")
	for again := false; ; again = true {
		if dir != "" && dir != q.made {
			if err := q.makeDirs(dir); err != nil {
				return err
			}
		}
		err := h.Move(q.base, path)
		if again || q.made == "" || !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		q.made = "" // somebody removed it, or the file is gone
	}
}

// makeDirs makes the directories of a path.
func (q *quarantine) makeDirs(dir string) error {
	err := q.base.MakeDirsIf(dir, 0o700, own)
	if err == nil {
		q.made = dir
	}
	return err
}

// place is where in the quarantine a file goes: by job, and by its whole path.
func (s *Settings) place(job, path string) string {
	if v := filepath.VolumeName(path); v != "" {
		path = strings.NewReplacer(":", "", `\`, "/").Replace(v) + path[len(v):]
	}
	return strings.TrimRight(s.Quarantine.String(), string(filepath.Separator)) + "/" + job + "/" + strings.TrimLeft(filepath.ToSlash(path), "/")
}
