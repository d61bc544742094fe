package audit

import (
	"io/fs"

	"github.com/hydrawalk/hydra/stats"
	"github.com/hydrawalk/hydra/walk"
)

// series is files that come one after the other, lie in one directory and have
// one owner, one mode and so on, as most neighbours do. What is counted by these
// is added up once for all of them.
type series struct {
	kind   kind
	all    stats.Use
	blocks int64 // bytes, rounded up to blocks
	newest stats.Latest

	// Where it is counted; nil where that is not known or not kept.
	byUID, byGID, bySID, byMode, byLinks *stats.Use
	topUID, topGID, topSID               *stats.TopN[File]
	mode                                 Mode
}

// kind is what the files of a series have in common.
type kind struct {
	dir      *walk.Dir // nil for a root that is a file: a series of its own
	known    walk.Fields
	uid, gid uint32
	mode     fs.FileMode
	links    uint64
	sid      string
}

// inCommon are the fields of a kind.
const inCommon = walk.FieldUID | walk.FieldGID | walk.FieldMode | walk.FieldNlink

// join makes the series that a file belongs to the current one.
func (a *auditor) join(e *walk.Entry, st *walk.Stat) {
	sid := ownerSID(e)
	if now := &a.series.kind; now.dir != nil && now.dir == e.Dir() && now.uid == st.UID && now.gid == st.GID &&
		now.mode == st.Mode && now.links == st.Nlink && now.known == st.Known&inCommon && now.sid == sid {
		return
	}
	k := kind{
		dir: e.Dir(), known: st.Known & inCommon,
		uid: st.UID, gid: st.GID, mode: st.Mode, links: st.Nlink, sid: sid,
	}
	a.settle()
	switch {
	case k.dir == nil:
		a.enterFile(e)
	case k.dir != a.dir:
		a.enter(k.dir)
	}
	s, now := a.stats, &a.series
	owners := s.ByUID.Len() + s.ByGID.Len() + s.BySID.Len() + s.ByLinks.Len()
	*now = series{kind: k}
	if k.known&walk.FieldUID != 0 {
		now.byUID, now.topUID = s.ByUID.At(k.uid, ""), s.TopByUID.At(k.uid)
	}
	if k.known&walk.FieldGID != 0 {
		now.byGID, now.topGID = s.ByGID.At(k.gid, ""), s.TopByGID.At(k.gid)
	}
	if k.sid != "" {
		now.bySID, now.topSID = s.BySID.At(k.sid, ""), s.TopBySID.At(k.sid)
	}
	if k.known&walk.FieldMode != 0 {
		now.mode = modeOf(k.mode)
		now.byMode = s.ByMode.At(now.mode, "")
	}
	if k.known&walk.FieldNlink == 0 {
		k.links = 1
	}
	now.byLinks = s.ByLinks.At(max(k.links, 1), "")
	a.held += s.ByUID.Len() + s.ByGID.Len() + s.BySID.Len() + s.ByLinks.Len() - owners
}

// settle counts the files of the current series, and begins it anew.
func (a *auditor) settle() {
	s, now := a.stats, &a.series
	n := now.all
	if n.Count == 0 {
		return
	}
	depth := 0
	if now.kind.dir != nil {
		depth = now.kind.dir.Depth()
	}
	s.Size.Add(n.Bytes)
	s.SizeInBlocks.Add(now.blocks)
	s.Allocated.Add(n.Allocated)
	s.FilesPerDepth.Add(depth, n.Count)
	s.SizePerDepth.Add(depth, n.Bytes)
	s.SizeInBlocksPerDepth.Add(depth, now.blocks)
	for _, u := range [...]*stats.Use{now.byUID, now.byGID, now.bySID, now.byMode, now.byLinks} {
		if u != nil {
			u.Add(n.Count, n.Bytes, n.Allocated)
		}
	}
	for i := range a.deepest + 1 {
		if u := a.places[i].use; u != nil {
			u.AddFiles(n, now.newest)
		}
	}
	now.all, now.blocks, now.newest = stats.Use{}, 0, stats.Latest{}
}

// place is where a directory of the tree of use is counted.
type place struct {
	dir *walk.Dir
	use *stats.DirUse // nil if its depth is left out
}

// enter finds where a directory and those above it are counted. The current
// series was settled.
func (a *auditor) enter(d *walk.Dir) {
	last := a.dir
	a.dir = d
	if last != nil && d.Depth() >= len(a.places) && d.Parent() == last {
		return // a step down, below the places: they stay
	}
	a.deepest = min(d.Depth(), len(a.places)-1)
	for d.Depth() > a.deepest {
		d = d.Parent()
	}
	for depth := a.deepest; depth >= 0; depth-- {
		if p := &a.places[depth]; p.dir != d {
			a.held++
			a.path = d.AppendPath(a.path[:0])
			*p = place{d, a.stats.Tree.At(depth, a.path)}
		}
		d = d.Parent()
	}
}

// enterFile is enter for a root that is a file: it stands for itself.
func (a *auditor) enterFile(e *walk.Entry) {
	a.dir, a.deepest = nil, 0
	a.path = e.AppendPath(a.path[:0])
	a.places[0] = place{nil, a.stats.Tree.At(0, a.path)}
}

// forget settles, and drops what was kept of the statistics, which are about to
// be reset or taken away.
func (a *auditor) forget() {
	a.settle()
	a.held = 0
	a.series = series{}
	a.dir = nil
	clear(a.places)
	clear(a.extensions[:])
}
