package exec

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/hydrawalk/hydra"
	"github.com/hydrawalk/hydra/internal/report"
	"github.com/hydrawalk/hydra/walk"
)

// sinks are where the output of one command goes.
type sinks struct {
	stdout, stderr head

	out, err *os.File // not nil: files of --output-dir
	errName  string
	dir      *outputDir
}

// head keeps the first bytes that are written, and counts all.
type head struct {
	most int

	mu   sync.Mutex
	kept []byte
	all  int64
}

func (h *head) Write(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.all += int64(len(p))
	h.kept = append(h.kept, p[:min(len(p), h.most-len(h.kept))]...)
	return len(p), nil
}

// take returns what was written until now. A command that hangs may write more.
func (h *head) take() (kept []byte, all int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.kept), h.all
}

func (h *handler) openSinks(c *Settings, t *target) (*sinks, error) {
	s := &sinks{stdout: head{most: int(c.MaxOutput)}, stderr: head{most: mostStderr}, dir: h.files}
	if h.files == nil {
		return s, nil
	}
	name := fileName(t.paths)
	s.errName = name + ".err"
	var err error
	if s.out, err = h.files.create(name + ".out"); err != nil {
		return nil, err
	}
	if s.err, err = h.files.create(s.errName); err != nil {
		s.out.Close()
		return nil, err
	}
	return s, nil
}

func (s *sinks) attach(cmd *exec.Cmd) {
	if s.out != nil {
		cmd.Stdout, cmd.Stderr = s.out, s.err
		return
	}
	cmd.Stdout, cmd.Stderr = &s.stdout, &s.stderr
}

// collect notes what was written, and closes what is open.
func (s *sinks) collect(o *outcome) {
	if s.out == nil {
		o.stdout, o.written = s.stdout.take()
		o.cut = o.written > int64(len(o.stdout))
		o.stderr, _ = s.stderr.take()
		return
	}
	if fi, err := s.out.Stat(); err == nil {
		o.written = fi.Size()
	}
	buf := make([]byte, mostStderr)
	n, _ := s.err.ReadAt(buf, 0) // what is missing was not written
	o.stderr = buf[:n]
	err := errors.Join(s.out.Close(), s.err.Close())
	if n == 0 {
		if removed := s.dir.root.Remove(s.errName); !errors.Is(removed, os.ErrNotExist) {
			err = errors.Join(err, removed)
		}
	}
	if err != nil && !o.stopped {
		o.lost = errors.Join(o.lost, err)
	}
}

// outputDir is where --output-dir writes.
type outputDir struct {
	root *os.Root
	info os.FileInfo
	as   *hydra.Account // whose files they are; nil: those of this process

	within *walk.Within // it lies in this directory, as all does; nil: no bound
}

// holds tells whether a directory is this one: no command runs for what commands have
// written.
func (d *outputDir) holds(dir *walk.Dir) (bool, error) {
	if d == nil {
		return false, nil
	}
	st, err := dir.Stat()
	if err != nil {
		return false, err
	}
	return sameDir(d.info, st), nil
}

// refuse is the error of a PATH that lies in this directory, or is it.
func (d *outputDir) refuse(path string) error {
	if d == nil {
		return nil
	}
	if d.within.Path() == "" {
		// Of a directory with a bound the name may be another one by now.
		var err error
		if path, err = filepath.EvalSymlinks(path); err != nil {
			return err
		}
	}
	for {
		fi, err := d.within.Stat(path)
		if err != nil {
			return err
		}
		if os.SameFile(fi, d.info) {
			return errors.New("it lies in the directory of --output-dir")
		}
		above := filepath.Dir(path)
		if above == path || d.within.Check(above) != nil {
			return nil
		}
		path = above
	}
}

// openOutputDir opens the directory, which is made if it is missing. Who may only run
// commands as somebody else shall not have files written where that one could not.
func openOutputDir(within *walk.Within, dir string, as *hydra.Account) (*outputDir, error) {
	if err := makeOutputDir(within, dir, as); err != nil {
		return nil, err
	}
	root, err := within.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	fi, err := root.Stat(".")
	if err != nil {
		return nil, errors.Join(err, root.Close())
	}
	if as != nil && !ownedBy(fi, as.UID) {
		return nil, errors.Join(fmt.Errorf("%s does not belong to %s, as whom commands run here: name a directory that does", dir, as.Name), root.Close())
	}
	return &outputDir{root, fi, as, within}, nil
}

// create makes a file of its own: whatever has its name is removed, so that nothing
// is written through a link.
func (d *outputDir) create(name string) (*os.File, error) {
	if err := d.root.Remove(name); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	f, err := d.root.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil || d.as == nil {
		return f, err
	}
	if err := f.Chown(int(d.as.UID), int(d.as.GID)); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// makeOutputDir makes the directory, with the rights of who runs commands.
func makeOutputDir(within *walk.Within, dir string, as *hydra.Account) error {
	if as == nil {
		return within.MkdirAll(dir, 0o700)
	}
	if _, err := within.Stat(dir); err == nil {
		return nil
	}
	cmd := exec.Command("mkdir", "-p", "-m", "0700", "--", dir)
	cmd.Env = as.Environ()
	as.Set(cmd)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s can not be made by %s: %w: %s", dir, as.Name, err, bytes.TrimSpace(out))
	}
	return nil
}

// longestName is the longest name of a file, without its end.
const longestName = 200

// fileName is the name of a file for the output of a command: its first path, with all
// that is not plain as %XX. A long one is cut and has a hash of the paths.
func fileName(paths []string) string {
	path := strings.TrimPrefix(paths[0], "/")
	var b strings.Builder
	for i := range len(path) {
		switch c := path[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '_', c == '-' && i > 0, c == '.' && i > 0:
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	if len(paths) == 1 && 0 < b.Len() && b.Len() <= longestName {
		return b.String()
	}
	sum := sha256.New()
	for _, p := range paths {
		io.WriteString(sum, p+"\x00")
	}
	name := b.String()
	return name[:min(len(name), longestName-20)] + "~" + hex.EncodeToString(sum.Sum(nil)[:8])
}

// tag puts a tag before each line of the output of a command, which are whole ones then,
// if that is wanted. Also with tags it is at most as long as output may be: a line may be
// nothing but a tag.
func (o *outcome) tag(c *Settings, t *target) {
	if len(o.stdout) == 0 || !c.Tag {
		return
	}
	if o.stdout[len(o.stdout)-1] != '\n' {
		o.stdout = append(o.stdout, '\n')
	}
	tag := report.Printable(t.paths[0]) + "\t"
	var b bytes.Buffer
	for line := range bytes.Lines(o.stdout) {
		if b.Len() > 0 && b.Len()+len(tag)+len(line) > int(c.MaxOutput) {
			o.cut = true
			break
		}
		b.WriteString(tag)
		b.Write(line)
	}
	o.stdout = b.Bytes()
}
