// Package wire is what a server, its clients and commands say to each other.
//
// What is lost of it costs time and nothing else: the truth about a job is in its
// table, whose keys and values are named here too.
package wire

import (
	"fmt"
	"time"

	"github.com/hydrawalk/hydra/internal/ledger"
	"github.com/hydrawalk/hydra/walk"
)

// Subjects of messages.
const (
	SubjectHello = "hydra.hello"  // client to server, a request: Hello, answered by Welcome
	SubjectBeat  = "hydra.beat"   // client to server: Beat
	SubjectSight = "hydra.sight"  // client to server: Seen
	SubjectAsk   = "hydra.ask"    // command to server, a request: Ask, answered by Answer
	subjectOrder = "hydra.order." // server to one client: Order
	subjectNews  = "hydra.news."  // server to whoever watches a job: Status
	subjectEcho  = "hydra.echo."  // server to itself: nothing
)

// SubjectOrder is where a client listens.
func SubjectOrder(c ledger.ClientID) string { return subjectOrder + string(c) }

// SubjectEcho is where a server listens to itself.
func SubjectEcho(server string) string { return subjectEcho + server }

// SubjectNews is where the news of a job are told.
func SubjectNews(job string) string { return subjectNews + job }

// Keys of a job's table.
const (
	KeySpec      = "spec"                 // Spec, written once
	PrefixLedger = "l."                   // what a ledger.Job is made of:
	KeyState     = PrefixLedger + "state" // ledger.State
	PrefixRec    = PrefixLedger + "s."    // ledger.Record, by session
	PrefixSum    = "d."                   // what an application counted, by session and number
	PrefixErr    = "e."                   // lists of errors, by session and number
)

// Table is the name of a job's table.
func Table(job string) string { return "job_" + job }

// KeyRecord is the key of a session's record.
func KeyRecord(s ledger.SessionID) string { return PrefixRec + string(s) }

// KeySum is the key of what a session counted until a record.
func KeySum(s ledger.SessionID, n uint64) string { return fmt.Sprintf("%s%s.%d", PrefixSum, s, n) }

// KeyErrors is the key of a part of a session's list of errors.
func KeyErrors(s ledger.SessionID, n uint32) string { return fmt.Sprintf("%s%s.%d", PrefixErr, s, n) }

// Spec says what a job is.
type Spec struct {
	Job       string
	App       string
	Version   string
	Settings  []byte   // of the application, as JSON
	Roots     [][]byte // absolute
	Options   []byte   // of the run, which only package hydra knows
	Key       uint64   // of the hash of names
	Priority  int      // shares of the workers are in proportion to it
	Clients   int      // so many have to be there before it begins
	Stall     time.Duration
	MaxErrors int64
	AllErrors bool // the whole list of errors is kept, not only the smallest
	// Topics are those of the application's own messages.
	Topics []string
	// NeedsServer says that the application has a part that runs on the server,
	// which has to have it; Phases are what of it comes after the walk.
	NeedsServer bool
	Phases      []string
	Submitted   time.Time
}

// AppID names an application that a client has.
type AppID struct{ Name, Version string }

func (a AppID) String() string {
	if a.Version == "" {
		return a.Name
	}
	return a.Name + " " + a.Version
}

// Hello is how a client begins.
type Hello struct {
	Client  ledger.ClientID
	Host    string
	PID     int
	Workers int // 0 adapts
	Apps    []AppID
}

// Welcome is the answer to a Hello.
type Welcome struct {
	Server string // changes with each start
	Every  time.Duration
}

// Beat says that a client lives, and what it does. It comes regularly, and at
// once when a session is hungry.
type Beat struct {
	Hello
	Bye      bool // it ends
	Sessions []Pulse
}

// Pulse is how a session does.
type Pulse struct {
	Job      string
	Session  ledger.SessionID
	Received uint64 // the last delivery
	Unborn   bool   // its first record is not written yet
	Queued   int    // directories and parts that others could take
	MinDepth int
	Hungry   bool   // it will be out of work soon
	Dry      bool   // it has nothing at all, and all it did is in its record
	Harm     uint64 // that it knows of
	Workers  int
	Totals   walk.Totals // now, for progress
}

// Seen is what a client sees at the roots of a job.
type Seen struct {
	Job    string
	Client ledger.ClientID
	Sights []walk.Sight
	Err    string // why it can not work on it
}

// Order is what a server tells a client about one job.
type Order struct {
	Job     string
	Look    bool // tell what you see at the roots
	Open    bool // open a session
	Session ledger.SessionID
	Refused string // why the client takes no part

	// About that session:
	Deliveries []Delivery
	Settled    []uint64 // bags to forget
	Left       []string // shared directories to forget
	Harm       uint64   // see ledger.State.Harm: if it is new, the state tells what to avoid
	Give       int      // this many bags are wanted
	Urgent     bool     // by somebody who has nothing at all
	Stop       bool     // give all back
	Over       bool     // this session is nothing any more
	Ended      bool     // because the job has ended
}

// Delivery is a bag for a session. One that is too large for a message is to be
// taken from the record of who gave it.
type Delivery struct {
	A       uint64
	Ref     ledger.Ref
	Bag     *ledger.Bag
	Careful bool
	Must    bool
}

// Kinds of an Ask.
const (
	AskSubmit = "submit"
	AskStatus = "status"
	AskList   = "list"
	AskCancel = "cancel"
	AskResume = "resume"
	AskRemove = "remove"
)

// Ask is a command's request.
type Ask struct {
	Kind string
	Job  string
	Spec *Spec // to submit
}

// Answer is the answer to an Ask.
type Answer struct {
	Err    string // why it was not done, for people
	Job    string
	Status []Status
	More   bool // of a list: ask again for what comes after the last one
}

// Status says how a job does.
type Status struct {
	Job       string
	App       string
	Version   string
	Roots     [][]byte
	Priority  int
	Phase     ledger.Phase
	Verdict   ledger.Verdict
	Submitted time.Time
	Started   time.Time
	Finished  time.Time
	Clients   int // that take part now
	Workers   int
	Totals    walk.Totals
	Waits     string  // what it waits for, "" if it does not
	Step      string  // what the application does on the server, "" if that is nothing
	Events    []Event // the last ones
}

// Event is something that changed.
type Event struct {
	N    uint64
	At   time.Time
	Text string
}
