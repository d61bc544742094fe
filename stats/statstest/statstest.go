// Package statstest checks that statistics merge as package stats wants it.
package statstest

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"testing"

	"github.com/hydrawalk/hydra/stats"
)

// TestMerge checks statistics of type S: that merging is associative and
// commutative, that the zero value changes nothing, that what was merged shares
// no memory with what it came from, and that JSON keeps all. count makes
// statistics as one worker could have counted them; it is called many times,
// and should return all sorts, the zero value among them. Two S are taken as
// equal if they encode to the same JSON.
//
// A failure names the seed; set it in seed to see it again, else leave that 0.
func TestMerge[S any](t *testing.T, seed uint64, count func(*rand.Rand) *S) {
	t.Helper()
	if seed == 0 {
		seed = rand.Uint64()
	}
	for i := range 200 {
		rng := rand.New(rand.NewPCG(seed, uint64(i)))
		c := check[S]{t: t}
		a, b, d := count(rng), count(rng), count(rng)
		before := [...]string{c.encode(a), c.encode(b), c.encode(d)}

		abd := c.sum(c.sum(new(S), a, b), d)
		c.same("associative", abd, c.sum(c.sum(new(S), a), c.sum(new(S), b, d)))
		c.same("commutative", abd, c.sum(new(S), d, b, a))
		c.same("unchanged by the zero value", abd, c.sum(c.sum(new(S), abd), new(S)))

		// Statistics that were made by merging are changed; the sources stay.
		c.sum(abd, a, b, d)
		for j, s := range []*S{a, b, d} {
			if got := c.encode(s); got != before[j] {
				t.Errorf("merging changed what was merged:\n got %s\nwant %s", got, before[j])
			}
		}
		back := new(S)
		if err := json.Unmarshal([]byte(before[0]), back); err != nil {
			t.Errorf("JSON does not decode: %v\n%s", err, before[0])
		} else {
			c.same("kept by JSON", a, back)
			c.same("merged alike when they were decoded", c.sum(new(S), a, b), c.sum(back, b))
		}
		if t.Failed() {
			t.Fatalf("seed %d, round %d", seed, i)
		}
	}
}

type check[S any] struct{ t *testing.T }

func (c check[S]) sum(into *S, from ...*S) *S {
	c.t.Helper()
	for _, s := range from {
		if err := stats.Merge(into, s); err != nil {
			c.t.Fatal(err)
		}
	}
	return into
}

func (c check[S]) encode(s *S) string {
	c.t.Helper()
	var buf bytes.Buffer
	if err := json.NewEncoder(&buf).Encode(s); err != nil {
		c.t.Fatal(err)
	}
	return buf.String()
}

func (c check[S]) same(what string, a, b *S) {
	c.t.Helper()
	if x, y := c.encode(a), c.encode(b); x != y {
		c.t.Errorf("the statistics are not %s:\n%s%s", what, x, y)
	}
}
