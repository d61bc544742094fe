package walk

import "sync"

// Monitor shows a walk from outside. Its zero value is ready; it serves one
// walk at a time.
type Monitor struct {
	mu    sync.Mutex
	p     *pool
	found Totals // what was counted before the workers began
	last  Totals // of the walk that ended last
}

// Snapshot returns the counters as they are now; QueuedDirs is the number of
// directories that wait or are being read, and Workers that of those at work.
// Any goroutine may call it, before, during and after the walk. Counters lag by
// a chunk of a directory at most.
func (m *Monitor) Snapshot() Totals {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.p == nil {
		return m.last
	}
	t := m.p.totals(m.found)
	t.QueuedFiles = m.p.rootFiles.Load()
	t.QueuedDirs = max(0, m.p.pending.Load()-t.QueuedFiles)
	t.Workers = min(t.Workers, int(m.p.limit.Load()))
	return t
}

func (m *Monitor) begin(p *pool, found Totals) {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.p, m.found = p, found
}

func (m *Monitor) end() {
	if m == nil {
		return
	}
	t := m.Snapshot()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.p, m.last = nil, t
}
