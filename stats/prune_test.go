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
		all, sum, pruned := newEverything(), newEverything(), newEverything()
		for range 1 + rng.IntN(8) {
			part := count(rng)
			whole := encode(t, part)
			for _, into := range []*everything{all, sum} {
				if err := stats.Merge(into, part); err != nil {
					t.Fatal(err)
				}
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
		if diff := cmp.Diff(fields(t, all), fields(t, pruned)); diff != "" {
			t.Fatalf("round %d: what is left does not merge to the sum: -want +got\n%.2000s", round, diff)
		}
	}
	if less == 0 {
		t.Error("nothing was pruned")
	}
}

// TestStatisticsAreTheSameInBinary also cuts the bytes off, and changes one.
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
		for _, v := range []interface {
			AppendBinary([]byte) ([]byte, error)
		}{s.Cross, s.Middle} {
			data, err := v.AppendBinary(nil)
			if err != nil {
				t.Fatal(err)
			}
			n := rng.IntN(len(data))
			if new(stats.Cross).UnmarshalBinary(data[:n]) == nil && new(stats.Quantiles).UnmarshalBinary(data[:n]) == nil && n > 1 {
				t.Fatalf("round %d: %d of %d bytes were read", round, n, len(data))
			}
		}
	}
}

func FuzzBinary(f *testing.F) {
	s := count(rand.New(rand.NewPCG(1, 1)))
	for _, v := range []interface {
		AppendBinary([]byte) ([]byte, error)
	}{s.Cross, s.Middle} {
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

func fields(t *testing.T, s *everything) map[string]any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal([]byte(encode(t, s)), &m); err != nil {
		t.Fatal(err)
	}
	return m
}
