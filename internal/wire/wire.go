// Package wire is what a server, its clients and commands say to each other.
//
// What is lost of it costs time and nothing else: the truth about a job is in its
// table, whose keys and values are named here too.
package wire

import (
	"crypto/rand"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hydrawalk/hydra/internal/joblog"
	"github.com/hydrawalk/hydra/internal/ledger"
	"github.com/hydrawalk/hydra/internal/pace"
	"github.com/hydrawalk/hydra/walk"
)

// Subjects of messages. Each ends with who sends it, or, of one for a client, with that:
// so rights can say who may, and what is said elsewhere than under one's own name does
// not count.
const (
	subjectHello = "hydra.hello." // client to server, a request: Hello, answered by Welcome
	subjectBeat  = "hydra.beat."  // client to server: Beat
	subjectSight = "hydra.sight." // client to server: Seen
	subjectLogs  = "hydra.logs."  // client to server: Logs
	subjectAsk   = "hydra.ask."   // command to server, a request: Ask, answered by Answer
	subjectOrder = "hydra.order." // server to one client: Order
	subjectPeer  = "hydra.peer."  // command to one client, a request: PeerAsk, answered by PeerAnswer
	subjectNews  = "hydra.news."  // server to whoever watches a job: Status
	subjectEcho  = "hydra.echo."  // server to itself: nothing
)

// Patterns of what a server listens to.
const (
	PatternHello = subjectHello + "*"
	PatternBeat  = subjectBeat + "*"
	PatternSight = subjectSight + "*"
	PatternLogs  = subjectLogs + "*"
	PatternAsk   = subjectAsk + "*.*"
)

// SubjectHello is where a client says hello.
func SubjectHello(c ledger.ClientID) string { return subjectHello + string(c) }

// SubjectBeat is where it says how it does.
func SubjectBeat(c ledger.ClientID) string { return subjectBeat + string(c) }

// SubjectSight is where it says what it sees.
func SubjectSight(c ledger.ClientID) string { return subjectSight + string(c) }

// SubjectLogs is where it says what somebody should look at.
func SubjectLogs(c ledger.ClientID) string { return subjectLogs + string(c) }

// Rank is what a command may ask for.
type Rank string

// The ranks: who has a higher one may do all that a lower one may.
const (
	RankViewer   Rank = "viewer"   // to look
	RankOperator Rank = "operator" // to submit and steer jobs
	RankAdmin    Rank = "admin"    // to hand out tokens
)

// SubjectAsk is where a command asks, by its rank and a name of its own.
func SubjectAsk(r Rank, name string) string { return subjectAsk + string(r) + "." + name }

// Asker is who asks at a subject.
func Asker(subject string) (r Rank, name string) {
	rank, name, _ := strings.Cut(strings.TrimPrefix(subject, subjectAsk), ".")
	return Rank(rank), name
}

// Sender is the client that a message came from, by its subject.
func Sender(subject string) ledger.ClientID {
	return ledger.ClientID(subject[strings.LastIndexByte(subject, '.')+1:])
}

// NewSession makes up the name of a session. It begins with that of its client, under
// which alone a client may write.
func NewSession(c ledger.ClientID) ledger.SessionID {
	return ledger.SessionID(string(c) + "." + strings.ToLower(rand.Text()[:12]))
}

// Owner is the client whose session it is.
func Owner(s ledger.SessionID) ledger.ClientID {
	owner, _, _ := strings.Cut(string(s), ".")
	return ledger.ClientID(owner)
}

// SubjectOrder is where a client listens.
func SubjectOrder(c ledger.ClientID) string { return subjectOrder + string(c) }

// SubjectPeer is where a client answers commands.
func SubjectPeer(c ledger.ClientID) string { return subjectPeer + string(c) }

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
	PrefixActs   = "x."                   // ActFrame, by session and number
	PrefixOut    = "o."                   // what an application emitted, by session and number
)

// Table is the name of a job's table.
func Table(job string) string { return "job_" + job }

// KeyRecord is the key of a session's record.
func KeyRecord(s ledger.SessionID) string { return PrefixRec + string(s) }

// KeySum is the key of what a session counted until a record.
func KeySum(s ledger.SessionID, n uint64) string { return fmt.Sprintf("%s%s.%d", PrefixSum, s, n) }

// KeyErrors is the key of a part of a session's list of errors.
func KeyErrors(s ledger.SessionID, n uint32) string { return fmt.Sprintf("%s%s.%d", PrefixErr, s, n) }

// PrefixActsOf is that of the keys of a session's acts, in their order.
func PrefixActsOf(s ledger.SessionID) string { return PrefixActs + string(s) + "." }

// KeyActs is the key of a part of what a session did or is about to do. The numbers
// begin with 1, and none is left out.
func KeyActs(s ledger.SessionID, n uint64) string {
	return fmt.Sprintf("%s%012d", PrefixActsOf(s), n)
}

// ActFrame is a part of what a session did or is about to do. It is written once, by
// who finds the number free: after one that is barred the session can write none.
type ActFrame struct {
	Barred bool   // the server took the session for dead
	Lines  []byte // of the application, compressed: see package hydra
}

// Times of acts. What a session intends it may do only for a while after it began to
// write that down; who bars it waits longer before its work goes to others.
const (
	ActTime = 1500 * time.Millisecond
	BarTime = ActTime + 500*time.Millisecond
)

// KeyOutput is the key of a part of a session's output. It is written before the record
// that counts it, and never again: Record.Output are those from 0 on.
func KeyOutput(s ledger.SessionID, n uint32) string { return fmt.Sprintf("%s%s.%d", PrefixOut, s, n) }

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
	// Topics are those of the application's own messages.
	Topics []string
	// NeedsServer says that the application has a part that runs on the server,
	// which has to have it; Phases are what of it comes after the walk.
	NeedsServer bool
	Phases      []string
	AllErrors   bool          // the whole list of errors is kept, not only the smallest
	Changes     bool          // it changes what it finds: sessions write down what they do
	Tail        bool          // something comes after all else, on one client
	Own         []OwnDir      // directories of the server, in which nothing is to be changed
	Budget      int64         // of acts, for the whole job; 0: any number
	LimitOps    float64       // calls to the file system per second, of all clients; 0: no limit
	Latency     time.Duration // of these calls, that is aimed at; 0: any
	Local       bool          // one process at a time has server and client both: see package hydra
	Submitted   time.Time
}

// OwnDir is a directory on some host: the number of its device may be another one on each,
// so it is told by its inode and its name.
type OwnDir struct {
	Name string
	Ino  uint64
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

// With is the spec with what users changed since the job was submitted.
func (s *Spec) With(c *ledger.Control) *Spec {
	now := *s
	if c.Settings != nil {
		now.Settings = c.Settings
	}
	if c.Priority != 0 {
		now.Priority = c.Priority
	}
	if c.MaxErrors != nil {
		now.MaxErrors = *c.MaxErrors
	}
	if c.LimitOps != nil {
		now.LimitOps = *c.LimitOps
	}
	if c.Latency != nil {
		now.Latency = *c.Latency
	}
	return &now
}

// Beat says that a client lives, and what it does. It comes regularly, and at
// once when a session is hungry.
type Beat struct {
	Hello
	Bye      bool // it ends
	Leaving  bool // it gives all back, and ends then
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
	Hungry   bool       // it will be out of work soon
	Dry      bool       // it has nothing at all, and all it did is in its record
	Harm     uint64     // that it knows of
	Control  uint64     // that it goes by: Control.Rev
	Paused   bool       // its workers rest
	Share    pace.Grant // that it goes by, see Order
	Acts     uint64     // frames of acts that it has written
	Needs    int64      // what it could use of the budget, with what it used
	Usage    Usage
	Workers  int
	Totals   walk.Totals // now, for progress
}

// Usage is what a session asked of the file system since it began: a beat that gets
// lost takes nothing away.
type Usage struct {
	N       uint64 // counts how often it was measured: it comes with several beats
	Ops     int64
	Timed   int64 // calls for attributes and listings whose time was taken
	Took    time.Duration
	Held    time.Duration // that workers waited for the limit
	Elapsed time.Duration
}

// Since is what was done since was, which is an earlier one.
func (u *Usage) Since(was *Usage) Usage {
	return Usage{u.N - was.N, u.Ops - was.Ops, u.Timed - was.Timed, u.Took - was.Took, u.Held - was.Held, u.Elapsed - was.Elapsed}
}

// Add adds what was done meanwhile, or by somebody else.
func (u *Usage) Add(v *Usage) {
	*u = Usage{u.N + v.N, u.Ops + v.Ops, u.Timed + v.Timed, u.Took + v.Took, u.Held + v.Held, u.Elapsed + v.Elapsed}
}

// NoLimit, as a rate, says that there is none.
const NoLimit = -1

// FirstRate is what a session of a job with a limit or a target begins with, in calls to the
// file system per second, until it is told what its share is.
const FirstRate = 1

// Seen is what a client sees at the roots of a job.
type Seen struct {
	Job    string
	Client ledger.ClientID
	Sights []walk.Sight
	Err    string // why it can not work on it
}

// Logs are what somebody should look at of what a client logs about a job.
type Logs struct {
	Client  ledger.ClientID
	Host    string
	Job     string // "": about no job
	Seq     uint64 // of the first record, from 1; a smaller one than before begins anew
	Records []joblog.Record
	Dropped uint64 // records that there was no room for, all in all
}

// Order is what a server tells a client about one job.
type Order struct {
	Job     string
	Look    bool // tell what you see at the roots
	Open    bool // open a session
	Session ledger.SessionID
	Refused string // why the client takes no part
	Leave   bool   // give all back, of all jobs, and end
	Ticket  string // with which the table of the job can be reached; "": as before

	// About that session:
	Deliveries []Delivery
	Settled    []uint64   // bags to forget
	Left       []string   // shared directories to forget
	Harm       uint64     // see ledger.State.Harm: if it is new, the state tells what to avoid
	Control    uint64     // see ledger.Control.Rev: if it is new, the state tells what holds
	Share      pace.Grant // of calls to the file system per second, or NoLimit; of several that with the highest number holds
	Granted    int64      // of the budget, since the session began
	Spent      bool       // nothing is left of it
	Give       int        // this many bags are wanted
	Urgent     bool       // by somebody who has nothing at all
	Stop       bool       // give all back
	Over       bool       // this session is nothing any more
	Ended      bool       // because the job has ended
}

// Delivery is a bag for a session. One that is too large for a message is to be
// taken from the record of who gave it.
type Delivery struct {
	A       uint64
	Ref     ledger.Ref
	Bag     *ledger.Bag
	Careful bool
	Again   bool // see ledger.Bag.Again
	Must    bool
}

// Kinds of an Ask.
const (
	AskSubmit  = "submit"
	AskStatus  = "status"
	AskList    = "list"
	AskPause   = "pause"
	AskResume  = "resume" // a job that is paused, or has ended
	AskCancel  = "cancel"
	AskRemove  = "remove"
	AskWorkers = "workers"
	AskSet     = "set"
	AskPeers   = "peers"   // who works on a job
	AskClients = "clients" // who has joined the server
	AskDrain   = "drain"   // a client

	AskTokenCreate = "token create"
	AskTokenList   = "token list"
	AskTokenRevoke = "token revoke" // of an ID, of a token or of somebody who joined by one
)

// Needs is the rank that somebody has to have who asks for it.
func Needs(kind string) Rank {
	switch kind {
	case AskStatus, AskList, AskPeers, AskClients:
		return RankViewer
	case AskTokenCreate, AskTokenList, AskTokenRevoke:
		return RankAdmin
	}
	return RankOperator
}

// Has tells whether a rank is at least another one.
func (r Rank) Has(needed Rank) bool {
	order := []Rank{RankViewer, RankOperator, RankAdmin}
	have := slices.Index(order, r)
	return have >= 0 && have >= slices.Index(order, needed)
}

// TokenAsk is what is wanted of tokens.
type TokenAsk struct {
	Role string // that one is for
	Life time.Duration
	Once bool
	ID   string // to revoke
}

// Token is one of which a server knows.
type Token struct {
	ID      string
	Role    string
	Once    bool
	Created time.Time
	Until   time.Time
	Used    time.Time // when somebody joined by it last
	Status  string    // usable, or why not
	Joined  []Member
}

// Member is somebody who joined by a token.
type Member struct {
	ID      string
	Host    string
	Joined  time.Time
	Until   time.Time // its certificate
	Revoked bool
}

// Ask is a command's request.
type Ask struct {
	Kind    string
	Job     string
	Spec    *Spec           // to submit
	Client  ledger.ClientID // to drain; whose workers, "" of all; of lists: begin after this one
	Workers int             // ledger.Adapt, a number, or 0: as the client likes
	Set     *Set
	Token   *TokenAsk
}

// Set changes settings of a job. What is nil or empty stays as it is.
type Set struct {
	Base      uint64 // Control.SettingsRev of what Settings was made from
	Settings  []byte // of the application, checked by it
	Levels    map[string]string
	Priority  int
	MaxErrors *int64
	LimitOps  *float64
	Latency   *time.Duration
	Said      [][2]string // keys and values as they were given, for people
}

// Answer is the answer to an Ask.
type Answer struct {
	Err    string // why it was not done, for people
	Denied bool   // because who asks may not
	Job    string
	Status []Status
	More   bool // of a list: ask again for what comes after the last one

	// Of the status of one job:
	Warnings        []Warning // the last ones
	WarningsDropped uint64    // that got lost on their way, or were too many
	Peers           []Peer
	Clients         []Client
	Control         *ledger.Control // of AskPeers

	Tokens []Token
	Secret string // the text of a token that was created
}

// Client is a client that has joined the server.
type Client struct {
	Hello
	Leaving bool
	Heard   time.Time
	Jobs    []string // that it works on
}

// Peer is what a client does, or did, of a job.
type Peer struct {
	Client  ledger.ClientID
	Host    string
	PID     int
	State   PeerState
	Why     string // it takes no part
	Workers int
	Control uint64 // that it goes by
	Totals  walk.Totals
	Since   time.Time // its last record
}

// PeerState says how a client does in a job.
type PeerState string

// The states of a client in a job.
const (
	PeerWorking PeerState = "working" // it has enough to do
	PeerHungry  PeerState = "hungry"  // it will be out of work soon, and waits for more
	PeerIdle    PeerState = "idle"    // it has nothing, and waits for work
	PeerPaused  PeerState = "paused"  // its workers rest, for the job is paused
	PeerLeaving PeerState = "leaving" // it gives back what it has
	PeerLeft    PeerState = "left"    // it gave back what it had, or the job has ended
	PeerLost    PeerState = "lost"    // it was not heard of any more: others do its work
	PeerRefused PeerState = "refused" // it sees other trees, or does not allow the application
)

// PeerAsk asks a client how its workers do.
type PeerAsk struct{ Job string }

// PeerAnswer is the answer to a PeerAsk.
type PeerAnswer struct {
	Err     string
	Workers []walk.WorkerState
	Totals  walk.Totals // of the session so far
}

// Status says how a job does.
type Status struct {
	Job       string
	App       string
	Version   string
	Roots     [][]byte
	Priority  int
	Phase     ledger.Phase // as ledger.State.Shown
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
	Control   uint64  // ledger.Control.Rev
	Known     int     // clients that go by it

	Limit   float64       // calls to the file system per second, of all clients; 0: none
	Target  time.Duration // of their latency
	Latency time.Duration // of these, as measured last
	OpsNow  float64       // per second, as measured last; 0: they are not counted
}

// Event is something that changed.
type Event struct {
	N      uint64
	At     time.Time
	Kind   EventKind
	Text   string
	Phase  ledger.Phase    // of EventState: the new one
	Was    ledger.Phase    // and the one before
	Client ledger.ClientID // that it is about
}

// EventKind says what an event is about.
type EventKind string

// The kinds of events.
const (
	EventState   EventKind = "state"   // the job is in another phase
	EventClient  EventKind = "client"  // one takes part, left, was lost or refused
	EventSetting EventKind = "setting" // somebody changed one
	EventNote    EventKind = "note"    // anything else
)

// Warning is a line of a client's log that somebody should look at.
type Warning struct {
	At     time.Time
	Client ledger.ClientID
	Host   string
	Logger string
	Text   string
}
