package statstest_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/hydrawalk/hydra/stats"
	"github.com/hydrawalk/hydra/stats/statstest"
)

// Each of these breaks one rule.

// last keeps what came last.
type last int64

func (l *last) MergeValue(from stats.Value) error {
	if o := *from.(*last); o != 0 {
		*l = o
	}
	return nil
}

// halves lets the order weigh: (a+b)/2.
type halves int64

func (h *halves) MergeValue(from stats.Value) error {
	*h = (*h + *from.(*halves)) / 2
	return nil
}

// once ignores all that comes.
type once int64

func (o *once) MergeValue(stats.Value) error { return nil }

// more is 1 more each time.
type more int64

func (m *more) MergeValue(from stats.Value) error {
	*m += *from.(*more) + 1
	return nil
}

// rounded is associative only without rounding.
type rounded int64

func (r *rounded) MergeValue(from stats.Value) error {
	o := *from.(*rounded)
	if *r == 0 || o == 0 {
		*r += o
	} else {
		*r = (*r + o) | 1
	}
	return nil
}

// shared keeps the memory of what it took.
type shared []int64

func (s *shared) MergeValue(from stats.Value) error {
	o := *from.(*shared)
	if len(*s) == 0 {
		*s = o
		return nil
	}
	for i := range o {
		(*s)[i] += o[i]
	}
	return nil
}

// greedy takes away what it counts.
type greedy int64

func (g *greedy) MergeValue(from stats.Value) error {
	o := from.(*greedy)
	*g, *o = *g+*o, 0
	return nil
}

// sticky does not forget.
type sticky int64

func (s *sticky) MergeValue(from stats.Value) error { *s += *from.(*sticky); return nil }
func (s *sticky) ResetValue()                       { *s++ }

// wiped spoils copies when it is reset.
type wiped []int64

func (w *wiped) MergeValue(from stats.Value) error {
	if len(*w) == 0 {
		*w = make(wiped, len(*from.(*wiped)))
	}
	for i, n := range *from.(*wiped) {
		(*w)[i] += n
	}
	return nil
}
func (w *wiped) ResetValue() { clear(*w) }

// vague is not the number that it was.
type vague int64

func (v *vague) MergeValue(from stats.Value) error { *v += *from.(*vague); return nil }
func (v *vague) UnmarshalJSON(data []byte) error {
	var n int64
	err := json.Unmarshal(data, &n)
	*v = vague(n &^ 1)
	return err
}

// closed does not come back.
type closed int64

func (c *closed) MergeValue(from stats.Value) error { *c += *from.(*closed); return nil }
func (c *closed) UnmarshalJSON([]byte) error        { return fmt.Errorf("closed") }

// lists adds lists of different length badly.
type lists []int64

func (l *lists) MergeValue(from stats.Value) error {
	*l = append(*l, *from.(*lists)...)
	return nil
}

// mute has no JSON.
type mute int64

func (m *mute) MergeValue(stats.Value) error { return nil }
func (m *mute) MarshalJSON() ([]byte, error) { return nil, fmt.Errorf("mute") }

type one[V any] struct{ Value V }

func number[V ~int64](rng *rand.Rand) *one[V] { return &one[V]{V(rng.IntN(5))} }
func list[V ~[]int64](rng *rand.Rand) *one[V] { return &one[V]{V{rng.Int64N(5), 1 + rng.Int64N(5)}} }

func run[S any](count func(*rand.Rand) *S) func(testing.TB, uint64) {
	return func(t testing.TB, seed uint64) { statstest.TestMerge(t, seed, count) }
}

type unsaid struct {
	Inner struct {
		Said   stats.Counter
		Unsaid stats.Counter `json:"-"`
	}
}

type (
	Left  struct{ N stats.Counter }
	Right struct{ N stats.Counter }

	// twice has two fields of one name, so that JSON has neither.
	twice struct {
		Left
		Right
	}
)

func TestABrokenRuleIsSaid(t *testing.T) {
	for _, tt := range []struct {
		name string
		test func(testing.TB, uint64)
		want string
	}{
		{"last", run(number[last]), "commutative"},
		{"halves", run(number[halves]), "merging into the zero value"},
		{"once", run(number[once]), "merging into the zero value"},
		{"more", run(number[more]), "merging into the zero value"},
		{"rounded", run(number[rounded]), "associative"},
		{"shared", run(list[shared]), "a source, when the sum went on"},
		{"greedy", run(number[greedy]), "merging into the zero value"},
		{"sticky", run(number[sticky]), "merging what was reset"},
		{"wiped", run(list[wiped]), "a copy, when the original was reset"},
		{"vague", run(number[vague]), "JSON and back"},
		{"closed", run(number[closed]), "JSON does not decode"},
		{"lists", run(list[lists]), "commutative"},
		{"not in JSON", run(func(rng *rand.Rand) *unsaid {
			s := new(unsaid)
			s.Inner.Unsaid.Add(rng.Int64N(5))
			return s
		}), "field Inner.Unsaid differs"},
		{"twice in JSON", run(func(rng *rand.Rand) *twice {
			return &twice{Left: Left{stats.Counter(1 + rng.IntN(5))}}
		}), "JSON and back: field Left.N differs"},
		{"no value", run(func(*rand.Rand) *struct{ N int } { return new(struct{ N int }) }), "field N"},
		{"not JSON", run(func(*rand.Rand) *one[mute] { return new(one[mute]) }), "mute"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := record(tt.test, 7)
			if !strings.Contains(got, tt.want) {
				t.Errorf("said %q, want something with %q", got, tt.want)
			}
		})
	}
}

func TestAFailureNamesTheSeedThatShowsItAgain(t *testing.T) {
	test := run(number[last])
	first := record(test, 0)
	var seed uint64
	var round int
	_, after, _ := strings.Cut(first, "statstest: seed ")
	if _, err := fmt.Sscanf(after, "%d, round %d", &seed, &round); err != nil {
		t.Fatalf("no seed in %q: %v", first, err)
	}
	if again := record(test, seed); again != first {
		t.Errorf("seed %d showed\n%s\nand then\n%s", seed, first, again)
	}
}

func TestStatisticsThatKeepTheRulesPass(t *testing.T) {
	if got := record(run(number[stats.Counter]), 0); got != "" {
		t.Errorf("said %q", got)
	}
}

// record returns what test says; it is empty if test passes.
func record(test func(testing.TB, uint64), seed uint64) string {
	r := new(recorder)
	done := make(chan struct{})
	go func() { // which Fatalf ends
		defer close(done)
		test(r, seed)
	}()
	<-done
	return r.said.String()
}
