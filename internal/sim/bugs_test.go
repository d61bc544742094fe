package sim

import (
	"testing"

	"github.com/hydrawalk/hydra/internal/client"
)

// bugWorlds is how many worlds may pass before a bug is noticed.
const bugWorlds = 150

// A check that can not fail is worth nothing: clients that break the protocol have
// to be noticed.
func TestEachBreachOfTheProtocolIsNoticed(t *testing.T) {
	if testing.Short() {
		t.Skip("it runs hundreds of worlds")
	}
	for name, bug := range map[string]client.Bug{
		"NoCompare":     client.BugNoCompare,
		"EarlyRecord":   client.BugEarlyRecord,
		"ForgetChild":   client.BugForgetChild,
		"TakeTwice":     client.BugTakeTwice,
		"GiveUnwritten": client.BugGiveUnwritten,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for seed := uint64(1); seed <= bugWorlds; seed++ {
				s := makeSettings(seed)
				s.Bug, s.Stop = bug, ""
				if err := inBubble(t, s, nil, (*world).live); err != nil {
					t.Logf("noticed in world %d: %.300s", seed, err.Error())
					return
				}
			}
			t.Errorf("not noticed in %d worlds", bugWorlds)
		})
	}
}
