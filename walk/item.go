package walk

import (
	"errors"
	"io/fs"
	"math"

	"github.com/hydrawalk/hydra/internal/rawdir"
)

// Item is work that remains of a walk: a directory below a root, or what is left
// of one. What one [Shared] leaves, another can take up. It holds no memory of
// the one that made it, and nobody may change it.
type Item struct {
	Root    int    // index into ShareOptions.Roots
	Path    []byte // below the root, names joined with '/' on every system; empty: the root itself
	Inode   uint64 // of the directory as whoever gave it away saw it when it opened it; 0: not known
	File    bool   // the root is not a directory
	Part    *Part  // not nil: the directory was entered already, and this is left of it
	Careful bool   // see Shared.PickCareful; what is found below has it too
	Again   bool   // a handler may have been called for it, or for entries of Part, of which nothing came; what is found below has it too
	Must    bool   // count it also if it is gone or another directory: see Shared.Returned
}

// Part is what is left of a directory that was entered. One without a Dir, Names
// and Ranges only has to be left: then LeaveDir is called, and it is counted.
type Part struct {
	Dir    string    // names the directory if others may have parts of it too; "": this is all that is left of it
	Names  []Names   // entries to be handled
	Ranges []Range   // of the hashes of names: entries that have to be listed again
	Counts DirCounts // of what was handled, if Dir is ""
	Flags  uint8     // of what was handled, if Dir is "": FlagFailed ...
}

// What was met in a directory that was entered. Flags of several parts are
// joined by or.
const (
	FlagFailed   uint8 = 1 << iota // an error: the directory counts as failed
	FlagVanished                   // it was removed while it was read
	FlagUntold                     // of an entry not even the type could be read
	FlagSkipRest                   // a handler returned fs.SkipDir: what is left is left out
	FlagFiltered                   // Filter dropped something
)

// Names are entries of a directory, as a chunk of its listing.
type Names struct {
	Filtered bool   // Filter has seen them
	Records  []byte // each: type, inode and length as uvarints but the type, which is a byte; then the name
}

// Range holds the hashes h with Lo <= h <= Hi.
type Range struct{ Lo, Hi uint64 }

// wholeRange has all hashes.
var wholeRange = Range{0, math.MaxUint64}

// DirSum is what was counted in parts of one directory.
type DirSum struct {
	Root   int
	Path   []byte
	Counts DirCounts
	Flags  uint8
}

// Returned is an item that could not be taken up, and why.
type Returned struct {
	Item
	Err error
}

// Avoided is a directory that is not entered.
type Avoided struct {
	Root int
	Path []byte // as in an Item
	Err  string // the error that it is counted with
}

// Load says how much there is to do.
type Load struct {
	Queued         int   // tasks that others could take: directories and parts of such
	MinDepth       int   // smallest depth among these
	Pending        int64 // directories and files that are not done, and those parts of others that are here
	Idle, Workers  int   // workers without a task; those that may work
	CarefulWaiting int   // careful items that were not picked
	CarefulRunning int   // careful directories that were let go and are not done
	Paused         bool  // see Shared.Pause
	Stopped        bool  // fs.SkipAll, Stop, or an error
	Err            error // why the walk failed
}

// Sight tells what a root is on this machine, so that several can find out
// whether they see the same.
type Sight struct {
	Inode, Type uint64 // the inode; f_type of statfs on Linux, else 0
	Dir, Empty  bool
	Err         string // why it can not be told
}

// Look looks at a root of the system's files, or of fsys if that is not nil.
func Look(root string, followRoots bool, fsys fs.FS) Sight {
	open := rawdir.System
	if fsys != nil {
		open = rawdir.FromFS(fsys)
	}
	s, err := look(open, root, followRoots, fsys != nil)
	if err != nil {
		return Sight{Err: cause(err).Error()}
	}
	return s
}

// look is Look by an opener. The error is ErrOutside.
func look(open rawdir.Opener, root string, followRoots, isFS bool) (Sight, error) {
	slash := len(root) > 1 && (root[len(root)-1] == '/' || !isFS && systemPaths.isSeparator(root[len(root)-1]))
	h, err := open(root, followRoots || slash)
	switch {
	case errors.Is(err, ErrOutside):
		return Sight{}, err
	case err != nil && rawdir.IsNotDir(err) && !slash:
		return Sight{}, nil
	case err != nil:
		return Sight{Err: cause(err).Error()}, nil
	}
	defer h.Close()
	return see(h), nil
}

// see is what an open root is.
func see(h rawdir.Dir) Sight {
	s := Sight{Dir: true, Type: rawdir.DirType(h)}
	var st Stat
	if err := h.Stat(FieldIno, &st); err != nil {
		s.Err = cause(err).Error()
		return s
	}
	s.Inode = st.Ino
	buf := make([]byte, bufSize)
	for {
		n, err := h.Read(buf)
		if err != nil {
			s.Err = cause(err).Error()
			return s
		}
		if n == 0 {
			s.Empty = true
			return s
		}
		var ent rawdir.Dirent
		if _, err := rawdir.Next(buf[:n], &ent); err == nil && ent.Name != "" {
			return s
		}
	}
}
