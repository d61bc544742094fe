package purge

import (
	"fmt"
	"time"

	"github.com/hydrawalk/hydra/walk"
)

// rule decides which files are meant. One is of one worker.
type rule struct {
	age age
}

func newRule(s *Settings) *rule {
	r := &rule{}
	if s.OlderThan > 0 {
		r.age = newAge(time.Duration(s.OlderThan), s.AsOf.Time, s.Times)
	}
	return r
}

// names tells whether a regular file is meant.
func (r *rule) names(name []byte, st *walk.Stat) bool {
	return r.age.old(st)
}

// namesDir tells whether an empty directory is meant, though nothing in it was.
func (r *rule) namesDir(st *walk.Stat) bool { return r.age.old(st) }

// hasRule tells whether anything is said of which files are meant.
func (s *Settings) hasRule() bool { return s.OlderThan > 0 }

// describe is the rule for people: all lines have to be true.
func (s *Settings) describe() []string {
	var lines []string
	if s.OlderThan > 0 {
		before := s.AsOf.Add(-time.Duration(s.OlderThan))
		lines = append(lines, fmt.Sprintf("older than %s by %s, from before %s", s.OlderThan.text(), s.Times.or(), before.Local().Format("2006-01-02 15:04:05 MST")))
	}
	return lines
}
