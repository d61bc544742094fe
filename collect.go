package hydra

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/hydrawalk/hydra/internal/ledger"
	"github.com/hydrawalk/hydra/internal/wire"
	"github.com/hydrawalk/hydra/stats"
	"github.com/hydrawalk/hydra/walk"
)

// collect makes the result of a job of what its sessions counted. sums gets what
// belongs to a record, in parts. part says that these are not all sessions, or that
// the job has not ended.
func (a *App[C, S]) collect(ctx context.Context, spec *wire.Spec, l *ledger.Job, more map[string]json.RawMessage, o *Options, part bool, sums func(*ledger.Record) ([][]byte, error)) (*Result[S], error) {
	spec = spec.With(&l.Control)
	settings := a.Settings // with what only this command knows: how reports are written
	if err := json.Unmarshal(spec.Settings, &settings); err != nil {
		return nil, err
	}
	result := a.newResult(settings, o)
	result.Settings = json.RawMessage(spec.Settings)
	result.Job, result.App, result.Phases = spec.Job, a.Name, more
	for _, root := range specRoots(spec) {
		result.Paths = append(result.Paths, withoutSlash(root))
	}
	result.Stats = a.newStats(settings)
	codec, err := stats.NewCodec(result.Stats)
	if err != nil {
		return nil, err
	}
	errs := newErrorLog(specRoots(spec), nil, spec.MaxErrors, func() {})
	var snapshots snapshotLog
	clients := map[ledger.ClientID]int{} // with the most workers
	t := &result.Walked
	var limited int64
	for _, r := range l.Records() {
		t.Add(&r.Totals)
		result.addPrefixes(r)
		if r.Totals.Entries() > 0 {
			clients[r.Client] = max(clients[r.Client], r.Totals.Workers)
		}
		parts, err := sums(r)
		if err != nil {
			return nil, err
		}
		for _, data := range parts {
			var s sumOf
			if err := ledger.Decode(data, &s); err != nil {
				return nil, fmt.Errorf("what session %s counted: %w", r.Session, err)
			}
			part := a.newStats(settings)
			if err := codec.Decode(s.Stats, part); err != nil {
				return nil, fmt.Errorf("the statistics of session %s: %w", r.Session, err)
			}
			if err := stats.Merge(result.Stats, part); err != nil {
				return nil, fmt.Errorf("merge the statistics: %w", err)
			}
			errs.take(&s)
			snapshots.add(s.Snapshots...)
			t.ProcessedFiles += s.Acts.Processed
			t.Errors += s.Acts.Errors
			limited += s.Acts.Limited
		}
	}
	for _, n := range clients {
		t.Workers += n
	}
	result.Clients, result.Workers = max(1, len(clients)), t.Workers
	if spec.Local {
		// One process after the other.
		result.Clients, result.Workers = 1, 0
		for _, n := range clients {
			result.Workers = max(result.Workers, n)
		}
		t.Workers = result.Workers
	}
	t.QueuedDirs, t.QueuedFiles = l.Remains(len(spec.Roots))
	if part {
		// Records are of different moments, and something may be on its way.
		t.QueuedDirs, t.QueuedFiles = max(0, t.FoundDirs-t.ExpectedDirs()), 0
	} else if l.Unbegun() {
		t.FoundDirs += t.QueuedDirs // the roots: nobody has counted them yet
	}
	t.Stopped = l.Verdict.State == string(Stopped)
	result.Errors, result.ErrorCounts = errs.smallest, errs.counts
	result.Snapshots = snapshots.smallest
	t.Errors += errs.errorsAside()
	result.Started, result.Finished = l.Started, l.Finished
	if result.Started.IsZero() {
		result.Started = spec.Submitted
	}
	if result.Finished.IsZero() {
		result.Finished = time.Now()
	}
	result.ChangeCount = l.Control.Changed
	for _, c := range l.Control.Changes {
		result.Changes = append(result.Changes, Change{At: c.At, Key: c.Key, Value: c.Value})
	}
	for _, id := range slices.Sorted(maps.Keys(l.Refused)) {
		result.Refused = append(result.Refused, l.Refused[id])
	}

	if part && l.Phase != ledger.Ended {
		result.State, result.Reason = Running, "it goes on"
	} else if part {
		result.State, result.Reason = State(l.Verdict.State), l.Verdict.Reason
	} else {
		result.State, result.Reason, err = judgeJob(l, t, errs, spec)
	}
	if limited > 0 && (result.State == Complete || result.State == Stopped) {
		limit := &ActLimitError{spec.Budget}
		result.State, result.Reason, err = Stopped, limit.Error(), limit
	}
	if a.Finish != nil && result.State != Failed {
		if finishErr := a.Finish(ctx, result); finishErr != nil {
			err = result.fail(err, finishErr)
		}
	}
	return result, err
}

// judgeJob says how a job ended.
func judgeJob(l *ledger.Job, t *walk.Totals, errs *errorLog, spec *wire.Spec) (State, string, error) {
	if expected := t.FoundDirs - t.QueuedDirs; t.ExpectedDirs() != expected && l.Verdict.State != string(Failed) {
		err := fmt.Errorf("internal error: %d directories were found and left the queue, but what became of %d is known", expected, t.ExpectedDirs())
		return Failed, err.Error(), err
	}
	if errs.noRoot() {
		return Failed, ErrNoRoot.Error(), ErrNoRoot
	}
	reason := l.Verdict.Reason
	switch State(l.Verdict.State) {
	case Failed:
		return Failed, reason, fmt.Errorf("job %s failed: %s", spec.Job, reason)
	case Cancelled:
		return Cancelled, reason, &CancelledError{spec.Job}
	}
	if limit := (&ErrorLimit{spec.MaxErrors}); spec.MaxErrors > 0 && errs.total-l.Forgiven >= spec.MaxErrors {
		return Stopped, limit.Error(), limit
	}
	return State(l.Verdict.State), reason, nil
}
