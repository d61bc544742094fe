package walk

import (
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// waysOf are ways to a root through n mounts that can be used.
func waysOf(t *testing.T, n int) *ways {
	ms, err := NewMounts([]string{"/a", "/b", "/c"}[:n])
	if err != nil {
		t.Fatal(err)
	}
	r := &ways{ms: ms}
	for _, m := range ms.list {
		w := &way{of: r, m: m}
		w.ok.Store(true)
		r.list = append(r.list, w)
	}
	return r
}

// shares is how many of 1,000 directories some workers open through each of some
// mounts, which take so long to open one.
func shares(t *testing.T, workers int, takes ...time.Duration) []int64 {
	t.Helper()
	got := make([]int64, len(takes))
	synctest.Test(t, func(t *testing.T) {
		r := waysOf(t, len(takes))
		left := make(chan struct{}, 1000)
		for range cap(left) {
			left <- struct{}{}
		}
		close(left)
		var wg sync.WaitGroup
		for range workers {
			wg.Go(func() {
				var parent *way
				for range left {
					w := r.choose(parent)
					c := w.m.begin()
					w.m.dirs.Add(1)
					time.Sleep(takes[slices.Index(r.list, w)])
					w.m.end(c)
					parent = w
				}
			})
		}
		wg.Wait()
		for i, m := range r.ms.list {
			got[i] = m.dirs.Load()
		}
	})
	return got
}

func TestMountsThatAreAsFastShareTheWork(t *testing.T) {
	for _, workers := range []int{2, 3, 8, 64} {
		got := shares(t, workers, time.Millisecond, time.Millisecond)
		if min(got[0], got[1]) < 300 {
			t.Errorf("%d workers opened %v directories", workers, got)
		}
	}
}

func TestAFasterMountGetsMoreDirectories(t *testing.T) {
	for _, workers := range []int{2, 8, 64} {
		got := shares(t, workers, 10*time.Millisecond, time.Millisecond, 10*time.Millisecond)
		if got[1] < 3*(got[0]+got[2]) || workers > 10 && (got[0] < 10 || got[2] < 10) {
			t.Errorf("%d workers opened %v directories", workers, got)
		}
	}
}

// TestAMountThatWasSlowIsTriedAgain has one that is slow to open its first directory
// only.
func TestAMountThatWasSlowIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := waysOf(t, 2)
		slow := r.list[1].m
		took := time.Second
		var parent *way
		for range 30_000 {
			parent = r.choose(parent)
			c := parent.m.begin()
			d := 2 * time.Millisecond
			if parent.m == slow {
				slow.dirs.Add(1)
				d, took = took, time.Millisecond
			}
			time.Sleep(d)
			parent.m.end(c)
		}
		if slow.dirs.Load() < 1000 {
			t.Errorf("of 30,000 directories %d were opened through the mount that is faster since", slow.dirs.Load())
		}
	})
}
