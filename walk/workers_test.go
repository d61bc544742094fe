package walk

import (
	"fmt"
	"path"
	"testing"
	"testing/synctest"
	"time"
)

func TestEachWorkerTellsWhatItDoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		throttle, monitor := new(Throttle), new(Monitor)
		o := ShareOptions{Options: Options{FS: files(0, "a/b/f1", "a/b/f2", "a/b/f3", "a/b/f4"), Throttle: throttle, Monitor: monitor}}
		s := alone(t, &calls{file: func(e *Entry) error {
			time.Sleep(time.Second)
			_, err := e.Stat()
			return err
		}}, 3, o)
		want := func(what string, states ...string) {
			t.Helper()
			got := map[string]int{}
			var files int64
			all := s.Workers()
			for i, w := range all {
				if w.ID != i {
					t.Errorf("%s: worker %d is the %d. one", what, w.ID, i)
				}
				got[path.Join(string(w.State), w.Dir)]++
				files += w.Totals.ProcessedFiles
			}
			for _, state := range states {
				if state == "any" {
					continue // an idle one may have taken a part of what is in hand
				}
				if got[state]--; got[state] < 0 {
					t.Errorf("%s: none is %s, %+v", what, state, all)
				}
			}
			if len(all) != len(states) || fmt.Sprint(monitor.Workers()) != fmt.Sprint(all) || files != s.Progress().ProcessedFiles {
				t.Errorf("%s: %+v, monitor %+v, %d files", what, all, monitor.Workers(), files)
			}
		}
		synctest.Wait()
		want("before", "idle", "idle", "idle")
		s.AddRoots(false)
		time.Sleep(time.Second / 2)
		want("at work", "working/a/b", "any", "any")
		s.Pause(true)
		time.Sleep(time.Second)
		want("paused", "paused/a/b", "any", "any")
		throttle.SetRate(0.001)
		s.Pause(false)
		time.Sleep(5 * time.Second)
		want("held", "held/a/b", "any", "any")
		throttle.SetRate(0)
		s.SetWorkers(0)
		time.Sleep(time.Minute)
		want("benched", "benched", "benched", "benched")
		s.Stop()
		s.Wait()
		for _, w := range s.Workers() {
			if w.State != WorkerEnded || w.Dir != "" {
				t.Errorf("%+v has not ended", w)
			}
		}
		if w := monitor.Workers(); w != nil {
			t.Errorf("%+v", w)
		}
	})
}
