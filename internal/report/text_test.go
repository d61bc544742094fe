package report

import "testing"

func TestBarsAreAsLongAsTheirShare(t *testing.T) {
	for _, tt := range []struct {
		part, whole  int64
		percent, bar string
	}{
		{0, 10, "0", ""}, {10, 10, "100", "███████████████"}, {1, 1_000_000, "<1", "▏"}, {1, 2, "50", "███████▌"}, {0, 0, "0", ""},
	} {
		if percent, bar := Percent(tt.part, tt.whole), Bar(tt.part, tt.whole, 15); percent != tt.percent || bar != tt.bar {
			t.Errorf("%d of %d is %s %% %q, want %s %% %q", tt.part, tt.whole, percent, bar, tt.percent, tt.bar)
		}
	}
}
