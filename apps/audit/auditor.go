package audit

import (
	"context"
	"io/fs"
	"math"
	"time"
	"unicode/utf8"
	"unsafe"

	"github.com/hydrawalk/hydra/stats"
	"github.com/hydrawalk/hydra/walk"
)

const (
	// sampleEvery: one file in so many is timed.
	sampleEvery = 128
	// maxHeld is how much a worker holds of what can grow, in elements of lists
	// and groups, before it adds that to the whole: about 4 MiB. A long path counts
	// as several.
	maxHeld = 16 << 10
	heldAs  = 256 // bytes of a path
	// maxPath is the longest path that is kept: no longer one can be opened. Of
	// others their end is kept.
	maxPath = 4096
)

// auditor counts for one worker.
type auditor struct {
	stats      *Stats
	commit     func(look func(*Stats)) error
	block      int64
	now        walk.Time
	categories Categories
	clock      func() time.Time // nil: nothing is timed
	sameBin    []bool           // sizes of the bin are in the same one in blocks
	resolve    bool             // look where symbolic links lead
	within     *walk.Within     // by which links are followed
	worker     *Settings        // what holds now; nil in tests

	files uint64
	held  int

	// Where the last file was counted: most are like it. These are void when
	// statistics are reset.
	series     series
	dir        *walk.Dir
	places     []place // one for each depth of the tree
	deepest    int     // depth of the last place in use
	extensions [64]knownExtension

	path, ext []byte // buffers
	dirStat   walk.Stat
}

// Flush implements [walk.Flusher].
func (a *auditor) Flush(context.Context) error {
	a.forget()
	return nil
}

// File counts one entry. It is the hot path: no allocation, no lock, and no map
// but that of extensions.
func (a *auditor) File(_ context.Context, e *walk.Entry) error {
	if e.Type() != 0 {
		return a.special(e)
	}
	a.files++
	var began, read time.Time
	timed := a.files%sampleEvery == 0 && a.clock != nil
	if timed {
		began = a.clock()
	}
	st, err := e.Stat()
	if err != nil {
		return err
	}
	if timed {
		read = a.clock()
	}
	if e.Type() != 0 {
		// It was replaced since it was listed.
		return a.special(e)
	}
	a.count(e, st)
	if timed {
		end := a.clock()
		a.stats.TimeStat.Add(sampleEvery * read.Sub(began))
		a.stats.TimeUpdate.Add(sampleEvery * end.Sub(read))
		a.stats.TimeHandleFile.Add(sampleEvery * end.Sub(began))
	}
	if a.held > maxHeld {
		return a.commitNow()
	}
	return nil
}

// commitNow adds what was counted to the whole, to hold less.
func (a *auditor) commitNow() error {
	a.forget()
	began := time.Now()
	// What is too small for the lists of the whole need not be held again.
	err := a.commit(func(all *Stats) {
		s := a.stats
		s.TopFiles.SetFloor(&all.TopFiles)
		s.TopByUID.SetFloors(&all.TopByUID)
		s.TopByGID.SetFloors(&all.TopByGID)
		s.TopBySID.SetFloors(&all.TopBySID)
		s.TopSparse.SetFloor(&all.TopSparse)
		s.TopSetuid.SetFloor(&all.TopSetuid)
		s.TopWorldWritable.SetFloor(&all.TopWorldWritable)
		s.TopEntries.SetFloor(&all.TopEntries)
		s.TopDepth.SetFloor(&all.TopDepth)
	})
	if a.clock != nil {
		a.stats.TimeSave.Add(time.Since(began))
	}
	return err
}

// special counts what is no regular file.
func (a *auditor) special(e *walk.Entry) error {
	s, t := a.stats, e.Type()
	switch {
	case t&fs.ModeSymlink != 0:
		if a.resolve && a.leadsToDir(e.Path()) {
			s.SymlinksDirs.Inc()
		} else {
			s.Symlinks.Inc()
		}
	case t&fs.ModeNamedPipe != 0:
		s.Fifos.Inc()
	case t&fs.ModeSocket != 0:
		s.Sockets.Inc()
	case t&fs.ModeCharDevice != 0:
		s.CharDevices.Inc()
	case t&fs.ModeDevice != 0:
		s.BlockDevices.Inc()
	default:
		s.OtherFiles.Inc()
	}
	return walk.SkipFile
}

// leadsToDir tells whether there is a directory behind a symbolic link. One that
// leads nowhere, or to where this client may not look, does not.
func (a *auditor) leadsToDir(path string) bool {
	target, err := a.within.Stat(path)
	return err == nil && target.IsDir()
}

// count counts a regular file.
func (a *auditor) count(e *walk.Entry, st *walk.Stat) {
	st.Size = max(st.Size, 0)
	s, size, allocated := a.stats, st.Size, st.Allocated()
	a.join(e, st)
	blocks := roundUp(size, a.block)
	a.series.all.One(size, allocated)
	a.series.blocks = min(a.series.blocks, math.MaxInt64-blocks) + blocks
	a.series.newest.See(st.Mtime.Sec, st.Mtime.Nsec)

	bin := s.BySize.Find(size)
	s.BySize.AddAt(bin, size)
	if a.sameBin[bin] {
		s.ByBlocks.AddAt(bin, blocks)
	} else {
		s.ByBlocks.Add(blocks, blocks)
	}
	s.Sizes.Add(size)
	a.countAges(st, bin)
	a.extension(e.NameBytes()).One(size, allocated)
	a.list(e, st)
}

// countAges counts a file by its ages.
func (a *auditor) countAges(st *walk.Stat, bin int) {
	s := a.stats
	// Of a file that nobody touched since it was made several times are one.
	last := st.Mtime
	age := a.age(last)
	row := s.ByMtime.Row(age)
	rowOf := func(t walk.Time) int {
		if t != last {
			last, age = t, a.age(t)
			row = s.ByMtime.Row(age)
		}
		return row
	}
	if st.Known&walk.FieldMtime != 0 {
		s.ByMtime.AddAt(row, bin, st.Size)
		s.MtimeAges.Add(age)
	}
	if st.Known&walk.FieldCtime != 0 {
		s.ByCtime.AddAt(rowOf(st.Ctime), bin, st.Size)
	}
	if st.Known&walk.FieldAtime != 0 {
		s.ByAtime.AddAt(rowOf(st.Atime), bin, st.Size)
		s.AtimeAges.Add(age)
	}
	if born(st) {
		s.ByBtime.AddAt(rowOf(st.Btime), bin, st.Size)
	}
}

// age is how long before the reference time t was, in seconds and rounded up, so
// that a file is in a bin exactly if its age does not exceed the bin's edge. It is
// 0 or less for what is in the future.
func (a *auditor) age(t walk.Time) int64 {
	const most = 1 << 48 // seconds; no clock said so, and the difference might overflow
	age := a.now.Sec - min(max(t.Sec, -most), most)
	if a.now.Nsec > t.Nsec {
		age++
	}
	return age
}

// knownExtension is where a short extension is counted.
type knownExtension struct {
	word uint64 // its bytes, the first one lowest
	use  *stats.Use
}

// extension returns where files with the extension of a name are counted.
func (a *auditor) extension(name []byte) *stats.Use {
	word, short := shortExtension(name)
	if !short {
		a.ext = extension(name, a.ext)
		return a.anyExtension()
	}
	known := &a.extensions[word*0x9e3779b97f4a7c15>>58]
	if known.use == nil || known.word != word {
		a.ext = extension(name, a.ext)
		use := a.anyExtension()
		*known = knownExtension{word, use}
	}
	return known.use
}

// shortExtension packs the extension of a name, if that has one of 1 to 8 bytes of
// ASCII. A name holds no NUL, so other extensions have other words.
func shortExtension(name []byte) (word uint64, ok bool) {
	for i := len(name) - 1; i > 0 && i >= len(name)-9; i-- {
		b := name[i]
		switch {
		case b == '.':
			return word, word != 0 && name[0] != '.'
		case b >= utf8.RuneSelf:
			return 0, false
		case 'A' <= b && b <= 'Z':
			b += 'a' - 'A'
		}
		word = word<<8 | uint64(b)
	}
	return 0, false
}

// anyExtension returns where files with the extension a.ext are counted.
func (a *auditor) anyExtension() *stats.Use {
	key := unsafe.String(unsafe.SliceData(a.ext), len(a.ext)) // only until At returns, which copies it
	if u := a.stats.Extensions.Lookup(key); u != nil {
		return u
	}
	a.held++
	clear(a.extensions[:]) // one of them may be pushed out
	return a.stats.Extensions.At(key, a.categories[key])
}

// list takes a file into the lists of the largest, and of findings.
func (a *auditor) list(e *walk.Entry, st *walk.Stat) {
	s, size := a.stats, st.Size
	missing := int64(0)
	if st.Known&walk.FieldBlocks != 0 && st.Allocated() < size {
		missing = size - st.Allocated()
		s.Sparse.One(size, st.Allocated())
	}
	inAll := s.TopFiles.Takes(size)
	inUID := a.series.topUID != nil && a.series.topUID.Takes(size)
	inGID := a.series.topGID != nil && a.series.topGID.Takes(size)
	inSID := a.series.topSID != nil && a.series.topSID.Takes(size)
	inSparse := missing > 0 && s.TopSparse.Takes(missing)
	setuid := a.series.mode&(modeSetuid|modeSetgid) != 0 && s.TopSetuid.Takes(size)
	writable := a.series.mode&modeWorldWritable != 0 && s.TopWorldWritable.Takes(size)
	if !(inAll || inUID || inGID || inSID || inSparse || setuid || writable) {
		return
	}
	a.path = e.AppendTail(a.path[:0], maxPath)
	f := fileOf(st, a.series.kind.sid)
	add := func(in bool, t *stats.TopN[File]) {
		if in {
			a.hold()
			t.AddPath(f, a.path)
		}
	}
	add(inAll, &s.TopFiles)
	add(inUID, a.series.topUID)
	add(inGID, a.series.topGID)
	add(inSID, a.series.topSID)
	add(setuid, &s.TopSetuid)
	add(writable, &s.TopWorldWritable)
	if inSparse {
		a.hold()
		s.TopSparse.AddPath(Sparse{f}, a.path)
	}
}

// hold counts that a.path is kept.
func (a *auditor) hold() { a.held += 1 + len(a.path)/heldAs }

// EnterDir does nothing: an audit counts directories that were read.
func (a *auditor) EnterDir(context.Context, *walk.Dir) error { return nil }

// LeaveDir counts a directory and what it lists.
func (a *auditor) LeaveDir(_ context.Context, d *walk.Dir) error {
	s, depth, n := a.stats, d.Depth(), d.Counts()
	s.DepthTotal.Add(int64(depth))
	s.DirsPerDepth.Add(depth, 1)
	// So that all arrays per depth are of one length, also if no directory at
	// this depth holds a file.
	s.FilesPerDepth.Add(depth, 0)
	s.SizePerDepth.Add(depth, 0)
	s.SizeInBlocksPerDepth.Add(depth, 0)
	s.MaxDepth.See(int64(depth))
	s.MaxWidth.See(n.Dirs)
	if n.Dirs > 0 {
		s.ParentDirs.Inc()
	}
	s.MaxFiles.See(n.Files)
	s.MaxFilesPerDepth.See(depth, n.Files)

	entries := Entries{n.Dirs + n.Files + n.Other, n.Dirs, n.Files, n.Other}
	empty := entries.Entries == 0 && d.Whole()
	if empty {
		s.EmptyDirs.Inc()
	}
	if d != a.dir {
		a.settle()
		a.series.kind = kind{}
		a.enter(d)
	}
	for i := range a.deepest + 1 {
		if u := a.places[i].use; u != nil {
			u.AddDir(empty)
		}
	}
	if s.TopEntries.Takes(entries.Entries) || s.TopDepth.Takes(int64(depth)) {
		a.path = d.AppendTail(a.path[:0], maxPath)
		a.hold()
		s.TopEntries.AddPath(entries, a.path)
		s.TopDepth.AddPath(Depth{int64(depth)}, a.path)
	}
	if err := a.countDir(d); err != nil {
		return err
	}
	if a.held > maxHeld {
		return a.commitNow()
	}
	return nil
}

// countDir counts a directory's own attributes.
func (a *auditor) countDir(d *walk.Dir) error {
	s, st := a.stats, &a.dirStat
	if err := d.StatInto(st); err != nil {
		return err
	}
	s.AllocatedDirs.Add(st.Allocated())
	if mode := modeOf(st.Mode); st.Known&walk.FieldMode != 0 && mode&modeWorldWritable != 0 {
		s.WorldWritableDirs.Inc()
		if mode&modeSticky == 0 {
			s.WorldWritableDirsNotSticky.Inc()
		}
	}
	return nil
}

// Error counts attributes that could not be read.
func (a *auditor) Error(_ context.Context, err *walk.Error) {
	if err.Op != walk.OpStat {
		return
	}
	if err.Dir {
		a.stats.StatErrorsDirs.Inc()
	} else {
		a.stats.StatErrorsFiles.Inc()
	}
}

// roundUp rounds a size up to whole blocks, as far as that can be represented.
func roundUp(size, block int64) int64 {
	rest := size & (block - 1)
	if block&(block-1) != 0 {
		rest = size % block
	}
	switch {
	case rest == 0:
		return size
	case size > math.MaxInt64-block:
		return math.MaxInt64
	}
	return size - rest + block
}

// SettingsChanged implements [hydra.SettingsHandler]: see change.
func (a *auditor) SettingsChanged(Settings) error {
	a.resolve = a.worker.ResolveSymlinks
	return nil
}
