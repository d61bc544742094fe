package purge

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/hydrawalk/hydra"
	"github.com/hydrawalk/hydra/stats/statstest"
	"github.com/hydrawalk/hydra/walk"
)

func TestStatisticsMergeInAnyOrder(t *testing.T) {
	results := []hydra.ActResult{hydra.ActDone, hydra.ActFailed, hydra.ActChanged, hydra.ActGone, hydra.ActInDoubt, hydra.ActLimit}
	statstest.TestMerge(t, 0, func(rng *rand.Rand) *Stats {
		s := newStats(Settings{})
		for range rng.IntN(20) {
			st := walk.Stat{Size: rng.Int64N(1 << rng.IntN(62)), Blocks: rng.Int64N(100), UID: uint32(rng.IntN(5))}
			acted(s, &hydra.Act{Op: []string{opRemove, opMove, opRmdir}[rng.IntN(3)], Stat: st, Result: results[rng.IntN(len(results))]})
		}
		if rng.IntN(2) == 0 {
			s.UIDNames = Names{uint32(rng.IntN(3)): []string{"a", "b"}[rng.IntN(2)]}
		}
		return s
	})
}

// Whatever comes of what the rule names, it is counted once.
func TestEachFileThatIsNamedEndsInOneWay(t *testing.T) {
	s := newStats(Settings{})
	n := int64(0)
	for _, result := range []hydra.ActResult{hydra.ActDone, hydra.ActFailed, hydra.ActChanged, hydra.ActGone, hydra.ActInDoubt} {
		for _, op := range []string{opRemove, opMove} {
			n++
			acted(s, &hydra.Act{Op: op, Result: result, Stat: walk.Stat{Size: 1000}})
		}
	}
	acted(s, &hydra.Act{Op: opRemove, Result: hydra.ActLimit, Stat: walk.Stat{Size: 1000}}) // not done
	sum := int64(s.Deleted+s.Quarantined) + s.Failed.Count + s.Changed.Count + s.Gone.Count + s.InDoubt.Count
	if s.Matched.Count != n || sum != n || int64(s.Scanned) != n*1000 || s.Deleted != 1 || s.Quarantined != 1 || s.Failed.Count != 2 {
		t.Errorf("%d were named: %+v", n, s)
	}
}

func TestSizesAreRoundedUpToBlocks(t *testing.T) {
	for _, tt := range [][3]int64{{0, 512, 0}, {1, 512, 512}, {512, 512, 512}, {513, 512, 1024}, {8193, 8192, 16384}, {math.MaxInt64, 512, math.MaxInt64}} {
		if got := roundUp(tt[0], tt[1]); got != tt[2] {
			t.Errorf("%d in blocks of %d is %d, want %d", tt[0], tt[1], got, tt[2])
		}
	}
}
