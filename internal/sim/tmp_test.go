package sim

import (
	"os"
	"fmt"
	"testing"
)

func TestTmp(t *testing.T) {
	s := &scaled{}
	fmt.Sscan(os.Getenv("SCALE"), &s.dirs, &s.clients, &s.workers)
	s.run(t)
	fmt.Println(s.busy)
}

func TestTmpBig(t *testing.T) {
	s := big(*firstFlag, 30, 30000)
	err := inBubble(t, s, t.Output(), func(w *world) error { return w.live() })
	if err != nil {
		t.Error(err)
	}
}
