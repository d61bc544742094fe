package hydra

import (
	"slices"
	"sync"
)

// maxSnapshots is how many of the snapshots that were left out a result names.
const maxSnapshots = 100

// snapshotLog collects the paths of snapshots that were left out. It keeps the
// smallest, so that its memory is bounded and the order in which they come does not
// matter; how many there were is counted by the walk.
type snapshotLog struct {
	mu       sync.Mutex
	smallest []string // sorted, at most maxSnapshots
}

// add takes some. Any goroutine may call it.
func (l *snapshotLog) add(paths ...string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, path := range paths {
		i, _ := slices.BinarySearch(l.smallest, path)
		if i == maxSnapshots {
			continue
		}
		l.smallest = slices.Insert(l.smallest, i, path)
		l.smallest = l.smallest[:min(len(l.smallest), maxSnapshots)]
	}
}

// absorb adds what another log has. Nobody may be using that one.
func (l *snapshotLog) absorb(o *snapshotLog) { l.add(o.smallest...) }

// clear forgets all.
func (l *snapshotLog) clear() { l.smallest = nil }
