package check

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/hydrawalk/hydra/internal/report"
	"github.com/hydrawalk/hydra/stats"
	"github.com/hydrawalk/hydra/walk"
)

// checker checks for one worker.
//
// Names are checked in Filter, which sees all of a directory, subdirectories too, and
// those of a group at once. What else a file is, File looks at.
type checker struct {
	on     set
	limits Limits
	target []byte // nil: paths stay as they are
	look   class  // of bytes
	stat   bool   // attributes are needed

	stats  *Stats
	emit   func([]byte) error
	commit func(func(*Stats)) error
	err    error // that Filter could not return

	dir    measure // of the directory at hand
	table  table
	alike  []pair
	key    []byte
	path   []byte
	line   bytes.Buffer
	lister resolver
}

// measure is how long paths of a directory are, with a separator behind them.
type measure struct {
	bytes, units       int // as they are
	newBytes, newUnits int // at the target
	key                int // below the root, in bytes
}

func newChecker(s *Settings, st *Stats, emit func([]byte) error, commit func(func(*Stats)) error) (*checker, error) {
	on, err := kindsOf("checks", s.Checks)
	if err != nil {
		return nil, err // of another version
	}
	return &checker{
		on: on, limits: s.Limits, target: s.TargetPrefix, look: interest(on),
		stat:  on&setOf(fileSize, sparse, hardLink) != 0,
		stats: st, emit: emit, commit: commit,
	}, nil
}

// Filter checks the names of a directory, or of whole groups of a large one. It keeps
// all.
func (c *checker) Filter(_ context.Context, d *walk.Dir, entries []walk.Entry) []walk.Entry {
	c.measure(d)
	c.stats.Names.Add(int64(len(entries)))
	for i := range entries {
		c.name(&entries[i], entries[i].NameBytes())
	}
	if c.on.has(caseDupe) || c.on.has(normalization) {
		c.collisions(entries)
	}
	return entries
}

// Flush implements [walk.Flusher].
func (c *checker) Flush(context.Context) error { return c.err }

// File looks at what is no directory.
func (c *checker) File(_ context.Context, e *walk.Entry) error {
	if c.err != nil {
		return c.err
	}
	if e.Dir() == nil {
		// A PATH that is no directory: nobody was asked to look at its name.
		c.dir = measure{}
		c.root(e, e.Root())
	}
	err := c.file(e)
	if c.err != nil {
		return c.err
	}
	return err
}

// EnterDir implements [walk.DirHandler]: it checks the name of a PATH.
func (c *checker) EnterDir(_ context.Context, d *walk.Dir) error {
	if d.Depth() == 0 && !d.MeansInside() {
		c.root(directory{d}, d.Root())
	}
	return c.err
}

// LeaveDir implements [walk.DirHandler].
func (c *checker) LeaveDir(context.Context, *walk.Dir) error { return nil }

// root checks the name of a PATH as if a directory had listed it.
func (c *checker) root(it named, path string) {
	name := path[strings.LastIndexAny(path, separators)+1:]
	if name == "" || name == "." || name == ".." {
		return
	}
	c.stats.Names.Inc()
	c.spelling(it, []byte(name))
}

// named is what has a name: an entry, or a directory that is a PATH.
type named interface {
	Path() string
	Type() fs.FileMode
}

type directory struct{ *walk.Dir }

func (directory) Type() fs.FileMode { return fs.ModeDir }

func (c *checker) file(e *walk.Entry) error {
	switch t := e.Type(); {
	case t&fs.ModeSymlink != 0:
		return c.symlink(e)
	case t != 0:
		if c.on.has(special) {
			c.find(special, e, finding{Detail: typeName(t)})
		}
		return walk.SkipFile
	case !c.stat:
		return nil
	}
	st, err := e.Stat()
	if err != nil {
		return err
	}
	if e.Type() != 0 {
		return c.file(e) // it was replaced since it was listed
	}
	if c.on.has(fileSize) && c.limits.Size > 0 && st.Size > c.limits.Size {
		c.find(fileSize, e, finding{Detail: report.Size(st.Size), Value: st.Size, Limit: c.limits.Size})
	}
	const known = walk.FieldBlocks | walk.FieldSize
	if more := st.Size - st.Allocated(); c.on.has(sparse) && st.Known&known == known && more > c.limits.Inflation && st.Allocated() < st.Size/2 {
		c.find(sparse, e, finding{Detail: fmt.Sprintf("%s that occupy %s", report.Size(st.Size), report.Size(st.Allocated())), Value: more, Limit: c.limits.Inflation})
	}
	if c.on.has(hardLink) && st.Nlink > 1 && st.Known&walk.FieldIno != 0 {
		c.linked(e, st)
	}
	return nil
}

// measure measures the path of a directory.
func (c *checker) measure(d *walk.Dir) {
	c.path = d.AppendPath(c.path[:0])
	root := len(d.Root())
	c.dir = c.measured(c.path, root)
}

// measured measures a path that is to be followed by a name. A root may end with a
// separator.
func (c *checker) measured(path []byte, root int) (m measure) {
	below := bytes.TrimLeft(path[min(root, len(path)):], separators)
	m.bytes, m.units = len(path), units(path)
	if n := len(path); n > 0 && !isSeparator(path[n-1]) {
		m.bytes, m.units = m.bytes+1, m.units+1
	}
	m.key = len(below)
	if len(below) > 0 {
		m.key++
	}
	if c.target == nil {
		return m
	}
	m.newBytes, m.newUnits = len(c.target)+m.key, units(c.target)+units(below)+m.key-len(below)
	if last := c.target[len(c.target)-1]; last != '/' && last != '\\' {
		m.newBytes, m.newUnits = m.newBytes+1, m.newUnits+1
	}
	// A key does not begin with a slash.
	m.key = m.newBytes - (len(c.target) - len(bytes.TrimLeft(c.target, "/")))
	return m
}

const separators = "/" + string(os.PathSeparator)

func isSeparator(b byte) bool { return b == '/' || b == os.PathSeparator }

// name checks one name. It is the hot path: a clean name costs no allocation.
func (c *checker) name(e *walk.Entry, name []byte) {
	c.spelling(e, name)
	l := &c.limits
	if c.on.has(pathLength) {
		if c.target != nil {
			c.tooLong(pathLength, targetLength, e, c.dir.newBytes, c.dir.newUnits, name, l.PathBytes, l.PathUnits)
		} else {
			c.tooLong(pathLength, kinds[pathLength].by, e, c.dir.bytes, c.dir.units, name, l.PathBytes, l.PathUnits)
		}
	}
	if c.on.has(keyLength) {
		c.tooLong(keyLength, kinds[keyLength].by, e, c.dir.key, 0, name, l.KeyBytes, 0)
	}
}

// spelling checks a name wherever it stands.
func (c *checker) spelling(e named, name []byte) {
	n := len(name)
	var m class
	for _, b := range name {
		m |= classes[b]
	}
	m &= c.look
	if m != 0 {
		c.chars(e, name, m)
	}
	if ends(name[0], name[n-1]) {
		c.ends(e, name)
	}
	if c.on.has(windowsReserved) {
		if base := reservedBase(name); base != nil {
			c.find(windowsReserved, e, finding{Detail: string(base)})
		}
	}
	if c.on.has(nameLength) {
		c.tooLong(nameLength, kinds[nameLength].by, e, 0, 0, name, c.limits.NameBytes, c.limits.NameUnits)
	}
}

// chars tells of the bytes and characters in a name, of which there are some of the
// classes m.
func (c *checker) chars(e named, name []byte, m class) {
	tell := func(k kind, l list) {
		if l.n > 0 && c.on.has(k) {
			c.find(k, e, finding{Detail: l.String(), Value: int64(l.n)})
		}
	}
	if m&classHigh != 0 {
		if bad := badBytes(name); bad.n > 0 && c.on.has(encoding) {
			by := kinds[encoding].by
			if e.Type().IsDir() {
				by = pathEncoding
			}
			c.findAs(encoding, by, e, finding{Detail: bad.String(), Value: int64(bad.n)})
		}
		tell(bidi, runesOf(name, isBidi))
		tell(invisible, runesOf(name, hides(name)))
	}
	if m&(classControl|classHigh) != 0 {
		tell(control, runesOf(name, isControl))
	}
	if m&classWindows != 0 {
		tell(windowsChars, asciiOf(name, classWindows))
	}
	if m&classMac != 0 {
		tell(macChars, asciiOf(name, classMac))
	}
	if m&classS3 != 0 {
		tell(s3Chars, asciiOf(name, classS3))
	}
	if m&classPosix != 0 {
		l := runesOf(name, func(r rune, at, _ int) bool { return r >= 0x80 || classes[name[at]]&classPosix != 0 })
		for _, b := range badBytes(name).seen {
			l.seen, l.n = append(l.seen, b), l.n+1
		}
		tell(posixChars, l)
	}
}

// ends tells of the ends of a name.
func (c *checker) ends(e named, name []byte) {
	if c.on.has(leadingDash) && name[0] == '-' {
		c.find(leadingDash, e, finding{})
	}
	if c.on.has(leadingBlank) && beginsBlank(name) {
		c.find(leadingBlank, e, finding{})
	}
	if c.on.has(trailingBlank) && endsBlank(name) {
		c.find(trailingBlank, e, finding{})
	}
	if c.on.has(trailingDot) && name[len(name)-1] == '.' {
		c.find(trailingDot, e, finding{})
	}
}

// tooLong tells of a name that stands behind so many bytes and units.
func (c *checker) tooLong(k kind, by string, e named, bytesBefore, unitsBefore int, name []byte, mostBytes, mostUnits int) {
	if n := bytesBefore + len(name); mostBytes > 0 && n > mostBytes {
		c.findAs(k, by, e, finding{Detail: fmt.Sprint(n, " bytes"), Value: int64(n), Limit: int64(mostBytes)})
		return
	}
	if mostUnits == 0 || unitsBefore+len(name) <= mostUnits {
		return // no name has more units than bytes
	}
	if n := unitsBefore + units(name); n > mostUnits {
		c.findAs(k, by, e, finding{Detail: fmt.Sprint(n, " units of UTF-16"), Value: int64(n), Limit: int64(mostUnits)})
	}
}

// finding is one problem, as a line of the output has it.
type finding struct {
	Kind   string `json:"kind"`  // the counter that counts it
	Check  string `json:"check"` // as --check names it
	Type   string `json:"type"`  // of what has the problem
	Detail string `json:"detail,omitempty"`
	Value  int64  `json:"value,omitempty"` // how long, how large, how many
	Limit  int64  `json:"limit,omitempty"` // that it exceeds
	stats.Path
	OtherPath  string `json:"other_path,omitempty"` // what it collides with, or the other name of the file
	OtherBytes []byte `json:"other_path_b64,omitempty"`
	Target     string `json:"target,omitempty"` // of a symbolic link
	TargetB64  []byte `json:"target_b64,omitempty"`

	// Of a candidate:
	ID   []byte `json:"id,omitempty"`
	Root []byte `json:"root,omitempty"`

	other *walk.Entry
}

func (f *finding) setOther(path string) {
	p := stats.PathOf(path)
	f.OtherPath, f.OtherBytes = p.Printable, p.Bytes
}

func (f *finding) setTarget(target string) {
	p := stats.PathOf(target)
	f.Target, f.TargetB64 = p.Printable, p.Bytes
}

// find counts a problem and tells where it is.
func (c *checker) find(k kind, e named, f finding) { c.findAs(k, kinds[k].by, e, f) }

// findAs is find for kinds that are counted apart.
func (c *checker) findAs(k kind, by string, e named, f finding) {
	c.stats.of(by).Inc()
	f.Kind, f.Check = by, k.String()
	c.write(e, &f)
}

func (c *checker) write(e named, f *finding) {
	f.Type = typeName(e.Type())
	f.Path = stats.PathOf(e.Path())
	if f.other != nil {
		f.setOther(f.other.Path())
	}
	c.line.Reset()
	enc := json.NewEncoder(&c.line)
	enc.SetEscapeHTML(false)
	err := enc.Encode(f)
	if err == nil {
		err = c.emit(c.line.Bytes())
	}
	if err != nil && c.err == nil {
		c.err = walk.Fatal(err)
	}
}

func typeName(t fs.FileMode) string {
	switch {
	case t == 0:
		return "file"
	case t.IsDir():
		return "dir"
	case t&fs.ModeSymlink != 0:
		return "symlink"
	case t&fs.ModeNamedPipe != 0:
		return "fifo"
	case t&fs.ModeSocket != 0:
		return "socket"
	case t&fs.ModeCharDevice != 0:
		return "character device"
	case t&fs.ModeDevice != 0:
		return "block device"
	}
	return "other"
}
