package ledger

import (
	"maps"
	"slices"
	"time"
)

// Control is what users asked for while a job runs: what its clients go by. It is
// a part of the State, and so there before anybody is told.
type Control struct {
	Rev    uint64 // counts the changes; 0: nobody changed anything
	Paused bool

	// Workers says how many may work on the job, by client; of "" all that are not
	// named. Who is not in it decides itself.
	Workers map[ClientID]int

	Settings    []byte // of the application; nil: those that the job was submitted with
	SettingsRev uint64 // counts their changes

	Levels    map[string]string // of loggers, by name; of "" all that are not named
	Priority  int               // 0: as it was submitted
	MaxErrors *int64            // nil: as it was submitted
	LimitOps  *float64          // calls to the file system per second; nil: as it was submitted
	Latency   *time.Duration    // of these, that is aimed at; nil: as it was submitted

	Changes []Change // the last ones
	Changed int      // how many there were
}

// Adapt, as a number of workers, lets it adapt to the file system.
const Adapt = -1

// Change is a change of a setting, for people.
type Change struct {
	At    time.Time
	Key   string
	Value string
}

// mostChanges is how many changes are kept: the State is written often.
const mostChanges = 100

// WorkersOf tells how many workers a client may have; false: as it likes.
func (c *Control) WorkersOf(id ClientID) (n int, asked bool) {
	if n, asked = c.Workers[id]; !asked {
		n, asked = c.Workers[""]
	}
	return n, asked
}

// SetWorkers sets how many workers a client may have, or with "" all; 0 leaves it
// to the client again.
func (c *Control) SetWorkers(id ClientID, n int) {
	c.Workers = maps.Clone(c.Workers)
	switch {
	case id == "" && n == 0:
		c.Workers = nil
	case id == "":
		c.Workers = map[ClientID]int{"": n}
	case n == 0:
		delete(c.Workers, id)
	default:
		if c.Workers == nil {
			c.Workers = map[ClientID]int{}
		}
		c.Workers[id] = n
	}
}

// Note notes a change that was made.
func (c *Control) Note(at time.Time, key, value string) {
	c.Changed++
	key, value = short(key), short(value)
	c.Changes = append(slices.Clip(c.Changes), Change{at, key, value})
	if extra := len(c.Changes) - mostChanges; extra > 0 {
		c.Changes = c.Changes[extra:]
	}
}

// mostNote is how much of a key or a value is kept, in bytes.
const mostNote = 200

func short(text string) string {
	if len(text) > mostNote {
		return text[:mostNote] + "..."
	}
	return text
}

// Paused is the phase that is shown while a job is paused. It is none of State.Phase:
// what a paused job goes on with later, it knows by that.
const Paused Phase = "paused"

// Shown is the phase for people and programs.
func (s *State) Shown() Phase {
	if s.Control.Paused && (s.Phase == Waiting || s.Phase == Running) {
		return Paused
	}
	return s.Phase
}

// Transition is a way from one phase to another, and what leads there.
type Transition struct {
	From, To Phase
	Why      string
}

// Transitions are all that there are, between phases as Shown tells them.
var Transitions = []Transition{
	{Waiting, Running, "a client sees the paths"},
	{Waiting, Paused, "pause"},
	{Waiting, Stopping, "cancel"},
	{Waiting, Ended, "no client can see the paths as they are"},
	{Running, Paused, "pause"},
	{Running, Stopping, "cancel, too many errors, the application ends the walk"},
	{Running, Finishing, "nothing remains, and the application has phases of its own"},
	{Running, Ended, "nothing remains"},
	{Paused, Waiting, "resume, before it began"},
	{Paused, Running, "resume"},
	{Paused, Stopping, "cancel, too many errors, the application ends the walk"},
	{Paused, Finishing, "nothing remains, and the application has phases of its own"},
	{Paused, Ended, "nothing remains"},
	{Finishing, Stopping, "cancel, a phase failed"},
	{Finishing, Ended, "the phases are done"},
	{Stopping, Ended, "all clients gave back what they had"},
	{Ended, Waiting, "resume"},
}

// Follows tells whether a phase can follow another.
func Follows(from, to Phase) bool {
	return from == to || slices.ContainsFunc(Transitions, func(t Transition) bool { return t.From == from && t.To == to })
}
