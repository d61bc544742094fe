package exec

import (
	"os"
	osexec "os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/hydrawalk/hydra"
	"github.com/hydrawalk/hydra/walk"
)

// TestNobodyWhoSwapsADirectoryForALinkHasACommandRunElsewhere has somebody do that while
// commands begin in it.
func TestNobodyWhoSwapsADirectoryForALinkHasACommandRunElsewhere(t *testing.T) {
	top := t.TempDir()
	in, out := filepath.Join(top, "in"), filepath.Join(top, "out")
	for _, dir := range []string{in + "/dir", out} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	within, err := walk.OpenWithin(in)
	if err != nil {
		t.Fatal(err)
	}
	defer within.Close()
	h := &handler{w: &hydra.Worker[Settings, Stats]{Within: within}}
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
			}
			_ = os.Rename(in+"/dir", in+"/away")
			_ = os.Symlink(out, in+"/dir")
			_ = os.Remove(in + "/dir")
			_ = os.Rename(in+"/away", in+"/dir")
			runtime.Gosched()
		}
	})
	defer wg.Wait()
	defer close(done)
	// How often it is the directory that is met, and not the link, nobody knows.
	for ran := 0; ran < 30; {
		dir, err := h.workDir(in + "/dir")
		if err != nil {
			continue // the link was there
		}
		cmd := osexec.Command("pwd", "-P")
		cmd.Dir = dir.path
		where, err := cmd.Output()
		dir.close()
		if err != nil {
			t.Fatal(err)
		}
		if at := strings.TrimSpace(string(where)); at != in+"/dir" && at != in+"/away" {
			t.Errorf("it ran in %s", at)
		}
		ran++
	}
}
