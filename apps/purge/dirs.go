package purge

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/hydrawalk/hydra/walk"
)

// Which directories are empty when the files that the rule names are gone? No worker
// knows: several share a large directory, and its subdirectories are read by others.
// Each notes what it saw, and after the walk the notes are put together, the deepest
// directories first:
//
//	notes of workers ─► sorted by depth and path ─► one directory after the other
//	                                                 │  goes?          ▲
//	                                                 └► its parent: one subdirectory less
//
// Of a directory there may be any number of notes, also the same ones twice: they are
// joined by or, so work that is done again changes nothing.

// note is what one worker saw of a directory.
type note struct {
	Path []byte `json:"path"`
	Root []byte `json:"root"`
	// Kept: something in it stays that is no directory. Matched: something in it was
	// named by the rule. Old: the directory is as old as the rule wants, and its owner
	// is one that the rule names.
	Kept    bool `json:"kept,omitempty"`
	Matched bool `json:"matched,omitempty"`
	Old     bool `json:"old,omitempty"`
	// Left: all of it was read, nothing was left out, and it lists so many Dirs.
	Left bool       `json:"left,omitempty"`
	Dirs int64      `json:"dirs,omitempty"`
	Stat *walk.Stat `json:"stat,omitempty"` // with Left or Old: what the directory is, if Old when it was entered
	// Done: it was removed already, by a client that died before all were.
	Done bool `json:"done,omitempty"`
}

func (n *note) join(o *note) {
	n.Kept = n.Kept || o.Kept
	n.Matched = n.Matched || o.Matched
	n.Old = n.Old || o.Old
	n.Left = n.Left || o.Left
	n.Done = n.Done || o.Done
	n.Dirs = max(n.Dirs, o.Dirs)
	if len(o.Root) > 0 {
		n.Root = o.Root
	}
	if o.Stat != nil && (n.Stat == nil || o.Old) {
		n.Stat = o.Stat
	}
}

// goes tells whether a directory is empty once so many subdirectories are gone, and
// may be removed: it was emptied, or it was empty before and is old.
func (n *note) goes(gone int64) bool {
	return n.Left && !n.Kept && gone >= n.Dirs && (n.Matched || gone > 0 || n.Old)
}

// planner finds the directories that go.
type planner struct {
	notes *sorter
	buf   []byte
}

func newPlanner(dir string) *planner { return &planner{notes: newSorter(dir)} }

func (p *planner) close() { p.notes.close() }

func (p *planner) add(n *note) error {
	value, err := json.Marshal(n)
	if err != nil {
		return err
	}
	p.buf = appendKey(p.buf[:0], n.Path)
	return p.notes.add(p.buf, value)
}

// appendKey appends what sorts by depth, the deepest first, and then by the names on
// the way: so parents come in the order of their children.
func appendKey(b, path []byte) []byte {
	b = binary.BigEndian.AppendUint32(b, ^uint32(depthOf(path)))
	at := len(b)
	b = append(b, path...)
	for i := at; i < len(b); i++ {
		if os.IsPathSeparator(b[i]) {
			b[i] = 0 // below all that is in names
		}
	}
	return b
}

func depthOf(path []byte) (n int) {
	for _, c := range path {
		if os.IsPathSeparator(c) {
			n++
		}
	}
	return n
}

// plan calls remove for each directory that goes, the deepest first, and level between
// those of one depth and the next ones. remove may say that it stays all the same.
func (p *planner) plan(remove func(n *note) (goes bool, err error), level func() error) error {
	var l levels
	defer l.close()
	l.dir = p.notes.dir
	var at []byte // the key of
	var all note  // what is known of one directory so far
	decide := func() error {
		if at == nil {
			return nil
		}
		gone, err := l.gone(at)
		goes := all.Done
		if err == nil && !goes && all.goes(gone) {
			goes, err = remove(&all)
		}
		if err != nil || !goes {
			return err
		}
		return l.add(appendKey(nil, parentOf(all.Path)))
	}
	depth := uint32(0)
	err := p.notes.all(func(key, value []byte) error {
		if at == nil || !bytes.Equal(at, key) {
			if err := decide(); err != nil {
				return err
			}
			if d := binary.BigEndian.Uint32(key); at == nil || d != depth {
				if at != nil {
					if err := level(); err != nil {
						return err
					}
					if err := l.next(d == depth+1); err != nil {
						return err
					}
				}
				depth = d
			}
			at, all = append(at[:0:0], key...), note{}
		}
		var n note
		if err := json.Unmarshal(value, &n); err != nil {
			return fmt.Errorf("a note of a directory: %w", err)
		}
		all.join(&n)
		all.Path = n.Path
		return nil
	})
	if err == nil {
		err = decide()
	}
	if err == nil {
		err = level()
	}
	return err
}

func parentOf(path []byte) []byte {
	for i := len(path) - 1; i >= 0; i-- {
		if os.IsPathSeparator(path[i]) {
			return path[:i]
		}
	}
	return nil
}

// levels holds the parents of directories that go: those of one depth are written
// while those of the depth below are read, both in order.
type levels struct {
	dir           string
	writing       *os.File // nil: none goes
	w             *bufio.Writer
	reading       *os.File
	r             *bufio.Reader
	parent, empty []byte // that was read last
	ended         bool
}

func (l *levels) close() {
	discard(l.writing)
	discard(l.reading)
}

// add says that a subdirectory of what has this key goes.
func (l *levels) add(parent []byte) (err error) {
	if l.writing == nil {
		if l.writing, err = scratch(l.dir); err != nil {
			return err
		}
		l.w = bufio.NewWriter(l.writing)
	}
	_, err = writePair(l.w, parent, nil)
	return err
}

// next goes up to the next depth. Unless it is the one above, nothing was kept of what
// was written.
func (l *levels) next(above bool) error {
	discard(l.reading)
	l.reading, l.r, l.parent, l.ended = nil, nil, nil, true
	f, w := l.writing, l.w
	l.writing, l.w = nil, nil
	if f == nil {
		return nil
	}
	if !above {
		discard(f)
		return nil
	}
	l.reading, l.ended = f, false
	if err := w.Flush(); err != nil {
		return err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	l.r = bufio.NewReader(f)
	return l.advance()
}

func (l *levels) advance() (err error) {
	l.parent, l.empty, err = readPair(l.r, l.parent, l.empty)
	if errors.Is(err, io.EOF) {
		l.ended = true
		return nil
	}
	return err
}

// gone tells how many subdirectories of what has this key go. Keys have to come in
// order.
func (l *levels) gone(key []byte) (n int64, err error) {
	for l.r != nil && !l.ended && err == nil {
		switch c := bytes.Compare(l.parent, key); {
		case c > 0:
			return n, nil
		case c == 0:
			n++
		}
		err = l.advance()
	}
	return n, err
}

// below is a path relative to its root, with slashes.
func below(root, path string) string {
	path = path[len(root):]
	for len(path) > 0 && os.IsPathSeparator(path[0]) {
		path = path[1:]
	}
	return filepath.ToSlash(path)
}
