package hydra

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/hydrawalk/hydra/internal/client"
	"github.com/hydrawalk/hydra/walk"
)

// actLog is where acts are written down: [client.Acts], or a file.
type actLog interface {
	Add(lines []byte)
	Sync(ctx context.Context, lines []byte) (client.Lease, error)
	Begin(client.Lease) (bool, error)
	End()
	Grant(ctx context.Context, n int64) (int64, error)
}

// actBatch is what one worker has planned, and does.
//
//	Plan ─► planned ─► intents ─► Sync ─► Act, one by one ─► outcomes ─► Acted
//
// Only the worker's goroutine touches it.
type actBatch struct {
	log    actLog
	worker int
	actor  Actor
	acted  func(*Act)

	planned []*plannedAct
	dirs    map[*walk.Dir]bool
	bytes   int // of their paths
	since   time.Time
	notes   [][]byte
	noted   int    // their bytes
	number  uint64 // of the last batch
	lines   []byte
	spent   bool
	limited int64 // acts that were not done, since that was counted
}

type plannedAct struct {
	held *walk.Held
	act  Act
}

func newActBatch(log actLog, worker int, acted func(*Act)) *actBatch {
	return &actBatch{log: log, worker: worker, acted: acted, dirs: map[*walk.Dir]bool{}}
}

// of sets the handler that does what is planned. A nil batch needs none.
func (b *actBatch) of(h walk.Handler) error {
	if b == nil {
		return nil
	}
	actor, ok := h.(Actor)
	if !ok {
		return fmt.Errorf("%T is of an application that changes things, and no Actor", h)
	}
	b.actor = actor
	return nil
}

func (b *actBatch) plan(ctx context.Context, e *walk.Entry, op, to string) error {
	st, err := e.Stat()
	if err != nil {
		return err
	}
	if b.spent {
		b.limited++
		b.acted(&Act{Op: op, Root: e.Root(), Path: e.Path(), To: to, Stat: *st, Result: ActLimit})
		return fs.SkipAll
	}
	held, err := e.Hold()
	if err != nil {
		return err
	}
	if len(b.planned) == 0 {
		b.since = time.Now()
	}
	b.planned = append(b.planned, &plannedAct{held, Act{Op: op, Root: e.Root(), Path: held.Path(), To: to, Stat: *st}})
	if d := held.Dir(); d != nil {
		b.dirs[d] = true
	}
	b.bytes += len(b.planned[len(b.planned)-1].act.Path) + len(to)
	if len(b.planned) >= mostActs || b.bytes >= mostActBytes || len(b.dirs) >= min(mostActDirs, e.MostHeld()) || time.Since(b.since) >= actsFor {
		if err := b.flush(ctx); err != nil {
			return err
		}
		if b.spent {
			return fs.SkipAll
		}
	}
	return nil
}

func (b *actBatch) note(data []byte) {
	b.notes = append(b.notes, data)
	b.noted += len(data)
	if len(b.notes) >= mostActs || b.noted >= mostActBytes {
		b.addNotes()
	}
}

// release gives up what is planned: its worker has ended without a flush.
func (b *actBatch) release() {
	for _, p := range b.planned {
		p.held.Release()
	}
	b.planned = nil
}

// addNotes hands in the notes, as a batch of their own.
func (b *actBatch) addNotes() {
	if len(b.notes) == 0 {
		return
	}
	b.number++
	b.lines = b.lines[:0]
	for i, n := range b.notes {
		b.lines = appendLine(b.lines, actLine{At: time.Now().UTC(), State: actNote, Worker: b.worker, Batch: b.number, Index: i, Note: n})
	}
	clear(b.notes)
	b.notes, b.noted = b.notes[:0], 0
	b.log.Add(b.lines)
}

// flush does what is planned.
func (b *actBatch) flush(ctx context.Context) error {
	b.addNotes()
	defer func() {
		for _, p := range b.planned {
			p.held.Release()
		}
		b.planned, b.bytes = b.planned[:0], 0
		clear(b.dirs)
	}()
	for at := 0; at < len(b.planned); {
		n, err := b.log.Grant(ctx, int64(len(b.planned)-at))
		if errors.Is(err, client.ErrSpent) {
			b.spent = true
			b.limited += int64(len(b.planned) - at)
			for _, p := range b.planned[at:] {
				p.act.Result = ActLimit
				b.acted(&p.act)
			}
			return nil
		}
		if err == nil {
			err = b.do(ctx, b.planned[at:at+int(n)])
		}
		if err != nil {
			return walk.Fatal(err)
		}
		at += int(n)
	}
	return nil
}

// do does acts that there is a grant for.
func (b *actBatch) do(ctx context.Context, acts []*plannedAct) error {
	b.number++
	b.lines = b.lines[:0]
	for i, p := range acts {
		b.lines = appendAct(b.lines, &p.act, actIntent, b.worker, b.number, i, "")
	}
	lease, err := b.log.Sync(ctx, b.lines)
	if err != nil {
		return err
	}
	b.lines = b.lines[:0]
	told := time.Now()
	defer func() { b.log.Add(b.lines) }()
	for i, p := range acts {
		if lease, err = beginAct(ctx, b.log, lease, b.worker, b.number); err != nil {
			return err
		}
		b.act(ctx, p)
		b.log.End()
		b.lines = appendAct(b.lines, &p.act, p.act.Result, b.worker, b.number, i, "")
		b.acted(&p.act)
		if p.act.Result == ActFailed {
			p.held.Fail(ctx, p.act.Op, errors.New(p.act.Error))
		}
		if now := time.Now(); now.Sub(told) > actsFor/4 {
			told = now
			b.log.Add(b.lines)
			b.lines = b.lines[:0]
		}
	}
	return nil
}

// beginAct begins an act, under a lease that is renewed if it has run out.
func beginAct(ctx context.Context, log actLog, lease client.Lease, worker int, batch uint64) (client.Lease, error) {
	for {
		ok, err := log.Begin(lease)
		if ok || err != nil {
			return lease, err
		}
		line := appendLine(nil, actLine{At: time.Now().UTC(), State: actRenew, Worker: worker, Batch: batch})
		if lease, err = log.Sync(ctx, line); err != nil {
			return lease, err
		}
	}
}

// act does one act, whatever the application does.
func (b *actBatch) act(ctx context.Context, p *plannedAct) {
	defer func() {
		if v := recover(); v != nil {
			p.act.Result, p.act.Error = ActFailed, fmt.Sprintf("panic: %v", v)
		}
	}()
	b.actor.Act(ctx, p.held, &p.act)
	switch p.act.Result {
	case ActDone, ActFailed, ActChanged, ActGone:
	default:
		p.act.Result, p.act.Error = ActFailed, fmt.Sprintf("the application said %q of it", p.act.Result)
	}
}
