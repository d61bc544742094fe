package walk

import "time"

// SetLimits makes times short.
func (ms *Mounts) SetLimits(limit, pause time.Duration) { ms.limit, ms.pause = limit, pause }
