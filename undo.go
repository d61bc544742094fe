package hydra

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hydrawalk/hydra/stats"
	"github.com/hydrawalk/hydra/walk"
)

// UndoOptions say how acts are taken back.
type UndoOptions struct {
	// DryRun changes nothing, and tells what would be done.
	DryRun bool
	// Done, when set, is told of each path that is back.
	Done func(path string)
	// Failed, when set, is told of each path that is not, and why.
	Failed func(path string, err error)
}

// Undone is what came of taking acts back.
type Undone struct {
	Job      string `json:"job"`
	App      string `json:"app"`
	Restored int64  `json:"restored_files"` // moved back
	Bytes    int64  `json:"restored_files_size"`
	Dirs     int64  `json:"restored_dirs"` // made again
	There    int64  `json:"already_there"` // were back before
	Removed  int64  `json:"removed_files"` // can not come back
	Failed   int64  `json:"failed"`
}

// Undo takes back what an application did, by the records of its acts: see [ActSchema].
// Files that were moved are moved back, also those of which it is in doubt whether they
// were; directories that were removed are made again, with owner and permissions. What
// was deleted is gone. Nothing that has the path by now is replaced. To do it again
// does what is left to do.
func Undo(ctx context.Context, records io.ReadSeeker, o *UndoOptions) (*Undone, error) {
	if o == nil {
		o = &UndoOptions{}
	}
	if _, err := records.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	head, err := readHead(records)
	if err != nil {
		return nil, err
	}
	u := &undoer{o: o, Undone: &Undone{Job: head.Job, App: head.App}, bases: map[string]*walk.Base{}, left: map[string]bool{}}
	for _, p := range head.Paths {
		if p.String() != "" {
			u.roots = append(u.roots, p.String())
		}
	}
	slices.SortFunc(u.roots, func(a, b string) int { return len(b) - len(a) })
	defer u.close()
	dirs := map[string]*Act{}
	var open map[actKey]*Act
	for _, pass := range []func(*actLine) error{
		func(l *actLine) error {
			a, key := l.act(), l.key()
			switch {
			case !a.Stat.Mode.IsDir():
			case l.State == actIntent:
				open[key] = a
			default:
				if l.State == ActDone || l.State == ActInDoubt {
					dirs[a.Path] = cmp.Or(open[key], a) // the intent says more
				}
				delete(open, key)
			}
			return ctx.Err()
		},
		func(l *actLine) error {
			a, key := l.act(), l.key()
			switch {
			case a.Stat.Mode.IsDir():
			case l.State == actIntent:
				open[key] = a
			default:
				delete(open, key)
				if l.State == ActDone || l.State == ActInDoubt {
					u.back(a)
				}
			}
			return ctx.Err()
		},
	} {
		if _, err := records.Seek(0, io.SeekStart); err != nil {
			return nil, err
		}
		open = map[actKey]*Act{}
		if err := readLines(records, pass); err != nil {
			return u.Undone, err
		}
		for _, a := range open {
			if a.Stat.Mode.IsDir() {
				dirs[a.Path] = a // who removed it died, or did not
			}
		}
		// Parents first.
		for _, path := range slices.Sorted(maps.Keys(dirs)) {
			u.makeDir(dirs[path])
		}
		clear(dirs)
	}
	for _, a := range open {
		if a.To != "" { // else nobody knows whether it is gone
			a.Result = ActInDoubt
			u.back(a)
		}
	}
	u.tidy()
	return u.Undone, nil
}

// leave remembers the directories of a quarantine that a file is moved back from: those of
// DIR/JOB/the whole path, from JOB on.
func (u *undoer) leave(a *Act) {
	to := filepath.ToSlash(a.To)
	top, ok := strings.CutSuffix(to, filepath.ToSlash(a.Path[len(filepath.VolumeName(a.Path)):]))
	if !ok || path.Base(top) != u.Job {
		return // it is no quarantine
	}
	for dir := path.Dir(to); len(dir) >= len(top) && !u.left[dir]; dir = path.Dir(dir) {
		u.left[dir] = true
	}
}

// tidy removes those of them that are empty, the deepest first.
func (u *undoer) tidy() {
	if u.o.DryRun {
		return
	}
	for _, dir := range slices.Backward(slices.Sorted(maps.Keys(u.left))) {
		base, err := openBase(nil, u.bases, volume(dir))
		if err == nil {
			_ = base.RemoveDir(below(volume(dir), dir)) // what is not empty stays
		}
	}
}

// actKey names an act of a job.
type actKey struct {
	session string
	actID
}

func (l *actLine) key() actKey { return actKey{l.Session, actID{l.Worker, l.Batch, l.Index}} }

// readHead reads the first line of records.
func readHead(r io.Reader) (*actHead, error) {
	head := new(actHead)
	if err := decodeFirst(r, head); err != nil || head.Schema != ActSchema {
		return nil, &UsageError{fmt.Errorf("these are no records of acts: the first line has to say %s", ActSchema)}
	}
	return head, nil
}

type undoer struct {
	*Undone
	o     *UndoOptions
	roots []string
	bases map[string]*walk.Base
	left  map[string]bool // directories of a quarantine that may be empty by now
}

func (u *undoer) close() {
	for _, b := range u.bases {
		b.Close()
	}
}

// find is the base of the root that a path lies in, and the path below it.
func (u *undoer) find(path string) (*walk.Base, string, error) {
	root := volume(path) // where things were moved to
	for _, r := range u.roots {
		if path == withoutSlash(r) {
			root = path[:lastSeparator(path)+1] // it is no directory
			break
		}
		if liesIn(path, r) {
			root = r
			break
		}
	}
	b, err := openBase(nil, u.bases, root)
	return b, below(root, path), err
}

// volume is the root of the file system's tree that a path lies in.
func volume(path string) string {
	return filepath.VolumeName(path) + string(filepath.Separator)
}

func (u *undoer) fail(path string, err error) {
	u.Failed++
	if u.o.Failed != nil {
		u.o.Failed(path, err)
	}
}

func (u *undoer) done(path string) {
	if u.o.Done != nil {
		u.o.Done(path)
	}
}

// makeDir makes a directory again.
func (u *undoer) makeDir(a *Act) {
	base, path, err := u.find(a.Path)
	var st walk.Stat
	switch {
	case err != nil:
	case base.Stat(path, &st) == nil && st.Mode.IsDir():
		u.There++
		return
	case u.o.DryRun:
	default:
		err = base.MakeDir(path, a.Stat.UID, a.Stat.GID, a.Stat.Mode)
	}
	if err != nil {
		u.fail(a.Path, err)
		return
	}
	u.Dirs++
	u.done(a.Path)
}

// back moves a file back.
func (u *undoer) back(a *Act) {
	if a.To == "" {
		u.Removed++
		return
	}
	to, toPath, err := u.find(a.Path)
	var from *walk.Base
	var fromPath string
	if err == nil {
		from, err = openBase(nil, u.bases, volume(a.To))
		fromPath = below(volume(a.To), a.To)
	}
	if err != nil {
		u.fail(a.Path, err)
		return
	}
	u.leave(a)
	isIt := func(b *walk.Base, path string) (bool, error) {
		var st walk.Stat
		err := b.Stat(path, &st)
		return err == nil && st.Ino == a.Stat.Ino && st.Mode.Type() == a.Stat.Mode.Type(), err
	}
	moved, err := isIt(from, fromPath)
	if !moved {
		if home, _ := isIt(to, toPath); home {
			u.There++
			return
		}
		if a.Result == ActInDoubt && errors.Is(err, fs.ErrNotExist) {
			err = errors.New("it is neither here nor where it was to be moved to")
		}
		u.fail(a.Path, cmp.Or(err, fmt.Errorf("%s is another file by now", stats.PathOf(a.To).Printable)))
		return
	}
	if !u.o.DryRun {
		err = from.Move(fromPath, to, toPath)
		if errors.Is(err, fs.ErrNotExist) && strings.Contains(toPath, "/") {
			// Its directory was removed by somebody else.
			if err = to.MakeDirs(toPath[:strings.LastIndexByte(toPath, '/')], 0o755); err == nil {
				err = from.Move(fromPath, to, toPath)
			}
		}
	}
	if err != nil {
		u.fail(a.Path, err)
		return
	}
	u.Restored++
	u.Bytes += a.Stat.Size
	u.done(a.Path)
}
