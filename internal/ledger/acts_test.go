package ledger

import (
	"slices"
	"testing"
)

// Whoever does the work of a lost session again must not find, and count, what that
// removed before somebody has found out.
func TestBagsOfALostSessionWaitUntilItsActsAreSettled(t *testing.T) {
	for _, lost := range []string{"fenced", "abandoned", "closed"} {
		for _, restarted := range []bool{false, true} {
			state := NewState()
			state.Phase = Running
			j := NewJob(state, nil)
			begin := func(id SessionID) *Session {
				s := NewSession(id, ClientID("of "+id), "h")
				s.SetActs()
				r := s.Commit(nil, Counted{})
				j.Apply(&r)
				return s
			}
			a, b := begin("a"), begin("b")
			// a holds the roots, and something more is on its way to it.
			j.Assign(Ref{"", 1}, "a", false)
			a.Receive(1)
			a.Begin()
			ra := a.Commit(items("x", "y"), Counted{})
			j.Apply(&ra)
			b.Give(Bag{Items: items("z")})
			b.Begin()
			rb := b.Commit(nil, Counted{})
			j.Apply(&rb)
			j.Assign(Ref{"b", 1}, "a", false)
			end := ra.Fence()
			switch lost {
			case "abandoned":
				end = Abandon(&ra, nil)
			case "closed":
				a.Begin()
				end = a.Close(items("x", "y"), Counted{})
			}
			j.Apply(&end)
			if restarted {
				j = NewJob(j.Snapshot(), []*Record{&end, &rb})
			}
			free := j.Free()
			if lost == "closed" {
				if len(free) != 2 {
					t.Errorf("closed: free are %v", free)
				}
				continue
			}
			if len(free) != 1 || j.free[free[0]].Settle != "a" {
				t.Errorf("%s, restarted %v: free are %v", lost, restarted, free)
				continue
			}
			j.Assign(free[0], "b", false)
			if left := j.Free(); len(left) != 0 {
				t.Errorf("%s: while it is on its way free are %v", lost, left)
			}
			if restarted {
				j = NewJob(j.Snapshot(), []*Record{&end, &rb})
				if left := j.Free(); len(left) != 0 {
					t.Errorf("%s, after a start: while it is on its way free are %v", lost, left)
				}
			}
			b.Receive(1)
			b.Begin()
			settled := b.Commit(nil, Counted{})
			j.Apply(&settled)
			if left := j.Free(); len(left) != 2 || !slices.Contains(left, Ref{"b", 1}) {
				t.Errorf("%s: when it is settled free are %v", lost, left)
			}
		}
	}
}

func TestTheTailIsHeldByOneAndGivenOnIfItEnds(t *testing.T) {
	state := NewState()
	state.Phase, state.Outs = Running, nil
	j := NewJob(state, nil)
	if !j.Done() {
		t.Fatal("there is something to do")
	}
	j.AddTail()
	s := NewSession("s", "c", "h")
	r := s.Commit(nil, Counted{})
	j.Apply(&r)
	j.Assign(j.Free()[0], "s", false)
	s.Receive(1)
	s.SetTail(true)
	s.Begin()
	held := s.Commit(nil, Counted{})
	j.Apply(&held)
	if j.Done() || len(j.Free()) != 0 {
		t.Error("nobody holds the tail")
	}
	lost := held.Fence()
	j.Apply(&lost)
	if free := j.Free(); len(free) != 1 || !j.free[free[0]].Tail || j.Done() {
		t.Errorf("the tail is lost: %v", free)
	}
	// Or it is done, and a cut that began before says nothing of that.
	s.Begin()
	s.SetTail(false)
	if r = s.Commit(nil, Counted{}); !r.Tail {
		t.Error("it was done in a cut that began before")
	}
	s.Begin()
	if r = s.Commit(nil, Counted{}); r.Tail {
		t.Error("it is still held")
	}
}
