package walk

type WorkerPhase string

type WorkerState struct {
	ID     int
	State  WorkerPhase
	Dir    string
	Totals Totals
}

func (s *Shared) Workers() []WorkerState { return nil }
