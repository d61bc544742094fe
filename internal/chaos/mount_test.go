//go:build linux

package chaos

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hydrawalk/hydra/internal/faultfs"
)

// bound is a place where a directory is mounted at another, for who runs there
// alone.
func bound(t *testing.T, dir, at string) place {
	t.Helper()
	return mounts(t, `mount --bind "$0" "$1"`, dir, at)
}

// mounts is a place where a command mounts something at a directory.
func mounts(t *testing.T, command, what, at string) place {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("mounts of some processes alone need root")
	}
	for _, program := range []string{"unshare", "mount"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("mounts of some processes alone need %s (Debian packages mount and util-linux)", program)
		}
	}
	return place{"unshare", "--mount", "--propagation", "private", "sh", "-c", command + ` && shift && exec "$@"`, what, at}
}

// clientID is how a client, which has joined, is named.
func (w *world) clientID(p *proc) string {
	w.t.Helper()
	line := w.says(1, "joined the server", p.pid())[0]
	_, id, _ := strings.Cut(line, " client=")
	id, _, _ = strings.Cut(id, " ")
	return id
}

// TestAClientThatSeesAnotherTreeChangesNothing has a tree that only clients see,
// and one client that does not.
func TestAClientThatSeesAnotherTreeChangesNothing(t *testing.T) {
	long(t)
	for _, when := range []string{"first", "last", "among others"} {
		for what, wrong := range map[string]struct{ command, below, says string }{
			"no mount":      {`:`, "", "empty"},
			"no such path":  {`:`, "/top", "no such file"},
			"an empty disk": {`mount -t tmpfs -o size=1m "$0" "$1"`, "", "empty"}, // its root has the same inode number
		} {
			t.Run(what+" "+when, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t)
				// What the path names is in a directory that is mounted, or not.
				disk, mnt := filepath.Join(w.dir, "disk"), filepath.Join(w.dir, "mnt")
				for _, dir := range []string{disk, mnt} {
					if err := os.Mkdir(dir, 0o755); err != nil {
						t.Fatal(err)
					}
				}
				right, bare := bound(t, disk, mnt), mounts(t, wrong.command, "none", mnt)
				if err := unix.Mount("none", disk, "tmpfs", 0, "size=16m"); err != nil {
					t.Skipf("nothing can be mounted: %v", err)
				}
				t.Cleanup(func() { _ = unix.Unmount(disk, unix.MNT_DETACH) })
				for i := range 40 {
					fill(t, filepath.Join(disk+wrong.below, fmt.Sprint("d", i%7, "/e", i)), 20)
				}
				at := mnt + wrong.below
				want := w.alone(right, at)
				w.server()
				var clients []*proc
				var strange *proc
				odd := func() {
					strange = w.clientAt(bare, 2)
					clients = append(clients, strange)
				}
				add := func() { clients = append(clients, w.clientAt(right, 2)) }
				perFile := "HYDRA_CHAOS_PER_FILE=5ms"
				var out <-chan result
				switch when {
				case "first":
					// It is the only one, and the job could begin.
					odd()
					w.clientID(strange)
					out = w.submit(at, perFile)
					w.says(1, "event:", "waiting:", wrong.says)
					add()
					add()
				case "among others":
					out = w.submit(at, perFile)
					odd()
					add()
				case "last":
					add()
					add()
					out = w.submit(at, perFile)
					w.says(1, "event: job started")
					odd()
				}
				got := w.wait(out)
				same(t, got, want)
				doc := got.document(t)
				if len(doc.Refused) != 1 || !strings.Contains(doc.Refused[0], w.clientID(strange)) {
					t.Errorf("refused %q, want client %s", doc.Refused, w.clientID(strange))
				}
				w.stop(clients...)
			})
		}
	}
}

// TestATreeThatIsEmptyForAllIsEmpty waits for others, but not for ever.
func TestATreeThatIsEmptyForAllIsEmpty(t *testing.T) {
	long(t)
	w := newWorld(t)
	root := t.TempDir()
	w.server()
	w.client(1)
	same(t, w.wait(w.submit(root)), w.alone(nil, root))
	w.says(1, "event:", root+": empty")
}

// TestADirectoryThatOneClientLacksIsLeftToAnother has a client that is given
// directories to walk which are not there on its side. Had it found their names
// itself, they would have vanished.
func TestADirectoryThatOneClientLacksIsLeftToAnother(t *testing.T) {
	longAlone(t)
	s := newTwoSights(t)
	good, faulty := bound(t, s.good.Root, s.at), bound(t, s.faulty.Root, s.at)
	want := s.alone(good, s.at)
	hang := faultfs.NewHang()
	for i := range 12 {
		if i%2 == 0 {
			s.faulty.Vanish(fmt.Sprint("d", i))
		} else {
			s.good.On(faultfs.OpenDir, fmt.Sprint("d", i), faultfs.Rule{Hang: hang})
		}
	}
	s.server()
	clients := []*proc{s.clientAt(good, 1)}
	out := s.submit(s.at, "HYDRA_CHAOS_PER_FILE=2ms")
	<-hang.Reached() // it has read the root
	clients = append(clients, s.clientAt(faulty, 2))
	s.clientID(clients[1])
	hang.Release()
	got := s.wait(out)
	same(t, got, want)
	if n := got.document(t).Clients; n != 2 {
		t.Errorf("%d clients took part", n)
	}
	s.stop(clients...)
}

// twoSights are two mounts of the same tree, the second of which has faults. Two
// clients have them at the same path.
type twoSights struct {
	*world
	good, faulty *faultfs.Mounted
	at           string
}

func newTwoSights(t *testing.T) *twoSights {
	tree := faultfs.Tree{}
	for i := range 12 {
		for j := range 3 {
			for k := range 10 {
				tree[fmt.Sprintf("d%d/e%d/f%d", i, j, k)] = faultfs.File(k)
			}
		}
	}
	s := &twoSights{good: faultfs.Mount(t, tree), faulty: faultfs.Mount(t, tree), world: newWorld(t)}
	s.at = filepath.Join(s.dir, "data")
	if err := os.Mkdir(s.at, 0o755); err != nil {
		t.Fatal(err)
	}
	return s
}

// run runs a job, whose result is exact, with a client for each mount.
func (s *twoSights) run(env ...string) {
	s.t.Helper()
	good, faulty := bound(s.t, s.good.Root, s.at), bound(s.t, s.faulty.Root, s.at)
	want := s.alone(good, s.at)
	s.server()
	clients := []*proc{s.clientAt(faulty, 2), s.clientAt(good, 2)}
	// Both take part, whoever is faster.
	out := s.submit(s.at, append([]string{"HYDRA_CHAOS_CLIENTS=2", "HYDRA_CHAOS_PER_FILE=5ms"}, env...)...)
	got := s.wait(out)
	same(s.t, got, want)
	s.t.Logf("wall %.1f s", got.document(s.t).Wall)
	s.stop(clients...)
}
