package audit

import (
	"cmp"

	"github.com/hydrawalk/hydra/stats"
)

// Derived is computed from other statistics. Averages of nothing are 0.
type Derived struct {
	FileSize         float64 `json:"average_file_size"`
	FileSizeInBlocks float64 `json:"average_file_size_block"`
	Depth            float64 `json:"average_directory_depth"`
	Width            float64 `json:"average_directory_width"` // (directories - 1) / those that have a subdirectory

	FileSizePerDepth         []float64 `json:"average_file_size_per_dir_depth"`
	FileSizeInBlocksPerDepth []float64 `json:"average_file_size_block_per_dir_depth"`
	FilesPerDepth            []float64 `json:"average_files_per_dir_depth"`

	// Categories counts by the category of the extension.
	Categories map[string]stats.Use `json:"category"`

	// Linked are the names of inodes that have several.
	Linked stats.Use `json:"hard_linked"`
	// Unique counts each inode once, by dividing what is counted of its names by
	// their number. It is exact if all names of the inodes were audited; an inode
	// of which others exist elsewhere counts in part.
	Unique stats.Use `json:"unique"`

	Setuid        stats.Use `json:"setuid_files"`
	Setgid        stats.Use `json:"setgid_files"`
	WorldWritable stats.Use `json:"world_writable_files"`
	// Files whose owner has no name; null if names were not all looked up.
	WithoutOwner *stats.Use `json:"files_without_owner_name"`
	WithoutGroup *stats.Use `json:"files_without_group_name"`
}

// Derived computes what follows from the statistics.
func (s *Stats) Derived() Derived {
	files, dirs := s.Files(), s.Dirs()
	d := Derived{
		FileSize:                 ratio(int64(s.Size), files),
		FileSizeInBlocks:         ratio(int64(s.SizeInBlocks), files),
		Depth:                    ratio(int64(s.DepthTotal), dirs),
		Width:                    ratio(max(dirs-1, 0), int64(s.ParentDirs)),
		FileSizePerDepth:         ratios(s.SizePerDepth, s.FilesPerDepth),
		FileSizeInBlocksPerDepth: ratios(s.SizeInBlocksPerDepth, s.FilesPerDepth),
		FilesPerDepth:            ratios(s.FilesPerDepth, s.DirsPerDepth),
		Categories:               map[string]stats.Use{},
		WithoutOwner:             nameless(&s.ByUID, s.UIDNames, s.NameErrors),
		WithoutGroup:             nameless(&s.ByGID, s.GIDNames, s.GroupNameErrors),
	}
	category := func(name string, u stats.Use) {
		if u.Count > 0 {
			all := d.Categories[name]
			add(&all, u)
			d.Categories[name] = all
		}
	}
	for _, g := range s.Extensions.All {
		category(cmp.Or(g.Category, other), g.Use)
	}
	if rest, over := s.Extensions.Rest(); over {
		category(other, rest)
	}
	for links, g := range s.ByLinks.All {
		u := g.Use
		if links > 1 {
			add(&d.Linked, u)
		}
		d.Unique.Add(divide(u.Count, links), divide(u.Bytes, links), divide(u.Allocated, links))
	}
	if rest, over := s.ByLinks.Rest(); over {
		add(&d.Linked, rest)
		add(&d.Unique, rest) // by which number is not known any more
	}
	for mode, g := range s.ByMode.All {
		if mode&modeSetuid != 0 {
			add(&d.Setuid, g.Use)
		}
		if mode&modeSetgid != 0 {
			add(&d.Setgid, g.Use)
		}
		if mode&modeWorldWritable != 0 {
			add(&d.WorldWritable, g.Use)
		}
	}
	return d
}

// nameless adds up the owners without a name; nil if not all names were looked
// up.
func nameless[K stats.Key](g *stats.GroupN[K], names Names[K], failed stats.Counter) *stats.Use {
	if _, over := g.Rest(); over || names == nil || failed > 0 {
		return nil
	}
	all := new(stats.Use)
	for id, one := range g.All {
		if _, known := names[id]; !known {
			add(all, one.Use)
		}
	}
	return all
}

func add(to *stats.Use, u stats.Use) { to.Add(u.Count, u.Bytes, u.Allocated) }

// divide divides by a number of links and rounds to the nearest.
func divide(n int64, links uint64) int64 {
	if links <= 1 {
		return n
	}
	q, r := uint64(n)/links, uint64(n)%links
	if r >= links-r {
		q++
	}
	return int64(q)
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
