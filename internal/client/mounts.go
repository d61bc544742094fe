package client

import (
	"sync"

	"github.com/hydrawalk/hydra/walk"
)

// mounts are the several mounts that a session's walk reads through, if there are
// such: what they did since it began. Others of this client may use them too.
type mounts struct {
	of     *walk.Mounts // nil: there are none
	before []walk.MountState
	notes  int // that there were before
}

// mostNotes is how many notes a record has.
const mostNotes = 100

// begin is called when the session begins; notes is where what belongs to its job
// begins.
func (m *mounts) begin(of *walk.Mounts, notes int) {
	if m.of = of; of != nil {
		m.before, m.notes = of.State(), notes
	}
}

// noted is, for each job, how many notes of its mounts there were before it, or were
// told in its records.
type noted struct {
	mu sync.Mutex
	n  map[string]int
}

// from is where the notes of a job begin. Of a job that was not known that is here.
func (t *noted) from(job string, of *walk.Mounts) int {
	if of == nil {
		return 0
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	n, ok := t.n[job]
	if !ok {
		n = len(of.Notes(0))
		if t.n == nil {
			t.n = map[string]int{}
		}
		t.n[job] = n
	}
	return n
}

// told notes that some more were told.
func (t *noted) told(job string, more int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if more > 0 {
		t.n[job] += more
	}
}

// state is what a record says of them.
func (m *mounts) state() ([]walk.MountState, []string) {
	if m.of == nil {
		return nil, nil
	}
	state := m.of.State()
	for i := range state {
		state[i].Dirs -= m.before[i].Dirs
	}
	notes := m.of.Notes(m.notes)
	return state, notes[:min(len(notes), mostNotes)]
}

// lookAt looks at a root, through a mount that answers if there are several. The error is
// that of one that leads out of where the client is confined.
func (c *client) lookAt(root string, o *walk.Options) (walk.Sight, error) {
	switch {
	case c.o.FS != nil:
		return walk.Look(root, o.FollowRoots, c.o.FS), nil
	case o.Mounts == nil:
		return o.Within.Look(root, o.FollowRoots)
	}
	return o.Mounts.Look(root, o.FollowRoots)
}
