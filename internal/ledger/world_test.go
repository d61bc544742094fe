package ledger

import (
	"fmt"
	"io"
	"math/rand/v2"
	"slices"

	"github.com/hydrawalk/hydra/walk"
)

// world is a history of a job: what happens is drawn from a seed.
type world struct {
	r      *rand.Rand
	trace  io.Writer
	faults float64 // 0: none, 1: as many as there are kinds of
	codec  bool    // records are encoded and decoded

	tree         *tree
	table        *table
	holders      []*holder
	net          []message
	coordinators []*coordinator
	joined       int
	done         bool // the end was written
	paused       bool // nobody joins or resumes
	steps        int
	rounds       int // until the end, after the faults
}

func newWorld(seed uint64, trace io.Writer) *world {
	r := rand.New(rand.NewPCG(seed, 1))
	w := &world{r: r, trace: trace, codec: r.IntN(8) == 0, faults: r.Float64()}
	w.tree = newTree(r)
	w.table = &table{w: w, entries: map[string]entry{}}
	w.table.store(w.table.attempt(stateKey, 0, NewState()))
	for i := range 1 + r.IntN(2) {
		c := &coordinator{w: w, name: fmt.Sprintf("K%d", i)}
		c.start()
		w.coordinators = append(w.coordinators, c)
	}
	return w
}

func (w *world) log(format string, args ...any) {
	if w.trace != nil {
		fmt.Fprintf(w.trace, format+"\n", args...)
	}
}

func (w *world) fault(p float64) bool { return w.faults > 0 && w.r.Float64() < p*w.faults }

func (w *world) holder(id SessionID) *holder {
	for _, h := range w.holders {
		if h.id == id {
			return h
		}
	}
	return nil
}

func (w *world) alive() []*holder {
	var hs []*holder
	for _, h := range w.holders {
		if !h.gone {
			hs = append(hs, h)
		}
	}
	return hs
}

func (w *world) join() {
	w.joined++
	h := newHolder(w, SessionID(fmt.Sprintf("s%d", w.joined)), ClientID(fmt.Sprintf("c%d", w.r.IntN(4))))
	w.holders = append(w.holders, h)
}

// live is the time in which faults happen.
func (w *world) live(steps int) {
	for ; steps > 0 && !w.done; steps-- {
		w.steps++
		hs := w.alive()
		if len(hs) == 0 || len(hs) < 5 && w.r.IntN(30) == 0 {
			w.join()
			continue
		}
		switch n := w.r.IntN(100); {
		case n < 45:
			w.holderStep(hs[w.r.IntN(len(hs))])
		case n < 80:
			w.coordinatorStep(w.coordinators[w.r.IntN(len(w.coordinators))])
		case n < 95:
			w.deliver()
		default:
			w.table.land()
		}
	}
}

func (w *world) holderStep(h *holder) {
	switch n := w.r.IntN(100); {
	case n < 25:
		h.work(1 + w.r.IntN(6))
	case n < 32:
		h.share()
	case n < 41:
		h.give()
	case n < 45:
		h.giveHeld()
	case n < 55:
		h.begin()
	case n < 67:
		h.commit()
	case n < 94:
		h.put()
	case n < 96:
		h.name()
	default:
		switch {
		case !w.fault(0.6):
		case n == 96:
			h.close()
		case n == 97:
			h.abandon()
		case n == 98:
			w.log("%s crashes", h.id)
			h.gone = true
		}
	}
}

func (w *world) coordinatorStep(c *coordinator) {
	ids := w.table.sessions()
	var id SessionID
	if len(ids) > 0 {
		id = ids[w.r.IntN(len(ids))]
	}
	switch n := w.r.IntN(100); {
	case n < 15:
		c.load(1 + w.r.IntN(4))
	case n < 40:
		c.apply(id)
	case n < 42:
		c.applyOld()
	case n < 55:
		c.assign()
	case n < 75:
		c.write()
	case n < 90:
		c.tell(id)
	case n < 92:
		c.end()
	case n < 94:
		c.resume()
	case n < 98:
		if w.fault(0.5) {
			c.fence(id)
		}
	case n < 99:
		if w.fault(0.7) {
			w.log("%s crashes", c.name)
			c.start()
		}
	default:
		if w.fault(0.5) {
			c.stop()
		}
	}
}

// deliver delivers a message, or loses it, or not for the last time.
func (w *world) deliver() {
	if len(w.net) == 0 {
		return
	}
	i := w.r.IntN(len(w.net))
	m := w.net[i]
	if !w.fault(0.2) {
		w.net = slices.Delete(w.net, i, i+1)
	}
	if h := w.holder(m.to); h != nil && !w.fault(0.2) {
		h.receive(m)
	}
}

// settle is the time after all faults: it has to end soon.
func (w *world) settle() {
	const rounds = 25
	w.log("no faults any more")
	w.faults, w.net, w.table.flying = 0, nil, nil
	c := w.coordinators[0]
	if w.r.IntN(2) == 0 {
		c.start()
	}
	for round := 0; !w.done; round++ {
		if round == rounds {
			fail("not done after %d rounds: phase %s, broken %q, free %v", rounds, c.job.Phase, c.job.Broken(), c.job.Free())
		}
		w.round(c)
		w.rounds++
	}
	for range 4 {
		w.round(c)
	}
	for id, m := range c.job.Members {
		if !m.Ended && len(c.job.Record(id).Outs) > 0 {
			fail("%s has not forgotten its bags: %+v", id, c.job.Record(id).Outs)
		}
	}
	s, _ := w.table.state()
	if len(s.Moves) > 0 {
		fail("moves are left: %+v", s.Moves)
	}
	for _, ref := range s.Settled {
		if r, _ := w.table.record(ref.From); !slices.ContainsFunc(r.Outs, func(b Bag) bool { return b.K == ref.K }) {
			fail("%v is settled for ever", ref)
		}
	}
}

func (w *world) round(c *coordinator) {
	if len(w.alive()) == 0 && !w.paused {
		w.join()
	}
	for _, h := range w.alive() {
		for n := w.r.IntN(1000); len(h.held) > 0 && n > 0; n-- {
			h.work(10)
		}
		h.begin()
		h.commit()
		for h.out != nil && !h.gone {
			h.put()
		}
	}
	c.load(1000)
	for _, id := range w.table.sessions() {
		c.apply(id)
		if h := w.holder(id); h.gone {
			c.fence(id)
		}
	}
	c.end()
	if !w.paused {
		c.resume()
	}
	c.assign()
	for range 3 { // it may find itself out of date
		c.load(1000)
		c.write()
	}
	for _, id := range w.table.sessions() {
		c.tell(id)
	}
	for _, m := range w.net {
		if h := w.holder(m.to); h != nil {
			h.receive(m)
		}
	}
	w.net = nil
}

// ended is called when a coordinator has written that the job ended.
func (w *world) ended() {
	s, _ := w.table.state()
	if s.Phase != Ended || s.Verdict.State != "complete" {
		return
	}
	w.done = true
	var counted units
	for _, id := range w.table.sessions() {
		r, _ := w.table.record(id)
		counted.join(unitsOf(r.Data))
	}
	if counted != w.tree.all {
		fail("done with %d of %d counted", counted.size(), w.tree.all.size())
	}
}

// check finds each unit in one place of what is in the table.
func (w *world) check() {
	s, _ := w.table.entries[stateKey].value.(*State)
	if s == nil {
		return
	}
	ids := w.table.sessions()
	arrived := map[Ref]bool{}
	for _, m := range s.Moves {
		if r, _ := w.table.record(m.To); r != nil && m.A <= r.In {
			arrived[m.Ref] = true
		}
	}
	for _, ref := range s.Settled {
		arrived[ref] = true
	}
	var all units
	shared := map[string]int{}
	where := func(u units, format string, args ...any) {
		if !all.join(u) {
			fail("in two places, of which one is: "+format, args...)
		}
	}
	items := func(of []walk.Item, id string) {
		for _, item := range of {
			where(w.tree.expand(item), "%s %+v", id, item)
			if p := item.Part; p != nil && p.Dir != "" {
				shared[p.Dir] = w.tree.dir(item)
			}
		}
	}
	bags := func(of []Bag, id SessionID) {
		for _, b := range of {
			switch {
			case arrived[Ref{id, b.K}]:
			case b.Roots:
				items(w.tree.roots(), "the beginning")
			default:
				items(b.Items, fmt.Sprintf("bag %s.%d", id, b.K))
			}
		}
	}
	bags(s.Outs, "")
	for _, id := range ids {
		r, _ := w.table.record(id)
		where(unitsOf(r.Data), "counted by %s", id)
		items(r.Held, "held by "+string(id))
		bags(r.Outs, id)
		for dir, sum := range r.Shared {
			shared[dir] = w.tree.numbers[string(sum.Path)]
		}
	}
	for id, dir := range shared {
		if !s.Left[id] {
			var end units
			end.add(w.tree.dirs[dir].first)
			where(end, "the end of %s", id)
		}
	}
	if all != w.tree.all {
		fail("lost: %d of %d are there", all.size(), w.tree.all.size())
	}
}
