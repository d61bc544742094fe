package stats_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/hydrawalk/hydra/stats"
)

// TestADepthWithTooManyDirectoriesIsLeftOutWhole counts in parts, in any order,
// and wants each other depth exact.
func TestADepthWithTooManyDirectoriesIsLeftOutWhole(t *testing.T) {
	type visit struct {
		depth int
		path  string
		size  int64
		empty bool
	}
	visits := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) visit {
		depth := rapid.IntRange(0, 2).Draw(t, "depth")
		return visit{depth, fmt.Sprintf("/%d\xff%d", depth, rapid.IntRange(0, 2+3*depth).Draw(t, "name")), rapid.Int64Range(0, 9).Draw(t, "size"), rapid.Bool().Draw(t, "empty")}
	}), 0, 40)
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.IntRange(1, 6).Draw(t, "limit")
		parts := make([]stats.Tree, rapid.IntRange(1, 3).Draw(t, "parts"))
		for i := range parts {
			parts[i] = stats.NewTree(2, limit)
		}
		want := make([]map[string]stats.DirUse, 3)
		for depth := range want {
			want[depth] = map[string]stats.DirUse{}
		}
		for _, v := range visits.Draw(t, "visits") {
			var newest stats.Latest
			newest.See(v.size, 7)
			count := func(u *stats.DirUse) {
				u.AddFiles(stats.Use{Count: 1, Bytes: v.size, Allocated: 512 * v.size}, newest)
				u.AddDir(v.empty)
			}
			buf := []byte(v.path)
			if u := parts[rapid.IntRange(0, len(parts)-1).Draw(t, "part")].At(v.depth, buf); u != nil {
				count(u)
			}
			clear(buf)
			u := want[v.depth][v.path]
			count(&u)
			want[v.depth][v.path] = u
		}
		order := rapid.Permutation(parts).Draw(t, "order")
		sum := &order[0]
		for i := range order[1:] {
			if err := sum.MergeValue(&order[i+1]); err != nil {
				t.Fatal(err)
			}
		}
		kept := 0
		for depth := range want {
			if over := len(want[depth]) > limit; over != sum.LeftOut(depth) {
				t.Errorf("depth %d of %d directories is left out: %v, the limit is %d", depth, len(want[depth]), !over, limit)
			} else if over {
				clear(want[depth])
			}
			got := map[string]stats.DirUse{}
			for path, u := range sum.All(depth) {
				got[path] = *u
			}
			kept += len(got)
			if !maps.Equal(got, want[depth]) {
				t.Errorf("depth %d has %+v, want %+v", depth, got, want[depth])
			}
			if paths := slices.Collect(keysOf(sum.All(depth))); !slices.IsSorted(paths) {
				t.Errorf("depth %d is not sorted: %q", depth, paths)
			}
		}
		if sum.Len() != kept || sum.Depth() != 2 || sum.Limit() != limit {
			t.Errorf("%d directories to depth %d with the limit %d", sum.Len(), sum.Depth(), sum.Limit())
		}
	})
}

// What was found before its depth was left out may be counted on, to no effect.
func TestADepthThatIsLeftOutTakesNoMore(t *testing.T) {
	tree := stats.NewTree(1, 1)
	first := tree.At(1, []byte("/a"))
	if first == nil || tree.At(1, []byte("/a")) != first {
		t.Fatal("a directory is not where it was")
	}
	if tree.At(1, []byte("/b")) != nil || tree.At(1, []byte("/a")) != nil || !tree.LeftOut(1) {
		t.Error("two directories are kept where one may be")
	}
	first.AddDir(true)
	if u := tree.At(0, []byte("/")); u == nil {
		t.Error("another depth is left out too")
	}
	out, err := json.Marshal(tree)
	const want = `{"depth":1,"left_out":[1],"list":[{"depth":0,"path":"/","files":0,"dirs":0,"empty_dirs":0,"bytes":0,"allocated":0,"newest_mtime":null}]}`
	if err != nil || string(out) != want {
		t.Errorf("%s, %v, want %s", out, err, want)
	}
	tree.ResetValue()
	if tree.LeftOut(1) || tree.Len() != 0 || tree.At(1, []byte("/c")) == nil {
		t.Error("something is left after a reset")
	}
}

func TestTreesOfDifferentDepthsOrLimitsDoNotMerge(t *testing.T) {
	for _, o := range []stats.Tree{stats.NewTree(1, 5), stats.NewTree(2, 4)} {
		tree := stats.NewTree(2, 5)
		if err := tree.MergeValue(&o); err == nil {
			t.Errorf("a tree to depth %d with the limit %d merges", o.Depth(), o.Limit())
		}
	}
}

func TestTreesThatAreBrokenDoNotDecode(t *testing.T) {
	for _, in := range []string{
		`{"depth":-2}`, `{"depth":65537}`, `{"depth":1,"left_out":[2]}`, `{"depth":1,"left_out":[-1]}`, `{"depth":0,"list":[{"depth":1,"path":"/a"}]}`,
		`{"depth":0,"list":[{"depth":-1,"path":"/a"}]}`, `{"depth":0,"left_out":[0],"list":[{"depth":0,"path":"/a"}]}`,
		`{"depth":0,"list":[{"depth":0,"path":"/a"},{"depth":0,"path":"/a"}]}`, `[]`, `{"depth":0,"list":[{"depth":0,"path_b64":"?"}]}`,
	} {
		tree := stats.NewTree(3, 3)
		if err := json.Unmarshal([]byte(in), &tree); err == nil || tree.Depth() != 3 {
			t.Errorf("%s became %+v, %v, want an error and nothing changed", in, tree, err)
		}
	}
}

func TestATreeIsTheSameInBinary(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		depth, limit := rapid.IntRange(-1, 3).Draw(t, "depth"), rapid.IntRange(0, 6).Draw(t, "limit")
		tree := stats.NewTree(depth, limit)
		for range rapid.IntRange(0, 30).Draw(t, "visits") {
			if depth < 0 {
				break
			}
			path := rapid.SliceOfN(rapid.SampledFrom([]byte("/ab\xff\x00")), 0, 6).Draw(t, "path")
			u := tree.At(rapid.IntRange(0, depth).Draw(t, "at"), path)
			if u == nil {
				continue
			}
			var newest stats.Latest
			if rapid.Bool().Draw(t, "seen") {
				newest.See(rapid.Int64().Draw(t, "sec"), rapid.Uint32Max(1e9-1).Draw(t, "nsec"))
			}
			u.AddFiles(stats.Use{Count: 1, Bytes: rapid.Int64Min(0).Draw(t, "bytes"), Allocated: rapid.Int64Min(0).Draw(t, "allocated")}, newest)
			u.AddDir(rapid.Bool().Draw(t, "empty"))
		}
		data, err := tree.AppendBinary(nil)
		if err != nil {
			t.Fatal(err)
		}
		var got stats.Tree
		if err := got.UnmarshalBinary(data); err != nil {
			t.Fatal(err)
		}
		if !got.Equal(tree) {
			t.Fatalf("got %+v, want %+v", got, tree)
		}
		if n := len(data); n > 1 {
			if err := got.UnmarshalBinary(data[:rapid.IntRange(0, n-1).Draw(t, "cut")]); err == nil {
				t.Fatal("what was cut short was read")
			}
		}
	})
}

func FuzzTreeBinary(f *testing.F) {
	tree := stats.NewTree(1, 0)
	tree.At(1, []byte("/a")).AddDir(true)
	data, _ := tree.AppendBinary(nil)
	f.Add(data)
	f.Fuzz(func(t *testing.T, data []byte) {
		var got stats.Tree
		if got.UnmarshalBinary(data) != nil {
			return
		}
		again, _ := got.AppendBinary(nil)
		var same stats.Tree
		if err := same.UnmarshalBinary(again); err != nil || !same.Equal(got) {
			t.Fatalf("%q, %q: %v", data, again, err)
		}
	})
}
