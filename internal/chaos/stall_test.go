//go:build linux

package chaos

import (
	"strings"
	"testing"

	"github.com/hydrawalk/hydra/internal/faultfs"
	"github.com/hydrawalk/hydra/walk"
)

// stalls are the ways in which the directory d5/e1 does not answer.
var stalls = map[string]func(*faultfs.Mounted, faultfs.Rule){
	walk.OpOpen:    func(m *faultfs.Mounted, r faultfs.Rule) { m.On(faultfs.OpenDir, "d5/e1", r) },
	walk.OpReaddir: func(m *faultfs.Mounted, r faultfs.Rule) { m.On(faultfs.ReadDir, "d5/e1", r) },
	walk.OpStat:    func(m *faultfs.Mounted, r faultfs.Rule) { m.On(faultfs.Lookup, "d5/e1/f3", r) },
}

// TestADirectoryThatAnswersNobodyIsAnError has a directory in which a system call
// never returns: each of two clients is given it once.
func TestADirectoryThatAnswersNobodyIsAnError(t *testing.T) {
	longAlone(t)
	for op, stall := range stalls {
		t.Run(op, func(t *testing.T) {
			t.Parallel()
			s := newTwoSights(t)
			s.at = s.good.Root
			s.server()
			clients := []*proc{s.client(2), s.client(2)}
			stall(s.good, faultfs.Rule{Hang: faultfs.NewHang()})
			got := s.wait(s.submit(s.at, "HYDRA_CHAOS_STALL=2s", "HYDRA_CHAOS_CLIENTS=2"))
			doc := got.document(t)
			t.Logf("wall %.1f s, errors %+v", doc.Wall, doc.Errors)
			if got.err != nil || doc.State != "complete" || doc.Complete || doc.Failed != 1 || doc.Processed != 48 || doc.Stats.Files != 350 {
				t.Errorf("%v %+v", got.err, doc)
			}
			if len(doc.Errors) != 1 || !strings.HasSuffix(doc.Errors[0].Path, "/d5/e1") || !strings.Contains(doc.Errors[0].Error, "no answer to "+op) {
				t.Errorf("errors: %+v", doc.Errors)
			}
			// They hang in the system call, and have to end.
			s.stop(clients...)
		})
	}
}

// TestADirectoryThatDoesNotAnswerOneClientIsLeftToAnother is exact.
func TestADirectoryThatDoesNotAnswerOneClientIsLeftToAnother(t *testing.T) {
	longAlone(t)
	for op, stall := range stalls {
		t.Run(op, func(t *testing.T) {
			s := newTwoSights(t)
			hang := faultfs.NewHang()
			stall(s.faulty, faultfs.Rule{Hang: hang})
			s.run("HYDRA_CHAOS_STALL=2s")
			select {
			case <-hang.Reached():
			default:
				t.Log("the other client was given the directory at once")
			}
		})
	}
}
