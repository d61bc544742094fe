package walk

import (
	"os"
	"runtime"
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
	end := make(chan struct{})
	defer close(end)
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(4 * runtime.NumCPU()))
	for range 4 * runtime.NumCPU() {
		go func() {
			for {
				select {
				case <-end:
					return
				default:
				}
			}
		}()
	}
	var d delays
	for d.begin(); d.since() == 0; {
		runtime.Gosched()
	}
}
