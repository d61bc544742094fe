package stats_test

import (
	"encoding"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hydrawalk/hydra/stats"
)

func TestStatisticsAreTheSameInBinary(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	codec, err := stats.NewCodec(newEverything())
	if err != nil {
		t.Fatal(err)
	}
	for round := range uint64(100) {
		rng := rand.New(rand.NewPCG(seed, round))
		s := count(rng)
		data, err := codec.Encode(s)
		if err != nil {
			t.Fatal(err)
		}
		got := newEverything()
		if err := codec.Decode(data, got); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(fields(t, s), fields(t, got)); diff != "" {
			t.Fatalf("round %d: -want +got\n%.2000s", round, diff)
		}
		cutShort(t, rng, s.Cross, new(stats.Cross))
		cutShort(t, rng, s.Middle, new(stats.Quantiles))
	}
}

// cutShort wants an error where something is missing, or too much.
func cutShort(t *testing.T, rng *rand.Rand, v encoding.BinaryAppender, into encoding.BinaryUnmarshaler) {
	t.Helper()
	data, err := v.AppendBinary(nil)
	if err != nil {
		t.Fatal(err)
	}
	if n := rng.IntN(len(data)); into.UnmarshalBinary(data[:n]) == nil {
		t.Errorf("%T: %d of %d bytes were read", v, n, len(data))
	}
	if into.UnmarshalBinary(append(data, 0)) == nil {
		t.Errorf("%T: a byte too many was read", v)
	}
}

func FuzzBinary(f *testing.F) {
	s := count(rand.New(rand.NewPCG(1, 1)))
	for _, v := range []encoding.BinaryAppender{s.Cross, s.Middle} {
		data, _ := v.AppendBinary(nil)
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var c, sameCross stats.Cross
		if c.UnmarshalBinary(data) == nil {
			again, _ := c.AppendBinary(nil)
			if err := sameCross.UnmarshalBinary(again); err != nil || !sameCross.Equal(c) {
				t.Errorf("%q, %q: %v", data, again, err)
			}
		}
		var q, sameQuantiles stats.Quantiles
		if q.UnmarshalBinary(data) == nil {
			again, _ := q.AppendBinary(nil)
			if err := sameQuantiles.UnmarshalBinary(again); err != nil || !sameQuantiles.Equal(q) {
				t.Errorf("%q, %q: %v", data, again, err)
			}
		}
	})
}
