package ledger

import (
	"fmt"
	"slices"

	"github.com/hydrawalk/hydra/walk"
)

// Suspect is a directory that may have done harm to who entered it.
type Suspect struct {
	Place
	Deaths int // of clients that had named it
	Alone  int // of those, how many worked on nothing else, and got nowhere
	Stalls []ClientID
}

// deaths before a directory is taken for what kills.
const (
	fatalDeaths = 3 // in all, if no other client died
	surely      = 3 // alone, if others did: clients die for other reasons too
)

// lonelyStalls is how often a directory may stall at one client, where there is no
// other to try it.
const lonelyStalls = 3

// mourn draws conclusions from a session that ended.
func (j *Job) mourn(r *Record) {
	s := j.State
	switch r.End {
	case Abandoned:
		for i, st := range r.Stalled {
			if slices.ContainsFunc(r.Stalled[:i], func(before Stall) bool { return before.Place == st.Place }) {
				continue // more than one worker was in it
			}
			p := s.suspect(st.Place)
			p.Stalls = append(p.Stalls, r.Client)
			elsewhere := slices.ContainsFunc(p.Stalls, func(c ClientID) bool { return c != r.Client })
			if elsewhere || len(p.Stalls) == lonelyStalls {
				s.avoid(st.Place, fmt.Sprintf("no answer to %s for %v, %d times", st.Op, st.For, len(p.Stalls)))
			}
		}
	case Fenced:
		s.Lost++
		if len(r.Named) == 0 {
			s.Unnamed++
		}
		for _, place := range r.Named {
			p := s.suspect(place)
			p.Deaths++
			switch {
			case !r.Alone || len(r.Named) > 1:
			case r.Moved:
				p.Alone = 0 // a directory that takes long: clients died meanwhile
			default:
				p.Alone++
			}
		}
		culprits := 0
		for i := range s.Suspects {
			if s.Suspects[i].Alone > 0 {
				culprits++
			}
		}
		needed := 1
		if s.Unnamed > max(culprits, 1) {
			needed = surely
		}
		for i := range s.Suspects {
			if p := &s.Suspects[i]; p.Alone >= needed && p.Deaths >= fatalDeaths-1 {
				s.avoid(p.Place, fmt.Sprintf("its client died, %d times", p.Deaths+1))
			}
		}
	}
}

func (s *State) suspect(place Place) *Suspect {
	i := slices.IndexFunc(s.Suspects, func(p Suspect) bool { return p.Place == place })
	if i < 0 {
		i = len(s.Suspects)
		s.Suspects = append(s.Suspects, Suspect{Place: place})
	}
	return &s.Suspects[i]
}

func (s *State) avoid(place Place, why string) {
	if !s.avoids(place) {
		s.Avoid = append(s.Avoid, walk.Avoided{Root: place.Root, Path: []byte(place.Path), Err: why})
	}
}

// Harm numbers what is known of directories that do harm: it grows with that.
func (s *State) Harm() uint64 { return uint64(len(s.Suspects)) + uint64(len(s.Avoid))<<32 }

// NoRoot says, of a job that is done, that nothing was found below any of its roots
// because none could be opened, as they were when the job began, or may be.
func (j *Job) NoRoot() bool {
	var t walk.Totals
	for r := range j.All() {
		t.Add(&r.Totals)
	}
	if t.FailedDirs == 0 || t.FailedDirs != t.FoundDirs || t.FailedDirs != t.Entries() {
		return false
	}
	for root, sight := range j.Sights {
		if sight.Dir && !j.avoids(Place{Root: root}) {
			return false // it was opened, and could not be read
		}
	}
	return true
}

func (s *State) avoids(place Place) bool {
	return slices.ContainsFunc(s.Avoid, func(a walk.Avoided) bool { return a.Root == place.Root && string(a.Path) == place.Path })
}
