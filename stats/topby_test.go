package stats_test

import (
	"cmp"
	"encoding/json"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/hydrawalk/hydra/stats"
)

// TestEachKeyThatIsKeptHasItsLargest sorts all and cuts.
func TestEachKeyThatIsKeptHasItsLargest(t *testing.T) {
	type thing struct {
		key  uint32
		size int64
		path string
	}
	things := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) thing {
		return thing{rapid.Uint32Range(0, 9).Draw(t, "key"), rapid.Int64Range(0, 3).Draw(t, "size"), rapid.SampledFrom([]string{"/a", "/b", "/\xff", "/c", "/d"}).Draw(t, "path")}
	}), 0, 40)
	rapid.Check(t, func(t *rapid.T) {
		keys, n := rapid.IntRange(1, 4).Draw(t, "keys"), rapid.IntRange(1, 3).Draw(t, "n")
		parts := make([]stats.TopBy[uint32, stats.Size], rapid.IntRange(1, 3).Draw(t, "parts"))
		for i := range parts {
			parts[i] = stats.NewTopBy[uint32, stats.Size](keys, n)
		}
		list := things.Draw(t, "things")
		all := map[uint32][]stats.Item[stats.Size]{}
		var found []uint32
		for _, one := range list {
			if top := parts[rapid.IntRange(0, len(parts)-1).Draw(t, "part")].At(one.key); top != nil {
				top.AddPath(stats.Size{Size: one.size}, []byte(one.path))
			}
			all[one.key] = append(all[one.key], stats.Item[stats.Size]{Path: one.path, Item: stats.Size{Size: one.size}})
			found = append(found, one.key)
		}
		sum := &parts[0]
		for i := range parts[1:] {
			if err := sum.MergeValue(&parts[i+1]); err != nil {
				t.Fatal(err)
			}
		}
		kept := smallestHashes(found, keys)
		if got := slices.Collect(keysOf(sum.All)); !slices.Equal(got, kept) || sum.Len() != len(kept) || sum.LeftOut() != (len(kept) < len(all)) {
			t.Errorf("kept are %d, left out %v, want %d of %d", got, sum.LeftOut(), kept, len(all))
		}
		for key, got := range sum.All {
			want := all[key]
			slices.SortFunc(want, func(a, b stats.Item[stats.Size]) int {
				return cmp.Or(cmp.Compare(b.Item.Size, a.Item.Size), cmp.Compare(a.Path, b.Path))
			})
			if want = want[:min(n, len(want))]; !slices.Equal(got, want) {
				t.Errorf("%d has %v, want %v", key, got, want)
			}
		}
	})
}

func TestListsByKeyOfDifferentLimitsDoNotMerge(t *testing.T) {
	for _, o := range []stats.TopBy[string, stats.Size]{stats.NewTopBy[string, stats.Size](2, 2), stats.NewTopBy[string, stats.Size](1, 1)} {
		one := stats.NewTopBy[string, stats.Size](1, 2)
		if err := one.MergeValue(&o); err == nil {
			t.Errorf("%+v merges", o)
		}
	}
}

func TestListsByKeyThatAreBrokenDoNotDecode(t *testing.T) {
	for _, in := range []string{
		`{"1":null}`, `{"1":{"n":0,"list":[]}}`, `{"1":{"n":1,"list":[]},"2":{"n":2,"list":[]}}`, `{"01":{"n":1,"list":[]}}`, `[]`,
		`{"1":{"n":1,"list":[{"path":"/a","size":1},{"path":"/b","size":1}]}}`,
	} {
		var top stats.TopBy[uint32, stats.Size]
		if err := json.Unmarshal([]byte(in), &top); err == nil || top.Len() != 0 {
			t.Errorf("%s became %+v, %v, want an error and nothing changed", in, top, err)
		}
	}
}
