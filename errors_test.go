package hydra

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hydrawalk/hydra/walk"
	"pgregory.net/rapid"
)

// TestTheSmallestErrorsAreKeptWhateverTheirOrder compares with a log that keeps
// all.
func TestTheSmallestErrorsAreKeptWhateverTheirOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		seed := rapid.Uint64().Draw(t, "seed")
		rng := rand.New(rand.NewPCG(seed, 0))
		var all []*walk.Error
		for range rapid.SampledFrom([]int{0, 1, 100, 2000, 5000}).Draw(t, "errors") {
			all = append(all, &walk.Error{
				Op:   []string{walk.OpOpen, walk.OpStat, walk.OpReaddir}[rng.IntN(3)],
				Path: fmt.Sprintf("/%d", rng.IntN(250)),
				Err:  []error{fs.ErrPermission, fs.ErrInvalid}[rng.IntN(2)],
			})
		}
		l := newErrorLog(nil, nil, 0, nil)
		for _, e := range all {
			l.add(e)
		}

		counts := map[ErrorItem]int64{}
		byOp := map[string]int64{walk.OpOpen: 0, walk.OpStat: 0, walk.OpHandle: 0}
		for _, e := range all {
			counts[ErrorItem{Op: e.Op, Path: e.Path, Error: e.Err.Error()}]++
			byOp[e.Op]++
		}
		var want []ErrorItem
		for item, n := range counts {
			item.Count = n
			want = append(want, item)
		}
		slices.SortFunc(want, func(a, b ErrorItem) int { return a.compare(&b) })
		want = want[:min(len(want), maxErrors)]
		if diff := cmp.Diff(want, l.smallest); diff != "" {
			t.Fatalf("kept: -want +got\n%s", diff)
		}
		if diff := cmp.Diff(byOp, l.counts); diff != "" {
			t.Fatalf("counts: -want +got\n%s", diff)
		}
	})
}

func TestARunHasNoRootOnlyIfEachOneFailed(t *testing.T) {
	l := newErrorLog([]string{"/a", "/b/", "/a/"}, nil, 0, nil)
	for _, tt := range []struct {
		op, path string
		want     bool
	}{
		{walk.OpOpen, "/a", false},
		{walk.OpOpen, "/a", false}, // again
		{walk.OpStat, "/b", false},
		{walk.OpOpen, "/b/c", false},
		{walk.OpOpen, "/b", true},
	} {
		l.add(&walk.Error{Op: tt.op, Path: tt.path, Err: fs.ErrPermission})
		if l.noRoot() != tt.want {
			t.Errorf("after %s %s: no root is %v", tt.op, tt.path, l.noRoot())
		}
	}
}

func TestEveryErrorIsWrittenDownWithTheBytesOfItsPath(t *testing.T) {
	var out bytes.Buffer
	l := newErrorLog(nil, &out, 0, nil)
	const odd = "/\xff\n\x1b"
	l.add(&walk.Error{Op: walk.OpOpen, Path: odd, Err: errors.New("bad \xff" + strings.Repeat("x", 2*maxErrorText))})
	for range 2000 {
		l.add(&walk.Error{Op: walk.OpStat, Path: "/same", Err: fs.ErrPermission})
	}
	if err := l.close(); err != nil {
		t.Fatal(err)
	}
	lines := bytes.Split(bytes.TrimSuffix(out.Bytes(), []byte("\n")), []byte("\n"))
	if len(lines) != 2001 {
		t.Errorf("%d lines, want 2001", len(lines))
	}
	var first struct {
		Op, Error string
		B64       []byte `json:"path_b64"`
	}
	if err := json.Unmarshal(lines[0], &first); err != nil {
		t.Fatal(err)
	}
	if string(first.B64) != odd || first.Op != walk.OpOpen || len(first.Error) > maxErrorText+10 {
		t.Errorf("first line: %+v", first)
	}
	if len(l.smallest) != 2 || l.smallest[0].Count != 2000 {
		t.Errorf("kept: %.200v", l.smallest)
	}
}

func TestAListOfErrorsThatCanNotBeWrittenIsReported(t *testing.T) {
	l := newErrorLog(nil, failingWriter{}, 0, nil)
	l.add(&walk.Error{Op: walk.OpOpen, Path: "/a", Err: fs.ErrPermission})
	if err := l.close(); !errors.Is(err, errFull) {
		t.Errorf("error %v, want %v", err, errFull)
	}
}

var errFull = errors.New("full")

type failingWriter struct{}

func (failingWriter) Write([]byte) (int, error) { return 0, errFull }
