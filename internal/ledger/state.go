package ledger

import (
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

// Phases are all that a State can have.
var Phases = []Phase{Waiting, Running, Finishing, Stopping, Ended}

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

// fill makes what is written to of a state that was read: it need not be one that was made
// by NewState.
func (s *State) fill() {
	if s.Refused == nil {
		s.Refused = map[ClientID]string{}
	}
	if s.Members == nil {
		s.Members = map[SessionID]Member{}
	}
	if s.Left == nil {
		s.Left = map[string]bool{}
	}
}
