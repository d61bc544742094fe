package walk

import (
	"testing"

	"pgregory.net/rapid"
)

func TestTheOwnerTakesTheNewestAndThievesTheOldestHalf(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var q deque
		var want []*Dir // the model: oldest first
		t.Repeat(map[string]func(*rapid.T){
			"push": func(t *rapid.T) {
				var ts []task
				for range rapid.IntRange(1, 5).Draw(t, "n") {
					d := new(Dir)
					ts = append(ts, task{dir: d})
					want = append(want, d)
				}
				q.push(ts...)
			},
			"pop": func(t *rapid.T) {
				got, ok := q.pop()
				if ok != (len(want) > 0) {
					t.Fatalf("pop = %v with %d tasks", ok, len(want))
				}
				if ok {
					if got.dir != want[len(want)-1] {
						t.Fatal("pop did not return the newest task")
					}
					want = want[:len(want)-1]
				}
			},
			"steal": func(t *rapid.T) {
				got, _ := q.steal(nil, 0)
				if len(got) != (len(want)+1)/2 {
					t.Fatalf("stole %d of %d", len(got), len(want))
				}
				for i, s := range got {
					if s.dir != want[i] {
						t.Fatal("the oldest were not stolen")
					}
				}
				want = want[len(got):]
			},
			"takeBack": func(t *rapid.T) {
				if len(want) == 0 {
					return
				}
				i := rapid.IntRange(0, len(want)-1).Draw(t, "i")
				newest := i == len(want)-1
				if q.takeBack(want[i]) != newest {
					t.Fatalf("takeBack of task %d of %d", i, len(want))
				}
				if newest {
					want = want[:i]
				}
			},
			"": func(t *rapid.T) {
				if q.len() != len(want) {
					t.Fatalf("len = %d, want %d", q.len(), len(want))
				}
			},
		})
	})
}
