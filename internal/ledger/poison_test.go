package ledger

import (
	"io"
	"slices"
	"testing"
)

func TestADirectoryThatKillsIsAvoidedAfterThreeDeaths(t *testing.T) {
	eachSeed(t, 2000, 100_000, func(seed uint64, trace io.Writer) {
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

func TestSeveralDirectoriesThatKillAreAvoided(t *testing.T) {
	var deaths, bad, most int
	eachSeed(t, 1000, 50_000, func(seed uint64, trace io.Writer) {
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
		var deaths, condemned, histories, dirs int
		eachSeed(t, 1000, 20_000, func(seed uint64, trace io.Writer) {
			w := newWard(seed, trace)
			w.deadly = deadly
			deaths += w.run(4, 200_000)
			condemned += len(w.job.Avoid)
			dirs += len(w.tree.dirs)
			if len(w.job.Avoid) > 0 {
				histories++
			}
		})
		t.Logf("deadly %v: %d deaths, %d of %d directories condemned, in %d histories", deadly, deaths, condemned, dirs, histories)
	}
}
