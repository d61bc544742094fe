package purge

import (
	"testing"

	"github.com/hydrawalk/hydra"
)

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

func TestAShareThatIsNoFileLetsNothingBeDeleted(t *testing.T) {
	for _, tt := range []struct {
		files, named, most int64
		refused, dry       bool
	}{{10, 0, 0, false, true}, {10, 1, 0, true, false}, {20, 0, 1, false, false}, {20, 1, 1, false, false}, {20, 2, 0, true, false}, {0, 0, 0, false, true}} {
		r := &hydra.Result[Stats]{Stats: newStats(Settings{})}
		r.Walked.ProcessedFiles, r.Stats.Matched.Count = tt.files, tt.named
		n, dry, err := maxActs(Settings{Purge: true, MaxDelete: "5%"}, r)
		if n != tt.most || (err != nil) != tt.refused || (dry != nil) != tt.dry || dry != nil && dry.Purge {
			t.Errorf("%d of %d files: at most %d, %+v, %v; want %+v", tt.named, tt.files, n, dry, err, tt)
		}
	}
}
