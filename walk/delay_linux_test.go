package walk

import (
	"os"
	"runtime"
	"sync/atomic"
	"testing"
)

func TestWhatThreadsWaitForAProcessorIsMeasured(t *testing.T) {
	if got := runDelay([]byte("4830700 669850 1\n")); got != 669850 {
		t.Errorf("run_delay is %d", got)
	}
	if got := runDelay(nil); got != 0 {
		t.Errorf("run_delay of nothing is %d", got)
	}
	if _, err := os.Stat("/proc/self/schedstat"); err != nil {
		t.Skip("the kernel counts no delays: ", err)
	}
	// More threads than processors: some has to wait.
	var end atomic.Bool
	defer end.Store(true)
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(4 * runtime.NumCPU()))
	for range 4 * runtime.NumCPU() {
		go func() {
			for !end.Load() {
			}
		}()
	}
	var d delays
	for d.begin(); d.since() == 0; {
		runtime.Gosched()
	}
}
