package walk

import (
	"strings"
	"testing"
	"time"

	"github.com/hydrawalk/hydra/internal/faultfs"
)

// TestAMountIsBlamedBeforeItsDirectories has two directories that do not answer
// through the first mount. If they do not through the other one either, it is they.
func TestAMountIsBlamedBeforeItsDirectories(t *testing.T) {
	tree := faultfs.Tree{"d": faultfs.Dir(), "e": faultfs.Dir()}
	a, b := faultfs.Mount(t, tree), faultfs.Mount(t, tree)
	hang := faultfs.NewHang()
	for _, m := range []*faultfs.Mounted{a, b} {
		for name := range tree {
			m.On(faultfs.ReadDir, name, faultfs.Rule{Hang: hang})
		}
	}
	ms, err := NewMounts([]string{a.Root, b.Root})
	if err != nil {
		t.Fatal(err)
	}
	defer ms.Close()
	ms.SetLimits(10*time.Second, time.Hour)
	t.Cleanup(hang.Release)
	// As sessions of one client do, one after the other.
	for round := range 2 {
		if round == 1 {
			// What is out answers meanwhile, and the other one is to blame.
			for _, m := range ms.list {
				m.out.Store(nil)
			}
		}
		s, changed := watched(t, &calls{}, 2, ShareOptions{Options: Options{Mounts: ms}, Roots: []string{a.Root}, Stall: 100 * time.Millisecond})
		s.AddRoots(false)
		var stalled []Stall
		for len(stalled) < 2 {
			<-changed
			stalled = s.Stalled()
		}
		guilty := s.Blame(stalled)
		out := 0
		for _, st := range ms.State() {
			if st.Out {
				out++
			}
		}
		if out != 1 || round == 0 && len(guilty) != 0 || round == 1 && len(guilty) != 2 {
			t.Errorf("round %d: %d mounts are out, %d directories are guilty", round, out, len(guilty))
		}
		s.Abandon()
	}
	if notes := strings.Join(ms.Notes(0), "\n"); strings.Count(notes, "is left out, a call did not return") != 2 {
		t.Errorf("%s", notes)
	}
	hang.Release() // before the walks are waited for
}

// TestAnotherDirectoryOfTheNameIsNotOpened gives the inode that somebody listed.
func TestAnotherDirectoryOfTheNameIsNotOpened(t *testing.T) {
	tree := faultfs.Tree{"d/e": faultfs.Dir()}
	a, b := faultfs.Mount(t, tree), faultfs.Mount(t, tree)
	ms, err := NewMounts([]string{a.Root, b.Root})
	if err != nil {
		t.Fatal(err)
	}
	defer ms.Close()
	other := ms.check(rootKey{path: a.Root}).list[1]
	is := Look(a.Path("d/e"), false, nil).Inode
	for listed, good := range map[uint64]bool{is: true, 0: true, noInode: true, is + 1: false} {
		h, err := other.beneath("d/e", listed)
		if (err == nil) != good {
			t.Errorf("inode %d, which is %d: %v", listed, is, err)
		}
		if err == nil {
			h.Close()
		}
	}
}
