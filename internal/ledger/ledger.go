// Package ledger knows what is done and what remains of a job.
//
// It is pure: no clock, no lock, no goroutine, no input or output. Whoever works
// on a job holds a session of it and writes one [Record], its whole state; whoever
// coordinates the job writes one [State]. Each is replaced by compare-and-set, so
// the last of each is all there is to know, and a [Job] is what they say together.
//
//	session C                      coordinator                    session D
//	Record: Outs (C,1) ─────────►  State: move (C,1) to D as 5 ─► delivery 5
//	                               settled (C,1)  ◄─────────────  Record: In 5, Held ...
//	Record: without (C,1)  ◄─────  State: without (C,1)
//
// At each moment one Record answers for an item of work: in Held, or in a bag of
// Outs that is not settled. A session that is lost is fenced: the coordinator
// replaces its Record by one that gives away all it held, and then that session
// can write nothing more.
package ledger

import (
	"slices"
	"time"

	"github.com/hydrawalk/hydra/walk"
)

// SessionID names what one client does of one job, from when it joins until it
// ends or is lost. It is never used again.
type SessionID string

// ClientID names a process that works on jobs.
type ClientID string

// Bag is work that is given away together.
type Bag struct {
	K       uint64      // numbers the bags of one session, from 1
	Items   []walk.Item // what to do
	Roots   bool        // begin the job at its roots; no Items
	Careful bool        // somebody died with it in hand
	Again   bool        // somebody who is lost, for whatever reason, may have begun it; filled by Job.Deliveries
	Tried   []ClientID  // could not do it
	Why     string      // the reason of the last of them

	// Settle is the session that gave the bag, which was lost, if this is not work but
	// to find out what became of the acts that no record counts. Its other bags wait
	// until somebody has: what was removed is not to be found and counted again.
	Settle SessionID
	Tail   bool // what comes after all else, once for the job; no Items
}

// Ref names a bag.
type Ref struct {
	From SessionID // "" is the coordinator
	K    uint64
}

// End says how a session ended.
type End uint8

// How a session can end. All that it held is in Outs then.
const (
	Live      End = iota
	Closed        // it gave all back, or was stopped
	Abandoned     // it gave up what it had not committed: a directory does not answer
	Fenced        // it was lost
)

// Place is a directory of a job.
type Place struct {
	Root int
	Path string // below the root, any bytes
}

// Stall is a directory in which a system call did not return.
type Stall struct {
	Place
	Op  string
	For time.Duration
}

// Record is the state of a session. It replaces the one before.
type Record struct {
	Session SessionID
	Client  ClientID
	Host    string
	N       uint64    // numbers the records of a session, from 1
	At      time.Time // when it was made, by the client's clock; for people
	End     End

	In      uint64      // deliveries that are in Held, or done, up to this one
	Held    []walk.Item // what remains
	Outs    []Bag       // given away, and not known to be settled
	NextOut uint64      // K of the next bag

	// Named are directories that are entered only after this record was
	// written: the suspects if the client dies. Alone says that nothing else was
	// worked on, so that one of one is no suspect any more. Moved says that more
	// was counted since they were named: what does that is not what kills at once.
	Named []Place
	Alone bool
	Moved bool

	// Shared is what was counted in directories that others have parts of.
	Shared map[string]walk.DirSum

	// Acts says that the session changes what it finds: there may be acts that it does
	// not count. Tail says that it holds what a bag of that name is.
	Acts bool
	Tail bool

	Settings uint64 // Control.SettingsRev by which the last of it was counted

	Totals  walk.Totals // counted in this session
	Stopped bool        // a handler ended the walk
	Fatal   string      // why the walk failed
	Stalled []Stall     // with Abandoned

	Data     []byte   // what the application counted; or, if it is large,
	DataKeys []string // where it is, in parts that are added up
	Errors   []uint32 // parts of the list of errors that were written
	Output   uint32   // how many parts of the output were written

	// Mounts say what was opened through each of several mounts, and how they do;
	// Notes what happened to them that somebody should know.
	Mounts []walk.MountState
	Notes  []string
}

// Session is the holder's side: it makes the records.
//
//	Receive, Give ... ─► Begin (a cut begins) ─► Commit (it ended)
//
// What is received or given between Begin and Commit belongs to the next cut.
type Session struct {
	last     Record
	received uint64 // deliveries that were taken up
	given    []Bag  // since the last cut began
	named    int64  // entries that were counted when places were named
	tail     bool   // it is being done
	cut      struct {
		in    uint64
		given []Bag
		tail  bool
	}
}

// NewSession begins a session. Its first record holds nothing.
func NewSession(id SessionID, client ClientID, host string) *Session {
	return &Session{last: Record{Session: id, Client: client, Host: host, NextOut: 1}}
}

// SetActs says that the session changes what it finds.
func (s *Session) SetActs() { s.last.Acts = true }

// SetTail says whether the tail was received and is not done. Like Receive it
// belongs to the cut that begins next.
func (s *Session) SetTail(held bool) { s.tail = held }

// Last is the record that was made last. It must not be changed.
func (s *Session) Last() *Record { return &s.last }

// Received is the last delivery that was taken up.
func (s *Session) Received() uint64 { return s.received }

// Receive takes a delivery up. False: it is not the next one, and to be left.
func (s *Session) Receive(a uint64) bool {
	if a != s.received+1 {
		return false
	}
	s.received = a
	return true
}

// Give gives bags away, which are in no cut from now on.
func (s *Session) Give(bags ...Bag) { s.given = append(s.given, bags...) }

// Settle forgets bags that somebody else holds now.
func (s *Session) Settle(ks []uint64) {
	outs := make([]Bag, 0, len(s.last.Outs))
	for _, b := range s.last.Outs {
		if !slices.Contains(ks, b.K) {
			outs = append(outs, b)
		}
	}
	s.last.Outs = outs
}

// GiveHeld makes a record that gives bags away of what the last one holds:
// directories of which nothing was begun since. False: not all of it is held, and
// nothing was given.
func (s *Session) GiveHeld(bags ...Bag) (Record, bool) {
	r := &s.last
	going := map[Place]bool{}
	for _, b := range bags {
		for i := range b.Items {
			if b.Items[i].Part != nil || b.Items[i].File {
				return Record{}, false
			}
			going[Place{b.Items[i].Root, string(b.Items[i].Path)}] = true
		}
	}
	held := make([]walk.Item, 0, len(r.Held))
	for _, item := range r.Held {
		if place := (Place{item.Root, string(item.Path)}); item.Part == nil && !item.File && going[place] {
			delete(going, place)
			continue
		}
		held = append(held, item)
	}
	if len(going) > 0 {
		return Record{}, false
	}
	r.Held = held
	r.Outs = slices.Clip(r.Outs)
	for _, b := range bags {
		b.K = r.NextOut
		r.NextOut++
		r.Outs = append(r.Outs, b)
	}
	return s.next(), true
}

// Begin says that a cut begins: what was received and given until now is in it.
func (s *Session) Begin() {
	s.cut.in, s.cut.tail = s.received, s.tail
	s.cut.given = append(s.cut.given, s.given...)
	s.given = nil
}

// Counted is what a cut counted.
type Counted struct {
	Totals   walk.Totals
	Shared   map[string]walk.DirSum
	Data     []byte
	DataKeys []string
	Errors   []uint32
	Output   uint32
	Stopped  bool
	Fatal    string
	Named    []Place // those of the last record that may still be worked on
	Alone    bool
	Settings uint64
	Mounts   []walk.MountState
	Notes    []string
}

// Commit makes the record of the cut that was begun last: held is what remains.
func (s *Session) Commit(held []walk.Item, c Counted) Record {
	r := &s.last
	r.In, r.Tail = s.cut.in, s.cut.tail
	r.Outs = slices.Clip(r.Outs)
	for _, b := range s.cut.given {
		b.K = r.NextOut
		r.NextOut++
		r.Outs = append(r.Outs, b)
	}
	s.cut.given = nil
	c.Totals.FirstError = nil
	r.Held, r.Totals, r.Shared, r.Stopped, r.Fatal = held, c.Totals, c.Shared, c.Stopped, c.Fatal
	r.Data, r.DataKeys, r.Errors, r.Settings = c.Data, c.DataKeys, c.Errors, c.Settings
	r.Output = c.Output
	r.Mounts, r.Notes = c.Mounts, c.Notes
	r.Named, r.Alone = c.Named, c.Alone
	r.Moved = len(c.Named) > 0 && c.Totals.Entries() != s.named
	return s.next()
}

// Name makes a record of what stood in the last one, and of the places that are
// entered when it was written.
func (s *Session) Name(named []Place, alone bool) Record {
	s.last.Named, s.last.Alone, s.last.Moved = named, alone, false
	s.named = s.last.Totals.Entries()
	return s.next()
}

// Close makes the last record of a session that ends in good order, after a cut
// that was begun when nothing ran any more.
func (s *Session) Close(held []walk.Item, c Counted) Record {
	s.Commit(held, c)
	s.last.End = Closed
	s.last.Named, s.last.Alone = nil, false
	s.last.giveAll(false, nil)
	return s.last
}

func (s *Session) next() Record {
	s.last.N++
	return s.last
}

// bagItems is the most items of a bag that is made of what a session held.
const bagItems = 250

// giveAll makes bags of all that a record holds.
func (r *Record) giveAll(careful bool, tried func(walk.Item) ([]ClientID, string)) {
	add := func(b Bag) {
		b.K = r.NextOut
		r.NextOut++
		r.Outs = append(r.Outs, b)
	}
	if r.Acts && r.End != Closed {
		add(Bag{Settle: r.Session})
	}
	if r.Tail {
		add(Bag{Tail: true})
	}
	bag := Bag{Careful: careful}
	for _, item := range r.Held {
		item.Must = false
		item.Again = item.Again || r.End != Closed
		if tried != nil {
			if by, why := tried(item); by != nil {
				add(Bag{Items: []walk.Item{item}, Careful: careful, Tried: by, Why: why})
				continue
			}
		}
		if bag.Items = append(bag.Items, item); len(bag.Items) == bagItems {
			add(bag)
			bag.Items = nil
		}
	}
	if len(bag.Items) > 0 {
		add(bag)
	}
	r.Held, r.Tail = nil, false
}

// Fence is the record that takes a lost session's place. r must be the last that
// was written.
func (r *Record) Fence() Record {
	f := *r
	f.Outs = append([]Bag(nil), r.Outs...)
	f.N++
	f.End = Fenced
	f.giveAll(true, nil)
	return f
}

// Abandon makes the last record of a session that can not commit any more
// because directories do not answer. written is the last record that was
// written: what was done since is to be done again.
func Abandon(written *Record, stalled []Stall) Record {
	r := *written
	r.Outs = append([]Bag(nil), written.Outs...)
	r.N++
	r.End = Abandoned
	r.Stalled = stalled
	r.Named, r.Alone = nil, false
	r.giveAll(false, func(item walk.Item) ([]ClientID, string) {
		for _, st := range stalled {
			if st.under(item) {
				return []ClientID{r.Client}, "no answer to " + st.Op
			}
		}
		return nil, ""
	})
	return r
}

// under tells whether a place is in or below the directory of an item.
func (p Place) under(item walk.Item) bool {
	return p.Root == item.Root && within(p.Path, string(item.Path))
}

// within tells whether path is dir or lies below it.
func within(path, dir string) bool {
	return dir == "" || path == dir || len(path) > len(dir) && path[:len(dir)] == dir && path[len(dir)] == '/'
}
