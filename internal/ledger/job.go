package ledger

import (
	"cmp"
	"fmt"
	"iter"
	"maps"
	"slices"

	"github.com/hydrawalk/hydra/walk"
)

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
	s.fill()
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
