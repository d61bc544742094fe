// Package walk reads directory trees with many goroutines.
//
// [Trees] walks one or more trees and gives every entry to a [Handler]; each
// worker has a Handler of its own, so handlers need no locks. [All] gives the
// same entries to a range loop.
//
// A worker goes depth first: it takes the directory that was found last. An
// idle worker takes the older half of what another one has waiting, which are
// the directories nearest to the root. A large directory is shared: several
// workers read it in turn and handle its entries side by side.
//
// For each directory the calls come in this order, each at most once but
// Filter (once per chunk) and File (once per entry):
//
//	EnterDir -> Filter, File ... -> LeaveDir
//
// LeaveDir comes when the directory's own entries are done; its subdirectories
// may still be waiting. The calls for one large directory may come from several
// workers; those for one entry come from one.
//
// Everything but the roots is opened relative to its open parent directory, so
// paths may be longer than the system's limit, and a directory that is swapped
// for a symbolic link is not followed.
package walk

import (
	"context"
	"io/fs"
	"log/slog"
)

// Handler is given the entries that are not directories. One Handler serves one
// worker and is never called by two goroutines at once.
type Handler interface {
	// File handles one entry. What it returns decides:
	//
	//	nil         the entry counts as processed
	//	SkipFile    it counts as skipped
	//	fs.SkipDir  it counts as skipped; what is left of its directory is left
	//	            out, with all below: it is not read, or counts as filtered.
	//	            What is left is not the same in each run: workers share
	//	            large directories
	//	fs.SkipAll  the walk ends; Totals.Stopped is set
	//	Fatal(err)  the walk fails with err
	//
	// Any other error is recorded against the entry, and the walk goes on. An
	// error from a method of e that says that the entry is gone counts it as
	// vanished. A panic is an error of its entry.
	//
	// e is valid until File returns.
	File(ctx context.Context, e *Entry) error
}

// DirHandler may be implemented by a [Handler] that wants to see directories.
type DirHandler interface {
	// EnterDir is called when d was opened, before it is read. fs.SkipDir
	// leaves out d and all below it. fs.SkipAll and Fatal are as for File;
	// another error is recorded, d counts as failed and is not read.
	EnterDir(ctx context.Context, d *Dir) error
	// LeaveDir is called once when the entries of d are done, also when its
	// listing broke midway; d.Counts is final then. An error makes d failed.
	LeaveDir(ctx context.Context, d *Dir) error
}

// Filterer may be implemented by a [Handler] that wants to drop or reorder
// entries before any of them is handled or queued.
type Filterer interface {
	// Filter gets a chunk of a directory, at most 10,000 entries (see also
	// [Options.Group]), and returns
	// those to keep, in the order in which to handle them. It may reuse the
	// slice. What it leaves out counts as filtered.
	Filter(ctx context.Context, d *Dir, entries []Entry) []Entry
}

// SnapshotHandler may be implemented by a [Handler] that wants to know which
// snapshots are left out. It is called by the handler's own worker, in place of
// EnterDir; d is valid until Snapshot returns, and must not be asked for more than
// its names.
type SnapshotHandler interface {
	Snapshot(ctx context.Context, d *Dir)
}

// Flusher may be implemented by a [Handler] that holds something back.
type Flusher interface {
	// Flush is called before what the handler did is committed: on one machine
	// once, when its worker ends. An error fails the walk.
	Flush(ctx context.Context) error
}

// Ender may be implemented by a [Handler] that keeps something open.
type Ender interface {
	// End is called once when the handler's worker ends, on its goroutine, also if the
	// walk was given up and nothing is flushed.
	End()
}

// ErrorHandler may be implemented by a [Handler] that wants the errors as
// items. It is called by the handler's own worker.
type ErrorHandler interface {
	Error(ctx context.Context, err *Error)
}

// Options of a walk. The zero value walks the operating system's files with a
// number of workers that adapts.
type Options struct {
	// Workers is the number of directories that are read at a time, at most 512.
	// 0 adapts: it begins with the number of processors and grows while the
	// workers mostly wait for the file system.
	Workers int
	// OneFileSystem does not enter directories on another device than their
	// root's. They count as filtered.
	OneFileSystem bool
	// MaxDepth, when positive, is the depth at which directories are not
	// entered any more; they count as filtered. A root has depth 0.
	MaxDepth int
	// Snapshots enters directories below the roots that are named as storage names
	// its snapshots: .snapshot, ~snapshot, .zfs. Without it they count as filtered
	// and as snapshots, unless they plainly are none: on the same device and file
	// system as their parent, which can be written to, with a mode that lets
	// somebody write.
	Snapshots bool
	// FollowRoots follows a root that is a symbolic link. Without it only one
	// that was given with a trailing slash is followed.
	FollowRoots bool
	// Prunes tells, of a root that lies below another, that the walk of the other
	// will not come to it because Filter drops what leads there. nil: Filter drops
	// no way to a root. Roots that a walk comes to anyway are left to it.
	Prunes func(outer, inner string) bool
	// Group, when set, lets names of one directory come together, however large it
	// is and whoever shares it: all that have one key are in one call of Filter, and
	// in no other. It is for handlers that implement Filterer; it promises nothing of
	// the order of names, and nothing to others. Group returns the key of a name; it may
	// append it to buf, which is empty, or return the name itself. It must be the same
	// on every host, and is called by several goroutines. A group of more than 1,000
	// names may come in several calls.
	Group func(buf, name []byte) []byte
	// Fields are those that Stat has to fill; 0 means all. On network file
	// systems less can be faster.
	Fields Fields
	// FS is read instead of the operating system's files. Roots are names in
	// it. Its names need not be valid UTF-8 if it accepts such ones itself. It
	// must be safe for concurrent use.
	FS fs.FS
	// Mounts, when set, are several mounts of the file system that holds the roots.
	// It is not used with FS.
	Mounts *Mounts
	// Within, when set, is a directory that is not left: all roots have to lie in it. It is
	// not used with FS.
	Within *Within
	// Monitor, when set, shows the walk's counters while it runs.
	Monitor *Monitor
	// Throttle, when set, limits and measures the calls to the file system.
	Throttle *Throttle
	// Logger gets what helps to understand a walk. nil discards it.
	Logger *slog.Logger
}

// Totals counts what a walk found and what became of it.
type Totals struct {
	FoundDirs     int64 // roots that are directories or could not be opened, and directories listed
	ProcessedDirs int64 // read to their end
	FilteredDirs  int64 // left out on purpose
	FailedDirs    int64 // could not be opened or not be read to their end
	VanishedDirs  int64 // gone between being listed and being opened
	SnapshotDirs  int64 // snapshots that were left out; they are among FilteredDirs
	QueuedDirs    int64 // not done when the walk was ended early

	ProcessedFiles int64 // File returned nil
	SkippedFiles   int64 // File returned SkipFile or fs.SkipDir
	FilteredFiles  int64 // dropped by Filter
	FailedFiles    int64 // File returned an error
	VanishedFiles  int64 // gone between being listed and being handled
	QueuedFiles    int64 // roots that are no directories, not done when the walk was ended early

	Bytes   int64 // logical sizes of the regular files whose attributes were read; it stops at MaxInt64
	Errors  int64 // all errors; each was given to the ErrorHandler
	Workers int   // most workers at a time
	Stopped bool  // a handler returned fs.SkipAll

	// FirstError is the smallest error by path, then by operation.
	FirstError *Error `cbor:"-"` // it stays in its process
}

// ExpectedDirs is the number of directories whose fate is known. It always
// equals FoundDirs - QueuedDirs.
func (t *Totals) ExpectedDirs() int64 {
	return t.ProcessedDirs + t.FilteredDirs + t.FailedDirs + t.VanishedDirs
}

// Entries is the number of entries that were handled or dropped: files and
// directories.
func (t *Totals) Entries() int64 {
	return t.ExpectedDirs() + t.ProcessedFiles + t.SkippedFiles + t.FilteredFiles + t.FailedFiles + t.VanishedFiles
}

// Add adds what another walk, or another part of this one, counted. What only one
// walk can tell is left: what is queued, Workers and Stopped.
func (t *Totals) Add(c *Totals) {
	t.FoundDirs += c.FoundDirs
	t.ProcessedDirs += c.ProcessedDirs
	t.FilteredDirs += c.FilteredDirs
	t.FailedDirs += c.FailedDirs
	t.VanishedDirs += c.VanishedDirs
	t.SnapshotDirs += c.SnapshotDirs
	t.ProcessedFiles += c.ProcessedFiles
	t.SkippedFiles += c.SkippedFiles
	t.FilteredFiles += c.FilteredFiles
	t.FailedFiles += c.FailedFiles
	t.VanishedFiles += c.VanishedFiles
	t.Bytes = plus(t.Bytes, c.Bytes)
	t.Errors += c.Errors
	if c.FirstError != nil && (t.FirstError == nil || c.FirstError.less(t.FirstError)) {
		t.FirstError = c.FirstError
	}
}

// Complete says that every entry found was processed or left out on purpose.
func (t *Totals) Complete() bool {
	return t.Errors == 0 && t.QueuedDirs == 0 && t.QueuedFiles == 0 && !t.Stopped
}

// Trees walks the trees below roots and returns what it counted. newHandler
// makes the Handler of each worker, on the worker's goroutine; workers are
// numbered from 0.
//
// The error says why the walk as a whole did not run to its end: ctx was
// cancelled, a handler returned Fatal or could not be made or flushed. What
// could not be read or handled is no such error: it is counted in the Totals
// and given to the [ErrorHandler]. When the walk ends early it stops at the next
// entry; QueuedDirs tells how many directories were not done.
//
// Roots are walked at the same time. Of roots that overlap, each entry is
// walked once. A root that is not a directory is given to File.
func Trees(ctx context.Context, roots []string, newHandler func(worker int) (Handler, error), o *Options) (Totals, error) {
	if o == nil {
		o = &Options{}
	}
	if o.Group != nil {
		return treesAlone(ctx, roots, newHandler, o)
	}
	return newPool(o).trees(ctx, roots, newHandler, o)
}
