package stats_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
	"unsafe"

	"pgregory.net/rapid"

	"github.com/hydrawalk/hydra/stats"
)

// hash is that by which keys are kept: FNV-1a of the key's text, mixed by the
// last step of MurmurHash3.
func hash(text string) uint64 {
	if !utf8.ValidString(text) || strings.HasPrefix(text, `"`) {
		text = fmt.Sprintf("%+q", text)
	}
	f := fnv.New64a()
	f.Write([]byte(text))
	h := f.Sum64()
	for _, factor := range []uint64{0xff51afd7ed558ccd, 0xc4ceb9fe1a85ec53} {
		h ^= h >> 33
		h *= factor
	}
	return h ^ h>>33
}

// smallestHashes are the n keys with the smallest hashes, of each key once; all
// if n is 0.
func smallestHashes[K cmp.Ordered](keys []K, n int) []K {
	keys = slices.Compact(slices.Sorted(slices.Values(keys)))
	slices.SortStableFunc(keys, func(a, b K) int { return cmp.Compare(hash(fmt.Sprint(a)), hash(fmt.Sprint(b))) })
	if n > 0 && len(keys) > n {
		keys = keys[:n]
	}
	return slices.Sorted(slices.Values(keys))
}

// TestTheKeysWithTheSmallestHashesAreKeptAndCountedWhole counts in several
// groups, and in another way all at once.
func TestTheKeysWithTheSmallestHashesAreKeptAndCountedWhole(t *testing.T) {
	categories := map[string]string{"txt": "text", "ä": "text", "\xfe": "odd"}
	keys := rapid.OneOf(rapid.SampledFrom(oddKeys), rapid.StringN(0, 2, -1))
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 5).Draw(t, "n")
		groups := make([]stats.GroupN[string], rapid.IntRange(1, 3).Draw(t, "groups"))
		for i := range groups {
			groups[i] = stats.NewGroupN[string](n)
		}
		want := map[string]stats.Use{}
		var loose []string
		buf := make([]byte, 0, 10)
		for i, key := range rapid.SliceOfN(keys, 0, 30).Draw(t, "keys") {
			size := int64(1) << (i % 40)
			g := &groups[rapid.IntRange(0, len(groups)-1).Draw(t, "group")]
			buf = append(buf[:0], key...)
			g.At(string(buf), categories[key]).Add(1, size, 3)
			u := want[key]
			u.Add(1, size, 3)
			want[key] = u
			if categories[key] == "" {
				loose = append(loose, key)
			}
		}
		all := &groups[0]
		for i := range groups[1:] {
			if err := all.MergeValue(&groups[i+1]); err != nil {
				t.Fatal(err)
			}
		}
		kept := smallestHashes(loose, n)
		for key, category := range categories {
			if _, there := want[key]; there && category != "" {
				kept = append(kept, key)
			}
		}
		slices.Sort(kept)
		var got []string
		for key, u := range all.All {
			got = append(got, key)
			if u.Use != want[key] || u.Category != categories[key] {
				t.Errorf("%q has %+v, want %+v in %q", key, u, want[key], categories[key])
			}
			if l := all.Lookup(key); l == nil || *l != u.Use {
				t.Errorf("%q is looked up as %v", key, l)
			}
		}
		if !slices.Equal(got, kept) || all.Len() != len(kept) {
			t.Errorf("kept are %q, %d, want %q", got, all.Len(), kept)
		}
		var rest stats.Use
		for key, u := range want {
			if !slices.Contains(kept, key) {
				rest.Add(u.Count, u.Bytes, u.Allocated)
				if all.Lookup(key) != nil {
					t.Errorf("%q is not kept, but found", key)
				}
			}
		}
		if r, over := all.Rest(); r != rest || over != (len(kept) < len(want)) {
			t.Errorf("the rest is %+v, %v, want %+v", r, over, rest)
		}
	})
}

// Numbers are hashed by their text too.
func TestTheNumbersWithTheSmallestHashesAreKept(t *testing.T) {
	g := stats.NewGroupN[uint32](10)
	var keys []uint32
	for i := range uint32(1000) {
		key := i * i * 977
		keys = append(keys, key)
		g.At(key, "").Add(1, 1, 1)
	}
	if got, want := slices.Collect(keysOf(g.All)), smallestHashes(keys, 10); !slices.Equal(got, want) {
		t.Errorf("kept are %d, want %d", got, want)
	}
}

// view is a string over bytes that change.
func view(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

func keysOf[K comparable, V any](all func(func(K, V) bool)) func(func(K) bool) {
	return func(yield func(K) bool) {
		all(func(k K, _ V) bool { return yield(k) })
	}
}

// A key is counted where it lies only until the next.
func TestAKeyInABufferIsCopied(t *testing.T) {
	g := stats.NewGroupN[string](3)
	buf := []byte("a")
	g.At(view(buf), "").Add(1, 1, 1)
	g.At(view(append(buf[:0], 'b')), "text").Add(1, 2, 2)
	buf[0] = 'c'
	if got := slices.Collect(keysOf(g.All)); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("kept are %q", got)
	}
}

func TestARestIsToldFromAKeyOfItsName(t *testing.T) {
	g := stats.NewGroupN[string](1)
	for _, key := range []string{"other", `"other"`, "a", "b"} {
		g.At(key, "text").Add(1, 1, 1)
	}
	g.At("x", "").Add(1, 10, 100)
	g.At("y", "").Add(2, 20, 200)
	g.At("z", "").Add(4, 40, 400)
	out, err := json.Marshal(g)
	if err != nil {
		t.Fatal(err)
	}
	var fields map[string]stats.Grouped
	if err := json.Unmarshal(out, &fields); err != nil {
		t.Fatal(err)
	}
	kept := smallestHashes([]string{"x", "y", "z"}, 1)[0]
	want := []string{`"\"other\""`, `"other"`, "a", "b", "other", kept}
	slices.Sort(want)
	if got := slices.Sorted(maps.Keys(fields)); !slices.Equal(got, want) {
		t.Errorf("keys %q, want %q", got, want)
	}
	if rest, of := fields["other"], fields[kept]; rest.Count+of.Count != 7 || rest.Bytes+of.Bytes != 70 || rest.Allocated+of.Allocated != 700 || rest.Category != "" {
		t.Errorf("the rest is %+v, beside %+v", rest, of)
	}
}

func TestGroupsOfDifferentLimitsOrCategoriesDoNotMerge(t *testing.T) {
	one, other := stats.NewGroupN[string](1), stats.NewGroupN[string](2)
	if err := one.MergeValue(&other); err == nil {
		t.Error("no error for other limits")
	}
	other = stats.NewGroupN[string](1)
	one.At("a", "text").Add(1, 1, 1)
	other.At("a", "image").Add(1, 1, 1)
	other.At("b", "").Add(1, 1, 1)
	before, err := json.Marshal(one)
	if err != nil {
		t.Fatal(err)
	}
	if err := one.MergeValue(&other); err == nil {
		t.Error("no error for other categories")
	}
	if after, _ := json.Marshal(one); string(after) != string(before) {
		t.Errorf("%s became %s by what does not merge", before, after)
	}
}

func TestManyKeysStopAtTheLimits(t *testing.T) {
	g := stats.NewGroupN[uint64](2)
	for i := range uint64(9) {
		g.At(i, "").Add(math.MaxInt64, math.MaxInt64, math.MaxInt64)
	}
	if rest, over := g.Rest(); !over || rest != (stats.Use{Count: math.MaxInt64, Bytes: math.MaxInt64, Allocated: math.MaxInt64}) {
		t.Errorf("the rest is %+v, %v", rest, over)
	}
}
