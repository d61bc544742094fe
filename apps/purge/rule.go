package purge

import (
	"fmt"
	"strings"
	"time"

	"github.com/hydrawalk/hydra/internal/report"
	"github.com/hydrawalk/hydra/internal/selection"
	"github.com/hydrawalk/hydra/walk"
)

// rule decides what is meant. One is of one worker.
type rule struct {
	files *selection.Matcher
	dirs  *selection.Matcher // empty directories, though nothing in them was meant
}

func newRule(s *Settings) (*rule, error) {
	files, err := selection.NewMatcher(&s.Selection)
	if err != nil {
		return nil, err
	}
	// Names and sizes are those of files.
	dirs, err := selection.NewMatcher(&selection.Selection{
		OlderThan: s.OlderThan, Times: s.Times, AsOf: s.AsOf, Owners: s.Owners, Groups: s.Groups,
	})
	if err != nil {
		return nil, err
	}
	return &rule{files, dirs}, nil
}

// names tells whether a regular file is meant, of which st was read.
func (r *rule) names(e *walk.Entry) (bool, error) { return r.files.Match(e) }

// stillNames tells whether one that was meant is so with the attributes that it has by
// now.
func (r *rule) stillNames(st *walk.Stat) bool { return r.files.Holds(st) }

// meansEmptyDirs tells whether directories may be meant that were empty before.
func (s *Settings) meansEmptyDirs() bool { return s.OlderThan > 0 || s.All }

// describe is the rule for people: all lines have to be true.
func (s *Settings) describe() []string {
	var lines []string
	if s.OlderThan > 0 {
		before := s.AsOf.Add(-time.Duration(s.OlderThan))
		lines = append(lines, fmt.Sprintf("older than %s by %s: from before %s", &s.OlderThan, strings.Join(s.Times, " or "), before.Local().Format("2006-01-02 15:04:05 MST")))
	}
	if len(s.Names) > 0 {
		var names []string
		for _, glob := range s.Names {
			names = append(names, report.Printable(string(glob)))
		}
		lines = append(lines, "called "+strings.Join(names, " or "))
	}
	for _, size := range s.Sizes {
		switch text := size.String(); size.Sign {
		case '+':
			lines = append(lines, "larger than "+text[1:])
		case '-':
			lines = append(lines, "smaller than "+text[1:])
		default:
			lines = append(lines, "of "+text+" bytes")
		}
	}
	if len(s.Owners) > 0 {
		lines = append(lines, "of the user "+strings.ReplaceAll(report.Printable(s.Owners.String()), ",", " or "))
	}
	if len(s.Groups) > 0 {
		lines = append(lines, "of the group "+strings.ReplaceAll(report.Printable(s.Groups.String()), ",", " or "))
	}
	return lines
}
