package ledger

import (
	"fmt"
	"maps"
	"slices"

	"github.com/hydrawalk/hydra/walk"
)

// holder is a client with a session: what it holds and counts, and the record
// that it writes.
type holder struct {
	w      *world
	id     SessionID
	client ClientID
	s      *Session

	held    []walk.Item
	counted units
	shared  map[string]walk.DirSum
	ids     int

	cut *cut // that has begun

	rev     uint64
	written *Record // the last that is known to be
	out     *Record // to be written
	tried   map[uint64]*Record
	stalls  []Stall
	final   bool // out is the last
	gone    bool // crashed, found itself fenced, or ended
}

type cut struct {
	held    []walk.Item
	counted units
	shared  map[string]walk.DirSum
}

// message is what a coordinator tells a session.
type message struct {
	to         SessionID
	deliveries []Delivery
	settled    []uint64
	left       []string
	stop       bool
}

func newHolder(w *world, id SessionID, client ClientID) *holder {
	h := &holder{w: w, id: id, client: client, s: NewSession(id, client, "host"), shared: map[string]walk.DirSum{}, tried: map[uint64]*Record{}}
	h.begin()
	h.commit()
	return h
}

func (h *holder) receive(m message) {
	if h.gone || h.final {
		return
	}
	ds := slices.Clone(m.deliveries)
	if h.w.fault(0.2) {
		h.w.r.Shuffle(len(ds), func(i, k int) { ds[i], ds[k] = ds[k], ds[i] })
	}
	for _, d := range ds {
		if !h.s.Receive(d.A) {
			continue
		}
		h.w.log("%s receives %d", h.id, d.A)
		if d.Bag.Roots {
			h.held = append(h.held, h.w.tree.roots()...)
		}
		h.held = append(h.held, d.Bag.Items...)
	}
	h.s.Settle(m.settled)
	for _, id := range m.left {
		delete(h.shared, id)
	}
	if m.stop {
		h.close()
	}
}

// work handles some entries of an item.
func (h *holder) work(most int) {
	if len(h.held) == 0 || h.final {
		return
	}
	i := h.w.r.IntN(len(h.held))
	item := h.held[i]
	h.held = slices.Delete(slices.Clone(h.held), i, i+1)
	if item.File {
		h.count(item.Root - 1)
		return
	}
	t := h.w.tree
	dir := t.dir(item)
	p := entered(t, item)
	for ; most > 0 && len(p.Ranges) > 0; most-- {
		e := int(p.Ranges[0].Lo)
		if p.Ranges[0].Lo++; p.Ranges[0].Lo > p.Ranges[0].Hi {
			p.Ranges = p.Ranges[1:]
		}
		h.count(t.dirs[dir].first + 1 + e)
		if p.Dir == "" {
			t.count(dir, e, &p.Counts, &p.Flags)
		} else {
			sum := h.shared[p.Dir]
			sum.Path = item.Path
			t.count(dir, e, &sum.Counts, &sum.Flags)
			h.shared[p.Dir] = sum
		}
		if c := t.dirs[dir].entries[e]; c >= 0 {
			h.held = append(h.held, walk.Item{Path: []byte(t.dirs[c].path)})
		}
	}
	switch {
	case len(p.Ranges) > 0:
		item.Part = &p
		h.held = append(h.held, item)
	case p.Dir == "":
		if counts, flags := t.whole(dir); counts != p.Counts || flags != p.Flags {
			fail("%s leaves %q with %+v %b, want %+v %b", h.id, item.Path, p.Counts, p.Flags, counts, flags)
		}
		h.count(t.dirs[dir].first)
	}
}

// entered is what is left of an item, on its own.
func entered(t *tree, item walk.Item) walk.Part {
	if item.Part == nil {
		if n := len(t.dirs[t.dir(item)].entries); n > 0 {
			return walk.Part{Ranges: []walk.Range{{Lo: 0, Hi: uint64(n - 1)}}}
		}
		return walk.Part{}
	}
	p := *item.Part
	p.Ranges = slices.Clone(p.Ranges)
	return p
}

func (h *holder) count(u int) {
	if h.counted.has(u) {
		fail("%s counts %d twice", h.id, u)
	}
	h.counted.add(u)
}

// share breaks an item in two of a shared directory.
func (h *holder) share() {
	if len(h.held) == 0 || h.final {
		return
	}
	i := h.w.r.IntN(len(h.held))
	item := h.held[i]
	if item.File {
		return
	}
	p := entered(h.w.tree, item)
	if len(p.Ranges) == 0 {
		return
	}
	if p.Dir == "" {
		h.ids++
		p.Dir = fmt.Sprintf("%s.%d", h.id, h.ids)
		h.shared[p.Dir] = walk.DirSum{Path: item.Path, Counts: p.Counts, Flags: p.Flags}
		p.Counts, p.Flags = walk.DirCounts{}, 0
	} else if sum := h.shared[p.Dir]; sum.Path == nil {
		sum.Path = item.Path
		h.shared[p.Dir] = sum
	}
	a, b := p, p
	a.Ranges, b.Ranges = nil, nil
	for _, rg := range p.Ranges {
		mid := rg.Lo + h.w.r.Uint64N(rg.Hi-rg.Lo+2) // the first of b
		if mid > rg.Lo {
			a.Ranges = append(a.Ranges, walk.Range{Lo: rg.Lo, Hi: mid - 1})
		}
		if mid <= rg.Hi {
			b.Ranges = append(b.Ranges, walk.Range{Lo: mid, Hi: rg.Hi})
		}
	}
	h.held = slices.Delete(slices.Clone(h.held), i, i+1)
	for _, p := range []walk.Part{a, b} {
		if len(p.Ranges) > 0 {
			item.Part = &p
			h.held = append(h.held, item)
		}
	}
}

// give gives some of what is held, in one or two bags.
func (h *holder) give() {
	if h.final {
		return
	}
	var rest []walk.Item
	bags := make([]Bag, 1+h.w.r.IntN(2))
	for _, item := range h.held {
		if h.w.r.IntN(2) == 0 {
			rest = append(rest, item)
			continue
		}
		b := &bags[h.w.r.IntN(len(bags))]
		b.Items = append(b.Items, item)
	}
	bags = slices.DeleteFunc(bags, func(b Bag) bool { return len(b.Items) == 0 })
	if h.w.r.IntN(4) == 0 && len(bags) > 0 {
		bags[0].Tried = []ClientID{h.client}
	}
	h.held = rest
	h.s.Give(bags...)
	h.w.log("%s gives %d bags", h.id, len(bags))
}

// giveHeld gives directories that nobody has entered since the last record, if no
// cut has begun.
func (h *holder) giveHeld() {
	if h.final || h.cut != nil {
		return
	}
	var rest []walk.Item
	bags := make([]Bag, 1+h.w.r.IntN(2))
	for _, item := range h.held {
		if item.Part != nil || item.File || h.w.r.IntN(2) == 0 {
			rest = append(rest, item)
			continue
		}
		b := &bags[h.w.r.IntN(len(bags))]
		b.Items = append(b.Items, item)
	}
	bags = slices.DeleteFunc(bags, func(b Bag) bool { return len(b.Items) == 0 })
	if r, ok := h.s.GiveHeld(bags...); ok {
		h.held, h.out = rest, &r
		h.w.log("%s gives %d bags of what it held: %d", h.id, len(bags), r.N)
	} else if h.w.r.IntN(2) == 0 {
		h.held = rest
		h.s.Give(bags...)
	}
}

func (h *holder) begin() {
	if !h.final {
		h.s.Begin()
		h.cut = h.state()
	}
}

func (h *holder) state() *cut {
	return &cut{slices.Clone(h.held), h.counted, maps.Clone(h.shared)}
}

func (c *cut) of() Counted { return Counted{Shared: c.shared, Data: c.counted.bytes()} }

func (h *holder) commit() {
	if h.cut != nil && !h.final {
		r := h.s.Commit(h.cut.held, h.cut.of())
		h.cut = nil
		h.out = &r
		h.w.log("%s commits %d: in %d, %d held, %d outs", h.id, r.N, r.In, len(r.Held), len(r.Outs))
	}
}

func (h *holder) name() {
	if h.final {
		return
	}
	var places []Place
	for _, item := range h.held {
		if !item.File && h.w.r.IntN(3) == 0 {
			places = append(places, Place{item.Root, string(item.Path)})
		}
	}
	r := h.s.Name(places, h.w.r.IntN(2) == 0)
	h.out = &r
}

func (h *holder) close() {
	if h.final {
		return
	}
	h.w.log("%s closes", h.id)
	h.begin()
	r := h.s.Close(h.cut.held, h.cut.of())
	h.out, h.final, h.cut = &r, true, nil
}

func (h *holder) abandon() {
	if h.final || h.written == nil {
		return
	}
	h.w.log("%s abandons", h.id)
	for _, item := range h.held {
		if !item.File && h.w.r.IntN(2) == 0 {
			h.stalls = append(h.stalls, Stall{Place: Place{item.Root, string(item.Path)}, Op: "open"})
		}
	}
	r := Abandon(h.written, h.stalls)
	h.out, h.final, h.cut = &r, true, nil
}

// put tries to write.
func (h *holder) put() {
	if h.out == nil {
		return
	}
	a := h.w.table.attempt(string(h.id), h.rev, h.out)
	rev, how := h.w.table.put(a)
	switch how {
	case stored:
		h.wrote(rev, h.out)
	case unknown:
		h.tried[a.nonce] = h.out
	case conflict:
		e := h.w.table.entries[string(h.id)]
		mine := h.tried[e.nonce]
		if mine == nil {
			h.w.log("%s is fenced", h.id)
			h.gone = true
			return
		}
		h.wrote(e.rev, mine)
	}
}

func (h *holder) wrote(rev uint64, r *Record) {
	h.rev, h.written = rev, r
	clear(h.tried)
	switch {
	case r.End != Live:
		h.gone = true
	case r == h.out:
		h.out = nil
	case h.out.End == Abandoned: // of a record that another came after
		again := Abandon(h.written, h.stalls)
		h.out = &again
	}
}
