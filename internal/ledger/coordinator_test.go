package ledger

import (
	"maps"
	"slices"
)

// coordinator is one that may be out of date, or crash.
type coordinator struct {
	w    *world
	name string

	job  *Job // nil while it starts
	rev  uint64
	revs map[SessionID]uint64

	writing *attempt
	tried   map[uint64]bool

	list  []string // keys to be read, while it starts
	state *State
	read  []*Record
}

// start forgets all. The state is read at any time between the records.
func (c *coordinator) start() {
	*c = coordinator{w: c.w, name: c.name, revs: map[SessionID]uint64{}, tried: map[uint64]bool{}, list: []string{stateKey}}
	for _, id := range c.w.table.sessions() {
		c.list = append(c.list, string(id))
	}
	c.w.r.Shuffle(len(c.list), func(i, k int) { c.list[i], c.list[k] = c.list[k], c.list[i] })
}

// load reads some records more, and begins when it has all.
func (c *coordinator) load(n int) {
	if c.job != nil {
		return
	}
	for ; n > 0 && len(c.list) > 0; n-- {
		key := c.list[0]
		c.list = c.list[1:]
		if key == stateKey {
			c.state, c.rev = c.w.table.state()
			continue
		}
		r, rev := c.w.table.record(SessionID(key))
		c.revs[r.Session] = rev
		c.read = append(c.read, r)
	}
	if len(c.list) == 0 {
		c.job = NewJob(c.state, c.read)
		c.state, c.read = nil, nil
		c.w.log("%s started from %d", c.name, c.rev)
	}
}

// current tells whether its state is that in the table.
func (c *coordinator) current() bool {
	return c.job != nil && c.rev == c.w.table.entries[stateKey].rev
}

// apply takes in what a session wrote last, or wrote once.
func (c *coordinator) apply(id SessionID) {
	r, rev := c.w.table.record(id)
	if c.job == nil || r == nil || c.revs[id] == rev {
		return
	}
	c.revs[id] = rev
	c.w.log("%s applies %s %d", c.name, id, r.N)
	c.job.Apply(r)
	c.check()
}

func (c *coordinator) applyOld() {
	if old := c.w.table.old; c.job != nil && len(old) > 0 {
		r := old[c.w.r.IntN(len(old))]
		if c.job.Record(r.Session) != nil && c.job.Record(r.Session).N >= r.N {
			dirty := c.job.Dirty()
			c.job.Apply(r)
			if c.job.Dirty() != dirty {
				fail("an old record changed the state")
			}
		}
	}
}

func (c *coordinator) live() []SessionID {
	var ids []SessionID
	for _, id := range slices.Sorted(maps.Keys(c.job.Members)) {
		if !c.job.Members[id].Ended {
			ids = append(ids, id)
		}
	}
	return ids
}

func (c *coordinator) assign() {
	if c.job == nil || c.job.Phase == Stopping || c.job.Phase == Ended {
		return
	}
	if live := c.live(); len(live) > 0 {
		for _, ref := range c.job.Free() {
			if c.w.r.IntN(3) > 0 {
				to := live[c.w.r.IntN(len(live))]
				c.w.log("%s assigns %v to %s as %d", c.name, ref, to, c.job.Members[to].NextA)
				c.job.Assign(ref, to, c.w.r.IntN(2) == 0)
			}
		}
		if c.job.Phase == Waiting {
			c.job.Phase = Running
			c.job.Touch()
		}
	}
	c.check()
}

// write writes the state: in two steps, between which others happen.
func (c *coordinator) write() {
	switch {
	case c.job == nil:
	case c.writing == nil && c.job.Dirty():
		a := c.w.table.attempt(stateKey, c.rev, c.job.Snapshot())
		c.writing = &a
	case c.writing != nil:
		rev, how := c.w.table.put(*c.writing)
		switch how {
		case stored:
			c.rev = rev
			c.job.Written()
			c.w.log("%s wrote %d", c.name, rev)
			clear(c.tried)
			if c.job.Phase == Ended {
				c.w.ended()
			}
		case unknown:
			c.tried[c.writing.nonce] = true
		case conflict:
			e := c.w.table.entries[stateKey]
			if !c.tried[e.nonce] {
				c.w.log("%s is out of date", c.name)
				c.start()
				return
			}
			c.rev = e.rev // it is written again, as it may be an older one
			clear(c.tried)
		}
		c.writing = nil
	}
}

// tell says what was written.
func (c *coordinator) tell(id SessionID) {
	if c.job == nil || c.job.Dirty() || c.job.Record(id) == nil {
		return
	}
	received := c.job.Record(id).In
	if h := c.w.holder(id); h != nil && c.w.r.IntN(2) == 0 {
		received = h.s.Received()
	} else if c.w.r.IntN(4) == 0 {
		received = 0
	}
	c.w.net = append(c.w.net, message{
		to:         id,
		deliveries: c.job.Deliveries(id, received),
		settled:    c.job.SettledOf(id),
		left:       c.job.LeftOf(c.job.Record(id)),
		stop:       c.job.Phase == Stopping,
	})
}

// fence replaces the record of a session that is taken for lost.
func (c *coordinator) fence(id SessionID) {
	if c.job == nil {
		return
	}
	r := c.job.Record(id)
	if r == nil || r.End != Live {
		return
	}
	c.w.log("%s fences %s", c.name, id)
	f := r.Fence()
	rev, how := c.w.table.put(c.w.table.attempt(string(id), c.revs[id], &f))
	if how == stored {
		c.revs[id] = rev
		c.job.Apply(&f)
		c.check()
	}
}

// end ends the job if it is done, or was stopped.
func (c *coordinator) end() {
	if c.job == nil || c.job.Phase == Ended || c.job.Broken() != "" {
		return
	}
	switch {
	case c.job.Done():
		c.job.Verdict.State = "complete"
	case c.job.Phase == Stopping && c.job.AllEnded():
		c.job.Verdict.State = "stopped"
	default:
		return
	}
	c.w.log("%s ends the job: %s", c.name, c.job.Verdict.State)
	c.job.Phase = Ended
	c.job.Touch()
}

func (c *coordinator) stop() {
	if c.job != nil && c.job.Phase == Running {
		c.w.log("%s stops the job", c.name)
		c.job.Phase = Stopping
		c.job.Touch()
	}
}

func (c *coordinator) resume() {
	if c.job != nil && c.job.Phase == Ended && c.job.Verdict.State == "stopped" {
		c.w.log("%s resumes the job", c.name)
		c.job.Phase = Running
		c.job.Verdict = Verdict{}
		c.job.Resumed++
		c.job.Touch()
	}
}
