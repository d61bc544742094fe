package walk

import (
	"os"
	"sync"

	"github.com/hydrawalk/hydra/internal/rawdir"
)

// MostWorkers is how many one walk can have.
const MostWorkers = 512

// Descriptors: some are left to the rest of the process, a worker has up to
// two in hand and two in reserve, and half of what there is may be kept open for
// subdirectories that wait.
const (
	maxWorkers     = MostWorkers
	spareFDs       = 32
	reservedFDs    = 2
	fdsPerWorker   = 2 + reservedFDs
	mostRetainedFD = 1 << 16
)

// setLimits sets how many workers and descriptors a walk may use, of so many
// that the process may open.
func (p *pool) setLimits(files int64) {
	files = max(files-spareFDs, 8) / rawdir.Descriptors
	p.mostWorkers = int(min(maxWorkers, max(1, files/(2*fdsPerWorker))))
	p.maxFDs.Store(min(files/2, mostRetainedFD))
}

// reserve are descriptors that a walk holds back, for when others have taken all
// the rest: what it gives up then is enough for its workers to go on with.
type reserve struct {
	mu     sync.Mutex
	files  []*os.File
	isGone bool // given up: there will be no other
}

// holdBack makes the reserve large enough for a number of workers.
func (r *reserve) holdBack(workers int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for !r.isGone && len(r.files) < workers*reservedFDs*rawdir.Descriptors {
		f, err := os.Open(os.DevNull)
		if err != nil {
			return // it is only to be on the safe side
		}
		r.files = append(r.files, f)
	}
}

func (r *reserve) giveUp() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, f := range r.files {
		f.Close()
	}
	r.files, r.isGone = nil, true
}
