package ledger

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hydrawalk/hydra/walk"
)

func items(paths ...string) []walk.Item {
	var is []walk.Item
	for _, p := range paths {
		is = append(is, walk.Item{Path: []byte(p)})
	}
	return is
}

// outs are the paths of each bag of a record.
func outs(r *Record) map[uint64]string {
	all := map[uint64]string{}
	for _, b := range r.Outs {
		for _, item := range b.Items {
			all[b.K] += string(item.Path) + " "
		}
	}
	return all
}

func TestWhatComesWhileACutIsMadeIsInTheNextRecord(t *testing.T) {
	s := NewSession("s", "c", "h")
	s.Receive(1)
	s.Give(Bag{Items: items("a")})
	s.Begin()
	s.Receive(2)
	s.Give(Bag{Items: items("b")})
	r := s.Commit(items("x"), Counted{})
	if diff := cmp.Diff(map[uint64]string{1: "a "}, outs(&r)); r.In != 1 || diff != "" {
		t.Errorf("in %d, want 1; given %s", r.In, diff)
	}
	s.Begin() // and is given up
	s.Give(Bag{Items: items("c")})
	s.Begin()
	r = s.Commit(nil, Counted{})
	if diff := cmp.Diff(map[uint64]string{1: "a ", 2: "b ", 3: "c "}, outs(&r)); r.In != 2 || r.N != 2 || diff != "" {
		t.Errorf("in %d, want 2, number %d, want 2; given %s", r.In, r.N, diff)
	}
	s.Settle([]uint64{2, 7})
	s.Begin()
	r = s.Commit(nil, Counted{})
	if diff := cmp.Diff(map[uint64]string{1: "a ", 3: "c "}, outs(&r)); diff != "" {
		t.Error(diff)
	}
}

func TestOnlyTheNextDeliveryIsTakenUp(t *testing.T) {
	s := NewSession("s", "c", "h")
	var got []uint64
	for _, a := range []uint64{2, 1, 1, 3, 2, 0, 3, 5, 4} {
		if s.Receive(a) {
			got = append(got, a)
		}
	}
	if diff := cmp.Diff([]uint64{1, 2, 3, 4}, got); diff != "" || s.Received() != 4 {
		t.Errorf("received %d: %s", s.Received(), diff)
	}
}

// A record may be on its way while the next is made.
func TestRecordsThatWereMadeDoNotChange(t *testing.T) {
	s := NewSession("s", "c", "h")
	var made []Record
	var want [][]byte
	keep := func(r Record) *Record {
		made = append(made, r)
		want = append(want, Encode(&r))
		return &made[len(made)-1]
	}
	for i := range 20 {
		s.Give(Bag{Items: items("a")}, Bag{Items: items("b")})
		s.Begin()
		r := keep(s.Commit(items("x", "y"), Counted{}))
		keep(r.Fence())
		keep(Abandon(r, []Stall{{Place: Place{Path: "x"}}}))
		s.Settle([]uint64{uint64(i)})
		keep(s.Name([]Place{{Path: "x"}}, true))
	}
	s.Begin()
	keep(s.Close(items("x", "y", "z"), Counted{}))
	for i := range made {
		if string(Encode(&made[i])) != string(want[i]) {
			t.Fatalf("record %d was changed", i)
		}
	}
}

func TestASessionThatEndsGivesAllAway(t *testing.T) {
	var held []walk.Item
	for i := range 2*bagItems + 7 {
		held = append(held, walk.Item{Path: fmt.Append(nil, i), Must: true})
	}
	begin := func() (*Session, Record) {
		s := NewSession("s", "c", "h")
		s.Give(Bag{Items: items("given")})
		s.Begin()
		s.Commit(held, Counted{})
		return s, s.Name([]Place{{Path: "1"}}, true)
	}
	s, written := begin()
	s.Begin()
	closed := s.Close(held, Counted{Named: []Place{{Path: "1"}}, Alone: true})
	for _, c := range []struct {
		r       Record
		end     End
		careful bool
		named   int
	}{
		{written.Fence(), Fenced, true, 1},
		{Abandon(&written, nil), Abandoned, false, 0},
		{closed, Closed, false, 0},
	} {
		if c.r.End != c.end || c.r.N != 3 || len(c.r.Held) != 0 || len(c.r.Named) != c.named || c.r.Alone != (c.named > 0) {
			t.Errorf("end %d number %d, %d held, %d named, alone %v", c.r.End, c.r.N, len(c.r.Held), len(c.r.Named), c.r.Alone)
		}
		if len(c.r.Outs) != 4 || c.r.NextOut != 5 {
			t.Fatalf("end %d: %d bags, the next is %d", c.end, len(c.r.Outs), c.r.NextOut)
		}
		var got []walk.Item
		for i, b := range c.r.Outs {
			if b.K != uint64(1+i) || i > 0 && b.Careful != c.careful || len(b.Items) > bagItems {
				t.Errorf("end %d: bag %d: K %d, careful %v, %d items", c.end, i, b.K, b.Careful, len(b.Items))
			}
			if i > 0 {
				got = append(got, b.Items...)
			}
		}
		for i := range held {
			want := held[i]
			want.Must, want.Again = false, c.end != Closed
			if diff := cmp.Diff(want, got[i]); diff != "" {
				t.Fatalf("end %d: item %d: %s", c.end, i, diff)
			}
		}
	}
}

func TestFirstErrorIsInNoRecord(t *testing.T) {
	s := NewSession("s", "c", "h")
	s.Begin()
	r := s.Commit(nil, Counted{Totals: walk.Totals{Errors: 1, FirstError: &walk.Error{Err: errors.New("x")}}})
	if err := Decode(Encode(&r), &r); err != nil || r.Totals.Errors != 1 || r.Totals.FirstError != nil {
		t.Errorf("%v %+v", err, r.Totals)
	}
}
