package ledger

import (
	"cmp"
	"fmt"
	"iter"
	"maps"
	"slices"
	"time"

	"github.com/hydrawalk/hydra/walk"
)

// Phase says where a job is in its life.
type Phase string

// The phases of a job.
const (
	Waiting   Phase = "waiting"   // for clients, or for the first of them to look at the roots
	Running   Phase = "running"   // some session may hold work
	Finishing Phase = "finishing" // nothing remains, and the application does what comes after the walk
	Stopping  Phase = "stopping"  // all sessions are to end
	Ended     Phase = "ended"     // nothing changes any more, unless it is resumed
)

// Move is a bag on its way to a session.
type Move struct {
	Ref
	To   SessionID
	A    uint64 // numbers the deliveries to a session, from 1
	Must bool   // nobody else is left to try
}

// After is a bag that waits until the acts of a session are settled: that died with it
// in hand, perhaps.
type After struct {
	Ref
	Of SessionID
}

// Member is what the coordinator knows of a session.
type Member struct {
	Client ClientID
	Host   string
	Ended  bool
	NextA  uint64
	N      uint64 // of the record that this state knows
	Run    int    // how often the job had been resumed when it began
}

// Verdict is how a job ended.
type Verdict struct {
	State  string // complete, stopped, failed, cancelled
	Reason string
}

// Hooks say how far a job is with what its application does on the server.
type Hooks struct {
	Started  bool              // before the walk
	Joined   map[ClientID]bool // clients that were made known to it
	Phases   int               // that are done
	Finished bool              // nothing is left of that
}

// State is the coordinator's state. It replaces the one before.
type State struct {
	Phase    Phase
	Verdict  Verdict // in Stopping, what it will be
	Started  time.Time
	Finished time.Time
	Resumed  int   // how often the job was resumed after it had ended
	Forgiven int64 // errors of before that

	Control Control

	Sights  []walk.Sight         // what the roots are, as the clients see them that take part
	Refused map[ClientID]string  // clients that do not take part, and why
	Hooks   Hooks                // of jobs whose application has any
	Members map[SessionID]Member // all that ever were

	Moves   []Move
	Settled []Ref // bags whose work is in another record now, but stand in Outs yet
	Careful []Ref // bags that somebody may have died with
	Again   []Ref // bags that somebody who is lost may have begun
	After   []After
	Outs    []Bag // the coordinator's own
	NextOut uint64
	Left    map[string]bool // shared directories that a bag was made for to leave them
	Tailed  bool            // a bag was made for the tail

	// Granted is how much of a budget for the whole job each session may use. Nobody
	// gives back what it does not use.
	Granted map[SessionID]int64

	Lost     int // sessions that were fenced
	Unnamed  int // of those, how many had named nothing
	Suspects []Suspect
	Avoid    []walk.Avoided
}

// NewState is the state of a job that nobody works on yet.
func NewState() *State {
	return &State{
		Phase:   Waiting,
		Refused: map[ClientID]string{},
		Members: map[SessionID]Member{},
		Outs:    []Bag{{K: 1, Roots: true}},
		NextOut: 2,
		Left:    map[string]bool{},
	}
}

// Job is a job as its records and its state tell it: the coordinator's side.
type Job struct {
	*State // but Moves, Settled, Careful, Again and After, which Snapshot fills

	records map[SessionID]*Record

	// changes counts those of the state; asked is what it was at the last
	// Snapshot, written that of the snapshot that was written.
	changes, asked, written uint64

	moves   map[SessionID][]Move // to whom, in the order of A
	moving  map[Ref]bool
	settled map[Ref]bool
	careful map[Ref]bool
	again   map[Ref]bool
	after   map[Ref]SessionID
	free    map[Ref]*Bag       // neither moving nor settled
	parts   map[string]int     // shared directories: pieces that are held or in bags that are not settled
	unknown map[SessionID]bool // whose acts are to be settled before its other bags are dealt
	undone  map[string]bool    // shared directories without pieces that nobody was told to leave yet
	behind  map[SessionID]bool // whose record, as the state knows it, was not applied yet
	holding int                // sessions whose record holds something
	broken  string
}

// NewJob makes a job of a state, which is its own from now on, and of all records
// that were written. Those that are older than the state have to be applied once
// more when they have been read again: see Behind.
func NewJob(s *State, records []*Record) *Job {
	j := &Job{
		State:   s,
		records: map[SessionID]*Record{},
		moves:   map[SessionID][]Move{},
		moving:  map[Ref]bool{},
		settled: map[Ref]bool{},
		careful: map[Ref]bool{},
		again:   map[Ref]bool{},
		after:   map[Ref]SessionID{},
		free:    map[Ref]*Bag{},
		parts:   map[string]int{},
		undone:  map[string]bool{},
		unknown: map[SessionID]bool{},
		behind:  map[SessionID]bool{},
	}
	for id, m := range s.Members {
		if m.N > 0 {
			j.behind[id] = true
		}
	}
	for _, m := range s.Moves {
		j.moves[m.To] = append(j.moves[m.To], m)
		j.moving[m.Ref] = true
	}
	for _, ref := range s.Settled {
		j.settled[ref] = true
	}
	for _, ref := range s.Careful {
		j.careful[ref] = true
	}
	for _, ref := range s.Again {
		j.again[ref] = true
	}
	for _, a := range s.After {
		j.after[a.Ref] = a.Of
	}
	for i := range s.Outs {
		j.addBag("", &s.Outs[i])
	}
	for _, r := range records {
		j.apply(r)
	}
	j.leave() // only now it is known which pieces there are
	return j
}

// Broken says why the records contradict each other, "" if they do not. They do
// for a coordinator while another has written a newer state: only if that is not
// so, which a write of the state tells, something is wrong.
func (j *Job) Broken() string { return j.broken }

// Behind are the sessions whose records were read before the state was: until
// newer ones are applied nothing is free and nothing is done.
func (j *Job) Behind() []SessionID { return slices.Sorted(maps.Keys(j.behind)) }

// Snapshot is the state to write, which does not change when the job does. It is
// made only to be written.
func (j *Job) Snapshot() *State {
	j.asked = j.changes
	s := *j.State
	s.Refused, s.Members, s.Left = maps.Clone(s.Refused), maps.Clone(s.Members), maps.Clone(s.Left)
	s.Granted = maps.Clone(s.Granted)
	s.Suspects, s.Hooks.Joined = slices.Clone(s.Suspects), maps.Clone(s.Hooks.Joined)
	s.Moves, s.Settled, s.Careful, s.Again = nil, sortedRefs(j.settled), sortedRefs(j.careful), sortedRefs(j.again)
	s.After = nil
	for _, ref := range sortedRefs(j.after) {
		s.After = append(s.After, After{ref, j.after[ref]})
	}
	for _, to := range slices.Sorted(maps.Keys(j.moves)) {
		s.Moves = append(s.Moves, j.moves[to]...)
	}
	return &s
}

func sortedRefs[V any](of map[Ref]V) []Ref { return slices.SortedFunc(maps.Keys(of), Ref.compare) }

func (r Ref) compare(o Ref) int { return cmp.Or(cmp.Compare(r.From, o.From), cmp.Compare(r.K, o.K)) }

// Dirty says that the state has changed and is to be written before anybody is
// told.
func (j *Job) Dirty() bool { return j.changes != j.written }

// Written says that the last Snapshot was written. The state stays dirty if it
// has changed since that was made.
func (j *Job) Written() { j.written = j.asked }

// Touch says that the caller changed the state.
func (j *Job) Touch() { j.changes++ }

// Record is the last record of a session, nil if there is none.
func (j *Job) Record(id SessionID) *Record { return j.records[id] }

// Records are the last records of all sessions, in the order of their names.
func (j *Job) Records() []*Record {
	return slices.SortedFunc(maps.Values(j.records), func(a, b *Record) int { return cmp.Compare(a.Session, b.Session) })
}

// All yields the last records of all sessions, in no order.
func (j *Job) All() iter.Seq[*Record] { return maps.Values(j.records) }

// Apply takes in what a session wrote. Records that are older than what is known
// change nothing.
func (j *Job) Apply(r *Record) {
	j.apply(r)
	j.leave()
}

func (j *Job) apply(r *Record) {
	old := j.records[r.Session]
	if old != nil && old.N >= r.N {
		return
	}
	m, known := j.Members[r.Session]
	if r.N < m.N {
		return // what it gave away may be done since
	}
	if r.End == Live && m.Ended {
		j.broken = fmt.Sprintf("%s wrote after it had ended", r.Session)
		return
	}
	delete(j.behind, r.Session)
	if !known {
		m = Member{Client: r.Client, Host: r.Host, NextA: 1, Run: j.Resumed}
		j.changes++
	}
	if r.End != Live && !m.Ended {
		m.Ended = true
		j.changes++
		j.mourn(r)
	}
	m.N = r.N
	j.Members[r.Session] = m
	j.records[r.Session] = r
	j.arrive(r, old != nil)
	j.replace(old, r)
}

// arrive notes which moves have arrived with a record, and which never will. The
// bags of a session that was not known are not counted yet.
func (j *Job) arrive(r *Record, known bool) {
	var still []Move
	for _, m := range j.moves[r.Session] {
		switch {
		case m.A <= r.In:
			delete(j.moving, m.Ref)
			j.changes++
			if m.From == "" {
				j.State.Outs = slices.DeleteFunc(slices.Clone(j.State.Outs), func(b Bag) bool {
					if b.K == m.K {
						j.count(b.Items, -1)
					}
					return b.K == m.K
				})
				delete(j.careful, m.Ref)
				delete(j.again, m.Ref)
				continue
			}
			j.settled[m.Ref] = true
			if b := j.bag(m.Ref); b != nil && b.Settle != "" {
				delete(j.unknown, m.From)
			}
			if b := j.bag(m.Ref); b != nil && (known || m.From != r.Session) {
				j.count(b.Items, -1)
			}
		case r.End != Live:
			// It may have been in its hands.
			delete(j.moving, m.Ref)
			j.changes++
			if r.End == Fenced {
				j.careful[m.Ref] = true
			}
			if r.End != Closed {
				j.again[m.Ref] = true
			}
			if r.Acts && r.End != Closed {
				j.after[m.Ref] = r.Session
			}
			if b := j.bag(m.Ref); b != nil {
				j.free[m.Ref] = b
			}
		default:
			still = append(still, m)
		}
	}
	if j.moves[r.Session] = still; still == nil {
		delete(j.moves, r.Session)
	}
}

// replace folds a record in place of the one before, which may be nil.
func (j *Job) replace(old, r *Record) {
	here := make(map[uint64]bool, len(r.Outs))
	for i := range r.Outs {
		here[r.Outs[i].K] = true
	}
	there := map[uint64]bool{}
	if old != nil {
		j.count(old.Held, -1)
		if old.holds() {
			j.holding--
		}
		for i := range old.Outs {
			b := &old.Outs[i]
			there[b.K] = true
			ref := Ref{r.Session, b.K}
			switch {
			case here[b.K]:
			case j.settled[ref]:
				delete(j.settled, ref)
				delete(j.careful, ref)
				delete(j.again, ref)
				j.changes++
			default:
				j.broken = fmt.Sprintf("%s forgot bag %d, which nobody else has", r.Session, b.K)
			}
		}
	} else {
		// After a start of the coordinator: settled bags may be gone by now.
		for ref := range j.settled {
			if ref.From == r.Session && !here[ref.K] {
				delete(j.settled, ref)
				delete(j.careful, ref)
				delete(j.again, ref)
				j.changes++
			}
		}
	}
	for i := range r.Outs {
		b := &r.Outs[i]
		if !there[b.K] {
			j.addBag(r.Session, b)
		} else if ref := (Ref{r.Session, b.K}); j.free[ref] != nil {
			j.free[ref] = b
		}
	}
	j.count(r.Held, 1)
	if r.holds() {
		j.holding++
	}
	// A directory can have been shared and done between two records.
	for id := range r.Shared {
		if !j.State.Left[id] && j.parts[id] == 0 {
			j.undone[id] = true
		}
	}
}

// addBag folds a bag that was not known.
func (j *Job) addBag(from SessionID, b *Bag) {
	ref := Ref{from, b.K}
	if j.settled[ref] {
		return
	}
	j.count(b.Items, 1)
	if b.Settle != "" {
		j.unknown[from] = true
	}
	if !j.moving[ref] {
		j.free[ref] = b
	}
}

// count counts the pieces of shared directories.
func (j *Job) count(items []walk.Item, n int) {
	for i := range items {
		p := items[i].Part
		if p == nil || p.Dir == "" {
			continue
		}
		j.parts[p.Dir] += n
		if j.parts[p.Dir] == 0 {
			delete(j.parts, p.Dir)
			if !j.State.Left[p.Dir] {
				j.undone[p.Dir] = true
			}
		}
	}
}

// leave makes bags of shared directories all parts of which are done.
func (j *Job) leave() {
	if len(j.behind) > 0 {
		return
	}
	for _, id := range slices.Sorted(maps.Keys(j.undone)) {
		delete(j.undone, id)
		if j.parts[id] > 0 {
			continue
		}
		var sum walk.DirSum
		for _, r := range j.records {
			if d, has := r.Shared[id]; has {
				sum.Root, sum.Path = d.Root, d.Path
				sum.Counts.Dirs += d.Counts.Dirs
				sum.Counts.Files += d.Counts.Files
				sum.Counts.Other += d.Counts.Other
				sum.Flags |= d.Flags
			}
		}
		b := Bag{K: j.State.NextOut, Items: []walk.Item{{
			Root: sum.Root, Path: sum.Path, Part: &walk.Part{Counts: sum.Counts, Flags: sum.Flags},
		}}}
		j.State.NextOut++
		j.State.Left[id] = true
		j.State.Outs = append(slices.Clone(j.State.Outs), b)
		j.addBag("", &j.State.Outs[len(j.State.Outs)-1])
		j.changes++
	}
}

// LeftOf are shared directories that a session need not tell of any more.
func (j *Job) LeftOf(r *Record) []string {
	var ids []string
	for id := range r.Shared {
		if j.State.Left[id] {
			ids = append(ids, id)
		}
	}
	return ids
}

// Done says that nothing remains: every directory was counted in a record.
func (j *Job) Done() bool {
	return len(j.behind) == 0 && j.holding == 0 && len(j.free) == 0 && len(j.moving) == 0
}

// Unbegun says that nobody has begun the job at its roots.
func (j *Job) Unbegun() bool {
	for ref, b := range j.free {
		if b.Roots && ref.From == "" {
			return true
		}
	}
	return false
}

// AllEnded says that no session is live.
func (j *Job) AllEnded() bool {
	for _, m := range j.State.Members {
		if !m.Ended {
			return false
		}
	}
	return true
}

// Free are the bags that wait for somebody: those of the coordinator first, then
// by the sessions' names and their numbers.
func (j *Job) Free() []Ref {
	if len(j.behind) > 0 {
		return nil
	}
	refs := slices.SortedFunc(maps.Keys(j.free), Ref.compare)
	return slices.DeleteFunc(refs, func(ref Ref) bool {
		of, after := j.after[ref]
		return j.free[ref].Settle == "" && (j.unknown[ref.From] || after && j.unknown[of])
	})
}

// AddTail makes a bag of what comes after all else.
func (j *Job) AddTail() {
	b := Bag{K: j.State.NextOut, Tail: true}
	j.State.NextOut++
	j.State.Tailed = true
	j.State.Outs = append(slices.Clone(j.State.Outs), b)
	j.addBag("", &j.State.Outs[len(j.State.Outs)-1])
	j.changes++
}

// Grant gives a session so much more of a budget.
func (j *Job) Grant(to SessionID, n int64) {
	if j.State.Granted == nil {
		j.State.Granted = map[SessionID]int64{}
	}
	j.State.Granted[to] += n
	j.changes++
}

// AllGranted is how much of the budget was granted.
func (s *State) AllGranted() (n int64) {
	for _, g := range s.Granted {
		n += g
	}
	return n
}

// holds tells whether a session answers for any work with its record.
func (r *Record) holds() bool { return len(r.Held) > 0 || r.Tail }

// IsCareful says that a free bag is to be worked on carefully, which is for a
// session that has nothing else.
func (j *Job) IsCareful(ref Ref) bool {
	b := j.free[ref]
	return b != nil && (b.Careful || j.careful[ref])
}

// Tried are the clients that a free bag is not for, unless there are no others:
// those that could not do it, and those to which a directory in it or below did
// not answer, whoever gave the bag away since.
func (j *Job) Tried(ref Ref) []ClientID {
	b := j.free[ref]
	if b == nil {
		return nil
	}
	tried := slices.Clip(b.Tried)
	for i := range j.State.Suspects {
		p := &j.State.Suspects[i]
		if len(p.Stalls) == 0 || j.State.avoids(p.Place) || !slices.ContainsFunc(b.Items, p.Place.under) {
			continue
		}
		for _, c := range p.Stalls {
			if !slices.Contains(tried, c) {
				tried = append(tried, c)
			}
		}
	}
	return tried
}

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

// SettledOf are the bags of a session that it can forget.
func (j *Job) SettledOf(id SessionID) []uint64 {
	var ks []uint64
	if r := j.records[id]; r != nil {
		for i := range r.Outs {
			if k := r.Outs[i].K; j.settled[Ref{id, k}] {
				ks = append(ks, k)
			}
		}
	}
	return ks
}

// Remains counts what is not done: directories, and roots that are files. Roots
// that nobody has begun count as directories.
func (j *Job) Remains(roots int) (dirs, files int64) {
	shared := map[string]bool{}
	count := func(items []walk.Item) {
		for _, item := range items {
			switch {
			case item.File:
				files++
			case item.Part != nil && item.Part.Dir != "":
				shared[item.Part.Dir] = true
			default:
				dirs++
			}
		}
	}
	bags := func(from SessionID, outs []Bag) {
		for _, b := range outs {
			if j.settled[Ref{from, b.K}] {
				continue
			}
			if b.Roots {
				dirs += int64(roots)
			}
			count(b.Items)
		}
	}
	bags("", j.State.Outs)
	for id, r := range j.records {
		count(r.Held)
		bags(id, r.Outs)
	}
	return dirs + int64(len(shared)), files
}
