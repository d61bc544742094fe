// Package audit counts what is in trees: files, directories, sizes, depths.
package audit

import (
	"context"
	"errors"
	"io/fs"
	"math"

	"github.com/hydrawalk/hydra"
	"github.com/hydrawalk/hydra/walk"
	"github.com/spf13/pflag"
)

// Settings of an audit.
type Settings struct {
	// BlockSize is what each file's size is rounded up to in the numbers by
	// blocks, in bytes.
	BlockSize hydra.Size `json:"block_size"`
}

// App returns the application.
func App() *hydra.App[Settings, Stats] {
	return &hydra.App[Settings, Stats]{
		Name:  "audit",
		Short: "Count files, directories and bytes",
		Long: `Audit reads the attributes of every file below each PATH and sums up: how many
files and directories there are, how large they are, how they are distributed
over sizes and depths. It changes nothing.

Sizes and the histogram count regular files, a file with several hard links
once per name. Symbolic links are counted, not followed; a PATH that is one is
followed if it ends with a slash.`,
		Example: `  # a summary of one directory
  hydra audit /home

  # as JSON for a script: state, errors and all numbers
  hydra audit --json /home | jq .stats.file_size_total

  # several trees, each on its own file system, without snapshots
  hydra audit -x -E .snapshot /srv /home

  # paths from a list with NUL behind each
  find /data -maxdepth 1 -print0 | hydra audit -0 --path-file -`,
		Settings: Settings{BlockSize: 8192},
		Flags: func(f *pflag.FlagSet, s *Settings) {
			f.Var(&s.BlockSize, "block-size", "round sizes up to this in the numbers by blocks")
		},
		Prepare: func(s *Settings) error {
			if s.BlockSize <= 0 {
				return errors.New("--block-size has to be at least 1")
			}
			return nil
		},
		Fields:   walk.FieldType | walk.FieldSize | walk.FieldBlocks,
		NewStats: newStats,
		NewHandler: func(_ context.Context, w *hydra.Worker[Settings, Stats]) (walk.Handler, error) {
			return &auditor{stats: w.Stats, block: int64(w.Settings.BlockSize)}, nil
		},
		Finish: func(_ context.Context, r *hydra.Result[Stats]) error {
			r.Stats.Clients.Add(int64(r.Clients))
			r.Stats.Workers.Add(int64(r.Workers))
			r.Stats.Paths.Add(int64(len(r.Paths)))
			return nil
		},
		Summarize: summarize,
	}
}

// auditor counts for one worker.
type auditor struct {
	stats *Stats
	block int64
}

// File counts one entry. It is the hot path: no allocation, no map, no lock.
func (a *auditor) File(_ context.Context, e *walk.Entry) error {
	s := a.stats
	if e.Type() == 0 {
		st, err := e.Stat()
		if err != nil {
			return err
		}
		// It may have been replaced since it was listed: then it is no regular
		// file any more.
		if e.Type() == 0 {
			blocks := roundUp(st.Size, a.block)
			depth := max(e.Depth()-1, 0)
			s.Size.Add(st.Size)
			s.SizeInBlocks.Add(blocks)
			s.Allocated.Add(st.Allocated())
			s.FilesPerDepth.Add(depth, 1)
			s.SizePerDepth.Add(depth, st.Size)
			s.SizeInBlocksPerDepth.Add(depth, blocks)
			s.BySize.Add(st.Size, st.Size)
			s.ByBlocks.Add(blocks, blocks)
			return nil
		}
	}
	if e.Type()&fs.ModeSymlink != 0 {
		s.Symlinks.Inc()
	}
	return walk.SkipFile
}

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
	rest := size % block
	switch {
	case rest == 0:
		return size
	case size > math.MaxInt64-block:
		return math.MaxInt64
	}
	return size - rest + block
}
