package walk

import (
	"bytes"
	"context"
	"errors"
	"io/fs"

	"github.com/hydrawalk/hydra/internal/rawdir"
)

// ToBatch is returned by [Handler.File] of a [Batcher] for an entry that waits for
// Batch. Nothing may have been counted for it: File may be called for it again. Another
// worker, for whose handler File was not called, may call Batch.
var ToBatch = errors.New("this entry waits for a batch")

// Batcher may be implemented by a [Handler] that handles several entries at once. It
// is given those for which File returned [ToBatch]: of one directory, as many as
// were listed in one piece, which is about 1,000. So at any time it can be said
// what remains of a directory.
type Batcher interface {
	// BatchSize says how many of the first entries Batch takes, at least 1. The
	// rest comes later, perhaps to another worker.
	BatchSize(entries []Entry) int
	// Batch handles entries. What it returns is as for File, for all of them: they
	// all count as processed, skipped or failed, with one error.
	Batch(ctx context.Context, entries []Entry) error
}

// toBatch keeps an entry for Batch. It is neither counted nor listed before that.
func (w *worker) toBatch(ctx context.Context, e *Entry) bool {
	if w.bt == nil {
		return w.fileFailed(ctx, e, errors.New("it was to wait for a batch, but its handler takes none"))
	}
	w.batch = rawdir.AppendRecord(w.batch, 0, e.typ, e.name)
	w.batched = true
	return true
}

// batches gives the handler what waits for it, when the chunk at hand is done.
func (w *worker) batches(ctx context.Context, d *Dir) {
	for len(w.batch) > 0 {
		if w.due || w.p.attention.Load() != 0 {
			if w.p.stopping() || !w.midway(ctx, d, nil) {
				w.abandon(d, nil)
				return
			}
		}
		w.tally(d)
		w.queueSubs(d)
		entries, rest := w.nextBatch(ctx, d)
		if rest < len(w.batch) {
			// Nobody knows how long this batch takes: others may have the rest.
			t := task{dir: d, chunk: bytes.Clone(w.batch[rest:]), chosen: true}
			if w.p.share != nil {
				t.x = &piece{of: w.track(d), raw: w.hand.raw}
			}
			d.reading.parts.Add(1)
			w.batch = w.batch[:rest]
			w.give(t)
		}
		w.in = callBatch
		goOn := w.runBatch(ctx, entries)
		w.in = callFile
		if !goOn && w.refused {
			w.abandon(d, nil)
			return
		}
		w.batch = w.batch[:0]
		for i := range entries {
			w.listed(entries[i].typ)
		}
		if !goOn {
			w.abandon(d, nil)
		}
	}
	w.tally(d)
}

// nextBatch returns the entries of the next batch, and where in w.batch others begin.
func (w *worker) nextBatch(ctx context.Context, d *Dir) (entries []Entry, rest int) {
	w.entries = w.entries[:0]
	var ends []int
	var ent rawdir.Dirent
	for left := w.batch; ; {
		var err error
		if left, err = rawdir.Next(left, &ent); err != nil || ent.Name == "" {
			break // there is no error: these are our own records
		}
		w.entries = append(w.entries, Entry{w: w, dir: d, name: ent.Name, typ: ent.Type})
		ends = append(ends, len(w.batch)-len(left))
	}
	n := len(w.entries)
	if err := w.guard(func() error { n = w.bt.BatchSize(w.entries); return nil }); err != nil {
		w.p.fail(err)
	}
	n = min(max(n, 1), len(w.entries))
	return w.entries[:n], ends[n-1]
}

// runBatch calls Batch and counts what it says. False: the walk ends.
func (w *worker) runBatch(ctx context.Context, entries []Entry) (goOn bool) {
	n := int64(len(entries))
	w.called()
	w.refused = false
	err := w.guard(func() error { return w.bt.Batch(ctx, entries) })
	first := &entries[0]
	switch {
	case err == nil:
		w.c.ProcessedFiles += n
	case w.ends(ctx, err, first.Path):
		if errors.Is(err, fs.SkipAll) {
			w.c.ProcessedFiles += n
		} else {
			w.refused = true
		}
		return false
	case errors.Is(err, fs.SkipDir):
		w.c.SkippedFiles += n
		w.mark(first.dir, FlagSkipRest)
	case errors.Is(err, SkipFile):
		w.c.SkippedFiles += n
	default:
		w.c.FailedFiles += n
		w.report(ctx, asError(err, first.Path))
	}
	return true
}

// rootBatch gives the handler a root that waits for it.
func (w *worker) rootBatch(ctx context.Context, d *Dir) {
	entries, _ := w.nextBatch(ctx, d)
	w.runBatch(ctx, entries)
	w.batch = w.batch[:0]
}
