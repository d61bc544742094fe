package hydra

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hydrawalk/hydra/stats"
	"github.com/hydrawalk/hydra/walk"
)

func TestTheNamesOfSnapshotsDoNotDependOnWhoSawThem(t *testing.T) {
	seed := rand.Uint64()
	t.Log("seed ", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	var all []string
	for i := range 300 {
		all = append(all, fmt.Sprintf("/%03d/.snapshot", i))
	}
	logs := make([]snapshotLog, 7)
	for _, i := range random.Perm(len(all)) {
		logs[random.IntN(len(logs))].add(all[i])
	}
	var sum snapshotLog
	for _, i := range random.Perm(len(logs)) {
		sum.absorb(&logs[i])
	}
	if want := all[:maxSnapshots]; !slices.Equal(sum.smallest, want) {
		t.Errorf("%q", sum.smallest)
	}
	if sum.clear(); sum.smallest != nil {
		t.Errorf("%q after all was forgotten", sum.smallest)
	}
}

// snapshotTree is a tree with n directories that are left out, and as many that
// only have such a name.
func snapshotTree(t *testing.T, n int) (root string, left []string) {
	t.Helper()
	root = t.TempDir()
	for i := range n {
		for _, name := range []string{".zfs", ".snapshot"} {
			dir := filepath.Join(root, fmt.Sprintf("d%03d", i), name)
			if err := os.MkdirAll(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, "f"), nil, 0o644); err != nil {
				t.Fatal(err)
			}
			if name == ".zfs" {
				if err := os.Chmod(dir, 0o555); err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { os.Chmod(dir, 0o755) })
				left = append(left, dir)
			}
		}
	}
	return root, left
}

func TestAClusterLeavesOutTheSnapshotsThatOneProcessDoes(t *testing.T) {
	const n = 130
	root, left := snapshotTree(t, n)
	app := counter(nil)
	c := newCluster(t)
	c.serve()
	for range 3 {
		c.work(nil, 2, app)
	}
	for _, enter := range []bool{false, true} {
		o := Options{Snapshots: enter}
		local, err := Run(t.Context(), app, []string{root}, &o)
		if err != nil {
			t.Fatal(err)
		}
		j, err := c.connect().Submit(t.Context(), app, []string{root}, &JobOptions{Options: o})
		if err != nil {
			t.Fatal(err)
		}
		doc, err := j.Wait(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		want, files, names := int64(n), int64(n), left[:maxSnapshots]
		if enter {
			want, files, names = 0, 2*n, nil
		}
		for who, r := range map[string]*Result[counts]{"local": local, "cluster": doc.(*Result[counts])} {
			if !r.IsComplete() || int64(r.Stats.Files) != files || r.Walked.SnapshotDirs != want || r.Walked.FilteredDirs != want {
				t.Errorf("%s: %d files, %+v", who, r.Stats.Files, r.Walked)
			}
			if diff := cmp.Diff(names, r.Snapshots); diff != "" {
				t.Errorf("%s: -want +got\n%s", who, diff)
			}
		}
	}
}

// sees is a handler that wants to know of snapshots.
type sees struct {
	handler
	saw *[]string
}

func (h sees) Snapshot(_ context.Context, d *walk.Dir) { *h.saw = append(*h.saw, d.Path()) }

func TestAnApplicationAndTheDocumentAreToldOfSnapshots(t *testing.T) {
	m := tree(1, 1)
	m["d0/x/.snapshot/f"] = m["d0/f0"] // whose mode is made up: nobody may write
	m["d0/.zfs/f"] = m["d0/f0"]
	var saw []string
	app := counter(nil)
	app.NewHandler = func(context.Context, *Worker[struct{}, counts]) (walk.Handler, error) {
		return sees{func(context.Context, *walk.Entry) error { return nil }, &saw}, nil
	}
	r, err := Run(t.Context(), app, []string{"."}, &Options{FS: m, Workers: 1})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"d0/.zfs", "d0/x/.snapshot"}
	slices.Sort(saw)
	if !slices.Equal(saw, want) || !slices.Equal(r.Snapshots, want) {
		t.Errorf("the application saw %q, the result has %q, want %q", saw, r.Snapshots, want)
	}
	r.Snapshots = append(r.Snapshots, "/\xff")
	text, err := r.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		SnapshotDirs int          `json:"snapshot_dirs"`
		Snapshots    []stats.Path `json:"snapshots"`
	}
	if err := json.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	if doc.SnapshotDirs != 2 || len(doc.Snapshots) != 3 || doc.Snapshots[1].String() != want[1] || doc.Snapshots[2].String() != "/\xff" {
		t.Errorf("%s", text)
	}
}
