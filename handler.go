package hydra

import (
	"context"
	"errors"

	"github.com/hydrawalk/hydra/walk"
)

// observed is the handler that the walk sees in place of the application's: it
// collects errors, and snapshots that are left out. File is the application's own.
type observed struct {
	walk.Handler
	user   walk.ErrorHandler // nil if the application's handler is none
	errors *errorLog

	snapshotUser walk.SnapshotHandler // nil if the application's handler is none
	snapshots    *snapshotLog
	records      *recordFile  // nil: nothing is recorded
	batches      walk.Batcher // nil if the application's handler is none
	acts         *actBatch    // nil: nothing is changed
}

func (h *observed) Error(ctx context.Context, err *walk.Error) {
	h.errors.add(err)
	if h.user != nil {
		h.user.Error(ctx, err)
	}
}

func (h *observed) Snapshot(ctx context.Context, d *walk.Dir) {
	h.snapshots.add(d.Path())
	if h.snapshotUser != nil {
		h.snapshotUser.Snapshot(ctx, d)
	}
}

// End implements walk.Ender.
func (h *observed) End() {
	if h.acts != nil {
		h.acts.release()
	}
	if e, ok := h.Handler.(walk.Ender); ok {
		e.End()
	}
}

func (h *observed) Flush(ctx context.Context) error {
	var err error
	if f, ok := h.Handler.(walk.Flusher); ok {
		err = f.Flush(ctx)
	}
	if h.acts != nil && err == nil {
		err = h.acts.flush(ctx)
	}
	if h.records != nil {
		// What it could not write does not keep what was counted from being so.
		if lost := h.records.flush(); lost != nil {
			h.errors.aside(lost)
		}
	}
	return err
}

// errNoBatches is of a handler that returned [walk.ToBatch].
var errNoBatches = errors.New("entries were to wait for a batch, but their handler takes none")

func (h *observed) BatchSize(entries []walk.Entry) int {
	if h.batches == nil {
		return len(entries)
	}
	return h.batches.BatchSize(entries)
}

func (h *observed) Batch(ctx context.Context, entries []walk.Entry) error {
	if h.batches == nil {
		return walk.Fatal(errNoBatches)
	}
	return h.batches.Batch(ctx, entries)
}

// filtered is observed with rules, the application's Filter, or both.
type filtered struct {
	*observed
	rules *ruleFilter   // nil if there are none
	user  walk.Filterer // nil if the application's handler is none
}

func (h *filtered) Filter(ctx context.Context, d *walk.Dir, entries []walk.Entry) []walk.Entry {
	if h.rules != nil {
		entries = h.rules.filter(entries)
	}
	if h.user != nil {
		entries = h.user.Filter(ctx, d, entries)
	}
	return entries
}

// observe wraps an application's handler. The result implements DirHandler and
// Filterer only where that is needed, for the walk is faster without.
func observe(h walk.Handler, errs *errorLog, snapshots *snapshotLog, rs *rules, records *recordFile, acts *actBatch, own *ownDirs) walk.Handler {
	base := &observed{Handler: h, errors: errs, snapshots: snapshots, records: records, acts: acts}
	base.user, _ = h.(walk.ErrorHandler)
	base.batches, _ = h.(walk.Batcher)
	base.snapshotUser, _ = h.(walk.SnapshotHandler)
	dirs, hasDirs := h.(walk.DirHandler)
	if own != nil {
		dirs, hasDirs = &keepOut{own: own, next: dirs}, true
	}
	user, hasFilter := h.(walk.Filterer)
	if rs == nil && !hasFilter {
		if hasDirs {
			return struct {
				*observed
				walk.DirHandler
			}{base, dirs}
		}
		return base
	}
	f := &filtered{observed: base, user: user}
	if rs != nil {
		f.rules = &ruleFilter{rules: rs}
	}
	if hasDirs {
		return struct {
			*filtered
			walk.DirHandler
		}{f, dirs}
	}
	return f
}
