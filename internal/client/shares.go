package client

import (
	"maps"
	"runtime"
	"slices"
)

// manyWorkers keep the processors busy while some wait for the file system. So many
// there are when they can not adapt, because several jobs share them.
var manyWorkers = 4 * runtime.NumCPU()

// shares sets how many workers each session may use: in proportion to the
// priorities of their jobs, among those that have something to do. What is left
// over after division goes round, so that one worker serves many jobs in turn.
func shares(sessions map[string]*session, workers int) {
	var busy []*session
	total := 0
	for _, job := range slices.Sorted(maps.Keys(sessions)) {
		s := sessions[job]
		if s.hasWork() {
			busy = append(busy, s)
			total += s.priority()
		} else {
			s.setWorkers(max(1, workers/len(sessions))) // what comes is begun at once
			s.credit = 0
		}
	}
	if len(busy) == 0 {
		return
	}
	left := workers
	parts := make([]int, len(busy))
	for i, s := range busy {
		s.credit += float64(workers) * float64(s.priority()) / float64(total)
		parts[i] = max(0, min(int(s.credit), left))
		left -= parts[i]
	}
	for left > 0 {
		// To whom most is owed.
		most := 0
		for i := range busy {
			if busy[i].credit-float64(parts[i]) > busy[most].credit-float64(parts[most]) {
				most = i
			}
		}
		parts[most]++
		left--
	}
	for i, s := range busy {
		s.credit = min(s.credit-float64(parts[i]), float64(workers))
		s.setWorkers(parts[i])
	}
}
