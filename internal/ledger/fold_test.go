package ledger

import (
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/hydrawalk/hydra/walk"
)

// history is a state and records, of which nobody knows who wrote them.
type history struct {
	State   State
	Before  []Record // that stand in the table when the coordinator starts
	Records []Record // that come later
}

// FuzzFold folds what nobody of ours wrote, and does with it all that a coordinator does.
// It may be nonsense, and the job fails for it; but nothing panics, or does not end.
func FuzzFold(f *testing.F) {
	for seed := range uint64(6) {
		r := rand.New(rand.NewPCG(seed, 11))
		var h history
		random(r, reflect.ValueOf(&h).Elem(), 3)
		f.Add(Encode(&h))
	}
	bag := Bag{K: 1, Items: []walk.Item{{Part: &walk.Part{Dir: "d"}}, {Path: []byte("a")}}}
	r := Record{Session: "s", Client: "c", N: 1, NextOut: 2, Outs: []Bag{bag, bag}, Held: bag.Items, Acts: true, Shared: map[string]walk.DirSum{"d": {}, "e": {}}}
	again := r
	again.N, again.Outs, again.End = 2, nil, Abandoned
	again.Stalled = []Stall{{Place: Place{Path: "a"}}, {Place: Place{Path: "a"}}}
	f.Add(Encode(&history{*NewState(), []Record{r}, []Record{again}}))
	again.End, again.N, again.Named, again.Alone = Fenced, 1<<63, []Place{{}}, true
	f.Add(Encode(&history{State{Outs: []Bag{bag, {K: 1, Settle: "s"}}, Moves: []Move{{Ref: Ref{"s", 1}, To: "s", A: 1}, {Ref: Ref{"", 1}, To: "t"}}, Sights: []walk.Sight{{Dir: true}}}, []Record{r, r}, []Record{again, r}}))
	f.Fuzz(func(t *testing.T, data []byte) {
		var h history
		if DecodeMessage(data, &h) != nil || len(data) > 64<<10 {
			return
		}
		var before []*Record
		for i := range h.Before {
			before = append(before, &h.Before[i])
		}
		j := NewJob(&h.State, before)
		look(j)
		for i := range h.Records {
			j.Apply(&h.Records[i])
			look(j)
		}
		for id, m := range j.Members {
			for range 2 {
				if free := j.Free(); len(free) > 0 && !m.Ended && m.NextA > 0 {
					j.Assign(free[0], id, true)
				}
			}
			j.Grant(id, 1)
		}
		look(j)
		for _, r := range j.Records() {
			f := r.Fence()
			j.Apply(&f)
			g := Abandon(r, r.Stalled)
			j.Apply(&g)
		}
		j.AddTail()
		look(j)
		if !j.Dirty() {
			t.Error("what was assigned and given out is not to be written")
		}
		s := j.Snapshot()
		j.Written()
		// What it wrote another one can read.
		again := new(State)
		if err := Decode(Encode(s), again); err != nil {
			t.Fatal(err)
		}
		look(NewJob(again, j.Records()))
	})
}

// look asks a job all that can be asked.
func look(j *Job) {
	_, _, _, _, _ = j.Broken(), j.Behind(), j.Done(), j.Unbegun(), j.AllEnded()
	for _, ref := range j.Free() {
		j.IsCareful(ref)
		j.Tried(ref)
	}
	for _, r := range j.Records() {
		j.LeftOf(r)
		j.SettledOf(r.Session)
		j.Deliveries(r.Session, 0)
		j.Undelivered(r.Session, 0)
	}
	j.Remains(1)
	j.NoRoot()
	_, _, _ = j.AllGranted(), j.Harm(), j.Shown()
	j.Snapshot()
}
