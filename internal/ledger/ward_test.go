package ledger

import (
	"fmt"
	"io"
	"math/rand/v2"
	"slices"

	"github.com/hydrawalk/hydra/walk"
)

// ward is a job whose directories do harm: messages are not lost and the table
// is right, but clients die.
type ward struct {
	r        *rand.Rand
	trace    io.Writer
	tree     *tree
	poison   map[int]bool // kills who enters it
	sizes    []int        // ticks that a directory takes
	hangs    map[int]bool // does not answer
	where    ClientID     // only to this one, if not ""
	deadly   float64      // of a client, in a tick, for no reason
	together int          // careful directories that are named at a time; suspects are always alone

	job      *Job
	patients []*patient
	joined   int
	again    []ClientID // clients that abandoned a session and begin another
	tick     int
	killed   map[int]int // by which directory; -1: none
}

// patient is a client that works like a walk with four workers.
type patient struct {
	w       *ward
	id      SessionID
	client  ClientID
	s       *Session
	plain   []walk.Item
	careful []walk.Item
	running map[int]int       // ticks until it is done
	items   map[int]walk.Item // of those that run
	alone   bool              // what runs was named
	counted units
	dead    bool
	stuck   int // ticks until it gives up
	stall   Stall
}

func newWard(seed uint64, trace io.Writer) *ward {
	r := rand.New(rand.NewPCG(seed, 4))
	w := &ward{r: r, trace: trace, tree: newTree(r), poison: map[int]bool{}, hangs: map[int]bool{}, together: 1, killed: map[int]int{}, job: NewJob(NewState(), nil)}
	w.tree.fileRoots = 0
	for range w.tree.dirs {
		size := 1
		if r.IntN(5) == 0 {
			size = 1 + int(r.ExpFloat64()*10)
		}
		w.sizes = append(w.sizes, size)
	}
	return w
}

func (w *ward) log(format string, args ...any) {
	if w.trace != nil {
		fmt.Fprintf(w.trace, "%d: "+format+"\n", append([]any{w.tick}, args...)...)
	}
}

// run runs until the end, which has to come. It tells how many clients died.
func (w *ward) run(clients, ticks int) int {
	for w.tick = 0; !w.job.Done(); w.tick++ {
		if w.tick == ticks {
			fail("not done after %d ticks: %d deaths, suspects %+v, avoid %+v", ticks, w.job.Lost, w.job.Suspects, w.job.Avoid)
		}
		for len(w.patients) < clients {
			w.joined++
			id := SessionID(fmt.Sprintf("s%d", w.joined))
			client := ClientID(fmt.Sprintf("c%d", w.joined))
			if len(w.again) > 0 {
				client, w.again = w.again[0], w.again[1:]
			}
			p := &patient{w: w, id: id, client: client, s: NewSession(id, client, ""), running: map[int]int{}, items: map[int]walk.Item{}}
			w.patients = append(w.patients, p)
			p.commit()
		}
		if w.r.IntN(20) == 0 {
			w.restart()
		}
		w.assign()
		for _, p := range w.patients {
			p.step()
		}
		w.patients = slices.DeleteFunc(w.patients, func(p *patient) bool {
			if p.dead && w.job.Record(p.id).End == Live {
				f := w.job.Record(p.id).Fence()
				w.log("%s is fenced: named %v alone %v", p.id, f.Named, f.Alone)
				w.job.Apply(&f)
			}
			return p.dead
		})
	}
	var counted units
	for _, r := range w.job.Records() {
		if !counted.join(unitsOf(r.Data)) {
			fail("counted twice")
		}
	}
	return w.job.Lost
}

// restart makes the coordinator begin anew.
func (w *ward) restart() {
	var s State
	if err := Decode(Encode(w.job.Snapshot()), &s); err != nil {
		fail("decode: %v", err)
	}
	w.job = NewJob(&s, w.job.Records())
}

// assign gives careful bags to those that have nothing else.
func (w *ward) assign() {
	for _, ref := range w.job.Free() {
		var best *patient
		tried := w.job.Tried(ref)
		must := !slices.ContainsFunc(w.patients, func(p *patient) bool { return !slices.Contains(tried, p.client) })
		for _, p := range w.patients {
			if slices.Contains(tried, p.client) && !must {
				continue
			}
			idle := len(p.plain)+len(p.careful)+len(p.running) == 0 && len(w.job.Deliveries(p.id, p.s.Received())) == 0
			if idle || !w.job.IsCareful(ref) && w.r.IntN(4) == 0 {
				best = p
			}
		}
		if best != nil {
			w.job.Assign(ref, best.id, must)
		}
	}
	w.job.Snapshot()
	w.job.Written()
	for _, p := range w.patients {
		for _, d := range w.job.Deliveries(p.id, p.s.Received()) {
			p.s.Receive(d.A)
			items := d.Bag.Items
			if d.Bag.Roots {
				items = []walk.Item{{Path: []byte{}, Careful: d.Bag.Careful}}
			}
			p.take(items)
			p.commit()
		}
		p.s.Settle(w.job.SettledOf(p.id))
	}
}

func (p *patient) take(items []walk.Item) {
	for _, item := range items {
		if item.Careful {
			p.careful = append(p.careful, item)
		} else {
			p.plain = append(p.plain, item)
		}
	}
}

func (p *patient) commit() {
	held := slices.Concat(p.plain, p.careful)
	for i := range p.w.tree.dirs {
		if item, ok := p.items[i]; ok {
			held = append(held, item)
		}
	}
	p.s.Begin()
	r := p.s.Commit(held, Counted{Data: p.counted.bytes()})
	p.w.job.Apply(&r)
}

func (p *patient) step() {
	w := p.w
	if p.stuck > 0 {
		if p.stuck--; p.stuck == 0 {
			w.log("%s abandons: %v", p.id, p.stall)
			r := Abandon(w.job.Record(p.id), []Stall{p.stall, p.stall}) // two workers are in it
			w.job.Apply(&r)
			w.again = append(w.again, p.client)
			p.dead = true
		}
		return
	}
	if w.r.Float64() < w.deadly {
		p.die(-1)
		return
	}
	for i := range w.tree.dirs {
		if _, ok := p.running[i]; !ok {
			continue
		}
		if p.running[i]--; p.running[i] == 0 {
			p.finish(i)
		}
	}
	for len(p.running) < 4 && len(p.plain) > 0 && !p.alone {
		item := p.plain[0]
		p.plain = p.plain[1:]
		if p.enter(item); p.dead || p.stuck > 0 {
			return
		}
	}
	if len(p.running) == 0 {
		p.next()
	}
	if p.dead || p.stuck > 0 {
		return
	}
	if len(p.plain) > 1 && w.r.IntN(4) == 0 {
		half := len(p.plain) / 2
		p.s.Give(Bag{Items: slices.Clone(p.plain[:half])})
		p.plain = p.plain[half:]
	}
	if w.r.IntN(2) == 0 {
		p.commit()
	}
}

// next enters what has to be named first.
func (p *patient) next() {
	if p.alone {
		p.alone = false
		r := p.s.Name(nil, false)
		p.w.job.Apply(&r)
	}
	var run []walk.Item
	var places []Place
	for len(p.careful) > 0 && len(run) < p.w.together {
		last := len(p.careful) - 1
		item := p.careful[last]
		place := Place{item.Root, string(item.Path)}
		suspect := slices.ContainsFunc(p.w.job.Suspects, func(s Suspect) bool { return s.Place == place })
		if suspect && len(run) > 0 {
			break
		}
		p.careful = p.careful[:last]
		run, places = append(run, item), append(places, place)
		if suspect {
			break
		}
	}
	if len(run) == 0 {
		return
	}
	p.alone = true
	for _, item := range run {
		p.items[p.w.tree.dir(item)] = item
	}
	p.commit()
	r := p.s.Name(places, len(run) == 1)
	p.w.job.Apply(&r)
	for _, item := range run {
		if p.enter(item); p.dead || p.stuck > 0 {
			return
		}
	}
}

func (p *patient) enter(item walk.Item) {
	dir := p.w.tree.dir(item)
	avoided := slices.ContainsFunc(p.w.job.Avoid, func(a walk.Avoided) bool { return string(a.Path) == string(item.Path) })
	if avoided { // all below is lost with it
		p.counted.join(p.w.tree.dirs[dir].below)
		delete(p.items, dir)
		return
	}
	if p.w.poison[dir] {
		p.die(dir)
		return
	}
	if p.w.hangs[dir] && (p.w.where == "" || p.w.where == p.client) {
		p.stuck, p.stall = 3, Stall{Place: Place{Path: string(item.Path)}, Op: "open"}
	}
	p.running[dir], p.items[dir] = p.w.sizes[dir], item
}

func (p *patient) finish(dir int) {
	t := p.w.tree
	var found []walk.Item
	p.counted.add(t.dirs[dir].first)
	for e, c := range t.dirs[dir].entries {
		p.counted.add(t.dirs[dir].first + 1 + e)
		if c >= 0 {
			found = append(found, walk.Item{Path: []byte(t.dirs[c].path), Careful: p.items[dir].Careful})
		}
	}
	delete(p.running, dir)
	delete(p.items, dir)
	p.take(found)
}

func (p *patient) die(of int) {
	p.w.log("%s dies of %d", p.id, of)
	p.w.killed[of]++
	p.dead = true
}
