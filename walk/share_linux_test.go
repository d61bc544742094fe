package walk

import (
	"errors"
	"testing"
	"time"

	"github.com/hydrawalk/hydra/internal/faultfs"
)

func TestACallThatHangsIsToldWithItsDirectory(t *testing.T) {
	for _, c := range []struct {
		op   faultfs.Op
		path string
		want Stall
	}{
		{faultfs.OpenDir, "d", Stall{Path: []byte("d"), Op: OpOpen}},
		{faultfs.ReadDir, "d", Stall{Path: []byte("d"), Op: OpReaddir}},
		{faultfs.GetAttr, "d/f", Stall{Path: []byte("d"), Op: OpStat}}, // by the handler
	} {
		t.Run(c.want.Op, func(t *testing.T) {
			m := faultfs.Mount(t, faultfs.Tree{"d/f": faultfs.File(1)})
			hang := faultfs.NewHang()
			m.On(c.op, c.path, faultfs.Rule{Hang: hang})
			h := &calls{file: func(e *Entry) error { _, err := e.Stat(); return err }}
			s, changed := watched(t, h, 1, ShareOptions{Roots: []string{m.Root}, Stall: 50 * time.Millisecond})
			t.Cleanup(hang.Release)
			s.AddRoots(false)
			<-hang.Reached()
			var got []Stall
			for len(got) == 0 {
				<-changed // it is told
				got = s.Stalled()
			}
			if len(got) != 1 || string(got[0].Path) != string(c.want.Path) || got[0].Op != c.want.Op || got[0].For < 50*time.Millisecond {
				t.Errorf("%+v is told, want %+v", got, c.want)
			}
			hang.Release()
			for s.Load().Pending > 0 {
				<-changed
			}
			if got := s.Stalled(); len(got) > 0 {
				t.Errorf("%+v is told, but the call has ended", got)
			}
		})
	}
}

func TestALoopIsSeenBelowAnItem(t *testing.T) {
	m := faultfs.Mount(t, faultfs.Tree{"a/b": faultfs.Dir(), "a/b/again": faultfs.Loop("a")})
	s, changed := watched(t, &calls{}, 1, ShareOptions{Roots: []string{m.Root}})
	s.Add([]Item{{Path: []byte("a/b/again")}, {Path: []byte("a/b")}})
	for s.Load().Pending > 0 {
		<-changed
	}
	c, err := s.Cut(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	var loop *LoopError
	// Found by a/b, and added.
	if c.Totals.FailedDirs != 2 || c.Totals.ProcessedDirs != 1 || !errors.As(c.Totals.FirstError, &loop) || loop.Ancestor != m.Path("a") {
		t.Errorf("%+v, %v", c.Totals, c.Totals.FirstError)
	}
}
