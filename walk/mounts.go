package walk

import (
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Mounts are several mounts of one file system, as those of several front ends of a
// storage system. A walk opens each directory through the one that is likely to
// answer first, and leaves out one that does not answer. Paths are those that the
// walk was given, whichever mount they were read through.
//
// A root lies in one of them, its home. Through another mount it is the same path
// below that mount, if that is the same directory: this is checked before use.
//
// One Mounts may serve many walks, one after the other or at once: what it has
// learnt of a mount holds for all. Any goroutine may use it. Close ends what looks
// whether mounts answer again.
type Mounts struct {
	list   []*mount
	within *Within       // in which they lie; nil: no bound
	began  time.Time     // of the clock
	limit  time.Duration // how long a mount may take to answer whether it can be used
	pause  time.Duration // until a mount that is out is looked at for the first time
	log    atomic.Pointer[slog.Logger]
	ended  chan struct{}
	once   sync.Once

	points atomic.Pointer[mountPoints]
	devs   atomic.Pointer[map[uint64]uint64] // devices, and those for which they stand

	mu      sync.Mutex
	roots   map[rootKey]*ways
	notes   []string
	excused map[string]int // how often a directory did not answer, and a mount was blamed
}

// NewMounts returns the mounts at these paths, which have to be absolute. Nothing is
// looked at.
func NewMounts(paths []string) (*Mounts, error) {
	if len(paths) == 0 {
		return nil, errors.New("no prefix")
	}
	ms := &Mounts{
		began: time.Now(), limit: 5 * time.Second, pause: time.Second,
		ended: make(chan struct{}), roots: map[rootKey]*ways{}, excused: map[string]int{},
	}
	for _, path := range paths {
		if !filepath.IsAbs(path) {
			return nil, fmt.Errorf("the prefix %s is not absolute", printable(path))
		}
		path = filepath.Clean(path)
		if slices.ContainsFunc(ms.list, func(m *mount) bool { return m.path == path }) {
			continue // it was given twice
		}
		for _, m := range ms.list {
			inner, outer := path, m.path
			if systemPaths.below(outer, inner) {
				inner, outer = outer, inner
			}
			if systemPaths.below(inner, outer) {
				return nil, fmt.Errorf("the prefix %s lies in the prefix %s: prefixes are mounts of one file system, side by side", printable(inner), printable(outer))
			}
		}
		ms.list = append(ms.list, &mount{ms: ms, path: path})
	}
	return ms, nil
}

// Has tells whether a path is one of the mounts or lies in one.
func (ms *Mounts) Has(path string) bool {
	m, _ := ms.home(path)
	return m != nil
}

// Paths are those of the mounts.
func (ms *Mounts) Paths() []string {
	var paths []string
	for _, m := range ms.list {
		paths = append(paths, m.path)
	}
	return paths
}

// Close ends what goes on in the background, but for a call that does not return.
func (ms *Mounts) Close() { ms.once.Do(func() { close(ms.ended) }) }

// MountState says how a mount does.
type MountState struct {
	Path string
	Dirs int64 // that were opened through it
	Out  bool  // it is not used now
	Why  string
}

// State tells how the mounts do, in their order.
func (ms *Mounts) State() []MountState {
	var all []MountState
	for _, m := range ms.list {
		st := MountState{Path: m.path, Dirs: m.dirs.Load()}
		if why := m.out.Load(); why != nil {
			st.Out, st.Why = true, *why
		} else if why := m.partly.Load(); why != nil {
			st.Why = *why
		}
		all = append(all, st)
	}
	return all
}

// Notes are what happened to mounts that somebody should know, from the n-th on.
func (ms *Mounts) Notes(n int) []string {
	ms.mu.Lock()
	defer ms.mu.Unlock()
	return slices.Clone(ms.notes[min(n, len(ms.notes)):])
}

// mostNotes is a bound: a mount may come and go for days.
const mostNotes = 1000

// note says what somebody should know.
func (ms *Mounts) note(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	ms.mu.Lock()
	if len(ms.notes) < mostNotes {
		ms.notes = append(ms.notes, text)
	}
	ms.mu.Unlock()
	if log := ms.log.Load(); log != nil {
		log.Warn(text)
	}
}

// now is the clock that calls are measured by; never 0.
func (ms *Mounts) now() int64 { return int64(time.Since(ms.began)) + 1 }

// home is the mount that a path lies in, and the path below it.
func (ms *Mounts) home(path string) (m *mount, at string) {
	path = filepath.Clean(path)
	for _, m := range ms.list {
		switch {
		case path == m.path:
			return m, ""
		case systemPaths.below(path, m.path):
			return m, strings.TrimLeft(filepath.ToSlash(path[len(m.path):]), "/")
		}
	}
	return nil, ""
}

// isIn tells whether a mount is used, besides m.
func (ms *Mounts) isIn(besides *mount) bool {
	return slices.ContainsFunc(ms.list, func(m *mount) bool { return m != besides && m.out.Load() == nil })
}

// takeOut leaves a mount out until it answers, unless it is the last one.
func (ms *Mounts) takeOut(m *mount, why string) bool {
	ms.mu.Lock()
	ok := m.out.Load() == nil && ms.isIn(m)
	if ok {
		m.out.Store(&why)
		m.times++
	}
	times := m.times
	ms.mu.Unlock()
	if !ok {
		return false
	}
	var others []string
	for _, o := range ms.list {
		if o.out.Load() == nil {
			others = append(others, printable(o.path))
		}
	}
	ms.note("the mount %s is left out, %s: its work is done through %s", printable(m.path), why, strings.Join(others, ", "))
	go ms.probe(m, times)
	return true
}

// A mount that is out is looked at after at most mostPause, but not at all for up to
// mostQuiet: longer each time that it was left out, for each time costs what was done
// and not yet written down.
const (
	mostPause = 30 * time.Second
	mostQuiet = 15 * time.Minute
)

// probe looks now and then whether a mount that is out answers. There is at most one
// for each mount, and it may hang in a call.
func (ms *Mounts) probe(m *mount, times int) {
	pause := min(ms.pause<<min(times-1, 20), mostQuiet)
	for {
		timer := time.NewTimer(pause)
		select {
		case <-ms.ended:
			timer.Stop()
			return
		case <-timer.C:
		}
		if ms.answers(m) {
			m.latency.Store(0)
			m.out.Store(nil)
			ms.note("the mount %s answers again", printable(m.path))
			return
		}
		pause = min(2*pause, mostPause)
	}
}

// stuck leaves out the mounts in which a call is under way for long, and tells
// whether any mount is out.
func (ms *Mounts) stuck(limit time.Duration) bool {
	now := ms.now()
	for _, m := range ms.list {
		if m.out.Load() == nil && m.oldest(now) >= limit {
			if ms.takeOut(m, fmt.Sprintf("a call did not return for %v", time.Duration(m.oldest(now)).Round(time.Millisecond))) {
				m.forget()
			}
		}
	}
	return slices.ContainsFunc(ms.list, func(m *mount) bool { return m.out.Load() != nil })
}

// mostExcused is how many directories are remembered that did not answer.
const mostExcused = 10_000

// excuse tells whether it is the fault of a mount that a directory did not answer:
// not if it did not answer in all of them.
func (ms *Mounts) excuse(dir string) bool {
	ms.mu.Lock()
	defer ms.mu.Unlock()
	if len(ms.excused) >= mostExcused {
		clear(ms.excused)
	}
	ms.excused[dir]++
	return ms.excused[dir] < len(ms.list)
}

// Blame is for what Stalled told: it leaves out the mounts that do not answer, and
// returns the stalls that are the fault of their directories.
func (s *Shared) Blame(stalls []Stall) []Stall {
	ms := s.p.mounts
	if ms == nil || !ms.stuck(s.o.Stall/2) {
		return stalls
	}
	var guilty []Stall
	for _, st := range stalls {
		if !ms.excuse(s.roots[st.Root].path + "/" + string(st.Path)) {
			guilty = append(guilty, st)
		}
	}
	return guilty
}
