package hydra

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"github.com/hydrawalk/hydra/stats"
	"github.com/hydrawalk/hydra/walk"
)

type counts struct {
	Files stats.Counter `json:"files"`
	Dirs  stats.Counter `json:"dirs"`
}

type file = func(context.Context, *Worker[struct{}, counts], *walk.Entry) error

// counter is an application that counts files, and does more with each.
func counter(more file) *App[struct{}, counts] {
	return &App[struct{}, counts]{
		Name: "counter",
		NewHandler: func(_ context.Context, w *Worker[struct{}, counts]) (walk.Handler, error) {
			return handler(func(ctx context.Context, e *walk.Entry) error {
				w.Stats.Files.Inc()
				if more == nil {
					return nil
				}
				return more(ctx, w, e)
			}), nil
		},
	}
}

type handler func(context.Context, *walk.Entry) error

func (h handler) File(ctx context.Context, e *walk.Entry) error { return h(ctx, e) }

// tree has dirs directories with files files each.
func tree(dirs, files int) fstest.MapFS {
	m := fstest.MapFS{}
	for d := range dirs {
		for f := range files {
			m[fmt.Sprintf("d%d/f%d", d, f)] = &fstest.MapFile{}
		}
	}
	return m
}

func TestTheStatisticsOfAllWorkersAreMerged(t *testing.T) {
	for _, workers := range []int{0, 1, 7} {
		r, err := Run(t.Context(), counter(nil), []string{"."}, &Options{FS: tree(50, 20), Workers: workers})
		if err != nil {
			t.Fatal(err)
		}
		if r.State != Complete || !r.IsComplete() || r.Stats.Files != 1000 || r.Walked.ProcessedDirs != 51 {
			t.Errorf("%d workers: %s, %d files, %+v", workers, r.State, r.Stats.Files, r.Walked)
		}
		if r.Workers < 1 || r.Clients != 1 || r.Job == "" || r.Finished.Before(r.Started) {
			t.Errorf("%d workers: %+v", workers, r.Outcome)
		}
	}
}

func TestHowARunEndsIsItsState(t *testing.T) {
	cause := errors.New("enough")
	boom := errors.New("boom")
	fail := func(err error) file {
		return func(context.Context, *Worker[struct{}, counts], *walk.Entry) error { return err }
	}
	for _, tt := range []struct {
		name   string
		app    *App[struct{}, counts]
		roots  []string
		limit  int64
		cancel bool
		state  State
		reason string
		err    error // errors.Is
	}{
		{name: "to its end", app: counter(nil), state: Complete},
		{name: "entries fail", app: counter(fail(boom)), state: Complete},
		{name: "a handler panics", app: counter(func(context.Context, *Worker[struct{}, counts], *walk.Entry) error { panic("own") }), state: Complete},
		{name: "a handler has enough", app: counter(fail(fs.SkipAll)), state: Stopped, reason: "the application ended the walk"},
		{name: "a handler fails the run", app: counter(fail(walk.Fatal(boom))), state: Failed, reason: "boom", err: boom},
		{name: "the limit is reached", app: counter(fail(boom)), limit: 3, state: Stopped, reason: "ended after 3 errors", err: &ErrorLimit{3}},
		{name: "more errors are allowed", app: counter(fail(boom)), limit: 101, state: Complete},
		{name: "it is cancelled", app: counter(func(ctx context.Context, _ *Worker[struct{}, counts], _ *walk.Entry) error {
			<-ctx.Done()
			return ctx.Err()
		}),
			cancel: true, state: Interrupted, reason: "enough", err: cause},
		{name: "no root opens", app: counter(nil), roots: []string{"x", "y"}, state: Failed, reason: ErrNoRoot.Error(), err: ErrNoRoot},
		{name: "one root does not open", app: counter(nil), roots: []string{"x", "d1"}, state: Complete},
		{name: "no handler", app: &App[struct{}, counts]{NewHandler: func(context.Context, *Worker[struct{}, counts]) (walk.Handler, error) { return nil, boom }},
			state: Failed, reason: "boom", err: boom},
		{name: "it can not be finished", app: func() *App[struct{}, counts] {
			a := counter(nil)
			a.Finish = func(context.Context, *Result[counts]) error { return boom }
			return a
		}(), state: Failed, reason: "boom", err: boom},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ctx, cancel := context.WithCancelCause(t.Context())
			defer cancel(nil)
			if tt.cancel {
				started, app := make(chan struct{}), tt.app.NewHandler
				var once sync.Once
				tt.app.NewHandler = func(ctx context.Context, w *Worker[struct{}, counts]) (walk.Handler, error) {
					once.Do(func() { close(started) })
					return app(ctx, w)
				}
				go func() { <-started; cancel(cause) }()
			}
			if tt.roots == nil {
				tt.roots = []string{"."}
			}
			r, err := Run(ctx, tt.app, tt.roots, &Options{FS: tree(10, 10), MaxErrors: tt.limit})
			var limit *ErrorLimit
			switch {
			case tt.err == nil && err != nil:
				t.Errorf("error %v", err)
			case errors.As(tt.err, &limit):
				if !errors.As(err, &limit) {
					t.Errorf("error %v, want %v", err, tt.err)
				}
			case !errors.Is(err, tt.err):
				t.Errorf("error %v, want %v", err, tt.err)
			}
			if r.State != tt.state || r.Reason != tt.reason {
				t.Errorf("state %s (%s), want %s (%s)", r.State, r.Reason, tt.state, tt.reason)
			}
			if r.IsComplete() != (tt.name == "to its end") {
				t.Errorf("complete: %v", r.IsComplete())
			}
			if _, err := json.Marshal(r); err != nil {
				t.Errorf("no JSON: %v", err)
			}
		})
	}
}

func TestADirectoryThatIsUnaccountedForFailsTheRun(t *testing.T) {
	totals := walk.Totals{FoundDirs: 10, ProcessedDirs: 7, QueuedDirs: 2}
	state, reason, err := judge(t.Context(), &totals, nil, newErrorLog([]string{"/"}, nil, 0, nil))
	if state != Failed || err == nil || !strings.HasPrefix(reason, "internal error: 8 directories") {
		t.Errorf("%s, %q, %v", state, reason, err)
	}
}

func TestACallThatCanNotBeCarriedOutIsAUsageError(t *testing.T) {
	refuse := counter(nil)
	refuse.Prepare = func(*struct{}) error { return errors.New("no") }
	for name, call := range map[string]func() (*Result[counts], error){
		"no roots":    func() (*Result[counts], error) { return Run(t.Context(), counter(nil), nil, nil) },
		"no settings": func() (*Result[counts], error) { return Run(t.Context(), refuse, []string{"."}, nil) },
		"no glob": func() (*Result[counts], error) {
			return Run(t.Context(), counter(nil), []string{"."}, &Options{Rules: []Rule{{Glob: "["}}})
		},
	} {
		var usage *UsageError
		if r, err := call(); r != nil || !errors.As(err, &usage) {
			t.Errorf("%s: %v, %v", name, r, err)
		}
	}
	if doc, err := refuse.Configure(nil).Run(t.Context(), []string{"."}, nil); doc != nil || err == nil {
		t.Errorf("without types: %v, %v", doc, err)
	}
}

// full implements all that a handler can be.
type full struct {
	mu    *sync.Mutex
	calls map[string]int
}

func (f full) call(name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls[name]++
}

func (f full) File(_ context.Context, e *walk.Entry) error {
	f.call("file")
	if e.Name() == "f0" {
		return errors.New("bad")
	}
	return nil
}
func (f full) EnterDir(context.Context, *walk.Dir) error { f.call("enter"); return nil }
func (f full) LeaveDir(context.Context, *walk.Dir) error { f.call("leave"); return nil }
func (f full) Flush(context.Context) error               { f.call("flush"); return nil }
func (f full) Error(context.Context, *walk.Error)        { f.call("error") }
func (f full) Filter(_ context.Context, _ *walk.Dir, entries []walk.Entry) []walk.Entry {
	f.call("filter")
	return slices.DeleteFunc(entries, func(e walk.Entry) bool { return e.Name() == "f1" })
}

func TestAHandlerKeepsAllThatItImplements(t *testing.T) {
	for _, rules := range [][]Rule{nil, {{Glob: "f2"}}} {
		f := full{new(sync.Mutex), map[string]int{}}
		app := &App[struct{}, counts]{NewHandler: func(context.Context, *Worker[struct{}, counts]) (walk.Handler, error) { return f, nil }}
		r, err := Run(t.Context(), app, []string{"."}, &Options{FS: tree(3, 5), Workers: 1, Rules: rules})
		if err != nil {
			t.Fatal(err)
		}
		left := 4 - len(rules)
		want := map[string]int{"file": 3 * left, "enter": 4, "leave": 4, "filter": 4, "error": 3, "flush": 1}
		if diff := cmp.Diff(want, f.calls); diff != "" {
			t.Errorf("calls with %d rules: -want +got\n%s", len(rules), diff)
		}
		if len(r.Errors) != 3 || r.Walked.FilteredFiles != int64(3*(1+len(rules))) {
			t.Errorf("%d errors, %d left out", len(r.Errors), r.Walked.FilteredFiles)
		}
	}
}

func TestAHandlerIsOnlyWhatItHasToBe(t *testing.T) {
	plain := handler(nil)
	f := full{new(sync.Mutex), map[string]int{}}
	onlyDirs := struct {
		walk.Handler
		walk.DirHandler
	}{plain, f}
	for _, tt := range []struct {
		name          string
		h             walk.Handler
		rules         *rules
		dirs, filters bool
	}{
		{"plain", plain, nil, false, false},
		{"plain with rules", plain, &rules{}, false, true},
		{"directories", onlyDirs, nil, true, false},
		{"directories with rules", onlyDirs, &rules{}, true, true},
		{"all", f, nil, true, true},
		{"all with rules", f, &rules{}, true, true},
	} {
		h := observe(tt.h, nil, nil, tt.rules, nil, nil, nil)
		_, dirs := h.(walk.DirHandler)
		_, filters := h.(walk.Filterer)
		_, errs := h.(walk.ErrorHandler)
		_, flushes := h.(walk.Flusher)
		if dirs != tt.dirs || filters != tt.filters || !errs || !flushes {
			t.Errorf("%s: directories %v, filters %v, errors %v, flushes %v", tt.name, dirs, filters, errs, flushes)
		}
	}
}

func TestRulesLeaveOutTheSameAsAWalkThatLooksAtEachPath(t *testing.T) {
	m := tree(20, 30)
	for _, globs := range [][]Rule{
		{{Glob: "f1*"}},
		{{Glob: "d1*/f2"}},
		{{Glob: "d?"}, {Glob: "d3", Include: true}},
		{{Glob: "**/f*"}, {Glob: "d1/**", Include: true}},
	} {
		rs, err := compileRules(globs)
		if err != nil {
			t.Fatal(err)
		}
		var want int64
		err = fs.WalkDir(m, ".", func(p string, d fs.DirEntry, err error) error {
			switch {
			case p != "." && rs.leavesOut(path.Base(p), p, 0, d.IsDir()):
				if d.IsDir() {
					return fs.SkipDir
				}
			case !d.IsDir():
				want++
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, root := range []string{".", "d3"} {
			r, err := Run(t.Context(), counter(nil), []string{root}, &Options{FS: m, Rules: globs})
			if err != nil {
				t.Fatal(err)
			}
			if root == "." && int64(r.Stats.Files) != want {
				t.Errorf("%v: %d files, want %d", globs, r.Stats.Files, want)
			}
			if !r.IsComplete() {
				t.Errorf("%v below %s: %s", globs, root, r.Reason)
			}
		}
	}
}

func TestTheDocumentBeginsWithTheBaseCounters(t *testing.T) {
	r, err := Run(t.Context(), counter(nil), []string{"d0", "\xff"}, &Options{FS: tree(1, 2)})
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	const stats = `"stats":{"processed_dirs":1,"filtered_dirs":0,"processed_files":2,"filtered_files":0,"skipped_files":0,"failed_files":0,"queued_dirs":0,"queued_files":0,"files":2,"dirs":0}}`
	if !bytes.HasPrefix(text, []byte(`{"schema":"hydra.result/1","job":"local-`)) || !bytes.HasSuffix(text, []byte(stats)) {
		t.Errorf("%s", text)
	}
	var doc struct {
		Paths    []string
		PathsB64 [][]byte `json:"paths_b64"`
		Expected int64    `json:"expected_dirs"`
		Failed   int64    `json:"failed_dirs"`
		Errors   []struct {
			Op, Path string
			B64      []byte `json:"path_b64"`
			Count    int64
		}
		Counts map[string]int64 `json:"error_counts"`
	}
	if err := json.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"d0", "\uFFFD"}, doc.Paths); diff != "" || string(doc.PathsB64[1]) != "\xff" {
		t.Errorf("paths %s %q", diff, doc.PathsB64)
	}
	if doc.Expected != 2 || doc.Failed != 1 || len(doc.Errors) != 1 || string(doc.Errors[0].B64) != "\xff" || doc.Errors[0].Count != 1 {
		t.Errorf("%+v", doc)
	}
	if diff := cmp.Diff(map[string]int64{"open": 1, "stat": 0, "handle": 0}, doc.Counts); diff != "" {
		t.Errorf("error_counts: -want +got\n%s", diff)
	}
}

func TestStatisticsCanNotHideABaseCounter(t *testing.T) {
	if err := checkStats(&struct {
		Mine int `json:"processed_dirs"`
	}{}); err == nil {
		t.Error("no error")
	}
	if err := checkStats(3); err == nil {
		t.Error("a number has no fields, and there was no error")
	}
	if got, err := flatten(struct{ A int }{1}, struct{}{}); err != nil || string(got) != `{"A":1}` {
		t.Errorf("%s, %v", got, err)
	}
}

func TestWhatMayBeShownOnATerminalIsEscapedInJSON(t *testing.T) {
	const odd = "a\u009b\u202e\U000e0001ü\x7f"
	text, err := json.Marshal(map[string]string{"name": odd})
	if err != nil {
		t.Fatal(err)
	}
	text = printed(text)
	if want := `{"name":"a\u009b\u202e\udb40\udc01ü\u007f"}`; string(text) != want {
		t.Errorf("%s, want %s", text, want)
	}
	var back map[string]string
	if err := json.Unmarshal(text, &back); err != nil || back["name"] != odd {
		t.Errorf("it is read as %q, %v", back, err)
	}
}

func TestAnApplicationWithoutASummaryHasOne(t *testing.T) {
	r, err := Run(t.Context(), counter(nil), []string{"."}, &Options{FS: tree(1, 2)})
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := r.WriteText(&b); err != nil || b.String() != "2 directories and 2 entries processed, 0 skipped, 0 left out\n" {
		t.Errorf("%q, %v", b.String(), err)
	}
}

func TestRulesDoNotAllocate(t *testing.T) {
	rs, err := compileRules([]Rule{{Glob: "*.o"}, {Glob: "a/**/b"}, {Glob: "x[0-9]*"}, {Glob: "{k,l}m"}, {Glob: "/r/*/z"}})
	if err != nil {
		t.Fatal(err)
	}
	path := "/r/some/directory/name.c"
	if n := testing.AllocsPerRun(100, func() {
		for range 100 {
			rs.leavesOut("name.c", path, 3, false)
		}
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkRules(b *testing.B) {
	rs, err := compileRules([]Rule{{Glob: ".snapshot"}, {Glob: "*.o"}, {Glob: "**/cache/*.tmp"}})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		rs.leavesOut("name.c", "/r/some/directory/name.c", 3, false)
	}
}

func TestStatisticsThatCanNotBeMergedAreRefusedBeforeTheWalk(t *testing.T) {
	app := &App[struct{}, struct{ N int }]{Name: "wrong", NewHandler: func(context.Context, *Worker[struct{}, struct{ N int }]) (walk.Handler, error) {
		t.Error("the walk began")
		return nil, errors.New("not to be called")
	}}
	if r, err := Run(t.Context(), app, []string{t.TempDir()}, nil); err == nil || r != nil {
		t.Errorf("%v, %v", r, err)
	}
}
