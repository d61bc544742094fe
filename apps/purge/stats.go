package purge

import (
	"errors"
	"math"

	"github.com/hydrawalk/hydra"
	"github.com/hydrawalk/hydra/stats"
	"github.com/hydrawalk/hydra/walk"
)

// maxOwners is how many owners are counted by themselves.
const maxOwners = 100_000

// Stats are the statistics of a purge. A dry run counts what would be done in the
// fields of what was done. Sizes are bytes, of a file with several hard links once
// for each name.
type Stats struct {
	StatErrorsDirs  stats.Counter `json:"error_stat_dirs"`
	StatErrorsFiles stats.Counter `json:"error_stat_files"`
	Symlinks        stats.Counter `json:"symlink_files"`
	SymlinksDirs    stats.Counter `json:"symlink_dirs"` // 0: nobody looks where links lead

	Scanned     stats.Counter `json:"file_size_logical_scanned"`
	Scanned512  stats.Counter `json:"file_size_logical_512byte_block_scanned"` // each file rounded up
	Scanned8K   stats.Counter `json:"file_size_logical_8kbyte_block_scanned"`
	ScannedDisk stats.Counter `json:"file_size_allocated_scanned"`

	// Matched are the files that the rule names. Each of them ends as one of
	// Deleted, Quarantined, Failed, Changed, Gone or InDoubt, unless the run was
	// ended before.
	Matched stats.Use `json:"matched"`

	Deleted     stats.Counter `json:"deleted_files"`
	DeletedSize stats.Counter `json:"deleted_files_size_logical_total"`
	Deleted512  stats.Counter `json:"deleted_files_size_512byte_block_total"`
	Deleted8K   stats.Counter `json:"deleted_files_size_8kbyte_block_total"`
	DeletedDisk stats.Counter `json:"deleted_files_size_allocated_total"`

	Quarantined     stats.Counter `json:"quarantined_files"`
	QuarantinedSize stats.Counter `json:"quarantined_files_size_logical_total"`
	Quarantined512  stats.Counter `json:"quarantined_files_size_512byte_block_total"`
	Quarantined8K   stats.Counter `json:"quarantined_files_size_8kbyte_block_total"`
	QuarantinedDisk stats.Counter `json:"quarantined_files_size_allocated_total"`

	Failed  stats.Use `json:"failed"`   // could not be deleted
	Changed stats.Use `json:"changed"`  // were another file, or other than the rule wants, right before
	Gone    stats.Use `json:"gone"`     // somebody else removed them
	InDoubt stats.Use `json:"in_doubt"` // gone after their client was lost: by it, or by somebody else

	DeletedDirs stats.Counter `json:"deleted_dirs"`
	DirsFailed  stats.Counter `json:"failed_to_delete_dirs"`
	DirsChanged stats.Counter `json:"changed_dirs"` // not empty any more, or others
	DirsGone    stats.Counter `json:"gone_dirs"`
	DirsInDoubt stats.Counter `json:"in_doubt_dirs"`

	// ByUID has the files that were deleted or moved away, by owner.
	ByUID    stats.GroupN[uint32] `json:"deleted_by_uid"`
	UIDNames Names                `json:"uid_names"`
}

func newStats(Settings) *Stats { return &Stats{ByUID: stats.NewGroupN[uint32](maxOwners)} }

// scan counts a regular file that was looked at.
func (s *Stats) scan(st *walk.Stat) {
	s.Scanned.Add(sizeOf(st))
	s.Scanned512.Add(roundUp(sizeOf(st), 512))
	s.Scanned8K.Add(roundUp(sizeOf(st), 8192))
	s.ScannedDisk.Add(st.Allocated())
}

// settle counts what became of an entry that the rule names.
func (s *Stats) settle(op string, outcome hydra.ActResult, st *walk.Stat) {
	if op == opRmdir {
		*s.dirs(outcome)++
		return
	}
	size, allocated := sizeOf(st), st.Allocated()
	switch outcome {
	case hydra.ActDone:
		if op == opMove {
			s.Quarantined.Inc()
			s.QuarantinedSize.Add(size)
			s.Quarantined512.Add(roundUp(size, 512))
			s.Quarantined8K.Add(roundUp(size, 8192))
			s.QuarantinedDisk.Add(allocated)
		} else {
			s.Deleted.Inc()
			s.DeletedSize.Add(size)
			s.Deleted512.Add(roundUp(size, 512))
			s.Deleted8K.Add(roundUp(size, 8192))
			s.DeletedDisk.Add(allocated)
		}
		s.ByUID.At(st.UID, "").One(size, allocated)
	case hydra.ActChanged:
		s.Changed.One(size, allocated)
	case hydra.ActGone:
		s.Gone.One(size, allocated)
	case hydra.ActInDoubt:
		s.InDoubt.One(size, allocated)
	default:
		s.Failed.One(size, allocated)
	}
}

// dirs is where directories of an outcome are counted.
func (s *Stats) dirs(outcome hydra.ActResult) *stats.Counter {
	switch outcome {
	case hydra.ActDone:
		return &s.DeletedDirs
	case hydra.ActChanged:
		return &s.DirsChanged
	case hydra.ActGone:
		return &s.DirsGone
	case hydra.ActInDoubt:
		return &s.DirsInDoubt
	}
	return &s.DirsFailed
}

// sizeOf is the size, which a broken file system may say is negative.
func sizeOf(st *walk.Stat) int64 { return max(st.Size, 0) }

// roundUp rounds a size up to whole blocks of a power of 2, as far as that can be
// represented.
func roundUp(size, block int64) int64 {
	if size > math.MaxInt64-block {
		return math.MaxInt64
	}
	return (size + block - 1) &^ (block - 1)
}

// Names are the names of owners, looked up where the result is shown; nil if they
// were not.
type Names map[uint32]string

// MergeValue implements [stats.Value]. Of two names of one owner, that which sorts
// first stays.
func (n *Names) MergeValue(from stats.Value) error {
	o, ok := from.(*Names)
	if !ok {
		return errors.New("something else does not merge with names")
	}
	for id, name := range *o {
		if *n == nil {
			*n = Names{}
		}
		if have, twice := (*n)[id]; !twice || name < have {
			(*n)[id] = name
		}
	}
	return nil
}
