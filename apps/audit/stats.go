package audit

import (
	"encoding/json"

	"github.com/hydrawalk/hydra/stats"
)

// What is kept of what a tree may have any number of. Memory is bounded by these,
// whatever the tree.
const (
	maxExtensions = 100_000 // that are in no category
	maxOwners     = 100_000 // of each kind
	maxOwnerLists = 1000    // owners with a list of their largest files
	maxOwnerTop   = 100     // length of these lists
	maxTreeDirs   = 100_000 // at one depth
	maxLinkCounts = 100_000 // different ones
	topDirs       = 100     // length of the lists of directories and findings
)

// Stats are the statistics of an audit. Sizes are bytes of regular files. What
// is counted per depth of a directory counts files where they are listed; a root
// has depth 0, also one that is a file. Ages are those at the reference time.
//
// Its JSON also has what is computed from these: see [Derived].
type Stats struct {
	ReferenceTime stats.Latest `json:"reference_time"`

	StatErrorsDirs  stats.Counter `json:"error_stat_dirs"`
	StatErrorsFiles stats.Counter `json:"error_stat_files"`

	Size          stats.Counter `json:"file_size_total"`
	SizeInBlocks  stats.Counter `json:"file_size_block_total"` // each file rounded up
	Allocated     stats.Counter `json:"allocated_total"`       // on disk: less for sparse files
	AllocatedDirs stats.Counter `json:"allocated_dirs_total"`  // by directories themselves
	BlockSize     stats.Max     `json:"block_size"`            // that files are rounded up to

	DepthTotal   stats.Counter `json:"dir_depth_total"`   // sum of the depths of directories
	ParentDirs   stats.Counter `json:"parent_dirs_total"` // directories with a subdirectory
	EmptyDirs    stats.Counter `json:"empty_dirs"`        // directories that list nothing
	Symlinks     stats.Counter `json:"symlink_files"`     // those that are not known to lead to a directory
	SymlinksDirs stats.Counter `json:"symlink_dirs"`      // 0 unless targets were looked at
	Fifos        stats.Counter `json:"fifo_files"`
	Sockets      stats.Counter `json:"socket_files"`
	BlockDevices stats.Counter `json:"block_device_files"`
	CharDevices  stats.Counter `json:"char_device_files"`
	OtherFiles   stats.Counter `json:"other_files"` // of no type known here

	Clients  stats.Counter `json:"num_clients"`      // processes that walked
	Workers  stats.Counter `json:"num_workers"`      // most at a time
	Paths    stats.Counter `json:"work_paths"`       // that were asked for
	MaxDepth stats.Max     `json:"max_dir_depth"`    // of a directory
	MaxWidth stats.Max     `json:"max_dir_width"`    // subdirectories of one directory
	MaxFiles stats.Max     `json:"max_files_in_dir"` // regular ones

	DirsPerDepth         stats.PerDepth    `json:"dir_total_per_dir_depth"`
	FilesPerDepth        stats.PerDepth    `json:"files_total_per_dir_depth"`
	SizePerDepth         stats.PerDepth    `json:"file_size_total_per_dir_depth"`
	SizeInBlocksPerDepth stats.PerDepth    `json:"file_size_block_total_per_dir_depth"`
	MaxFilesPerDepth     stats.MaxPerDepth `json:"max_files_in_dir_per_dir_depth"`

	BySize   stats.Histogram `json:"hist_file_count_by_size"`
	ByBlocks stats.Histogram `json:"hist_file_count_by_block_size"`
	ByAtime  stats.Cross     `json:"hist_file_count_by_atime"` // age x size
	ByCtime  stats.Cross     `json:"hist_file_count_by_ctime"`
	ByMtime  stats.Cross     `json:"hist_file_count_by_mtime"`
	ByBtime  stats.Cross     `json:"hist_file_count_by_btime"` // files whose birth is known

	Sizes     stats.Quantiles `json:"file_size_quantiles"`      // bytes
	AtimeAges stats.Quantiles `json:"file_atime_age_quantiles"` // seconds
	MtimeAges stats.Quantiles `json:"file_mtime_age_quantiles"`

	Extensions stats.GroupN[string] `json:"extensions"`
	ByUID      stats.GroupN[uint32] `json:"total_by_uid"`
	ByGID      stats.GroupN[uint32] `json:"total_by_gid"`
	BySID      stats.GroupN[string] `json:"total_by_sid"`
	ByMode     stats.GroupN[Mode]   `json:"total_by_perm"`
	ByLinks    stats.GroupN[uint64] `json:"total_by_links"` // by the number of names that the inode has
	Sparse     stats.Use            `json:"sparse_files"`   // that occupy less than their size

	WorldWritableDirs          stats.Counter `json:"world_writable_dirs"`
	WorldWritableDirsNotSticky stats.Counter `json:"world_writable_dirs_not_sticky"` // where everybody can remove others' files

	NameErrors      stats.Counter `json:"error_owner_names"` // lookups that failed
	GroupNameErrors stats.Counter `json:"error_group_names"`

	UIDNames Names[uint32] `json:"uid_names"` // null if they were not looked up
	GIDNames Names[uint32] `json:"gid_names"`
	SIDNames Names[string] `json:"sid_names"`

	TopFiles         stats.TopN[File]          `json:"top_n_file_size"`
	TopByUID         stats.TopBy[uint32, File] `json:"top_n_file_size_by_uid"`
	TopByGID         stats.TopBy[uint32, File] `json:"top_n_file_size_by_gid"`
	TopBySID         stats.TopBy[string, File] `json:"top_n_file_size_by_sid"`
	TopSparse        stats.TopN[Sparse]        `json:"top_n_sparse"`
	TopSetuid        stats.TopN[File]          `json:"top_n_setuid"` // or setgid
	TopWorldWritable stats.TopN[File]          `json:"top_n_world_writable"`
	TopEntries       stats.TopN[Entries]       `json:"top_n_dir_entries"`
	TopDepth         stats.TopN[Depth]         `json:"top_n_dir_depth"`

	Tree stats.Tree `json:"use_by_directory"`

	// Where time went, summed up over workers; all but the first and the last two
	// are estimated from one file in [sampleEvery].
	TimeProcessing  stats.Duration `json:"time_client_processing"` // of the walk, for each client
	TimeHandleFile  stats.Duration `json:"time_handle_file"`       // all that is done for a file
	TimeStat        stats.Duration `json:"time_stat"`              // of that, to read its attributes
	TimeUpdate      stats.Duration `json:"time_stats_update"`      // and to count it
	TimeSave        stats.Duration `json:"time_data_save"`         // to put statistics together
	TimeOwnerLookup stats.Duration `json:"time_sid_lookup"`        // to find the names of owners
}

// limits are the bounds above, to be set lower where that tells more.
type limits struct {
	extensions, owners, ownerLists, treeDirs, linkCounts, dirs int
}

var usual = limits{
	extensions: maxExtensions, owners: maxOwners, ownerLists: maxOwnerLists, treeDirs: maxTreeDirs, linkCounts: maxLinkCounts, dirs: topDirs,
}

func newStats(c Settings) *Stats { return newStatsWithin(usual, c) }

func newStatsWithin(l limits, c Settings) *Stats {
	owner := min(c.Top, maxOwnerTop)
	s := &Stats{
		BlockSize:  stats.Max(c.BlockSize),
		BySize:     stats.NewHistogram(stats.SizeEdges...),
		ByBlocks:   stats.NewHistogram(stats.SizeEdges...),
		ByAtime:    stats.NewCross(stats.AgeEdges, stats.SizeEdges),
		ByCtime:    stats.NewCross(stats.AgeEdges, stats.SizeEdges),
		ByMtime:    stats.NewCross(stats.AgeEdges, stats.SizeEdges),
		ByBtime:    stats.NewCross(stats.AgeEdges, stats.SizeEdges),
		Extensions: stats.NewGroupN[string](l.extensions),
		ByUID:      stats.NewGroupN[uint32](l.owners),
		ByGID:      stats.NewGroupN[uint32](l.owners),
		BySID:      stats.NewGroupN[string](l.owners),
		ByMode:     stats.NewGroupN[Mode](1 << 12),
		ByLinks:    stats.NewGroupN[uint64](l.linkCounts),
		TopFiles:   stats.NewTopN[File](c.Top),
		TopByUID:   stats.NewTopBy[uint32, File](l.ownerLists, owner),
		TopByGID:   stats.NewTopBy[uint32, File](l.ownerLists, owner),
		TopBySID:   stats.NewTopBy[string, File](l.ownerLists, owner),

		TopSparse:        stats.NewTopN[Sparse](l.dirs),
		TopSetuid:        stats.NewTopN[File](l.dirs),
		TopWorldWritable: stats.NewTopN[File](l.dirs),
		TopEntries:       stats.NewTopN[Entries](l.dirs),
		TopDepth:         stats.NewTopN[Depth](l.dirs),

		Tree: stats.NewTree(c.TreeDepth, l.treeDirs),
	}
	s.ReferenceTime.See(c.AsOf.Unix(), uint32(c.AsOf.Nanosecond()))
	return s
}

// Files is the number of regular files whose attributes were read.
func (s *Stats) Files() int64 { return sum(s.FilesPerDepth) }

// Dirs is the number of directories that were listed, also if that broke midway.
func (s *Stats) Dirs() int64 { return sum(s.DirsPerDepth) }

// MarshalJSON implements [json.Marshaler].
func (s *Stats) MarshalJSON() ([]byte, error) {
	type counted Stats // without this method
	return json.Marshal(struct {
		*counted
		Derived
	}{(*counted)(s), s.Derived()})
}

func sum(list []int64) int64 {
	var n int64
	for _, v := range list {
		n += v
	}
	return n
}
