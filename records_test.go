package hydra

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hydrawalk/hydra/internal/client"
	"github.com/hydrawalk/hydra/stats"
	"github.com/hydrawalk/hydra/walk"
)

// seen is what the application of these tests records.
type seen struct {
	stats.Path
	Size int64 `json:"size"`
}

type recordLine struct {
	At                     time.Time
	Job, App, Client, Host string
	Worker                 *int
	Record                 seen
}

// recorded reads the files of a directory with records, by their names.
func recorded(t *testing.T, dir string) map[string][]recordLine {
	t.Helper()
	all := map[string][]recordLine{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		fi, err := d.Info()
		if err != nil {
			return err
		}
		want := fs.FileMode(0o600)
		if d.IsDir() {
			want = fs.ModeDir | 0o700
		}
		if runtime.GOOS != "windows" && fi.Mode() != want && path != dir {
			t.Errorf("%s has the mode %v", path, fi.Mode())
		}
		if d.IsDir() {
			return nil
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		name, _ := filepath.Rel(dir, path)
		lines := bufio.NewScanner(f)
		for lines.Scan() {
			var r recordLine
			d := json.NewDecoder(bytes.NewReader(lines.Bytes()))
			d.DisallowUnknownFields()
			if err := d.Decode(&r); err != nil {
				t.Errorf("%s: %v in %q", path, err, lines.Text())
			}
			all[name] = append(all[name], r)
		}
		return lines.Err()
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func recording(each func(*Worker[struct{}, counts]) error) *App[struct{}, counts] {
	return counter(func(_ context.Context, w *Worker[struct{}, counts], e *walk.Entry) error {
		err := w.Record(seen{stats.PathOf(e.Path()), 7})
		if err == nil && each != nil {
			err = each(w)
		}
		return err
	})
}

func namesOf(lines map[string][]recordLine) []string {
	var names []string
	for _, file := range lines {
		for _, r := range file {
			names = append(names, filepath.Base(r.Record.Path.String()))
		}
	}
	slices.Sort(names)
	return names
}

var oddNames = []string{"\xff", "a\nb", "c", "<&\u2028>"}

func TestEachWorkersRecordsAreLinesOfItsFile(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("names are not bytes")
	}
	root, dir := filesIn(t, oddNames...), filepath.Join(t.TempDir(), "new", "records")
	result, err := Run(t.Context(), recording(nil), []string{root}, &Options{Workers: 2, Records: dir})
	if err != nil || !result.IsComplete() {
		t.Fatal(result.State, err)
	}
	got := recorded(t, dir)
	if names := namesOf(got); !slices.Equal(names, []string{"<&\u2028>", "a\nb", "c", "\xff"}) {
		t.Errorf("%q", names)
	}
	host, _ := os.Hostname()
	for name, lines := range got {
		for _, r := range lines {
			if r.Job != result.Job || r.App != "counter" || r.Client != "" || r.Host != host || time.Since(r.At) > time.Minute || r.Record.Size != 7 ||
				name != result.Job+"-worker-"+string('0'+rune(*r.Worker))+".jsonl" {
				t.Errorf("%s: %+v", name, r)
			}
		}
	}
}

func TestWithoutADirectoryNothingIsRecorded(t *testing.T) {
	w := &Worker[struct{}, counts]{}
	if n := testing.AllocsPerRun(100, func() {
		if w.Record(nil) != nil || w.SyncRecords() != nil {
			t.Error("an error")
		}
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
	// One that no record is made for is left empty.
	dir := t.TempDir()
	if _, err := Run(t.Context(), counter(nil), []string{filesIn(t, "a")}, &Options{Records: dir}); err != nil {
		t.Fatal(err)
	}
	if got := recorded(t, dir); len(got) > 0 {
		t.Errorf("%v", got)
	}
}

func TestADirectoryForRecordsThatCanNotBeIsNoticedBefore(t *testing.T) {
	root := filesIn(t, "a")
	bad := filepath.Join(root, "a", "records")
	var usage *UsageError
	if result, err := Run(t.Context(), counter(nil), []string{root}, &Options{Records: bad}); result != nil || !errors.As(err, &usage) {
		t.Error(result, err)
	}
	if err := Work(t.Context(), "127.0.0.1:1", &WorkOptions{Records: bad}, counter(nil)); !errors.As(err, &usage) {
		t.Error(err)
	}
}

func TestRecordsThatAreSyncedCanBeReadAtOnce(t *testing.T) {
	root, dir := filesIn(t, "a", "b", "c"), t.TempDir()
	n := 0
	_, err := Run(t.Context(), recording(func(w *Worker[struct{}, counts]) error {
		n++
		if got := recorded(t, dir); len(namesOf(got)) >= n {
			t.Errorf("%d are there before they had to be", len(namesOf(got)))
		}
		if err := w.SyncRecords(); err != nil {
			return err
		}
		if got := recorded(t, dir); len(namesOf(got)) != n {
			t.Errorf("%d of %d are there", len(namesOf(got)), n)
		}
		return w.SyncRecords() // nothing is new
	}), []string{root}, &Options{Workers: 1, Records: dir})
	if err != nil || n != 3 {
		t.Error(n, err)
	}
}

func TestRecordsOfClientsAreWrittenWithEachCut(t *testing.T) {
	root, dir := filesIn(t, "a", "b", "c"), t.TempDir()
	c := newCluster(t)
	c.serve()
	app := recording(nil)
	b := c.engine.Open()
	c.wg.Go(func() {
		defer b.Close()
		if err := client.Work(c.ctx, client.Options{Bus: b, Workers: 2, Logger: c.log, Host: "h1", Apps: []client.App{app.client(dir)}}); err != nil {
			t.Error(err)
		}
	})
	j, err := c.connect().Submit(t.Context(), app, []string{root}, &JobOptions{})
	if err != nil {
		t.Fatal(err)
	}
	doc, err := j.Wait(t.Context())
	if err != nil || !doc.Common().IsComplete() {
		t.Fatal(err)
	}
	// The client goes on: what it counted is committed, and so are the records.
	got := recorded(t, dir)
	if names := namesOf(got); !slices.Equal(names, []string{"a", "b", "c"}) {
		t.Errorf("%q", names)
	}
	for name, lines := range got {
		for _, r := range lines {
			if r.Job != j.ID() || r.Client == "" || r.Host != "h1" || name != filepath.Join(j.ID(), r.Client+"-worker-"+string('0'+rune(*r.Worker))+".jsonl") {
				t.Errorf("%s: %+v", name, r)
			}
		}
	}
}

func TestWhatIsNotForJSONIsALostRecord(t *testing.T) {
	app := counter(func(_ context.Context, w *Worker[struct{}, counts], e *walk.Entry) error {
		if err := w.Record(func() {}); err == nil || !strings.Contains(err.Error(), "record func()") {
			t.Errorf("%v", err)
		}
		return nil
	})
	result, err := Run(t.Context(), app, []string{filesIn(t, "a", "b")}, &Options{Workers: 1, Records: t.TempDir(), MaxErrors: 1})
	if err != nil || result.State != Complete || result.IsComplete() || result.Walked.Errors != 2 || result.ErrorCounts[OpRecord] != 2 {
		t.Errorf("%v %v, %+v", result.State, err, result.Errors)
	}
}

func TestARecordAfterTheEndIsAnError(t *testing.T) {
	r := newRecorder(t.TempDir(), "j", recordHead{})
	f := r.file(3)
	if err := f.add(1); err != nil {
		t.Fatal(err)
	}
	r.close()
	if err := f.sync(); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("%v", err)
	}
	if item := f.flush(); item == nil || item.Count != 1 {
		t.Errorf("%+v", item)
	}
	// One that is in use is closed by who uses it.
	g := r.file(4)
	if err := errors.Join(g.add(1), g.sync()); err != nil {
		t.Fatal(err)
	}
	g.mu.Lock()
	r.close()
	if g.f == nil {
		t.Error("it was closed in somebody's hand")
	}
	g.unlock()
	if g.f != nil {
		t.Error("it is still open")
	}
}
