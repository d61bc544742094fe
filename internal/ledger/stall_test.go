package ledger

import (
	"io"
	"slices"
	"testing"
)

func TestADirectoryThatHangsAtTwoClientsIsAvoided(t *testing.T) {
	eachSeed(t, 1000, 50_000, func(seed uint64, trace io.Writer) {
		w := newWard(seed, trace)
		bad := w.r.IntN(len(w.tree.dirs))
		w.hangs[bad] = true
		clients := 1 + w.r.IntN(4)
		w.run(clients, 20_000)
		w.only(bad)
		if !w.avoids(bad) {
			fail("it is not avoided")
		}
		stalls := w.job.Suspects[0].Stalls
		if n := len(stalls); n != 2 && (n != lonelyStalls || stalls[0] != stalls[1]) {
			fail("%d clients met it, want 2: %v", n, stalls)
		}
		if one := stalls[0] == stalls[1]; one != (clients == 1) {
			fail("of %d clients it was tried by %v", clients, stalls)
		}
	})
}

func TestADirectoryThatHangsAtOneClientIsDoneByAnother(t *testing.T) {
	eachSeed(t, 1000, 50_000, func(seed uint64, trace io.Writer) {
		w := newWard(seed, trace)
		for range 1 + w.r.IntN(4) {
			w.hangs[w.r.IntN(len(w.tree.dirs))] = true
		}
		w.where = "c1"
		w.run(2+w.r.IntN(4), 20_000)
		w.only()
	})
}

func TestWhoCouldNotDoABagIsNotAskedAgain(t *testing.T) {
	for _, c := range []struct {
		held, stalled string
		want          bool
	}{
		{"a/b", "a/b", true},
		{"a/b", "a/b/c/d", true},
		{"", "a", true},
		{"", "", true},
		{"a/b", "a", false},
		{"a", "", false},
		{"a/b", "a/bc", false},
		{"a/bc", "a/b", false},
	} {
		s := NewSession("s", "c", "")
		s.Begin()
		written := s.Commit(items(c.held), Counted{})
		again := Abandon(&written, []Stall{{Place: Place{Path: c.stalled}, Op: "stat"}})
		if b := again.Outs[0]; slices.Contains(b.Tried, "c") != c.want || (b.Why != "") != c.want {
			t.Errorf("%q hangs and %q is held: the bag says %v, %q", c.stalled, c.held, b.Tried, b.Why)
		}
		j := NewJob(NewState(), []*Record{&again})
		if got := slices.Contains(j.Tried(Ref{"s", 1}), "c"); got != c.want {
			t.Errorf("%q hangs and %q is held: tried is %v", c.stalled, c.held, got)
		}
	}
}
