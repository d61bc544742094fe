package walk

import (
	"io/fs"
	"testing"
	"testing/fstest"
	"time"
)

func TestARootThatIsAFileIsAvoided(t *testing.T) {
	handled := 0
	s, changed := watched(t, &calls{file: func(*Entry) error { handled++; return nil }}, 1, ShareOptions{Options: Options{FS: files(1)}, Roots: []string{"f000"}})
	s.Avoid([]Avoided{{Err: "it hangs"}})
	s.AddRoots(false)
	for s.Load().Pending > 0 {
		<-changed
	}
	c, err := s.Cut(t.Context(), nil)
	if err != nil || handled > 0 || c.Totals.FailedFiles != 1 || c.Totals.Errors != 1 || c.Totals.FirstError.Error() != "open f000: it hangs" || len(c.Items) > 0 {
		t.Errorf("%+v, %v", c, err)
	}
}

// hangs opens its root only when gate is closed.
type hangs struct {
	fstest.MapFS
	gate chan struct{}
}

func (h hangs) Open(name string) (fs.File, error) {
	if name == "." {
		<-h.gate
	}
	return h.MapFS.Open(name)
}

func TestARootThatIsAFileIsToldWhenItsDirectoryHangs(t *testing.T) {
	h := hangs{files(1), make(chan struct{})}
	s := alone(t, &calls{}, 1, ShareOptions{Options: Options{FS: h}, Roots: []string{"f000"}, Stall: 20 * time.Millisecond})
	s.AddRoots(false)
	defer close(h.gate)
	until(t, "the stall", func() bool { return len(s.Stalled()) == 1 })
}

func TestAWalkThatIsOnlyGivenItemsKeepsNoRootOpen(t *testing.T) {
	s := alone(t, &calls{}, 1, ShareOptions{Roots: []string{t.TempDir(), t.TempDir()}})
	if n := s.p.fds.Load(); n != 0 {
		t.Errorf("%d directories are open", n)
	}
}
