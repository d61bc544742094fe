package walk

// Descriptors: some are left to the rest of the process, a worker has up to
// four in hand, and half of what there is may be kept open for subdirectories
// that wait.
const (
	maxWorkers     = 512 // of one walk
	spareFDs       = 32
	fdsPerWorker   = 4
	mostRetainedFD = 1 << 16
)

// setLimits sets how many workers and descriptors a walk may use, of so many
// that the process may open.
func (p *pool) setLimits(files int64) {
	files = max(files-spareFDs, 8)
	p.mostWorkers = int(min(maxWorkers, max(1, files/(2*fdsPerWorker))))
	p.maxFDs.Store(min(files/2, mostRetainedFD))
}
