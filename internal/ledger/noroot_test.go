package ledger

import (
	"testing"

	"github.com/hydrawalk/hydra/walk"
)

func TestARootThatIsOpenedButNotReadIsNoMissingRoot(t *testing.T) {
	for _, tt := range []struct {
		name   string
		sight  walk.Sight
		avoid  []walk.Avoided
		noRoot bool
	}{
		{"can not be opened", walk.Sight{Err: "no"}, nil, true},
		{"can not be read", walk.Sight{Dir: true, Err: "no"}, nil, false},
		{"kills who enters it", walk.Sight{Dir: true}, []walk.Avoided{{Root: 0}}, true},
	} {
		s := NewState()
		s.Sights, s.Avoid = []walk.Sight{tt.sight}, tt.avoid
		r := &Record{Session: "s", Client: "c", N: 1, NextOut: 1, Totals: walk.Totals{FoundDirs: 1, FailedDirs: 1}}
		if got := NewJob(s, []*Record{r}).NoRoot(); got != tt.noRoot {
			t.Errorf("a root that %s: no root: %v", tt.name, got)
		}
	}
}
