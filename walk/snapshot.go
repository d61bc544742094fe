package walk

import (
	"context"

	"github.com/hydrawalk/hydra/internal/rawdir"
)

// isSnapshotName tells whether storage shows its snapshots by a name: ONTAP and
// others as .snapshot over NFS and as ~snapshot over SMB, ZFS as .zfs.
func isSnapshotName(name string) bool {
	if name == "" || name[0] != '.' && name[0] != '~' {
		return false
	}
	return name == ".snapshot" || name == "~snapshot" || name == ".zfs"
}

// suspects tells whether d may be a snapshot that is not entered. A root was asked
// for, and is entered whatever it is.
func (p *pool) suspects(d *Dir) bool {
	return !p.snapshots && d.parent != nil && isSnapshotName(d.name.String())
}

// isPlain tells, of a directory with the name of a snapshot, whether it is surely
// none: one as its parent is, that can be written to. It may be another user's, so
// that it need not be us who can.
func isPlain(d, parent *rawdir.Traits) bool {
	return !d.MadeUp && !d.ReadOnly && d.Mode&0o222 != 0 &&
		d.Dev == parent.Dev && d.Type == parent.Type && d.FSID == parent.FSID
}

// arePlain is isPlain of open directories. What can not be told is not plain.
func arePlain(d, parent rawdir.Dir) bool {
	var own, above rawdir.Traits
	return d.Traits(&own) == nil && parent.Traits(&above) == nil && isPlain(&own, &above)
}

// isSnapshot tells whether d, which is open and has the name of one, may be a
// snapshot.
func (w *worker) isSnapshot(d *Dir) bool {
	w.called()
	w.enterCall(callStat, d)
	defer w.leaveCall()
	if d.parent.tryUse() {
		defer d.parent.release(w.p)
		return !arePlain(d.handle, d.parent.handle)
	}
	parent, err := w.reopened.get(w, d.parent)
	if isTooMany(err) {
		w.makeRoom(err)
		parent, err = w.reopened.get(w, d.parent)
	}
	return err != nil || !arePlain(d.handle, parent)
}

// leaveOutSnapshot counts d as a snapshot that was left out.
func (w *worker) leaveOutSnapshot(ctx context.Context, d *Dir) {
	w.c.FilteredDirs++
	w.c.SnapshotDirs++
	if w.sh == nil {
		return
	}
	if err := w.guard(func() error { w.sh.Snapshot(ctx, d); return nil }); err != nil {
		w.p.fail(err)
	}
}

// entersNamed tells whether a walk that comes to a directory enters it, as far as
// snapshots matter. at lists it.
func (p *pool) entersNamed(at rawdir.Dir, name string) bool {
	if p.snapshots || !isSnapshotName(name) {
		return true
	}
	d, _, err := at.OpenDir(rawdir.MakeName(name))
	if err != nil {
		return false
	}
	defer d.Close()
	return arePlain(d, at)
}
