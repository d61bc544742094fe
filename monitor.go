package hydra

import (
	"sync/atomic"

	"github.com/hydrawalk/hydra/internal/wire"
	"github.com/hydrawalk/hydra/walk"
)

// Monitor shows the progress of a run from outside. Its zero value is ready; it
// serves one run at a time. Any goroutine may use it.
type Monitor struct {
	walk   walk.Monitor
	remote atomic.Pointer[Progress] // of a job of a server
	pacer  atomic.Pointer[pacer]    // of a run in this process that is limited
}

// Progress is how far a run has come.
type Progress struct {
	Entries    int64 // handled or left out: files and directories
	DirsDone   int64
	DirsQueued int64 // found, but not done
	Bytes      int64 // of the regular files whose size was asked for
	Errors     int64
	Workers    int // at work
	Pace       Pace

	// Of a job of a server:
	Clients int    // at work
	Waits   string // what it waits for, "" if it does not
	Phase   string // waiting, running, paused, stopping, ended
}

// Progress returns the counters as they are now.
func (m *Monitor) Progress() Progress {
	if p := m.remote.Load(); p != nil {
		return *p
	}
	t := m.walk.Snapshot()
	p := progressOf(&t, nil)
	if limited := m.pacer.Load(); limited != nil {
		p.Pace = *limited.now.Load()
	}
	return p
}

func progressOf(t *walk.Totals, st *wire.Status) Progress {
	p := Progress{
		Entries:    t.Entries(),
		DirsDone:   t.ExpectedDirs(),
		DirsQueued: t.QueuedDirs,
		Bytes:      t.Bytes,
		Errors:     t.Errors,
		Workers:    t.Workers,
	}
	if st != nil {
		p.Workers, p.Clients, p.Waits, p.Phase = st.Workers, st.Clients, st.Waits, string(st.Phase)
		p.Pace = Pace{Limit: st.Limit, Ops: st.OpsNow, Target: st.Target, Latency: st.Latency}
	}
	return p
}
