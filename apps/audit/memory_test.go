package audit

import (
	"fmt"
	"os"
	"runtime"
	"testing"

	"github.com/hydrawalk/hydra/stats"
)

// What docs/audit.md says of the memory that statistics take when all that is
// bounded has reached its bound.
const (
	memoryOfAll       = 125 << 20
	memoryOfOneDepth  = 25 << 20
	memoryOfLongPaths = 100 // bytes
)

func TestStatisticsOfAnyTreeFitIntoTheirMemory(t *testing.T) {
	if os.Getenv("HYDRA_TEST_ALL") == "" {
		t.Skip("takes long: HYDRA_TEST_ALL is not set")
	}
	path := func(i int) []byte { return fmt.Appendf(nil, "/%0*d", memoryOfLongPaths-1, i) }
	heap := func(fill func()) int64 {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		fill()
		runtime.GC()
		runtime.ReadMemStats(&after)
		return int64(after.HeapAlloc - before.HeapAlloc)
	}
	var s *Stats
	all := heap(func() {
		s = newStats(App().Settings)
		for i := range 2 * maxOwners {
			s.Extensions.At(fmt.Sprintf("%010d", i), "").Add(1, 1, 1)
			s.ByUID.At(uint32(i), "").Add(1, 1, 1)
			s.ByGID.At(uint32(i), "").Add(1, 1, 1)
			s.ByLinks.At(uint64(i), "").Add(1, 1, 1)
		}
		for owner := range uint32(2 * maxOwnerLists) {
			for _, lists := range []*stats.TopBy[uint32, File]{&s.TopByUID, &s.TopByGID} {
				if list := lists.At(owner); list != nil {
					for i := range 2 * maxOwnerTop {
						list.AddPath(File{Size: int64(i)}, path(i))
					}
				}
			}
		}
	})
	tree := heap(func() {
		for i := range maxTreeDirs {
			s.Tree.At(2, path(i)).AddDir(true)
		}
	})
	t.Logf("%d MiB, and %d MiB for a depth", all>>20, tree>>20)
	if all > memoryOfAll {
		t.Errorf("%d bytes, more than the %d that are documented", all, memoryOfAll)
	}
	if tree > memoryOfOneDepth {
		t.Errorf("%d bytes for one depth, more than the %d that are documented", tree, memoryOfOneDepth)
	}
	runtime.KeepAlive(s)
}
