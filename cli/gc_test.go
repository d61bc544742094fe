package cli

import (
	"runtime"
	"runtime/debug"
	"testing"
)

func TestAHeapThatIsNotSmallIsCollectedAsUsual(t *testing.T) {
	for name, tt := range map[string]struct{ held, want int }{"small": {smallHeap / 4, walkGC}, "large": {2 * smallHeap, resultGC}} {
		before := debug.SetGCPercent(walkGC)
		held := make([]byte, tt.held)
		lowerGC()
		runtime.GC()
		// Finalizers run one after the other: when that of this one has run, so has
		// the one that was due before.
		ran := make(chan struct{})
		runtime.SetFinalizer(&struct{ _ *byte }{}, func(any) { close(ran) })
		runtime.GC()
		<-ran
		if got := debug.SetGCPercent(before); got != tt.want {
			t.Errorf("%s: it may grow by %d %%, want %d %%", name, got, tt.want)
		}
		runtime.KeepAlive(held)
	}
}
