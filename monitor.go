package hydra

import "github.com/hydrawalk/hydra/walk"

// Monitor shows the progress of a run from outside. Its zero value is ready; it
// serves one run at a time. Any goroutine may use it.
type Monitor struct{ walk walk.Monitor }

// Progress is how far a run has come.
type Progress struct {
	Entries    int64 // handled or left out: files and directories
	DirsDone   int64
	DirsQueued int64 // found, but not done
	Bytes      int64 // of the regular files whose size was asked for
	Errors     int64
	Workers    int // at work
}

// Progress returns the counters as they are now.
func (m *Monitor) Progress() Progress {
	t := m.walk.Snapshot()
	return Progress{
		Entries:    t.Entries(),
		DirsDone:   t.ExpectedDirs(),
		DirsQueued: t.QueuedDirs,
		Bytes:      t.Bytes,
		Errors:     t.Errors,
		Workers:    t.Workers,
	}
}
