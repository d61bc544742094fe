package ledger

import (
	"fmt"
	"slices"
)

// Assign gives a free bag to a live session. It is delivered when State was
// written.
func (j *Job) Assign(ref Ref, to SessionID, must bool) {
	m := j.State.Members[to]
	if j.free[ref] == nil || m.Ended || m.NextA == 0 {
		panic("ledger: a bag that is not free, or a session that is not live")
	}
	j.moves[to] = append(j.moves[to], Move{Ref: ref, To: to, A: m.NextA, Must: must})
	j.moving[ref] = true
	delete(j.free, ref)
	delete(j.after, ref)
	m.NextA++
	j.State.Members[to] = m
	j.changes++
}

// Delivery is a bag for a session.
type Delivery struct {
	A    uint64
	Ref  Ref
	Bag  Bag
	Must bool
}

// Undelivered counts what a session is to receive after the delivery that it
// received last.
func (j *Job) Undelivered(to SessionID, received uint64) int {
	n := 0
	for _, m := range j.moves[to] {
		if m.A > received {
			n++
		}
	}
	return n
}

// Deliveries are what a session is to receive after the delivery that it
// received last, in their order.
func (j *Job) Deliveries(to SessionID, received uint64) []Delivery {
	var ds []Delivery
	for _, m := range j.moves[to] {
		if m.A <= received {
			continue
		}
		b := j.bag(m.Ref)
		if b == nil {
			if !j.behind[m.From] { // it has arrived, and another coordinator knows
				j.broken = fmt.Sprintf("bag %d of %q is on its way and in no record", m.K, m.From)
			}
			break
		}
		d := Delivery{A: m.A, Ref: m.Ref, Bag: *b, Must: m.Must}
		d.Bag.Careful = d.Bag.Careful || j.careful[m.Ref]
		d.Bag.Again = d.Bag.Again || j.again[m.Ref]
		d.Bag.Items = slices.Clone(d.Bag.Items)
		for i := range d.Bag.Items {
			d.Bag.Items[i].Careful = d.Bag.Careful || d.Bag.Items[i].Careful
			d.Bag.Items[i].Again = d.Bag.Again || d.Bag.Items[i].Again
			d.Bag.Items[i].Must = m.Must
		}
		ds = append(ds, d)
	}
	return ds
}

func (j *Job) bag(ref Ref) *Bag {
	outs := j.State.Outs
	if ref.From != "" {
		if r := j.records[ref.From]; r != nil {
			outs = r.Outs
		} else {
			return nil
		}
	}
	for i := range outs {
		if outs[i].K == ref.K {
			return &outs[i]
		}
	}
	return nil
}
