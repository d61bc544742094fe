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
	one := rapid.Custom(func(t *rapid.T) stats.Item[stats.Size] {
		// Few sizes and paths, so that paths decide and things repeat.
		return stats.Item[stats.Size]{
			Path: rapid.SampledFrom([]string{"/a", "/a/b", "/b", "/\xff", "/\xc3\xa4", "-", "\n", ""}).Draw(t, "path"),
			Item: stats.Size{Size: rapid.Int64Range(-1, 3).Draw(t, "size")},
		}
	})
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(-1, 6).Draw(t, "n")
		list := rapid.SliceOf(one).Draw(t, "list")
		top := stats.NewTopN[stats.Size](n)
		for i, s := range list {
			if i%2 == 0 {
				top.AddPath(s.Item, []byte(s.Path))
			} else {
				top.Add(s.Item, func(b []byte) []byte { return append(b, s.Path...) })
			}
		}
		want := slices.Clone(list)
		slices.SortFunc(want, func(a, b stats.Item[stats.Size]) int {
			return cmp.Or(cmp.Compare(b.Item.Size, a.Item.Size), cmp.Compare(a.Path, b.Path))
		})
		want = want[:min(max(n, 0), len(want))]
		if got := top.List(); !slices.Equal(got, want) {
			t.Errorf("the %d largest of %#v are %#v, want %#v", n, list, got, want)
		}
	})
}

func TestThePathOfWhatIsTooSmallIsNotAskedFor(t *testing.T) {
	top := stats.NewTopN[stats.Size](1)
	top.AddPath(stats.Size{Size: 5}, []byte("/kept"))
	top.Add(stats.Size{Size: 4}, func(b []byte) []byte { t.Error("asked"); return b })
}

func TestListsThatAreBrokenDoNotDecode(t *testing.T) {
	for _, in := range []string{
		`{"n":-1,"list":[]}`, `{"n":0,"list":[{"path":"/a","size":1}]}`, `{"n":1,"list":[{"path":"/a","size":1},{"path":"/b","size":1}]}`,
		`[]`, `{"n":1,"list":[{"path":"/a","path_b64":"?","size":1}]}`,
	} {
		top := stats.NewTopN[stats.Size](3)
		if err := json.Unmarshal([]byte(in), &top); err == nil || !top.Equal(stats.NewTopN[stats.Size](3)) {
			t.Errorf("%s became %+v, %v, want an error and nothing changed", in, top, err)
		}
	}
}

// A list is not made as long as a document claims.
func TestAHugeNTakesNoMemory(t *testing.T) {
	var top stats.TopN[stats.Size]
	if err := json.Unmarshal([]byte(`{"n":9223372036854775807,"list":[{"path":"/a","size":1}]}`), &top); err != nil {
		t.Fatal(err)
	}
	if got, want := top.List(), []stats.Item[stats.Size]{{Path: "/a", Item: stats.Size{Size: 1}}}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// TestAFloorLosesNothing lets lists take only what could come into the sum, as
// that was at times, and sorts all and cuts.
func TestAFloorLosesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 3).Draw(t, "n")
		sum, parts := stats.NewTopN[stats.Size](n), []stats.TopN[stats.Size]{stats.NewTopN[stats.Size](n), stats.NewTopN[stats.Size](n)}
		var want []stats.Item[stats.Size]
		for i := range rapid.IntRange(0, 40).Draw(t, "steps") {
			part := &parts[rapid.IntRange(0, 1).Draw(t, "part")]
			switch rapid.IntRange(0, 4).Draw(t, "step") {
			case 0:
				if err := sum.MergeValue(part); err != nil {
					t.Fatal(err)
				}
				part.ResetValue()
			case 1: // also where something is in the list already
				part.SetFloor(&sum)
			default:
				one := stats.Item[stats.Size]{Path: string(rune('a'+rapid.IntRange(0, 9).Draw(t, "path"))) + string(rune('a'+i)), Item: stats.Size{Size: rapid.Int64Range(0, 4).Draw(t, "size")}}
				part.AddPath(one.Item, []byte(one.Path))
				want = append(want, one)
			}
		}
		for i := range parts {
			if err := sum.MergeValue(&parts[i]); err != nil {
				t.Fatal(err)
			}
		}
		slices.SortFunc(want, func(a, b stats.Item[stats.Size]) int {
			return cmp.Or(cmp.Compare(b.Item.Size, a.Item.Size), cmp.Compare(a.Path, b.Path))
		})
		if got := sum.List(); !slices.Equal(got, want[:min(n, len(want))]) {
			t.Errorf("the %d largest are %v, want %v", n, got, want[:min(n, len(want))])
		}
	})
}

// A list may hold less than its floor from before that was set.
func TestAFloorTakesWhatIsAsLargeInPlaceOfWhatIsNot(t *testing.T) {
	sum, top := stats.NewTopN[stats.Size](1), stats.NewTopN[stats.Size](1)
	sum.AddPath(stats.Size{Size: 5}, []byte("/z"))
	top.AddPath(stats.Size{Size: 3}, []byte("/a"))
	top.SetFloor(&sum)
	for _, size := range []int64{4, 5} {
		top.AddPath(stats.Size{Size: size}, []byte("/b"))
	}
	if got, want := top.List(), []stats.Item[stats.Size]{{Path: "/b", Item: stats.Size{Size: 5}}}; !slices.Equal(got, want) {
		t.Errorf("kept is %v, want %v", got, want)
	}
}
