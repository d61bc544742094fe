package client

import (
	"context"
	"fmt"

	"github.com/hydrawalk/hydra/internal/ledger"
	"github.com/hydrawalk/hydra/internal/wire"
	"github.com/hydrawalk/hydra/walk"
)

// receive takes a delivery up, if it is the next one.
func (s *session) receive(ctx context.Context, d wire.Delivery) {
	w := &s.owned
	if w.stopping || w.ending || w.written == nil || !s.knows() {
		return
	}
	if d.A != w.ledger.Received()+1 && s.c.o.Bug != BugTakeTwice {
		return
	}
	if d.Bag == nil {
		s.fetchBag(ctx, d)
		return
	}
	if d.Bag.Settle != "" {
		s.find(ctx, d)
		return
	}
	if d.Bag.Tail {
		w.ledger.Receive(d.A)
		s.beginTail(ctx)
		return
	}
	if last := w.ledger.Last(); last.Alone && (w.naming || len(last.Named) > 0) {
		return // nothing else may be worked on: it comes again
	}
	if !s.add(d) {
		return // the walk has ended: it remains with who gave it
	}
	w.ledger.Receive(d.A)
	w.changed = true
	if len(d.Bag.Tried) > 0 && w.tried == nil {
		w.tried = map[ledger.Place][]ledger.ClientID{}
	}
	for _, item := range d.Bag.Items {
		if len(d.Bag.Tried) > 0 {
			w.tried[ledger.Place{Root: item.Root, Path: string(item.Path)}] = d.Bag.Tried
		}
	}
}

// add adds a delivery to the walk.
func (s *session) add(d wire.Delivery) bool {
	if d.Bag.Roots {
		if d.Again {
			s.walk.RootsAgain()
		}
		return s.walk.AddRoots(d.Careful)
	}
	items := make([]walk.Item, len(d.Bag.Items))
	for i, item := range d.Bag.Items {
		item.Careful = item.Careful || d.Careful
		item.Again = item.Again || d.Again
		item.Must = d.Must
		items[i] = item
	}
	return s.walk.Add(items)
}

// fetched is a bag that was too large for a message.
type fetched struct {
	delivery wire.Delivery
	bag      *ledger.Bag
	err      error
}

// fetchBag gets a bag that was too large for a message.
func (s *session) fetchBag(ctx context.Context, d wire.Delivery) {
	if s.owned.fetching {
		return
	}
	s.owned.fetching = true
	s.wg.Go(func() {
		bag, err := s.bag(ctx, d.Ref)
		s.fetch <- fetched{d, bag, err}
	})
}

func (s *session) bag(ctx context.Context, ref ledger.Ref) (*ledger.Bag, error) {
	var outs []ledger.Bag
	if ref.From == "" {
		state, err := readState(ctx, s.table)
		if err != nil {
			return nil, err
		}
		outs = state.Outs
	} else {
		v, err := s.table.Get(ctx, wire.KeyRecord(ref.From))
		if err != nil {
			return nil, err
		}
		var r ledger.Record
		if err := wire.Read(&v, &r); err != nil {
			return nil, err
		}
		outs = r.Outs
	}
	for i := range outs {
		if outs[i].K == ref.K {
			return &outs[i], nil
		}
	}
	return nil, fmt.Errorf("bag %d of %s is gone", ref.K, ref.From)
}
