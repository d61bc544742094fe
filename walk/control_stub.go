package walk

type WorkerPhase string

type WorkerState struct {
	ID     int
	State  WorkerPhase
	Dir    string
	Totals Totals
}

func (s *Shared) Pause(on bool)          {}
func (s *Shared) Interject()             {}
func (s *Shared) Workers() []WorkerState { return nil }
