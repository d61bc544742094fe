package audit

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/hydrawalk/hydra"
)

// brokenFS fails to tell attributes, and has files that are another thing than
// was listed.
type brokenFS struct {
	fstest.MapFS
	lstat map[string]func(fs.FileInfo) (fs.FileInfo, error)
}

func (f brokenFS) Lstat(name string) (fs.FileInfo, error) {
	info, err := f.MapFS.Lstat(name)
	if do := f.lstat[name]; do != nil && err == nil {
		return do(info)
	}
	return info, err
}

// infoOfMode is the same but for its mode.
type infoOfMode struct {
	fs.FileInfo
	mode fs.FileMode
}

func (i infoOfMode) Mode() fs.FileMode { return i.mode }

func TestWhatCanNotBeReadIsNotCountedButSaid(t *testing.T) {
	denied := func(fs.FileInfo) (fs.FileInfo, error) { return nil, fs.ErrPermission }
	gone := func(fs.FileInfo) (fs.FileInfo, error) { return nil, fs.ErrNotExist }
	fsys := brokenFS{fstest.MapFS{
		"a/good": {Data: []byte("12345")}, "a/denied": {Data: []byte("1")}, "a/gone": {Data: []byte("1")}, "a/now a link": {Data: []byte("1")},
		"a/sub/file": {Data: []byte("123")}, "closed/file": {Data: []byte("1")}, "vanished/file": {Data: []byte("1")},
	}, map[string]func(fs.FileInfo) (fs.FileInfo, error){
		"a/denied": denied, "a/gone": gone, "closed": denied, "vanished": gone,
		"a/now a link": func(info fs.FileInfo) (fs.FileInfo, error) { return infoOfMode{info, fs.ModeSymlink}, nil },
	}}
	r, err := hydra.Run(t.Context(), App(), []string{"."}, &hydra.Options{FS: fsys, Workers: 2})
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := r.WriteReport(&b, "x.json"); err != nil {
		t.Fatal(err)
	}
	var doc map[string]any
	if err := json.Unmarshal(b.Bytes(), &doc); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]any{"complete": false, "failed_dirs": 1.0, "vanished_dirs": 1.0, "vanished_files": 1.0} {
		if doc[name] != want {
			t.Errorf("%s is %v, want %v", name, doc[name], want)
		}
	}
	counted := doc["stats"].(map[string]any)
	for name, want := range map[string]any{
		"processed_files": 2.0, "processed_dirs": 3.0, "skipped_files": 1.0, "symlink_files": 1.0, "failed_files": 1.0, "error_stat_files": 1.0, "error_stat_dirs": 0.0,
		"file_size_total": 8.0, "max_dir_width": 3.0, "max_files_in_dir": 4.0, "dir_total_per_dir_depth": "[1 1 1]", "files_total_per_dir_depth": "[0 1 1]",
	} {
		if got := counted[name]; got != want && fmt.Sprint(got) != want {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
	if err := checkErrorsTable(r); err != nil {
		t.Error(err)
	}
	b.Reset()
	if err := r.WriteReport(&b, "x.html"); err != nil {
		t.Fatal(err)
	}
	if page := b.String(); !strings.Contains(page, "There were 2 errors, see Errors.") {
		t.Error("the page does not say that it is not complete")
	}
}

// checkErrorsTable wants both errors in the table of CSV.
func checkErrorsTable(r *hydra.Result[Stats]) error {
	var b bytes.Buffer
	if err := writeCSV(&b, r, Settings{BlockSize: 1, Top: 1, table: "errors"}); err != nil {
		return err
	}
	records, err := csv.NewReader(&b).ReadAll()
	if err != nil {
		return err
	}
	var got []string
	for _, record := range records[1:] {
		got = append(got, record[0]+" "+record[1])
	}
	if want := []string{"stat a/denied", "open closed"}; !slices.Equal(got, want) {
		return fmt.Errorf("the table of errors has %q, want %q", got, want)
	}
	return nil
}
