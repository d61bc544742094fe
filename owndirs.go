package hydra

import (
	"context"
	"io/fs"
	"path/filepath"

	"github.com/hydrawalk/hydra/internal/wire"
	"github.com/hydrawalk/hydra/walk"
)

// ownDirs are the directories in which Hydra keeps what it did, and jobs that go on. An
// application that changes things is kept out of them by whichever path it comes: a link,
// another mount, or another host. A nil one holds none.
type ownDirs struct {
	here   map[fileID]bool
	inodes map[uint64]bool      // of away
	away   map[wire.OwnDir]bool // also seen through another mount, or on another host
}

// fileID is a file on this machine.
type fileID struct{ dev, ino uint64 }

// newOwnDirs are those of this user, of a server, and more, where they are there.
func newOwnDirs(server []wire.OwnDir, more ...string) *ownDirs {
	o := &ownDirs{here: map[fileID]bool{}, inodes: map[uint64]bool{}, away: map[wire.OwnDir]bool{}}
	if dir, err := userDir("XDG_STATE_HOME", filepath.Join(".local", "state")); err == nil {
		more = append(more, dir)
	}
	for _, dir := range more {
		if st, ok := identity(dir); ok {
			o.here[fileID{st.Dev, st.Ino}] = true
		}
	}
	for _, dir := range append(namedDirs(more...), server...) {
		o.away[dir], o.inodes[dir.Ino] = true, true
	}
	return o
}

// namedDirs tell others which directories these are.
func namedDirs(dirs ...string) []wire.OwnDir {
	var all []wire.OwnDir
	for _, dir := range dirs {
		real, err := filepath.EvalSymlinks(dir)
		if err != nil {
			continue
		}
		if real, err = filepath.Abs(real); err != nil {
			continue
		}
		if st, ok := identity(real); ok {
			all = append(all, wire.OwnDir{Name: filepath.Base(real), Ino: st.Ino})
		}
	}
	return all
}

// identity tells which directory a path leads to.
func identity(dir string) (st walk.Stat, ok bool) {
	if dir == "" {
		return st, false
	}
	base, err := walk.OpenBase(dir + string(filepath.Separator)) // also if it is a link
	if err != nil {
		return st, false
	}
	defer base.Close()
	err = base.StatSelf(&st)
	return st, err == nil && st.Ino != 0 && st.Known&walk.FieldIno != 0
}

func (o *ownDirs) hold(d *walk.Dir, st *walk.Stat) bool {
	if st.Ino == 0 || st.Known&walk.FieldIno == 0 {
		return false
	}
	return o.here[fileID{st.Dev, st.Ino}] || o.inodes[st.Ino] && o.away[wire.OwnDir{Name: filepath.Base(d.Name()), Ino: st.Ino}]
}

// keepOut is a handler's [walk.DirHandler], if it has one, that enters none of them.
type keepOut struct {
	own  *ownDirs
	next walk.DirHandler // nil: none
	stat walk.Stat
}

func (k *keepOut) EnterDir(ctx context.Context, d *walk.Dir) error {
	if err := d.StatInto(&k.stat); err != nil {
		return err
	}
	if k.own.hold(d, &k.stat) {
		return fs.SkipDir
	}
	if k.next == nil {
		return nil
	}
	return k.next.EnterDir(ctx, d)
}

func (k *keepOut) LeaveDir(ctx context.Context, d *walk.Dir) error {
	if k.next == nil {
		return nil
	}
	return k.next.LeaveDir(ctx, d)
}
