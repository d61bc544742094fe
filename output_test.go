package hydra

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"

	"github.com/hydrawalk/hydra/walk"
)

// talker emits a line for each entry: its path, and pad bytes that can not be compressed.
func talker(pad int) *App[struct{}, counts] {
	rnd := rand.New(rand.NewPCG(7, 7))
	noise := make([]byte, 1<<20)
	for i := range noise {
		noise[i] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ+-"[rnd.IntN(64)]
	}
	app := counter(func(_ context.Context, w *Worker[struct{}, counts], e *walk.Entry) error {
		line := append([]byte(e.Path()), ' ')
		at := len(e.Name()) * 977 % (len(noise) - pad + 1)
		line = append(line, noise[at:at+pad]...)
		return w.Emit(append(line, '\n'))
	})
	app.Emits = true
	return app
}

// wholeWrites fails the test unless each Write is of whole lines.
type wholeWrites struct {
	t testing.TB
	bytes.Buffer
}

func (w *wholeWrites) Write(p []byte) (int, error) {
	if !bytes.HasSuffix(p, []byte("\n")) {
		w.t.Errorf("a write ends with %q", p[max(0, len(p)-20):])
	}
	return w.Buffer.Write(p)
}

// paths are those of the lines, sorted.
func (w *wholeWrites) paths(pad int) []string {
	var all []string
	for line := range strings.Lines(w.String()) {
		path, rest, _ := strings.Cut(line, " ")
		if len(rest) != pad+1 {
			w.t.Errorf("a line has %d bytes behind its path, want %d", len(rest), pad+1)
		}
		all = append(all, path)
	}
	slices.Sort(all)
	return all
}

func TestEachEmitComesOutOnceAndWhole(t *testing.T) {
	fsys := tree(20, 20)
	var want []string
	for path := range fsys {
		want = append(want, path)
	}
	slices.Sort(want)
	for _, pad := range []int{0, 100, emitBuffer / 2, 2 * emitBuffer} {
		out := &wholeWrites{t: t}
		if _, err := Run(t.Context(), talker(pad), []string{"."}, &Options{FS: fsys, Workers: 8, Output: out}); err != nil {
			t.Fatal(err)
		}
		if got := out.paths(pad); !slices.Equal(got, want) {
			t.Errorf("with %d bytes: %d paths, want %d", pad, len(got), len(want))
		}
	}
}

func TestTheOutputOfAClusterIsThatOfOneProcess(t *testing.T) {
	root := t.TempDir()
	var want []string
	for d := range 30 {
		dir := filepath.Join(root, fmt.Sprint("d", d), fmt.Sprint("e", d%3))
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		for f := range 40 {
			path := filepath.Join(dir, fmt.Sprint(f))
			if err := os.WriteFile(path, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			want = append(want, path)
		}
	}
	slices.Sort(want)
	// The last is much more than may wait to be written.
	for _, pad := range []int{0, 1000, 2 * emitsMost / len(want)} {
		t.Run(fmt.Sprint(pad), func(t *testing.T) {
			if testing.Short() && pad > 1000 {
				t.Skip("it compresses hundreds of megabytes")
			}
			app := talker(pad)
			c := newCluster(t)
			c.serve()
			for range 3 {
				c.work(nil, 2, app)
			}
			s := c.connect()
			out := &wholeWrites{t: t}
			j, err := s.Submit(t.Context(), app, []string{root}, &JobOptions{Options: Options{Output: out}})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := j.Wait(t.Context()); err != nil {
				t.Fatal(err)
			}
			if got := out.paths(pad); !slices.Equal(got, want) {
				t.Errorf("%d paths, want %d", len(got), len(want))
			}
			// Who asks later gets all of it too, and a second Wait nothing again.
			if _, err := j.Wait(t.Context()); err != nil {
				t.Fatal(err)
			}
			again := &wholeWrites{t: t}
			j2, err := s.Job(t.Context(), app, j.ID(), &JobOptions{Options: Options{Output: again}})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := j2.Wait(t.Context()); err != nil {
				t.Fatal(err)
			}
			if got := again.paths(pad); !slices.Equal(got, want) || out.Len() != again.Len() {
				t.Errorf("later: %d paths in %d bytes, want %d in %d", len(got), again.Len(), len(want), out.Len())
			}
		})
	}
}

func TestTheOutputOfAJobThatBrokeDownIsWholeWhenItIsResumed(t *testing.T) {
	t.Setenv("XDG_STATE_HOME", t.TempDir())
	root := t.TempDir()
	var want []string
	for i := range 400 {
		path := filepath.Join(root, fmt.Sprint("d", i%20), fmt.Sprint(i))
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, nil, 0o600)); err != nil {
			t.Fatal(err)
		}
		want = append(want, path)
	}
	slices.Sort(want)
	app := talker(10)
	inner, n := app.NewHandler, 0 // of the only worker of the first run
	app.NewHandler = func(hctx context.Context, w *Worker[struct{}, counts]) (walk.Handler, error) {
		h, err := inner(hctx, w)
		return handler(func(hctx context.Context, e *walk.Entry) error {
			if n++; n == 100 {
				return walk.Fatal(errors.New("broken"))
			}
			return h.File(hctx, e)
		}), err
	}
	first := &wholeWrites{t: t}
	doc, err := runJob(t.Context(), app, []string{root}, &JobOptions{ID: "j", Options: Options{Output: first, Workers: 1}})
	if doc == nil || doc.Common().State != Failed {
		t.Fatalf("it did not break down: %v", err)
	}
	// What it did since its last record is done again.
	if got := doc.(*Result[counts]).Stats.Files; int(got) != len(first.paths(10)) || got >= 100 {
		t.Errorf("%d paths put out, and %d counted", len(first.paths(10)), got)
	}
	out := &wholeWrites{t: t}
	if _, err := resumeJob(t.Context(), app, "j", &JobOptions{Options: Options{Output: out, Workers: 1}}); err != nil {
		t.Fatal(err)
	}
	if got := out.paths(10); !slices.Equal(got, want) {
		t.Errorf("%d paths, want %d", len(got), len(want))
	}
}

// framed is an App.Output with a first and a last line.
type framed struct{ io.Writer }

func (f framed) Close() error {
	_, err := io.WriteString(f, "end\n")
	return err
}

func TestAnApplicationCanWrapItsOutput(t *testing.T) {
	app := talker(0)
	app.Output = func(_ struct{}, w io.Writer) (io.WriteCloser, error) {
		_, err := io.WriteString(w, "begin\n")
		return framed{w}, err
	}
	check := func(t *testing.T, out string, files int) {
		lines := strings.Split(strings.TrimSuffix(out, "\n"), "\n")
		if len(lines) != files+2 || lines[0] != "begin" || lines[files+1] != "end" {
			t.Errorf("%d lines, the first %q and the last %q", len(lines), lines[0], lines[len(lines)-1])
		}
	}
	var out bytes.Buffer
	if _, err := Run(t.Context(), app, []string{"."}, &Options{FS: tree(3, 3), Output: &out}); err != nil {
		t.Fatal(err)
	}
	check(t, out.String(), 9)

	c := newCluster(t)
	c.serve()
	c.work(nil, 2, app)
	root := t.TempDir()
	if err := os.WriteFile(filepath.Join(root, "f"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	out.Reset()
	j, err := c.connect().Submit(t.Context(), app, []string{root}, &JobOptions{Options: Options{Output: &out}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := j.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	check(t, out.String(), 1)
}

type broken struct{ after int }

func (b *broken) Write(p []byte) (int, error) {
	if b.after--; b.after < 0 {
		return 0, syscall.EPIPE
	}
	return len(p), nil
}

func TestOutputThatCanNotBeWrittenEndsTheRun(t *testing.T) {
	var lost *OutputError
	r, err := Run(t.Context(), talker(1000), []string{"."}, &Options{FS: tree(100, 200), Output: &broken{after: 2}})
	if r == nil || r.State != Failed || !errors.As(err, &lost) || !errors.Is(err, syscall.EPIPE) {
		t.Fatalf("%v, %v", r, err)
	}
	if r.Stats.Files == 100*200 {
		t.Error("the walk went on to its end")
	}

	c := newCluster(t)
	c.serve()
	app := talker(10)
	c.work(nil, 2, app)
	root := t.TempDir()
	if err := os.WriteFile(filepath.Join(root, "f"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	j, err := c.connect().Submit(t.Context(), app, []string{root}, &JobOptions{Options: Options{Output: &broken{}}})
	if err != nil {
		t.Fatal(err)
	}
	doc, err := j.Wait(t.Context())
	if doc != nil || !errors.As(err, &lost) {
		t.Errorf("%v, %v", doc, err)
	}
}

func TestWhoEmitsHasToSaySo(t *testing.T) {
	app := talker(0)
	app.Emits = false
	if _, err := Run(t.Context(), app, []string{"."}, &Options{FS: tree(1, 1)}); !errors.Is(err, errNoOutput) && (err == nil || !strings.Contains(err.Error(), "App.Emits")) {
		t.Errorf("got %v", err)
	}
}

func TestTooMuchAtOnceIsRefused(t *testing.T) {
	app := counter(func(_ context.Context, w *Worker[struct{}, counts], _ *walk.Entry) error {
		return w.Emit(make([]byte, MostEmit+1))
	})
	app.Emits = true
	for _, out := range []io.Writer{nil, io.Discard} {
		if _, err := Run(t.Context(), app, []string{"."}, &Options{FS: tree(1, 1), Output: out}); err == nil || !strings.Contains(err.Error(), "are the most") {
			t.Errorf("got %v", err)
		}
	}
}

func TestWhatWasFoundIsTold(t *testing.T) {
	app := counter(nil)
	app.Found = func(c *counts) int64 { return int64(c.Files) }
	r, err := Run(t.Context(), app, []string{"."}, &Options{FS: fstest.MapFS{"a": {}}})
	if err != nil || r.Found() != 1 {
		t.Errorf("%v, %v", r, err)
	}
}

func BenchmarkEmit(b *testing.B) {
	o := newOutlet(plainOutput{io.Discard}, func(error) {})
	emit := o.worker()
	p := bytes.Repeat([]byte("x"), 80)
	b.SetBytes(int64(len(p)))
	for b.Loop() {
		if err := emit(p); err != nil {
			b.Fatal(err)
		}
	}
	o.close()
}
