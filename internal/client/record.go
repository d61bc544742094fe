package client

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hydrawalk/hydra/internal/bus"
	"github.com/hydrawalk/hydra/internal/ledger"
	"github.com/hydrawalk/hydra/internal/wire"
	"github.com/hydrawalk/hydra/walk"
)

type cutDone struct {
	cut     *walk.Cut
	whole   bool   // sum is that of the session
	by      uint64 // Control.SettingsRev when it began
	sum     []byte
	errors  []byte
	output  [][]byte
	err     error
	took    time.Duration
	stopped bool
}

type writeDone struct {
	record ledger.Record
	rev    uint64
	err    error
}

// cut begins a cut; more says that something will have changed after it.
func (s *session) cut(ctx context.Context, more bool) {
	w := &s.owned
	w.busy, w.cutAt, w.changed = true, time.Now(), more
	began := make(chan struct{})
	whole, by := w.wantsWhole(), w.settings
	w.ledger.Begin()
	s.wg.Go(func() {
		begin := sync.OnceFunc(func() { close(began) })
		cut, err := s.walk.Cut(ctx, begin)
		begin()
		if err != nil {
			s.cuts <- cutDone{err: err}
			return
		}
		d := cutDone{cut: cut, whole: whole, by: by}
		summed := time.Now()
		d.sum, d.errors, d.err = s.run.Sum(cut.Epoch, whole)
		d.output = s.output()
		d.took = time.Since(summed)
		s.cuts <- d
	})
	// What is added to the walk from now on is not in the cut, nor in the record.
	<-began
}

// end makes the last cut.
func (s *session) end(ctx context.Context) {
	w := &s.owned
	w.busy, w.ending = true, true
	whole, by := w.wantsWhole(), w.settings
	// It waits for the workers, and one may hang in a system call: it is not
	// waited for when the session ends.
	tail := w.tail
	go func() {
		if tail != nil {
			tail.cancel()
			<-tail.done
		}
		s.walk.Stop()
		cut, err := s.walk.Wait()
		if cut == nil {
			s.cuts <- cutDone{err: err, stopped: true}
			return
		}
		d := cutDone{cut: cut, stopped: true, err: err, whole: whole, by: by}
		var sumErr error
		d.sum, d.errors, sumErr = s.run.Sum(cut.Epoch, whole)
		d.output = s.output()
		if d.err == nil {
			d.err = sumErr
		}
		s.cuts <- d
	}()
	w.ledger.Begin()
}

// largeSum is a sum that does not stand in the record, which is written more often.
const largeSum = 8 << 10

// mostParts is how many parts a sum has at most.
const mostParts = 16

// wantsWhole says that the next sum is to be that of the session. To write what was
// counted since the last cut costs less, but parts grow in number.
func (w *owned) wantsWhole() bool {
	n := len(w.ledger.Last().DataKeys)
	return n == 0 || n >= mostParts || w.moreBytes > 2*w.wholeBytes
}

// cutMade makes a record of a cut.
func (s *session) cutMade(ctx context.Context, d cutDone) error {
	w := &s.owned
	if d.cut == nil {
		if !d.stopped && s.walk.Load().Stopped {
			w.busy = false // there is a last one
			return nil
		}
		if d.err == nil {
			d.err = errors.New("the walk could not be cut")
		}
		return d.err
	}
	if d.err != nil {
		// What was counted since the last record may be lost, as after an error of
		// Flush: it is to be done again, should somebody resume the job.
		s.hold()
		r := ledger.Abandon(w.written, nil)
		r.Fatal = d.err.Error()
		s.write(ctx, r)
		return nil
	}
	w.cost = d.took
	mounts, notes := s.mounts.state()
	c := ledger.Counted{Mounts: mounts, Notes: notes, Totals: d.cut.Totals, Shared: d.cut.Shared, Data: d.sum, Errors: w.errParts, Settings: d.by}
	if s.walk.Load().CarefulRunning > 0 {
		c.Named, c.Alone = w.ledger.Last().Named, w.ledger.Last().Alone
	}
	c.Stopped = d.cut.Totals.Stopped // the entry that did it is counted
	var puts []put
	n := w.ledger.Last().N + 1
	old := w.ledger.Last()
	if !d.whole {
		c.Data, c.DataKeys = nil, slices.Clip(old.DataKeys)
	}
	if large := len(d.sum) > largeSum; large || !d.whole && len(d.sum) > 0 {
		key := wire.KeySum(s.id, n)
		c.Data, c.DataKeys = nil, append(c.DataKeys, key)
		puts = append(puts, put{key, d.sum})
	}
	if d.whole {
		w.sumKeys = append(w.sumKeys, old.DataKeys...)
		w.wholeBytes, w.moreBytes = len(d.sum), 0
	} else {
		w.moreBytes += len(d.sum)
	}
	if len(d.errors) > 0 {
		part := uint32(len(w.errParts))
		puts = append(puts, put{wire.KeyErrors(s.id, part), d.errors})
		w.errParts = append(w.errParts[:part:part], part)
		c.Errors = w.errParts
	}
	c.Output = old.Output
	for _, part := range d.output {
		puts = append(puts, put{wire.KeyOutput(s.id, c.Output), part})
		c.Output++
	}
	items := d.cut.Items
	switch s.c.o.Bug {
	case BugForgetChild:
		if len(items) > 1 && n%3 == 0 {
			items = items[1:]
		}
	case BugEarlyRecord:
		c.Totals, c.Data, c.DataKeys, c.Output = old.Totals, old.Data, old.DataKeys, old.Output
		w.sumKeys = nil
	case BugGiveUnwritten:
		for _, b := range w.ledger.Last().Outs {
			items = append(items, b.Items...)
		}
	}
	var r ledger.Record
	if d.stopped {
		r = w.ledger.Close(items, c)
	} else {
		r = w.ledger.Commit(items, c)
	}
	s.write(ctx, r, puts...)
	return nil
}

// put is a value that is written before the record that names it.
type put struct {
	key  string
	data []byte
}

// write writes a record in place of the last one, until it is certain what
// became of it.
func (s *session) write(ctx context.Context, r ledger.Record, before ...put) {
	w := &s.owned
	w.busy, w.writing = true, true
	r.At = time.Now()
	rev := w.rev
	s.wg.Go(func() {
		d := writeDone{record: r}
		defer func() { s.writes <- d }()
		if s.acts != nil {
			if d.err = s.acts.Flush(ctx); d.err != nil {
				return
			}
		}
		defer s.wrote(before)
		for _, p := range before {
			if d.err = s.put(ctx, p.key, p.data, 0, nil); d.err != nil {
				return
			}
		}
		d.err = s.put(ctx, wire.KeyRecord(s.id), ledger.Encode(&r), rev, &d.rev)
	})
}

// output is what became certain with the last sum.
func (s *session) output() [][]byte {
	if e, emits := s.run.(Emitter); emits {
		return e.Output()
	}
	return nil
}

// emitsEnough says that so much output waits that it is worth a record.
func (s *session) emitsEnough() bool {
	e, emits := s.run.(Emitter)
	return emits && e.Enough()
}

// wrote makes room for more output.
func (s *session) wrote(puts []put) {
	e, emits := s.run.(Emitter)
	if !emits {
		return
	}
	n := 0
	for _, p := range puts {
		if strings.HasPrefix(p.key, wire.PrefixOut) {
			n += len(p.data)
		}
	}
	if n > 0 {
		e.Wrote(n)
	}
}

// put is Put, again for as long as nobody knows what became of it.
func (s *session) put(ctx context.Context, key string, data []byte, rev uint64, newRev *uint64) error {
	for pause := 50 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		if s.c.o.Bug == BugNoCompare && rev > 0 {
			if v, err := s.table.Get(ctx, key); err == nil {
				rev = v.Rev
			}
		}
		got, err := s.table.Put(ctx, key, data, rev)
		switch {
		case err == nil:
			if newRev != nil {
				*newRev = got
			}
			return nil
		case errors.Is(err, bus.ErrConflict):
			v, getErr := s.table.Get(ctx, key)
			if getErr == nil && string(v.Data) == string(data) {
				// It was we, a moment ago.
				if newRev != nil {
					*newRev = v.Rev
				}
				return nil
			}
			if getErr == nil || errors.Is(getErr, bus.ErrNoKey) {
				return errFenced
			}
		case errors.Is(err, bus.ErrNoTable), errors.Is(err, bus.ErrClosed), errors.Is(err, bus.ErrTooLarge), errors.Is(err, bus.ErrName):
			return err
		case errors.Is(err, bus.ErrFull), errors.Is(err, bus.ErrUnknown) && s.c.connected() && ctx.Err() == nil:
			s.log.Error("the server can not write what was done", "err", err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
	}
}

// recordWritten goes on when a record stands in the table.
func (s *session) recordWritten(ctx context.Context, d writeDone) error {
	w := &s.owned
	w.busy, w.writing = false, false
	if d.err != nil {
		return d.err
	}
	w.rev = d.rev
	w.written = &d.record
	s.log.Debug("record written", "n", d.record.N, "dirs", d.record.Totals.ExpectedDirs(), "holds", len(d.record.Held), "gives", len(d.record.Outs))
	if w.naming {
		w.naming, w.carefulAt = false, time.Now()
		s.walk.RunCareful()
	}
	if keys := w.sumKeys; len(keys) > 0 {
		w.sumKeys = nil
		s.wg.Go(func() {
			for _, key := range keys {
				_ = s.table.Delete(ctx, key) // it is of no use, but does no harm
			}
		})
	}
	return nil
}
