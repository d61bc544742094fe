package hydra

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"time"

	"github.com/hydrawalk/hydra/stats"
	"github.com/hydrawalk/hydra/walk"
)

// ActSchema names the format of the records of acts: a line of JSON each, the first one
// of which says of what they are.
const ActSchema = "hydra.acts/1"

// actHead is the first line of the records of acts.
type actHead struct {
	Schema   string          `json:"schema"`
	Job      string          `json:"job"`
	App      string          `json:"app"`
	Host     string          `json:"host,omitempty"`
	Started  time.Time       `json:"started"`
	Paths    []stats.Path    `json:"paths"`
	Settings json.RawMessage `json:"settings,omitempty"`
}

// actLine is a line of the records of acts. Worker, Batch and Index together name an
// act of one session.
type actLine struct {
	At     time.Time `json:"at"`
	State  ActResult `json:"state"`
	Op     string    `json:"op,omitempty"`
	Worker int       `json:"worker"`
	Batch  uint64    `json:"batch"`
	Index  int       `json:"index"`
	*actEntry
	Error   string          `json:"error,omitempty"`
	Session string          `json:"session,omitempty"` // of the act, if another one settled it
	Note    json.RawMessage `json:"note,omitempty"`
}

// actEntry is what an act is about.
type actEntry struct {
	stats.Path
	To    *stats.Path `json:"to,omitempty"`
	Inode uint64      `json:"inode"`
	Mode  string      `json:"mode"`
	Size  int64       `json:"size"`
	*actDetails
}

// actDetails is what only intents say besides, and what is settled by another client.
type actDetails struct {
	Root      stats.Path `json:"root"`
	Device    uint64     `json:"device"`
	Links     uint64     `json:"links"`
	UID       uint32     `json:"uid"`
	GID       uint32     `json:"gid"`
	Allocated int64      `json:"allocated"`
	Mtime     time.Time  `json:"mtime"`
	Ctime     time.Time  `json:"ctime"`
}

// appendAct appends a line about an act.
func appendAct(b []byte, a *Act, state ActResult, worker int, batch uint64, index int, session string) []byte {
	st := &a.Stat
	e := &actEntry{Path: stats.PathOf(a.Path), Inode: st.Ino, Mode: st.Mode.String(), Size: st.Size}
	if a.To != "" {
		to := stats.PathOf(a.To)
		e.To = &to
	}
	if state == actIntent || session != "" {
		e.actDetails = &actDetails{
			Root: stats.PathOf(a.Root), Device: st.Dev, Links: st.Nlink, UID: st.UID, GID: st.GID,
			Allocated: st.Allocated(), Mtime: written(st.Mtime), Ctime: written(st.Ctime),
		}
	}
	return appendLine(b, actLine{At: time.Now().UTC(), State: state, Op: a.Op, Worker: worker, Batch: batch, Index: index, actEntry: e, Error: a.Error, Session: session})
}

// written is a time as JSON can have it: of years beyond, which anybody can give a file,
// the nearest.
func written(t walk.Time) time.Time {
	const first, last = -62135596800, 253402300799 // of the years 1 and 9999
	return time.Unix(min(max(t.Sec, first), last), int64(min(t.Nsec, 999_999_999))).UTC()
}

func appendLine(b []byte, l actLine) []byte {
	text, err := json.Marshal(l)
	if err != nil {
		panic(fmt.Sprintf("hydra: %v", err)) // its types are ours
	}
	return append(append(b, printed(text)...), '\n')
}

// act is what a line is about.
func (l *actLine) act() *Act {
	a := &Act{Op: l.Op, Result: l.State, Error: l.Error}
	if e := l.actEntry; e != nil {
		a.Path = e.Path.String()
		if e.To != nil {
			a.To = e.To.String()
		}
		a.Stat = walk.Stat{Known: walk.FieldType | walk.FieldMode | walk.FieldIno | walk.FieldSize, Mode: modeOf(e.Mode), Size: e.Size, Ino: e.Inode}
		if d := e.actDetails; d != nil {
			a.Root = d.Root.String()
			st := &a.Stat
			st.Known |= walk.FieldNlink | walk.FieldUID | walk.FieldGID | walk.FieldMtime | walk.FieldCtime | walk.FieldBlocks
			st.UID, st.GID, st.Nlink, st.Blocks, st.Dev = d.UID, d.GID, d.Links, d.Allocated/512, d.Device
			st.Mtime, st.Ctime = timeOf(d.Mtime), timeOf(d.Ctime)
		}
	}
	return a
}

func timeOf(t time.Time) walk.Time { return walk.Time{Sec: t.Unix(), Nsec: uint32(t.Nanosecond())} }

// modeOf is the type and the permissions that a mode's String tells.
func modeOf(s string) (m fs.FileMode) {
	const types = "dalTLDpSugct?"
	n := max(0, len(s)-9)
	for i := range n {
		for bit := range len(types) {
			if s[i] == types[bit] {
				m |= 1 << (31 - bit)
			}
		}
	}
	for i := n; i < len(s); i++ {
		if s[i] != '-' {
			m |= 1 << (8 - (i - n))
		}
	}
	return m
}

// eachLine decodes lines. The last one may be torn: who wrote it died.
func eachLine(lines []byte, f func(*actLine) error) error {
	for len(lines) > 0 {
		text, rest, whole := bytes.Cut(lines, []byte{'\n'})
		lines = rest
		l := actLine{actEntry: &actEntry{actDetails: new(actDetails)}}
		if err := json.Unmarshal(text, &l); err != nil {
			if !whole {
				return nil
			}
			return fmt.Errorf("records of acts: %w", err)
		}
		if l.Root.Printable == "" {
			l.actDetails = nil
		}
		if l.State == "" {
			continue // the head
		}
		if err := f(&l); err != nil {
			return err
		}
	}
	return nil
}
