package audit

import (
	"encoding/json"

	"github.com/hydrawalk/hydra/stats"
)

// Stats are the statistics of an audit. Sizes are bytes of regular files. What
// is counted per depth of a directory counts files where they are listed; a root
// has depth 0, also one that is a file.
//
// Its JSON also has averages, which are computed when it is encoded.
type Stats struct {
	StatErrorsDirs  stats.Counter `json:"error_stat_dirs"`
	StatErrorsFiles stats.Counter `json:"error_stat_files"`

	Size         stats.Counter `json:"file_size_total"`
	SizeInBlocks stats.Counter `json:"file_size_block_total"` // each file rounded up
	Allocated    stats.Counter `json:"allocated_total"`       // on disk: less for sparse files
	BlockSize    stats.Max     `json:"block_size"`            // that files are rounded up to

	DepthTotal   stats.Counter `json:"dir_depth_total"`   // sum of the depths of directories
	ParentDirs   stats.Counter `json:"parent_dirs_total"` // directories with a subdirectory
	Symlinks     stats.Counter `json:"symlink_files"`     // wherever they lead
	SymlinksDirs stats.Counter `json:"symlink_dirs"`      // 0: targets are not looked at
	Clients      stats.Counter `json:"num_clients"`       // processes that walked
	Workers      stats.Counter `json:"num_workers"`       // most at a time
	Paths        stats.Counter `json:"work_paths"`        // that were asked for
	MaxDepth     stats.Max     `json:"max_dir_depth"`     // of a directory
	MaxWidth     stats.Max     `json:"max_dir_width"`     // subdirectories of one directory
	MaxFiles     stats.Max     `json:"max_files_in_dir"`  // regular ones

	DirsPerDepth         stats.PerDepth    `json:"dir_total_per_dir_depth"`
	FilesPerDepth        stats.PerDepth    `json:"files_total_per_dir_depth"`
	SizePerDepth         stats.PerDepth    `json:"file_size_total_per_dir_depth"`
	SizeInBlocksPerDepth stats.PerDepth    `json:"file_size_block_total_per_dir_depth"`
	MaxFilesPerDepth     stats.MaxPerDepth `json:"max_files_in_dir_per_dir_depth"`

	BySize   stats.Histogram `json:"hist_file_count_by_size"`
	ByBlocks stats.Histogram `json:"hist_file_count_by_block_size"`
}

func newStats(c Settings) *Stats {
	return &Stats{
		BlockSize: stats.Max(c.BlockSize),
		BySize:    stats.NewHistogram(stats.SizeEdges...),
		ByBlocks:  stats.NewHistogram(stats.SizeEdges...),
	}
}

// Files is the number of regular files whose size was read.
func (s *Stats) Files() int64 { return sum(s.FilesPerDepth) }

// Dirs is the number of directories that were listed, also if that broke midway.
func (s *Stats) Dirs() int64 { return sum(s.DirsPerDepth) }

// Averages are computed from other statistics.
type Averages struct {
	FileSize         float64 `json:"average_file_size"`
	FileSizeInBlocks float64 `json:"average_file_size_block"`
	Depth            float64 `json:"average_directory_depth"`
	Width            float64 `json:"average_directory_width"` // (directories - 1) / those that have a subdirectory

	FileSizePerDepth         []float64 `json:"average_file_size_per_dir_depth"`
	FileSizeInBlocksPerDepth []float64 `json:"average_file_size_block_per_dir_depth"`
	FilesPerDepth            []float64 `json:"average_files_per_dir_depth"`
}

// Averages computes the averages. What nothing was counted of is 0.
func (s *Stats) Averages() Averages {
	files, dirs := s.Files(), s.Dirs()
	return Averages{
		FileSize:                 ratio(int64(s.Size), files),
		FileSizeInBlocks:         ratio(int64(s.SizeInBlocks), files),
		Depth:                    ratio(int64(s.DepthTotal), dirs),
		Width:                    ratio(max(dirs-1, 0), int64(s.ParentDirs)),
		FileSizePerDepth:         ratios(s.SizePerDepth, s.FilesPerDepth),
		FileSizeInBlocksPerDepth: ratios(s.SizeInBlocksPerDepth, s.FilesPerDepth),
		FilesPerDepth:            ratios(s.FilesPerDepth, s.DirsPerDepth),
	}
}

// MarshalJSON implements [json.Marshaler].
func (s *Stats) MarshalJSON() ([]byte, error) {
	type counted Stats // without this method
	return json.Marshal(struct {
		*counted
		Averages
	}{(*counted)(s), s.Averages()})
}

func sum(list []int64) int64 {
	var n int64
	for _, v := range list {
		n += v
	}
	return n
}

func ratio(a, b int64) float64 {
	if b == 0 {
		return 0
	}
	return float64(a) / float64(b)
}

// ratios divides a by b at each depth that b has.
func ratios(a, b []int64) []float64 {
	out := make([]float64, len(b))
	for depth := range b {
		if depth < len(a) {
			out[depth] = ratio(a[depth], b[depth])
		}
	}
	return out
}
