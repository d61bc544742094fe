package ledger

import (
	"io"
	"slices"
	"testing"
)

func TestADirectoryThatKillsIsAvoidedAfterThreeDeaths(t *testing.T) {
	eachSeed(t, 1000, 100_000, func(seed uint64, trace io.Writer) {
		w := newWard(seed, trace)
		bad := w.r.IntN(len(w.tree.dirs))
		w.poison[bad] = true
		w.together = 1 + w.r.IntN(4)
		w.run(1+w.r.IntN(4), 20_000)
		if w.job.Lost != 3 {
			fail("%d clients died, want 3", w.job.Lost)
		}
		w.only(bad)
	})
}

// dead is the record of a session that was lost.
func dead(id SessionID, alone bool, named ...string) *Record {
	r := Record{Session: id, Client: ClientID(id), N: 1, NextOut: 1, Alone: alone}
	for _, p := range named {
		r.Named = append(r.Named, Place{Path: p})
	}
	f := r.Fence()
	return &f
}

// moved is the record of one that was lost with a directory in hand, of which it
// had done a part.
func moved(id SessionID, named string) *Record {
	r := dead(id, true, named)
	r.Moved = true
	return r
}

func TestWhoWasAmongOthersIsNotCondemned(t *testing.T) {
	for _, c := range []struct {
		deaths []*Record
		want   string
	}{
		{[]*Record{dead("1", false), dead("2", false, "x", "y"), dead("3", false, "x", "y")}, ""},
		{[]*Record{dead("1", false), dead("2", true, "x", "y"), dead("3", true, "x", "y")}, ""},
		{[]*Record{dead("1", false), dead("2", false, "x"), dead("3", false, "x"), dead("4", false, "x")}, ""},
		{[]*Record{dead("1", false), dead("2", true, "x")}, ""},
		{[]*Record{dead("1", false), dead("2", true, "x"), dead("3", true, "y")}, ""},
		{[]*Record{dead("1", false), dead("2", false, "x", "y"), dead("3", true, "x")}, "x"},
		{[]*Record{dead("1", false), dead("2", true, "x"), dead("3", true, "x")}, "x"},
		// Clients die for other reasons too.
		{[]*Record{dead("1", false), dead("2", false), dead("3", true, "x"), dead("4", true, "x")}, ""},
		{[]*Record{dead("1", false), dead("2", false), dead("3", true, "x"), dead("4", true, "x"), dead("5", true, "x")}, "x"},
		// It takes longer than clients live.
		{[]*Record{dead("1", false), dead("2", true, "x"), moved("3", "x"), moved("4", "x")}, ""},
		{[]*Record{dead("1", false), moved("2", "x"), moved("3", "x"), moved("4", "x"), moved("5", "x")}, ""},
		{[]*Record{dead("1", false), moved("2", "x"), moved("3", "x"), dead("4", true, "x")}, "x"},
		// Two that kill: each has a death without a name.
		{[]*Record{dead("1", false), dead("2", false), dead("3", true, "x"), dead("4", true, "y"), dead("5", true, "x")}, "x"},
	} {
		j := NewJob(NewState(), c.deaths)
		got := ""
		for _, a := range j.Avoid {
			got += string(a.Path)
		}
		if got != c.want {
			t.Errorf("%q is avoided after %d deaths, want %q", got, len(c.deaths), c.want)
		}
		if j.Lost != len(c.deaths) {
			t.Errorf("%d deaths, want %d", j.Lost, len(c.deaths))
		}
	}
}

func TestSeveralDirectoriesThatKillAreAvoided(t *testing.T) {
	var deaths, bad, most int
	eachSeed(t, 500, 50_000, func(seed uint64, trace io.Writer) {
		w := newWard(seed, trace)
		var all []int
		for range 2 + w.r.IntN(4) {
			dir := w.r.IntN(len(w.tree.dirs))
			w.poison[dir] = true
			all = append(all, dir)
		}
		w.together = 1 + w.r.IntN(4)
		n := w.run(1+w.r.IntN(4), 20_000)
		w.only(all...)
		deaths += n
		bad += len(w.job.Avoid)
		most = max(most, n)
	})
	t.Logf("%d directories killed %d clients; in one history at most %d", bad, deaths, most)
}

// only fails if others than these are avoided; those that killed must be.
func (w *ward) only(dirs ...int) {
	for _, a := range w.job.Avoid {
		if !slices.Contains(dirs, w.tree.numbers[string(a.Path)]) {
			fail("%q is avoided: %s", a.Path, a.Err)
		}
	}
	for _, dir := range dirs {
		if n := w.killed[dir]; n > 0 && !w.avoids(dir) {
			fail("%q killed %d and is not avoided", w.tree.dirs[dir].path, n)
		}
	}
}

func (w *ward) avoids(dir int) bool {
	for _, a := range w.job.Avoid {
		if string(a.Path) == w.tree.dirs[dir].path {
			return true
		}
	}
	return false
}

func TestDeathsForOtherReasonsCondemnNobody(t *testing.T) {
	for _, deadly := range []float64{0.001, 0.003, 0.01, 0.03, 0.1} {
		var deaths, condemned, dirs int
		eachSeed(t, 150, 20_000, func(seed uint64, trace io.Writer) {
			w := newWard(seed, trace)
			w.deadly = deadly
			deaths += w.run(4, 200_000)
			condemned += len(w.job.Avoid)
			dirs += len(w.tree.dirs)
		})
		t.Logf("deadly %v: %d deaths, %d of %d directories condemned", deadly, deaths, condemned, dirs)
		// A client that lives for 10 ticks does not end a directory of 30.
		if deadly < 0.1 && condemned*1000 > dirs {
			t.Errorf("deadly %v: %d of %d directories condemned", deadly, condemned, dirs)
		}
	}
}

func TestDirectoriesThatKillAreFoundAmongOtherDeaths(t *testing.T) {
	var deaths, dirs, innocent, histories, all int
	eachSeed(t, 300, 20_000, func(seed uint64, trace io.Writer) {
		w := newWard(seed, trace)
		w.deadly = 0.01
		bad := []int{w.r.IntN(len(w.tree.dirs)), w.r.IntN(len(w.tree.dirs))}
		for _, dir := range bad {
			w.poison[dir] = true
		}
		w.run(4, 200_000)
		for _, dir := range bad {
			if n := w.killed[dir]; n > 0 {
				deaths += n
				dirs++
			}
		}
		all += w.job.Lost
		histories++
		for _, a := range w.job.Avoid {
			if !slices.Contains(bad, w.tree.numbers[string(a.Path)]) {
				innocent++
			}
		}
	})
	t.Logf("%d directories killed %d clients of %d that died; %d others were condemned in %d histories", dirs, deaths, all, innocent, histories)
	// Two deaths in the same directory, and one before, look like it.
	if innocent*100 > histories {
		t.Errorf("%d directories condemned in %d histories", innocent, histories)
	}
}
