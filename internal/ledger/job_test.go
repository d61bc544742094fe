package ledger

import (
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hydrawalk/hydra/walk"
)

// begun is a job of which a session holds nothing any more, but gave a bag away.
func begun() (*Job, *Session) {
	s := NewSession("s", "c", "h")
	s.Receive(1)
	s.Give(Bag{Items: items("a", "b")})
	s.Begin()
	r := s.Commit(nil, Counted{})
	state := NewState()
	state.Members["s"] = Member{Client: "c", NextA: 2}
	state.Moves = []Move{{Ref: Ref{"", 1}, To: "s", A: 1}}
	return NewJob(state, []*Record{&r}), s
}

func TestTheStateIsDirtyUntilAllOfItIsWritten(t *testing.T) {
	j, _ := begun()
	if !j.Dirty() {
		t.Error("what arrived need not be written")
	}
	j.Snapshot()
	j.Written()
	if j.Dirty() {
		t.Error("it was written")
	}
	j.Touch()
	first := Encode(j.Snapshot())
	s := j.Snapshot()
	j.Assign(Ref{"s", 1}, "s", false)
	j.Left["x"] = true
	j.Refused["c"] = "x"
	j.suspect(Place{}).Deaths++
	if string(Encode(s)) != string(first) {
		t.Error("a snapshot changed with the job")
	}
	j.Written()
	if !j.Dirty() {
		t.Error("a bag was assigned after the snapshot that was written")
	}
}

func TestASnapshotKeepsItsSuspects(t *testing.T) {
	j, _ := begun()
	j.suspect(Place{Path: "a"}).Deaths = 1
	s := j.Snapshot()
	j.suspect(Place{Path: "a"}).Deaths = 2
	if s.Suspects[0].Deaths != 1 {
		t.Error("a snapshot changed with the job")
	}
}

func TestDeliveriesSayHowABagIsToBeTaken(t *testing.T) {
	for _, must := range []bool{false, true} {
		for _, careful := range []bool{false, true} {
			j, s := begun()
			if careful {
				f := s.Last().Fence()
				j.Apply(&f)
				other := NewSession("t", "d", "h")
				r := other.Name(nil, false)
				j.Apply(&r)
				j.Assign(Ref{"s", 1}, "t", false)
				g := r.Fence() // with the bag on its way
				j.Apply(&g)
				if !j.IsCareful(Ref{"s", 1}) {
					t.Fatal("a bag that somebody may have died with is not careful")
				}
			}
			last := NewSession("u", "e", "h")
			r := last.Name(nil, false)
			j.Apply(&r)
			j.Assign(Ref{"s", 1}, "u", must)
			var state State
			if err := Decode(Encode(j.Snapshot()), &state); err != nil {
				t.Fatal(err)
			}
			before := Encode(j.Record("s"))
			for _, job := range []*Job{j, NewJob(&state, j.Records())} {
				ds := job.Deliveries("u", 0)
				want := Bag{K: 1, Items: items("a", "b"), Careful: careful, Again: careful}
				for i := range want.Items {
					want.Items[i].Careful, want.Items[i].Again, want.Items[i].Must = careful, careful, must
				}
				if len(ds) != 1 || ds[0].A != 1 {
					t.Fatalf("%+v", ds)
				}
				if diff := cmp.Diff(want, ds[0].Bag); diff != "" {
					t.Error(diff)
				}
				if len(job.Deliveries("u", 1)) != 0 {
					t.Error("what was received is delivered again")
				}
			}
			if string(Encode(j.Record("s"))) != string(before) {
				t.Error("a delivery changed the record that it comes from")
			}
		}
	}
}

// Another coordinator saw the bag arrive, and its giver has forgotten it.
func TestACoordinatorThatIsOutOfDateDeliversNothingWrong(t *testing.T) {
	j, s := begun()
	other := NewSession("t", "d", "h")
	r := other.Name(nil, false)
	j.Apply(&r)
	j.Assign(Ref{"s", 1}, "t", false)
	var state State
	if err := Decode(Encode(j.Snapshot()), &state); err != nil {
		t.Fatal(err)
	}
	s.Settle([]uint64{1})
	s.Begin()
	forgot := s.Commit(nil, Counted{})
	late := NewJob(&state, []*Record{&forgot, &r})
	if ds := late.Deliveries("t", 0); len(ds) != 0 || late.Done() || late.Broken() == "" {
		t.Errorf("deliveries %v, done %v, broken %q", ds, late.Done(), late.Broken())
	}
}

// The state was written after a record that is not read yet.
func TestNothingIsConcludedFromRecordsOlderThanTheState(t *testing.T) {
	sums := map[string]walk.DirSum{"s.1": {Path: []byte("a"), Counts: walk.DirCounts{Files: 1}}}
	s, d := NewSession("s", "c", "h"), NewSession("t", "d", "h")
	s.Begin()
	gave := s.Commit(nil, Counted{Shared: sums})
	d.Begin()
	older := d.Commit(nil, Counted{})
	d.Begin()
	piece := []walk.Item{{Path: []byte("a"), Part: &walk.Part{Dir: "s.1", Ranges: []walk.Range{{Hi: 5}}}}}
	holds := d.Commit(piece, Counted{Shared: sums})
	d.Begin()
	done := d.Commit(nil, Counted{Shared: sums})

	state := NewState()
	state.Outs = nil
	state.Members["s"] = Member{NextA: 1, N: 1}
	state.Members["t"] = Member{NextA: 2, N: 2}
	j := NewJob(state, []*Record{&gave, &older})
	check := func(behind []SessionID, free int) {
		t.Helper()
		if diff := cmp.Diff(behind, j.Behind()); diff != "" {
			t.Errorf("behind: %s", diff)
		}
		if len(j.Free()) != free || len(j.Outs) != free || j.Done() {
			t.Errorf("free %v, done %v, %+v", j.Free(), j.Done(), j.Outs)
		}
	}
	check([]SessionID{"t"}, 0)
	j.Apply(&holds)
	check(nil, 0)
	j.Apply(&older)
	j.Apply(&done)
	check(nil, 1)
	leave := walk.Item{Path: []byte("a"), Part: &walk.Part{Counts: walk.DirCounts{Files: 2}}}
	if diff := cmp.Diff(leave, j.Outs[0].Items[0]); diff != "" {
		t.Error(diff)
	}
}

func TestAStoppedJobGoesOnWhereItWas(t *testing.T) {
	stopped := 0
	eachSeed(t, 300, 20_000, func(seed uint64, trace io.Writer) {
		w := newWorld(seed, trace)
		w.live(50 + w.r.IntN(500))
		w.faults, w.net, w.table.flying, w.paused = 0, nil, nil, true
		c := w.coordinators[0]
		for round := 0; !w.done && (c.job == nil || c.job.Phase != Ended || c.job.Dirty()); round++ {
			if round == 20 {
				fail("it does not stop")
			}
			w.round(c)
			c.stop()
		}
		if !w.done {
			stopped++
			if len(c.job.Free()) == 0 || len(c.job.Snapshot().Moves) > 0 {
				fail("stopped with %+v, free %v", c.job.Snapshot().Moves, c.job.Free())
			}
			c.check()
		}
		w.paused = false
		w.settle()
	})
	t.Logf("%d were stopped before their end", stopped)
}
