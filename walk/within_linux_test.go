package walk

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
)

// namesSeen collects the names of all entries.
type namesSeen struct{ seen map[string]bool }

func (n *namesSeen) File(_ context.Context, e *Entry) error {
	n.seen[e.Name()] = true
	return nil
}

// TestNobodyWhoSwapsADirectoryForALinkLeadsAWalkOut has somebody do that while walks and
// what belongs to them open the same paths again and again.
func TestNobodyWhoSwapsADirectoryForALinkLeadsAWalkOut(t *testing.T) {
	top := t.TempDir()
	in, out := filepath.Join(top, "in"), filepath.Join(top, "out")
	for _, file := range []string{in + "/dir/sub/mine", out + "/secret", out + "/sub/secret"} {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	w, err := OpenWithin(in)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	var wg sync.WaitGroup
	done := make(chan struct{})
	wg.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-done:
				return
			default:
			}
			target := []string{out, "../out"}[i%2]
			// In each state for a moment; what fails is tried again.
			_ = os.Rename(in+"/dir", in+"/away")
			_ = os.Symlink(target, in+"/dir")
			_ = os.Remove(in + "/dir")
			_ = os.Rename(in+"/away", in+"/dir")
			runtime.Gosched()
		}
	})
	defer wg.Wait()
	defer close(done)
	seen := map[string]bool{}
	// How often it is the directory that is met, and not the link, nobody knows.
	for i := 0; i < 400 || !seen["mine"] || !seen["looked"]; i++ {
		root := in + "/dir/"
		if i%2 == 0 {
			root = in + "/dir/sub"
		}
		h := &namesSeen{seen}
		o := &Options{Workers: 1, Within: w}
		if _, err := Trees(t.Context(), []string{root}, func(int) (Handler, error) { return h, nil }, o); err != nil && !errors.As(err, new(*Error)) {
			t.Fatal(err)
		}
		if s, err := w.Look(root, true); err == nil && s.Dir {
			seen["looked"] = true
		}
		if b, err := w.OpenBase(in + "/dir/"); err == nil {
			var st Stat
			if b.Stat("secret", &st) == nil {
				seen["secret by base"] = true
			}
			b.Close()
		}
		for _, f := range []func(string) (os.FileInfo, error){w.Stat, w.Lstat} {
			if _, err := f(in + "/dir/secret"); err == nil {
				seen["secret by name"] = true
			}
		}
		if r, err := w.OpenRoot(in + "/dir"); err == nil {
			if _, err := r.Lstat("secret"); err == nil {
				seen["secret by root"] = true
			}
			r.Close()
		}
	}
	for name := range seen {
		if strings.HasPrefix(name, "secret") {
			t.Errorf("%s was seen", name)
		}
	}
}

func TestARootThatLiesOutsideIsAnError(t *testing.T) {
	top := t.TempDir()
	for _, dir := range []string{"in/a", "out/b"} {
		if err := os.MkdirAll(filepath.Join(top, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("../out", filepath.Join(top, "in/link")); err != nil {
		t.Fatal(err)
	}
	w, err := OpenWithin(filepath.Join(top, "in"))
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	for _, root := range []string{"out", "in/link/", "in/link/b", "in/../out", "."} {
		h := &namesSeen{map[string]bool{}}
		totals, err := Trees(t.Context(), []string{top + "/" + root}, func(int) (Handler, error) { return h, nil }, &Options{Workers: 1, Within: w})
		if err != nil || totals.FailedDirs != 1 || !errors.Is(totals.FirstError, ErrOutside) || len(h.seen) > 0 {
			t.Errorf("%s: %+v, %v, saw %v", root, totals, err, h.seen)
		}
		if s, err := w.Look(top+"/"+root, false); !errors.Is(err, ErrOutside) {
			t.Errorf("%s: %+v, %v", root, s, err)
		}
	}
	// A link that is not followed is an entry of the directory that it lies in.
	h := &namesSeen{map[string]bool{}}
	if _, err := Trees(t.Context(), []string{top + "/in/link"}, func(int) (Handler, error) { return h, nil }, &Options{Workers: 1, Within: w}); err != nil || !h.seen["link"] {
		t.Errorf("%v, saw %v", err, h.seen)
	}
	ms, err := NewMounts([]string{top + "/in", top + "/out"})
	if err != nil {
		t.Fatal(err)
	}
	defer ms.Close()
	if err := ms.Confine(w); !errors.Is(err, ErrOutside) {
		t.Errorf("a mount outside: %v", err)
	}
}
