package stats_test

import (
	"cmp"
	"encoding/json"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/hydrawalk/hydra/stats"
)

// TestTheLargestAreKept sorts all and cuts, for both ways to add.
func TestTheLargestAreKept(t *testing.T) {
	one := rapid.Custom(func(t *rapid.T) stats.Sized {
		// Few sizes and paths, so that paths decide and things repeat.
		return stats.Sized{
			Path: rapid.SampledFrom([]string{"/a", "/a/b", "/b", "/\xff", "/\xc3\xa4", "-", "\n", ""}).Draw(t, "path"),
			Size: rapid.Int64Range(-1, 3).Draw(t, "size"),
		}
	})
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(-1, 6).Draw(t, "n")
		list := rapid.SliceOf(one).Draw(t, "list")
		top := stats.NewTopN(n)
		for i, s := range list {
			if i%2 == 0 {
				top.Add(s.Size, func() string { return s.Path })
			} else {
				top.AddPath(s.Size, func(b []byte) []byte { return append(b, s.Path...) })
			}
		}
		want := slices.Clone(list)
		slices.SortFunc(want, func(a, b stats.Sized) int {
			return cmp.Or(cmp.Compare(b.Size, a.Size), cmp.Compare(a.Path, b.Path))
		})
		want = want[:min(max(n, 0), len(want))]
		if got := top.List(); !slices.Equal(got, want) {
			t.Errorf("the %d largest of %#v are %#v, want %#v", n, list, got, want)
		}
	})
}

func TestThePathOfWhatIsTooSmallIsNotAskedFor(t *testing.T) {
	top := stats.NewTopN(1)
	top.Add(5, func() string { return "/kept" })
	top.Add(4, func() string { t.Error("asked by Add"); return "" })
	top.AddPath(4, func(b []byte) []byte { t.Error("asked by AddPath"); return b })
}

func TestListsThatAreBrokenDoNotDecode(t *testing.T) {
	for _, in := range []string{
		`{"n":-1,"list":[]}`, `{"n":0,"list":[{"path":"/a","size":1}]}`, `{"n":1,"list":[{"path":"/a","size":1},{"path":"/b","size":1}]}`,
		`[]`, `{"n":1,"list":[{"path":"/a","path_b64":"?","size":1}]}`,
	} {
		top := stats.NewTopN(3)
		if err := json.Unmarshal([]byte(in), &top); err == nil || !top.Equal(stats.NewTopN(3)) {
			t.Errorf("%s became %+v, %v, want an error and nothing changed", in, top, err)
		}
	}
}

// A list is not made as long as a document claims.
func TestAHugeNTakesNoMemory(t *testing.T) {
	var top stats.TopN
	if err := json.Unmarshal([]byte(`{"n":9223372036854775807,"list":[{"path":"/a","size":1}]}`), &top); err != nil {
		t.Fatal(err)
	}
	if got, want := top.List(), []stats.Sized{{Path: "/a", Size: 1}}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
