package purge

import (
	"bytes"
	"cmp"
	"fmt"
	"math/rand/v2"
	"os"
	"path"
	"slices"
	"strings"
	"testing"
)

// seeded is a generator whose seed HYDRA_SEED sets, and the log shows.
func seeded(t *testing.T) *rand.Rand {
	seed := rand.Uint64()
	if text := os.Getenv("HYDRA_SEED"); text != "" {
		if _, err := fmt.Sscan(text, &seed); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("HYDRA_SEED=%d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

func TestPairsComeSortedWhateverFitsIntoMemory(t *testing.T) {
	rng := seeded(t)
	for range 100 {
		s := newSorter(t.TempDir())
		s.memory = 1 + rng.IntN(2000)
		type both struct{ key, value string }
		var want []both
		for range rng.IntN(300) {
			b := both{string(make([]byte, rng.IntN(3))) + fmt.Sprint(rng.IntN(100)), strings.Repeat("v", rng.IntN(50))}
			want = append(want, b)
			if err := s.add([]byte(b.key), []byte(b.value)); err != nil {
				t.Fatal(err)
			}
		}
		slices.SortFunc(want, func(a, b both) int { return cmp.Or(cmp.Compare(a.key, b.key), cmp.Compare(a.value, b.value)) })
		var got []both
		if err := s.all(func(key, value []byte) error {
			got = append(got, both{string(key), string(value)})
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(got, want) {
			t.Fatalf("%d bytes of memory: got %q\nwant %q", s.memory, got, want)
		}
		s.close()
		if left, err := os.ReadDir(s.dir); err != nil || len(left) > 0 {
			t.Fatalf("%v, %v are left", err, left)
		}
	}
}

// tree is a directory of a test.
type tree struct {
	name       string
	subs       []*tree
	kept       int // files in it that stay
	matched    int // that go
	old        bool
	unreadable bool // not all of it is known
}

func randomTree(rng *rand.Rand, name string, depth int) *tree {
	d := &tree{name: name, old: rng.IntN(2) == 0, unreadable: rng.IntN(20) == 0}
	if rng.IntN(3) == 0 {
		d.kept = rng.IntN(3)
	}
	if rng.IntN(2) == 0 {
		d.matched = rng.IntN(3)
	}
	names := []string{"a", "b", "a-b", "a b", "a.b", "\xff", "\x01", "b\n", "-"}
	for range rng.IntN(4) {
		if depth == 0 {
			break
		}
		n := names[rng.IntN(len(names))]
		if !slices.ContainsFunc(d.subs, func(s *tree) bool { return s.name == n }) {
			d.subs = append(d.subs, randomTree(rng, n, depth-1))
		}
	}
	return d
}

// removed is the truth: the directories that are empty in the end, below those that
// are none themselves.
func (d *tree) removed(at string, into *[]string) (goes bool) {
	emptied := d.matched > 0
	all := !d.unreadable && d.kept == 0
	for _, s := range d.subs {
		if s.removed(at+"/"+s.name, into) {
			emptied = true
		} else {
			all = false
		}
	}
	goes = all && (emptied || d.old)
	if goes {
		*into = append(*into, at)
	}
	return goes
}

// notes are those of several workers, some of them twice.
func (d *tree) notes(rng *rand.Rand, root, at string, note_ func(*note)) {
	var ns []*note
	of := func(n note) {
		n.Path, n.Root = []byte(at), []byte(root)
		ns = append(ns, &n)
	}
	if d.old {
		of(note{Old: true})
	}
	for range d.kept {
		of(note{Kept: true})
	}
	for range d.matched {
		of(note{Matched: true, Old: d.old && rng.IntN(2) == 0})
	}
	if !d.unreadable && (d.kept == 0 || rng.IntN(2) == 0) { // who left it may not have seen what is kept
		of(note{Left: true, Dirs: int64(len(d.subs))})
	}
	for _, n := range ns {
		for range 1 + rng.IntN(2) {
			note_(n)
		}
	}
	for _, s := range d.subs {
		s.notes(rng, root, at+"/"+s.name, note_)
	}
}

func TestDirectoriesGoIfNothingInThemStays(t *testing.T) {
	rng := seeded(t)
	went := 0
	for range 200 {
		p := newPlanner(t.TempDir())
		p.notes.memory = 1 + rng.IntN(5000)
		var want []string
		var notes []*note
		for _, root := range []string{"/r", "/r-2", "/q/deep/root"} {
			for _, d := range randomTree(rng, "", 5).subs { // roots never go, and have no notes
				d.removed(root+"/"+d.name, &want)
				d.notes(rng, root, root+"/"+d.name, func(n *note) { notes = append(notes, n) })
			}
		}
		rng.Shuffle(len(notes), func(i, j int) { notes[i], notes[j] = notes[j], notes[i] })
		for _, n := range notes {
			if err := p.add(n); err != nil {
				t.Fatal(err)
			}
		}
		var got []string
		depths := map[int]bool{} // that are done
		depth := 0
		err := p.plan(func(n *note) (bool, error) {
			depth = depthOf(n.Path)
			if depths[depth] {
				t.Errorf("%q comes after its level was ended", n.Path)
			}
			for _, path := range got {
				if strings.HasPrefix(string(n.Path), path+"/") {
					t.Errorf("%q comes after %q", n.Path, path)
				}
			}
			if !bytes.HasPrefix(n.Path, append(n.Root, '/')) {
				t.Errorf("%q has the root %q", n.Path, n.Root)
			}
			got = append(got, string(n.Path))
			return true, nil
		}, func() error { depths[depth] = true; return nil })
		if err != nil {
			t.Fatal(err)
		}
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Fatalf("got  %q\nwant %q", got, want)
		}
		went += len(got)
		p.close()
		if left, err := os.ReadDir(p.notes.dir); err != nil || len(left) > 0 {
			t.Fatalf("%v, %v are left", err, left)
		}
	}
	if went < 500 {
		t.Errorf("only %d directories went: the test tests nothing", went)
	}
}

func TestThePathBelowARoot(t *testing.T) {
	for _, tt := range [][3]string{{"/a", "/a/b", "b"}, {"/", "/b/c", "b/c"}, {"/a/", "/a/b", "b"}, {"/a", "/a", ""}} {
		if got := below(tt[0], tt[1]); got != tt[2] {
			t.Errorf("below(%q, %q) is %q, want %q", tt[0], tt[1], got, tt[2])
		}
		if p := string(parentOf([]byte(tt[1]))); path.Clean("/"+p) != path.Dir(tt[1]) {
			t.Errorf("the parent of %q is %q", tt[1], p)
		}
	}
}
