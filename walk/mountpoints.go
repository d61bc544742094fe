package walk

import (
	"path/filepath"
	"strings"
	"time"
)

// mountPoints are the directories below the mounts on which something is mounted, by
// their path below the mount.
type mountPoints struct {
	at   map[string]bool
	read int64 // by Mounts.now
}

// pointsFor is how long they are taken to be what they were.
const pointsFor = time.Second

// isPoint tells whether something is mounted on a directory, in whichever of the
// mounts: there each may have something else.
func (ms *Mounts) isPoint(at string) bool {
	points := ms.points.Load()
	if points == nil || ms.now()-points.read > int64(pointsFor) {
		points = ms.readPoints()
	}
	return points.at[at]
}

func (ms *Mounts) readPoints() *mountPoints {
	points := &mountPoints{at: map[string]bool{}, read: ms.now()}
	for _, point := range systemMounts() {
		for _, m := range ms.list {
			if at, ok := strings.CutPrefix(point, m.path+string(filepath.Separator)); ok {
				points.at[filepath.ToSlash(at)] = true
			}
		}
	}
	ms.points.Store(points)
	return points
}
