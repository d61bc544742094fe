package walk

// Progress is what was counted until a moment ago.
func (s *Shared) Progress() Totals {
	return s.p.totals(Totals{})
}

// AddRootsCarefully is AddRoots, but the roots are careful items.
func (s *Shared) AddRootsCarefully() bool {
	s.mu.Lock()
	if s.began || s.last != nil {
		defer s.mu.Unlock()
		return s.began
	}
	s.began = true
	for _, t := range s.first {
		t.dir.careful = true
		if t.dir.depth == 0 {
			s.found.FoundDirs++
		} else {
			s.p.rootFiles.Add(1)
		}
	}
	s.p.pending.Add(int64(len(s.first)))
	s.aside = append(s.aside, s.first...)
	s.mu.Unlock()
	s.notify()
	return true
}
