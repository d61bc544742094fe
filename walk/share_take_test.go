package walk

import (
	"syscall"
	"testing"

	"github.com/hydrawalk/hydra/internal/rawdir"
)

func TestARangeThatNobodyCanTakeIsLeftHere(t *testing.T) {
	at, gate := make(chan struct{}, 100), make(chan struct{})
	var left []DirCounts
	s := alone(t, &calls{
		file:  func(*Entry) error { at <- struct{}{}; <-gate; return nil },
		leave: func(d *Dir) error { left = append(left, d.Counts()); return nil },
	}, 1, ShareOptions{Options: Options{FS: files(20)}})
	half := wholeRange.Hi / 2
	first, _ := encodeNames(rawdir.AppendRecord(nil, 0, rawdir.Regular, rawdir.MakeName("f")))
	s.Add([]Item{{Part: &Part{Names: []Names{{Records: first}}, Ranges: []Range{{0, half}, {half + 1, wholeRange.Hi}}}}})
	<-at
	dealer := taker{s: s, w: s.taker, bags: make([]bag, 1)} // no item fits
	for _, k := range s.oldest(1, 10, 0) {
		if !dealer.deal(k) {
			s.giveBack([]task{k})
		}
	}
	close(gate)
	until(t, "the worker", func() bool { return s.Load().Idle == 1 })
	s.endTaken(dealer.emptied)
	s.Stop()
	if last, err := s.Wait(); err != nil || last.Totals.ProcessedDirs != 1 || len(left) != 1 || left[0].Files != 21 {
		t.Errorf("%+v was left: %+v, %v", left, last, err)
	}
}

func TestTakeGivesWaitingCarefulWorkWhileOtherIsLetGo(t *testing.T) {
	at, gate := make(chan struct{}), make(chan struct{})
	h := &calls{file: func(*Entry) error { close(at); <-gate; return nil }}
	s := alone(t, h, 1, ShareOptions{Options: Options{FS: files(0, "a/f", "b/", "c/", "d/", "e/")}})
	s.Add([]Item{{Path: []byte("a")}})
	<-at
	s.Add([]Item{{Path: []byte("b"), Careful: true}, {Path: []byte("c"), Careful: true}})
	s.PickCareful(2, nil)
	s.RunCareful()
	s.Add([]Item{{Path: []byte("d"), Careful: true}, {Path: []byte("e"), Careful: true}})
	bags := s.Take(1, 10, 1000)
	if len(bags) != 1 || len(bags[0]) != 1 || string(bags[0][0].Path) != "e" && string(bags[0][0].Path) != "d" {
		t.Errorf("%+v was taken", bags)
	}
	if l := s.Load(); l.CarefulRunning != 2 || l.CarefulWaiting != 1 {
		t.Errorf("%+v", l)
	}
	close(gate)
}

func TestWhatHasToBeAloneWaitsForWhatWasPicked(t *testing.T) {
	s := alone(t, &calls{}, 1, ShareOptions{Options: Options{FS: files(0, "a/", "b/")}})
	s.Add([]Item{{Path: []byte("a"), Careful: true}})
	s.PickCareful(1, nil)
	s.Add([]Item{{Path: []byte("b"), Careful: true}})
	if got, _ := s.PickCareful(1, func(Item) bool { return true }); len(got) > 0 {
		t.Errorf("%+v was picked beside another", got)
	}
}

// fewDirs can not list a directory a second time at first.
type fewDirs struct {
	rawdir.Dir
	failed *bool
}

func (d fewDirs) Again() (rawdir.Dir, error) {
	if !*d.failed {
		*d.failed = true
		return nil, syscall.EMFILE
	}
	return d.Dir.Again()
}

func TestAHugeDirectoryIsListedWithoutDescriptors(t *testing.T) {
	failed := false
	o := ShareOptions{Roots: []string{flat(t, 500)}}
	o.tune = func(s *Shared) {
		s.chunk, s.mostChunks = leastRoom, 1
		open := s.p.opener
		s.p.opener = func(path string, follow bool) (rawdir.Dir, error) {
			d, err := open(path, follow)
			return fewDirs{d, &failed}, err
		}
	}
	s, changed := watched(t, &calls{}, 1, o)
	s.AddRoots(false)
	for s.Load().Pending > 0 {
		<-changed
	}
	if c, err := s.Cut(t.Context(), nil); err != nil || c.Totals.ProcessedFiles != 500 || !failed || s.p.maxFDs.Load() != 0 {
		t.Errorf("%+v, %v; %d directories may be kept open", c, err, s.p.maxFDs.Load())
	}
}
