package walk

import (
	"errors"
	"io/fs"
	"slices"
	"sync/atomic"

	"github.com/hydrawalk/hydra/internal/rawdir"
)

// Dir is a directory that a [Handler] was given. It is valid until LeaveDir
// returned.
//
// It is also how the walk knows a directory from the moment it is found: while
// it waits, while it is read, and for as long as directories below it need its
// name. Such a path shares its parents with all others below them.
type Dir struct {
	parent *Dir // nil for a root
	root   *root
	name   rawdir.Name // a root's is its path
	listed uint64      // the inode that the listing tells, 0 if none
	dev    uint64      // dev and ino are set when it was identified: see admit
	ino    uint64
	depth  int32

	// users counts who needs handle: those who read it and, if it is retained,
	// its subdirectories that were not opened yet. Who takes it to 0 closes it.
	users      atomic.Int32
	retained   bool
	careful    bool   // see Shared.PickCareful
	again      bool   // see Item.Again; not changed once others know it
	identified bool   // dev and ino were asked for: of what leads to an added item, guarded by root.mu
	cut        uint32 // the epoch of the last cut that noted it; guarded by Shared.turn
	handle     rawdir.Dir

	reading *reading // set when it was opened, nil again when it was left
}

// reading is the state of a directory that is being read.
//
//	opened ──► cursor: one task, the right to read the next chunk
//	             │ who holds it reads a chunk, puts the cursor into its deque,
//	             │ where others can take it, and handles the chunk
//	             ▼
//	           chunk, chunk ...: handled side by side
//
// parts counts the cursor and the chunks; who takes it to 0 leaves the
// directory.
type reading struct {
	chunks int     // read so far; owned by who holds the cursor
	by     *worker // calls EnterDir or LeaveDir
	whole  *whole  // in a shared walk, once there are several parts or something is left at a cut

	parts     atomic.Int32
	skipRest  atomic.Bool // a handler returned fs.SkipDir
	abandoned atomic.Bool // the walk ended before the directory did
	vanished  atomic.Bool // it was removed while it was read
	untold    atomic.Bool // of an entry not even the type could be read
	failed    atomic.Bool
	filtered  atomic.Bool // Filter dropped something

	dirs, files, other atomic.Int64
}

// DirCounts counts the entries of one directory that Filter kept.
type DirCounts struct {
	Dirs  int64 // subdirectories, also those that are not entered
	Files int64 // regular files
	Other int64 // symbolic links, fifos, sockets, devices
}

// Name is the last element of the path; for a root its whole path.
func (d *Dir) Name() string { return string(d.name.Bytes()) }

// Path is the root's path joined with the names below it.
func (d *Dir) Path() string { return string(d.appendPath(nil)) }

// AppendPath appends Path to b.
func (d *Dir) AppendPath(b []byte) []byte { return d.appendPath(b) }

// AppendTail appends Path to b if that is not longer than most bytes, else ".../"
// and as many of the last elements as fit. It takes no longer than that asks for,
// however deep d lies.
func (d *Dir) AppendTail(b []byte, most int) []byte { return d.appendTail(b, nil, most) }

// appendTail is AppendTail for the entry of a name in d, or for d itself without
// one.
func (d *Dir) appendTail(b, name []byte, most int) []byte {
	n, top := 0, d
	if name != nil {
		n = len(name) + 1
	}
	for n <= most && top.parent != nil {
		n += len(top.name) // with its NUL, as with a separator
		top = top.parent
	}
	root := top.name.String()
	if root == "." {
		root = "" // it is not in paths
	}
	if root == "" || d.root.paths.isSeparator(root[len(root)-1]) {
		n-- // no separator stands behind it
	}
	if n+len(root) <= most {
		if name == nil {
			return d.appendPath(b)
		}
		return append(d.appendPrefix(b), name...)
	}
	// Backwards from the end, as long as there is room.
	var elements [][]byte
	room := most - len("...")
	if name != nil {
		elements = append(elements, name)
		room -= len(name) + 1
	}
	for a := d; a.parent != nil && len(a.name) <= room; a = a.parent {
		elements = append(elements, a.name.Bytes())
		room -= len(a.name)
	}
	b = append(b, "..."...)
	for _, element := range slices.Backward(elements) {
		b = append(append(b, d.root.paths.separator[0]), element...)
	}
	return b
}

// Parent is the directory that lists d; nil for a root. Like d it keeps its name
// as long as somebody holds it, but only d may be asked for more.
func (d *Dir) Parent() *Dir { return d.parent }

// Depth is 0 for a root, 1 for its subdirectories.
func (d *Dir) Depth() int { return int(d.depth) }

// Root is the root below which d lies, as it was given but cleaned.
func (d *Dir) Root() string { return d.root.path }

// MeansInside tells whether the root was given with a separator behind it, by which people
// mean what is in it and not the directory itself.
func (d *Dir) MeansInside() bool { return d.root.slash }

// Stat reads the attributes of the directory itself.
func (d *Dir) Stat() (*Stat, error) {
	st := new(Stat)
	if err := d.StatInto(st); err != nil {
		return nil, err
	}
	return st, nil
}

// StatInto is Stat into memory of the caller: for handlers that ask often.
func (d *Dir) StatInto(st *Stat) error {
	defer d.root.throttle.fsCall()()
	if err := d.handle.Stat(rawdir.AllFields, st); err != nil {
		return d.fail(OpStat, err)
	}
	return nil
}

// Counts tells what was listed in d so far. In LeaveDir it is final.
func (d *Dir) Counts() DirCounts {
	r := d.reading
	return DirCounts{Dirs: r.dirs.Load(), Files: r.files.Load(), Other: r.other.Load()}
}

// Whole tells, in LeaveDir, whether all that d lists was read, and Counts has it.
func (d *Dir) Whole() bool {
	r := d.reading
	return !(r.failed.Load() || r.untold.Load() || r.vanished.Load() || r.skipRest.Load() || r.abandoned.Load())
}

// Filtered tells, in LeaveDir, whether Filter dropped something that d lists: then
// there is more in d than Counts has.
func (d *Dir) Filtered() bool { return d.reading.filtered.Load() }

func (d *Dir) fail(op string, err error) *Error {
	return &Error{Op: op, Path: d.Path(), Err: cause(err), Dir: true, gone: errors.Is(err, fs.ErrNotExist)}
}

func (d *Dir) appendPath(b []byte) []byte {
	if d.parent == nil {
		return append(b, d.name.Bytes()...)
	}
	b = d.appendPrefix(b)
	return b[:len(b)-1]
}

// appendPrefix appends the path as it stands before a name in d: with a slash
// behind it, or nothing for the root ".".
func (d *Dir) appendPrefix(b []byte) []byte {
	var few [64]*Dir
	chain := few[:0]
	for ; d.parent != nil; d = d.parent {
		chain = append(chain, d)
	}
	separator := d.root.paths.separator[0]
	if root := d.name.String(); root != "." && root != "" {
		b = append(b, root...)
		if !d.root.paths.isSeparator(root[len(root)-1]) {
			b = append(b, separator)
		}
	}
	for _, a := range slices.Backward(chain) {
		b = append(append(b, a.name.Bytes()...), separator)
	}
	return b
}

// tryUse takes a share of an open handle of a directory that the caller does
// not hold otherwise.
func (d *Dir) tryUse() bool {
	for {
		n := d.users.Load()
		if n <= 0 {
			return false
		}
		if d.users.CompareAndSwap(n, n+1) {
			return true
		}
	}
}
