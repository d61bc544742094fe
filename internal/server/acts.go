package server

import (
	"context"
	"errors"
	"time"

	"github.com/hydrawalk/hydra/internal/bus"
	"github.com/hydrawalk/hydra/internal/ledger"
	"github.com/hydrawalk/hydra/internal/wire"
)

// bar keeps a session that is lost from writing down any more that it is about to
// change something. late says that it has been so for long enough that it does nothing
// any more that it wrote down before: now its work can go to others.
func (j *job) bar(ctx context.Context, id ledger.SessionID) (late bool, err error) {
	if !j.spec.Changes {
		return true, nil
	}
	if at, done := j.barred[id]; done {
		return j.spec.Local || time.Since(at) >= wire.BarTime, nil
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	frame := ledger.Encode(&wire.ActFrame{Barred: true})
	n := uint64(1)
	if p := j.peers[id]; p != nil {
		n = max(n, p.Acts)
	}
	for step := uint64(1); ; {
		// The last one that is there: first with steps that grow.
		last, err := j.frame(ctx, id, n)
		switch {
		case err == nil && last.Barred:
			j.barred[id] = time.Now() // by another server, or we before a start
			return j.spec.Local, nil
		case err == nil:
			n += step
			step *= 2
			continue
		case !errors.Is(err, bus.ErrNoKey):
			return false, err
		case step > 1:
			n, step = n-step/2+1, 1 // behind the last one that was found
			continue
		}
		_, err = j.table.Put(ctx, wire.KeyActs(id, n), frame, 0)
		if errors.Is(err, bus.ErrConflict) {
			continue // it is there by now
		}
		if err != nil {
			return false, err
		}
		j.barred[id] = time.Now()
		return j.spec.Local, nil
	}
}

func (j *job) frame(ctx context.Context, id ledger.SessionID, n uint64) (*wire.ActFrame, error) {
	v, err := j.table.Get(ctx, wire.KeyActs(id, n))
	if err != nil {
		return nil, err
	}
	f := new(wire.ActFrame)
	return f, wire.Read(&v, f)
}

// grant gives sessions that ask for it something of the budget. It is told when it
// is written; what a session does not use nobody else gets.
func (j *job) grant() {
	if j.spec.Budget == 0 {
		return
	}
	left := j.spec.Budget - j.ledger.AllGranted()
	for id, p := range j.peers {
		if n := min(left, p.Needs-j.ledger.Granted[id]); n > 0 {
			j.ledger.Grant(id, n)
			left -= n
		}
	}
}

// spent says that nothing is left of the budget.
func (j *job) spent() bool { return j.spec.Budget > 0 && j.ledger.AllGranted() >= j.spec.Budget }

// starves says that somebody needs more of the budget than is left.
func (j *job) starves() bool {
	if !j.spent() {
		return false
	}
	for id, p := range j.peers {
		if p.Needs > j.ledger.Granted[id] {
			return true
		}
	}
	return false
}
