package walk

// WorkerPhase says what a worker does.
type WorkerPhase string

// What a worker may do.
const (
	// WorkerBusy has a directory or a file in hand.
	WorkerBusy WorkerPhase = "working"
	// WorkerIdle has found no task, and waits for one.
	WorkerIdle WorkerPhase = "idle"
	// WorkerPaused rests until the walk goes on: see Shared.Pause.
	WorkerPaused WorkerPhase = "paused"
	// WorkerHeld waits for the limit of a Throttle.
	WorkerHeld WorkerPhase = "held"
	// WorkerBenched is one too many: see Shared.SetWorkers.
	WorkerBenched WorkerPhase = "benched"
	// WorkerEnded has ended, because the walk has or is ending.
	WorkerEnded WorkerPhase = "ended"
)

// The phases as a worker keeps them.
const (
	phaseBusy uint32 = iota
	phaseIdle
	phasePaused
	phaseHeld
	phaseBenched
	phaseEnded
)

var phases = [...]WorkerPhase{WorkerBusy, WorkerIdle, WorkerPaused, WorkerHeld, WorkerBenched, WorkerEnded}

// WorkerState is a worker as it was a moment ago.
type WorkerState struct {
	ID     int
	State  WorkerPhase
	Dir    string // path of the directory at hand, of a root that is a file that of its directory; "" if there is none
	Totals Totals // what it counted, but for what is in hand
}

// Workers tells what each worker does, by ID.
func (s *Shared) Workers() []WorkerState { return s.p.states() }

// Workers tells what each worker does, by ID. Without a walk there are none. Any
// goroutine may call it.
func (m *Monitor) Workers() []WorkerState {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.p == nil {
		return nil
	}
	return m.p.states()
}

func (p *pool) states() []WorkerState {
	var all []WorkerState
	for id := range p.started.Load() {
		w := p.workers[id].Load()
		s := WorkerState{ID: int(id), State: phases[w.phase.Load()]}
		// A Dir keeps its name and its parents as long as somebody knows it.
		if d := w.at.Load(); d != nil {
			s.Dir = d.Path()
		}
		w.sharedMu.Lock()
		s.Totals = w.shared
		w.sharedMu.Unlock()
		all = append(all, s)
	}
	return all
}
