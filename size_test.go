package hydra

import "testing"

func TestSizesAreReadInBinaryUnitsUnlessTheyEndWithB(t *testing.T) {
	for text, want := range map[string]Size{
		"0": 0, "4096": 4096, "4096B": 4096, "8K": 8 << 10, "8k": 8 << 10, "8KiB": 8 << 10, "8KB": 8000,
		"1.5M": 3 << 19, "10G": 10 << 30, "10GiB": 10 << 30, "10GB": 10e9, "1T": 1 << 40, "2P": 2 << 50, "7E": 7 << 60,
	} {
		var s Size
		if err := s.Set(text); err != nil || s != want {
			t.Errorf("%q is %d, %v; want %d", text, s, err, want)
		}
	}
	for _, text := range []string{"", "K", "-1", "1e3", "8KK", "8X", "8 K", "8iB", "0x10", "1..5", "8E", "NaN", "Inf"} {
		var s Size
		if err := s.Set(text); err == nil {
			t.Errorf("%q is read as %d", text, s)
		}
	}
}

func TestASizeIsReadAsItIsWritten(t *testing.T) {
	for _, want := range []Size{0, 1, 1000, 1024, 8192, 3 << 19, 10 << 30, 7 << 60, 1<<62 + 1<<20} {
		var s Size
		if err := s.Set(want.String()); err != nil || s != want {
			t.Errorf("%q is read as %d, %v; want %d", want, s, err, want)
		}
	}
}
