package hydra

import (
	"context"
	"errors"
	"fmt"

	"github.com/hydrawalk/hydra/internal/bus"
	"github.com/hydrawalk/hydra/internal/client"
	"github.com/hydrawalk/hydra/internal/ledger"
	"github.com/hydrawalk/hydra/internal/wire"
	"github.com/hydrawalk/hydra/walk"
)

// Act implements the client's Changer.
func (t *task[C, S]) Act(a *client.Acts) { t.acts = a }

// aside changes what is counted by no worker.
func (t *task[C, S]) aside(f func(*counted[S])) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.beside == nil {
		t.beside = t.empty()
	}
	f(t.beside)
}

// Settle implements the client's Changer. An act of the lost session whose outcome is
// known is counted as that says. One of which only the intent is known was done if its
// entry is gone; else whoever does the work of that session will find it.
func (t *task[C, S]) Settle(ctx context.Context, of ledger.SessionID) (func(), error) {
	table := t.acts.Table()
	_, sum, err := readActSum(ctx, table, of)
	if err != nil {
		return nil, err
	}
	open, err := readOpen(ctx, table, of, &sum)
	if err != nil {
		return nil, err
	}
	s := newSettler(specRoots(t.spec), t.openBase, t.within)
	defer s.close()
	var lines []byte
	var acts []*Act
	var processed int64
	for _, o := range open {
		a := o.act()
		switch a.Result {
		case actIntent:
			if !s.settle(a) {
				continue
			}
			lines = appendAct(lines, a, a.Result, o.Worker, o.Batch, o.Index, string(of))
		case ActDone, ActGone:
		default:
			continue // it is still there, and is found again
		}
		acts = append(acts, a)
		if o.Worker != tailWorker {
			processed++
		}
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return func() {
		t.acts.Add(lines)
		t.aside(func(c *counted[S]) {
			c.acts.Processed += processed
			for _, a := range acts {
				t.app.Acted(c.stats, a)
			}
		})
	}, nil
}

func (t *task[C, S]) openBase(root string) (*walk.Base, error) {
	if fsys := t.acts.FS(); fsys != nil {
		return walk.OpenBaseFS(fsys, root)
	}
	return t.within.OpenBase(root)
}

// Tail implements the client's Changer.
func (t *task[C, S]) Tail(ctx context.Context) (func(), error) {
	var counts []func(*S)
	count := func() {
		t.aside(func(c *counted[S]) {
			for _, f := range counts {
				f(c.stats)
			}
		})
	}
	if t.app.Tail == nil {
		return count, nil
	}
	t.mu.Lock()
	settings := t.settings
	t.tailed = true
	t.mu.Unlock()
	tail := &Tail[C, S]{
		Settings: settings, Log: t.log, Roots: specRoots(t.spec), log: t.actLog(),
		unpaused: t.acts.Unpaused, within: t.within,
		lines: func(ctx context.Context, f func(*actLine) error) error {
			if err := t.acts.Flush(ctx); err != nil {
				return err
			}
			return readActs(ctx, t.acts.Table(), func(_ ledger.SessionID, l *actLine, valid bool) error {
				if !valid {
					return nil
				}
				return f(l)
			})
		},
		count: func(f func(*S), acts []*Act, batch uint64) {
			if f != nil {
				counts = append(counts, f)
				return
			}
			t.aside(func(c *counted[S]) {
				for _, a := range acts {
					t.app.Acted(c.stats, a)
					if a.Result == ActLimit {
						c.acts.Limited++
					}
					if a.Result == ActFailed {
						c.errors.add(a.failure())
						c.acts.Errors++
					}
				}
				c.acts.saw(tailWorker, batch)
			})
		},
		records: t.records.file(tailWorker),
	}
	return count, tail.run(ctx, t.app, func(item *ErrorItem) {
		t.aside(func(c *counted[S]) { c.errors.aside(item) })
	})
}

// readActSum reads a session's last record, and what it says of its acts.
func readActSum(ctx context.Context, table bus.Table, of ledger.SessionID) (*ledger.Record, actSum, error) {
	var all actSum
	r := new(ledger.Record)
	if err := read(ctx, table, wire.KeyRecord(of), r); err != nil {
		return nil, all, err
	}
	parts, err := sumsOf(ctx, table, r)
	if err != nil {
		return nil, all, err
	}
	for _, data := range parts {
		var s sumOf
		if err := ledger.Decode(data, &s); err != nil {
			return nil, all, fmt.Errorf("what session %s counted: %w", of, err)
		}
		all.add(&s.Acts)
	}
	return r, all, nil
}

// sumsOf are the parts of what a session counted.
func sumsOf(ctx context.Context, table bus.Table, r *ledger.Record) ([][]byte, error) {
	var parts [][]byte
	if r.Data != nil {
		parts = append(parts, r.Data)
	}
	for _, key := range r.DataKeys {
		v, err := table.Get(ctx, key)
		if err != nil {
			return nil, err
		}
		parts = append(parts, v.Data)
	}
	return parts, nil
}

// actID names an act of a session.
type actID struct {
	worker int
	batch  uint64
	index  int
}

// readOpen reads the acts of a session that no record counts: of each the last line.
func readOpen(ctx context.Context, table bus.Table, of ledger.SessionID, sum *actSum) (map[actID]*actLine, error) {
	open := map[actID]*actLine{}
	err := client.ReadActs(ctx, table, of, sum.Frames, func(lines []byte) error {
		return eachLine(lines, func(l *actLine) error {
			if l.Batch <= sum.Batches[l.Worker] || l.State == actNote || l.State == actRenew || l.Session != "" {
				return nil
			}
			id := actID{l.Worker, l.Batch, l.Index}
			if was := open[id]; was != nil {
				l.actDetails = was.actDetails
			}
			open[id] = l
			return nil
		})
	})
	return open, err
}

// readActs reads the lines of all sessions of a job. A note is valid if a record counts
// it, and what came of an act always is.
func readActs(ctx context.Context, table bus.Table, f func(of ledger.SessionID, l *actLine, valid bool) error) error {
	values, err := table.List(ctx, wire.PrefixRec)
	if err != nil {
		return err
	}
	for _, v := range values {
		r := new(ledger.Record)
		if err := wire.Read(&v, r); err != nil {
			return fmt.Errorf("%s: %w", v.Key, err)
		}
		_, sum, err := readActSum(ctx, table, r.Session)
		if errors.Is(err, bus.ErrNoKey) {
			// A part of its sum was replaced meanwhile: once more.
			_, sum, err = readActSum(ctx, table, r.Session)
		}
		if err != nil {
			return err
		}
		err = client.ReadActs(ctx, table, r.Session, 0, func(lines []byte) error {
			return eachLine(lines, func(l *actLine) error {
				return f(r.Session, l, l.State != actNote || l.Batch <= sum.Batches[l.Worker])
			})
		})
		if err != nil {
			return err
		}
	}
	return nil
}
