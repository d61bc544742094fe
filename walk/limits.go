package walk

import "github.com/hydrawalk/hydra/internal/rawdir"

// Descriptors: some are left to the rest of the process, a worker has up to
// two in hand and two in reserve, and half of what there is may be kept open for
// subdirectories that wait.
const (
	maxWorkers     = 512 // of one walk
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
