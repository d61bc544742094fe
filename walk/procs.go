package walk

import (
	"os"
	"runtime"
	"sync"
)

// A goroutine that enters the kernel gives its processor (a P of the scheduler)
// away when no other is free, and has to get one back when it returns. With
// some more than there are workers that hardly happens: it makes a walk of
// cached directories 1.2 times faster.
const (
	spareProcs = 2
	mostProcs  = 64
)

// procs is a walk's wish for GOMAXPROCS. The largest wish of all walks of the
// process is in force; when the last one ends, the old value is back. A value
// in the environment is left alone.
type procs struct{ want int }

var gomaxprocs struct {
	sync.Mutex
	walks []*procs
	old   int
}

// cores is the number of processors that this process may use: those of the
// machine, or fewer where a container has a quota.
func cores() int {
	g := &gomaxprocs
	g.Lock()
	defer g.Unlock()
	if len(g.walks) > 0 {
		return min(g.old, runtime.NumCPU())
	}
	return min(runtime.GOMAXPROCS(0), runtime.NumCPU())
}

// raiseProcs makes a wish for a number of workers.
func raiseProcs(workers int) *procs {
	w := &procs{}
	if os.Getenv("GOMAXPROCS") != "" {
		return w
	}
	g := &gomaxprocs
	g.Lock()
	if len(g.walks) == 0 {
		g.old = runtime.GOMAXPROCS(0)
	}
	g.walks = append(g.walks, w)
	g.Unlock()
	w.raise(workers)
	return w
}

// raise changes the wish; it is never lowered while the walk runs.
func (w *procs) raise(workers int) {
	g := &gomaxprocs
	g.Lock()
	defer g.Unlock()
	w.want = max(w.want, min(workers+spareProcs, mostProcs))
	if len(g.walks) > 0 && w.want > runtime.GOMAXPROCS(0) {
		runtime.GOMAXPROCS(w.want)
	}
}

// restore takes the wish back.
func (w *procs) restore() {
	g := &gomaxprocs
	g.Lock()
	defer g.Unlock()
	for i, other := range g.walks {
		if other == w {
			g.walks = append(g.walks[:i], g.walks[i+1:]...)
			if len(g.walks) == 0 {
				runtime.GOMAXPROCS(g.old)
			}
			return
		}
	}
}
