package client

import (
	"context"
	"errors"
	"time"

	"github.com/hydrawalk/hydra/internal/ledger"
	"github.com/hydrawalk/hydra/internal/wire"
	"github.com/hydrawalk/hydra/walk"
)

// giveAgain is how long a session waits that had nothing to give.
const giveAgain = 5 * time.Millisecond

// Bounds of a bag.
const (
	bagItems = 1000
	bagBytes = 32 << 10
)

// take takes work out of the walk for others. What stands in the last record can
// be given without a cut.
func (s *session) take() {
	w := &s.owned
	w.busy = true
	n := w.give
	// A cut for who will be hungry soon can wait a moment: a later one serves more.
	mayCut := w.urgent || time.Since(w.cutAt) >= cutToGive
	// It opens directories, and may hang.
	go func() {
		t := taken{noted: true, bags: s.walk.TakeNoted(n, bagItems, bagBytes)}
		if len(t.bags) == 0 && mayCut {
			t = taken{bags: s.walk.Take(n, bagItems, bagBytes)}
		}
		s.takes <- t
	}()
}

// cutToGive is how long after a cut there may be another one only to give away.
const cutToGive = 300 * time.Millisecond

// taken is work for others.
type taken struct {
	noted bool // it stands in the last record
	bags  [][]walk.Item
}

// give gives away what was taken.
func (s *session) give(ctx context.Context, t taken) {
	w := &s.owned
	w.busy = false
	if len(t.bags) == 0 {
		if time.Since(w.giveAt) > time.Second {
			w.give = 0 // it is asked for again
			s.walk.Hungry(false)
		}
		time.AfterFunc(giveAgain, s.wake)
		return
	}
	if w.give = max(0, w.give-len(t.bags)); w.give == 0 {
		s.walk.Hungry(false)
	}
	bags := make([]ledger.Bag, len(t.bags))
	for i, items := range t.bags {
		bags[i] = ledger.Bag{Items: items, Careful: items[0].Careful}
	}
	if t.noted {
		if r, ok := w.ledger.GiveHeld(bags...); ok {
			s.write(ctx, r)
			return
		}
	}
	w.ledger.Give(bags...)
	s.cut(ctx, true)
}

// How many careful directories may be worked on at a time: so many are the suspects
// if the client dies. At least that is carefully for each worker. If they are done
// in fewCareful there are twice as many the next time, for each time a record is
// written; if they take manyCareful, half as many.
const (
	carefully   = 2
	mostCareful = 512
	fewCareful  = 5 * time.Millisecond
	manyCareful = 20 * time.Millisecond
)

// nextCareful names careful directories in the record before they are entered,
// unless enough are being worked on. A suspect is worked on alone.
func (s *session) nextCareful(ctx context.Context, load walk.Load) bool {
	w := &s.owned
	least := carefully * max(1, load.Workers)
	most := max(w.careful, least)
	if load.CarefulWaiting == 0 || load.CarefulRunning > most/2 || load.CarefulRunning > 0 && w.ledger.Last().Alone {
		return false
	}
	switch took := time.Since(w.carefulAt); {
	case took < fewCareful:
		most = min(2*most, mostCareful)
	case took > manyCareful:
		most = max(most/2, least)
	}
	w.careful = most
	picked, running := s.walk.PickCareful(most-load.CarefulRunning, func(item walk.Item) bool {
		return w.suspects[ledger.Place{Root: item.Root, Path: string(item.Path)}]
	})
	if len(picked) == 0 {
		return false
	}
	var named []ledger.Place
	for _, item := range append(picked, running...) {
		named = append(named, ledger.Place{Root: item.Root, Path: string(item.Path)})
	}
	alone := len(named) == 1 && w.suspects[named[0]] && load.Pending == int64(load.CarefulWaiting)
	w.naming = true
	s.write(ctx, w.ledger.Name(named, alone))
	return true
}

// stall gives the session up, because a directory does not answer.
func (s *session) stall(ctx context.Context, stalled []walk.Stall) error {
	w := &s.owned
	s.hold()
	var found []ledger.Stall
	// Where a mount is to blame, its work is done through another: by whoever gets it.
	for _, st := range s.walk.Blame(stalled) {
		found = append(found, ledger.Stall{Place: ledger.Place{Root: st.Root, Path: string(st.Path)}, Op: st.Op, For: s.spec.Stall})
		s.log.Warn("the file system does not answer: the directory is given to others", "op", st.Op, "path", string(st.Path), "for", st.For)
	}
	// A cut that is under way waits for it for ever; what is being written will be
	// written.
	if w.writing {
		select {
		case d := <-s.writes:
			if err := s.recordWritten(ctx, d); err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	r := ledger.Abandon(w.written, found)
	_, r.Notes = s.mounts.state()
	s.c.noted.told(s.spec.Job, len(r.Notes))
	if err := s.put(ctx, wire.KeyRecord(s.id), ledger.Encode(&r), w.rev, nil); err != nil {
		return err
	}
	if len(found) == 0 {
		return errors.New("a mount did not answer")
	}
	return errors.New("a directory did not answer")
}
