package purge

import "testing"

func TestALimitIsANumberOrAShare(t *testing.T) {
	for _, tt := range []struct {
		text  string
		files int64
		want  int64
	}{{"1000", 5, 1000}, {"5%", 100, 5}, {"5%", 99, 4}, {"100%", 7, 7}, {"0.5%", 1000, 5}, {"0%", 1000, 0}, {"29%", 100, 29}, {"33%", 3_000_000_000, 990_000_000}} {
		var l Limit
		if err := l.Set(tt.text); err != nil {
			t.Error(err)
		} else if got := l.of(tt.files); got != tt.want {
			t.Errorf("%s of %d files is %d, want %d", tt.text, tt.files, got, tt.want)
		}
	}
	for _, text := range []string{"", "-1", "1.5", "x", "%", "-5%", "101%", "NaN%", "Inf%", "5 %", "10k"} {
		if err := new(Limit).Set(text); err == nil {
			t.Errorf("%q was taken for a limit", text)
		}
	}
}
