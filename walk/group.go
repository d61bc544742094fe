package walk

import "context"

// The names of a group come together because the hash by which a huge directory is
// divided is that of their key: see Options.Group. A directory of one chunk is one
// call of Filter anyway; any larger one is gathered, and becomes chunks of whole
// groups. From then on a chunk that Filter has not seen is never divided: what is
// left of it is a range, or all its names; and once Filter has seen it, its names
// need not be together any more.

// groupLimit says how much of one group is held together.
type groupLimit struct {
	bits  int // names of a group differ in so many of the lowest bits of their hashes; 0: there are no groups
	names int
	size  int // of their records, in bytes
}

func (l groupLimit) exceeded(names, size int) bool { return names >= l.names || size >= l.size }

// maxKey is the longest key whose memory is kept for the next.
const maxKey = 64 << 10

// gatherChunks makes chunks of groups of all chunks of d, that x stands for. The
// caller ends the part that x was.
func (w *worker) gatherChunks(ctx context.Context, d *Dir, x *piece, chunks [][]byte) {
	s := w.p.share
	g := gathered{purse: &s.held, most: s.group, r: x.r}
	for i, chunk := range chunks {
		chunks[i] = nil
		if err := w.gather(&g, chunk); err != nil {
			w.readFailed(ctx, d, err)
			break
		}
	}
	w.giveGathered(d, x, &g)
}

// treesAlone is Trees as a shared walk that nobody shares.
func treesAlone(ctx context.Context, roots []string, newHandler func(worker int) (Handler, error), o *Options) (Totals, error) {
	if len(roots) == 0 {
		return Totals{}, nil
	}
	s, err := NewShared(ctx, &ShareOptions{Options: *o, Roots: roots, Name: "alone", NewHandler: newHandler, alone: true})
	if err != nil {
		return Totals{}, err
	}
	last, _ := s.Wait() // of a walk that was cancelled it says so even if nothing was left
	t := last.Totals
	t.QueuedFiles = s.p.rootFiles.Load()
	t.QueuedDirs = s.p.pending.Load() - t.QueuedFiles
	if s.p.err != nil {
		return t, s.p.err
	}
	if t.QueuedDirs+t.QueuedFiles > 0 && !t.Stopped {
		return t, context.Cause(ctx)
	}
	return t, nil
}
