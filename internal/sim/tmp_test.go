package sim

import "testing"

func TestTmpBig(t *testing.T) {
	s := big(*firstFlag, 1000, 400000)
	s.Incidents = 5
	err := inBubble(t, s, nil, func(w *world) error { return w.live() })
	if err != nil {
		t.Errorf("%.2000s", err)
	}
}
