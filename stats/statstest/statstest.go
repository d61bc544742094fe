// Package statstest checks that statistics merge as package stats wants it.
package statstest

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"testing"

	"github.com/hydrawalk/hydra/stats"
)

// rounds are enough to meet rare combinations, and take well under a second.
const rounds = 200

// TestMerge checks statistics of type S, and so each [stats.Value] in it:
//
//   - merging is associative and commutative;
//   - the zero value is the identity;
//   - after [stats.Reset] nothing is left but how to count;
//   - merging changes only where it merges to, and shares no memory;
//   - JSON keeps all, and is the same for equal statistics.
//
// count makes statistics as one worker could have counted them. It is called
// many times, and should return all sorts, the zero value among them.
//
// A failure names the seed; set it in seed to see it again, else leave that 0.
func TestMerge[S any](t testing.TB, seed uint64, count func(*rand.Rand) *S) {
	t.Helper()
	if seed == 0 {
		seed = rand.Uint64()
	}
	for i := range rounds {
		// The sources are made three times over, so that a check that changes
		// them spoils no other.
		round := func() (check[S], *S, *S, *S) {
			rng := rand.New(rand.NewPCG(seed, uint64(i)))
			return check[S]{t}, count(rng), count(rng), count(rng)
		}
		checkOrder(round())
		checkMemory(round())
		checkJSON(round())
		if t.Failed() {
			t.Fatalf("statstest: seed %d, round %d", seed, i)
		}
	}
}

func checkOrder[S any](c check[S], x, y, z *S) {
	c.t.Helper()
	c.same("merging into the zero value", c.sum(x), x)
	c.same("merging the zero value", c.merge(c.sum(x), new(S)), x)
	c.same("commutative: y and x, not x and y", c.sum(y, x), c.sum(x, y))
	c.same("associative: x and (y and z), not (x and y) and z", c.sum(x, c.sum(y, z)), c.sum(c.sum(x, y), z))
}

func checkMemory[S any](c check[S], x, y, z *S) {
	c.t.Helper()
	xText, yText := c.encode(x), c.encode(y)
	xy := c.sum(x, y)
	xyText := c.encode(xy)

	// A sum and its sources go on apart.
	c.merge(xy, z)
	c.unchanged("a source, when the sum went on", x, xText)
	c.unchanged("a source, when the sum went on", y, yText)
	xy = c.sum(x, y)
	before := *x
	c.merge(c.merge(y, z), x)
	c.unchanged("a sum, when a source went on", xy, xyText)
	c.unchanged("a source", x, xText)

	if err := stats.Reset(x); err != nil {
		c.t.Errorf("statstest: %v", err)
		return
	}
	c.unchanged("a copy, when the original was reset", &before, xText)
	c.same("merging what was reset", c.merge(c.sum(&before, z), x), c.sum(&before, z))
	c.same("counting again after a reset", c.merge(x, &before), &before)
}

func checkJSON[S any](c check[S], x, y, _ *S) {
	c.t.Helper()
	text := c.encode(x)
	back := new(S)
	if err := json.Unmarshal([]byte(text), back); err != nil {
		c.t.Errorf("statstest: JSON does not decode: %v\n%s", err, text)
		return
	}
	c.same("JSON and back", back, x)
	c.same("merging what was JSON", c.merge(back, y), c.sum(x, y))
}

type check[S any] struct{ t testing.TB }

// sum merges into the zero value.
func (c check[S]) sum(from ...*S) *S {
	c.t.Helper()
	into := new(S)
	for _, s := range from {
		c.merge(into, s)
	}
	return into
}

func (c check[S]) merge(into, from *S) *S {
	c.t.Helper()
	if err := stats.Merge(into, from); err != nil {
		c.t.Fatalf("statstest: %v", err)
	}
	return into
}

func (c check[S]) encode(s *S) string {
	c.t.Helper()
	var buf bytes.Buffer
	if err := json.NewEncoder(&buf).Encode(s); err != nil {
		c.t.Fatalf("statstest: %v", err)
	}
	return buf.String()
}

// same wants equal statistics, and the same JSON of both. What JSON leaves out
// is found only by comparing the statistics themselves.
func (c check[S]) same(what string, got, want *S) {
	c.t.Helper()
	if g, w := c.encode(got), c.encode(want); g != w {
		c.t.Errorf("statstest: %s:\n got %swant %s", what, g, w)
	} else if field := different(got, want); field != "" {
		c.t.Errorf("statstest: %s: field %s differs, in JSON or not:\n got %+v\nwant %+v", what, field, *got, *want)
	}
}

func (c check[S]) unchanged(what string, s *S, before string) {
	c.t.Helper()
	if now := c.encode(s); now != before {
		c.t.Errorf("statstest: merging changed %s:\n got %swant %s", what, now, before)
	}
}
