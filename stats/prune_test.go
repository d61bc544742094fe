package stats_test

import (
	"encoding/json"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hydrawalk/hydra/stats"
)

// TestPrunedPartsMergeToTheSum sends parts one by one, as a session of a job does:
// some in binary and back.
func TestPrunedPartsMergeToTheSum(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	less := 0
	for round := range uint64(100) {
		rng := rand.New(rand.NewPCG(seed, round))
		codec, err := stats.NewCodec(newEverything())
		if err != nil {
			t.Fatal(err)
		}
		sum, pruned := newEverything(), newEverything()
		for range 1 + rng.IntN(8) {
			part := count(rng)
			whole := encode(t, part)
			if err := stats.Merge(sum, part); err != nil {
				t.Fatal(err)
			}
			if err := stats.Prune(part, sum); err != nil {
				t.Fatal(err)
			}
			if encode(t, part) != whole {
				less++
			}
			if rng.IntN(2) == 0 {
				data, err := codec.Encode(part)
				if err != nil {
					t.Fatal(err)
				}
				part = newEverything()
				if err := codec.Decode(data, part); err != nil {
					t.Fatal(err)
				}
			}
			if err := stats.Merge(pruned, part); err != nil {
				t.Fatal(err)
			}
		}
		if diff := cmp.Diff(fields(t, sum), fields(t, pruned)); diff != "" {
			t.Fatalf("round %d: what is left does not merge to the sum: -want +got\n%.2000s", round, diff)
		}
	}
	if less == 0 {
		t.Error("nothing was pruned")
	}
}

func fields(t *testing.T, s *everything) map[string]any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal([]byte(encode(t, s)), &m); err != nil {
		t.Fatal(err)
	}
	return m
}

// embedding holds more than the values of package stats that it is made of.
type embedding struct {
	Ages  ages
	Sizes largest
}

type ages struct {
	stats.Quantiles
	Unknown int64
}

func (a *ages) MergeValue(from stats.Value) error {
	a.Unknown += from.(*ages).Unknown
	return a.Quantiles.MergeValue(&from.(*ages).Quantiles)
}

func (a ages) MarshalJSON() ([]byte, error) { return json.Marshal([]any{a.Quantiles, a.Unknown}) }

func (a *ages) UnmarshalJSON(data []byte) error {
	return json.Unmarshal(data, &[]any{&a.Quantiles, &a.Unknown})
}

type largest struct {
	stats.TopN[stats.Size]
	Seen int64
}

func (s *largest) MergeValue(from stats.Value) error {
	s.Seen += from.(*largest).Seen
	return s.TopN.MergeValue(&from.(*largest).TopN)
}

func TestWhatAnApplicationMadeOfValuesIsLeftWhole(t *testing.T) {
	made := func() *embedding {
		s := &embedding{Ages: ages{Unknown: 7}, Sizes: largest{stats.NewTopN[stats.Size](1), 3}}
		s.Ages.Add(5)
		s.Sizes.AddPath(stats.Size{Size: 1}, []byte("/a"))
		return s
	}
	sum, part := made(), made()
	if err := stats.Merge(sum, part); err != nil {
		t.Fatal(err)
	}
	if err := stats.Prune(part, sum); err != nil || part.Sizes.Seen != 3 || len(part.Sizes.List()) != 1 {
		t.Errorf("pruned, it is %+v, %v", part, err)
	}
	codec, err := stats.NewCodec(&embedding{})
	if err != nil {
		t.Fatal(err)
	}
	data, err := codec.Encode(part)
	if err != nil {
		t.Fatal(err)
	}
	var got embedding
	if err := codec.Decode(data, &got); err != nil || got.Ages.Unknown != 7 || got.Ages.Count() != 1 {
		t.Errorf("got %+v, %v", got.Ages, err)
	}
}

func TestAListThatKeepsNothingIsPruned(t *testing.T) {
	for _, n := range []int{0, -1} {
		type lists struct{ L stats.TopN[stats.Size] }
		part, sum := &lists{stats.NewTopN[stats.Size](n)}, &lists{stats.NewTopN[stats.Size](n)}
		if err := stats.Prune(part, sum); err != nil {
			t.Error(err)
		}
	}
}
