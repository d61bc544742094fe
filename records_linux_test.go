package hydra

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hydrawalk/hydra/stats"
	"github.com/hydrawalk/hydra/walk"
	"golang.org/x/sys/unix"
)

// smallDisk is a directory with 64 KiB of space.
func smallDisk(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if os.Getuid() != 0 {
		t.Skip("a small disk needs root to mount it")
	}
	if err := unix.Mount("none", dir, "tmpfs", 0, "size=64k,mode=700"); err != nil {
		t.Skipf("nothing can be mounted: %v", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
	return dir
}

// TestAFullDiskLosesRecordsAndNotTheRun has an application that does not look at
// errors, and one that does.
func TestAFullDiskLosesRecordsAndNotTheRun(t *testing.T) {
	for _, looks := range []bool{false, true} {
		dir := smallDisk(t)
		var names []string
		for i := range 500 {
			names = append(names, strings.Repeat("n", 200)+string('a'+rune(i%26))+string('a'+rune(i/26)))
		}
		root := filesIn(t, names...)
		failed := 0
		app := counter(func(_ context.Context, w *Worker[struct{}, counts], e *walk.Entry) error {
			err := w.Record(seen{stats.PathOf(e.Path()), 7})
			if err != nil {
				if failed++; !errors.Is(err, unix.ENOSPC) {
					t.Error(err)
				}
			}
			if !looks {
				return nil
			}
			return err
		})
		list := new(lockedBuffer)
		result, err := Run(t.Context(), app, []string{root}, &Options{Workers: 1, Records: dir, Errors: list})
		if err != nil || result.State != Complete {
			t.Fatal(result.State, err)
		}
		if result.IsComplete() || result.Walked.ProcessedFiles+result.Walked.FailedFiles != 500 || failed == 0 {
			t.Errorf("complete %v, %+v, %d failed", result.IsComplete(), result.Walked, failed)
		}
		lost := result.ErrorCounts[OpRecord]
		got := recorded(t, dir) // whole lines only
		kept := len(namesOf(got))
		if kept == 0 || int(lost)+kept != 500 {
			t.Errorf("%d are there and %d lost", kept, lost)
		}
		file := filepath.Join(dir, result.Job+"-worker-0.jsonl")
		found := false
		for _, item := range result.Errors {
			found = found || item.Op == OpRecord && item.Path == file && item.Error == "no space left on device" && item.Count == lost
		}
		if !found || !strings.Contains(list.String(), `{"op":"record","path":"`+file+`","error":"no space left on device"`) {
			t.Errorf("%+v\n%s", result.Errors, list)
		}
		if looks && result.Walked.FailedFiles == 0 {
			t.Error("no file failed though its handler said so")
		}
	}
}

func TestRecordsGoOnWhenThereIsSpaceAgain(t *testing.T) {
	dir := smallDisk(t)
	ballast := filepath.Join(dir, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 56<<10), 0o600); err != nil {
		t.Fatal(err)
	}
	f := newRecorder(dir, "j", recordHead{}).file(0)
	long := seen{stats.PathOf("/" + strings.Repeat("x", 3000)), 1}
	for range 10 {
		if err := f.add(long); err != nil {
			t.Fatal(err) // it is held back
		}
	}
	if err := f.sync(); !errors.Is(err, unix.ENOSPC) {
		t.Fatal(err)
	}
	item := f.flush()
	if item == nil || f.flush() != nil {
		t.Error("what is lost has to be told once")
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f.add(long), f.sync()); err != nil {
		t.Fatal(err)
	}
	if kept := len(namesOf(recorded(t, dir))); kept < 2 || int64(kept)+item.Count != 11 {
		t.Errorf("%d are there, %+v", kept, item)
	}
}
