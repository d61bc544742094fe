package check

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/hydrawalk/hydra/stats"
	"github.com/hydrawalk/hydra/walk"
)

// Which files have names below several PATHs is known only when all names were seen, by
// whichever client. Each name of a file that has several is counted under what tells the
// file, and emitted as a candidate; counts and candidates of the same files are kept, and
// compared at the end.

// mostLinked is how many files with several names are compared: those with the lowest
// identities, which are hashes, so that all keep the same ones.
const mostLinked = 1 << 16

// identity tells a file with several names. The same file may be on another device on
// another host, so that is not part of it; its times to the nanosecond are, and no other
// file has these and the same inode.
type identity [16]byte

func identityOf(st *walk.Stat) (id identity) {
	var b [56]byte
	for i, n := range []uint64{st.Ino, st.Nlink, uint64(st.Size), uint64(st.Mtime.Sec), uint64(st.Ctime.Sec), uint64(st.Mtime.Nsec), uint64(st.Ctime.Nsec)} {
		binary.BigEndian.PutUint64(b[8*i:], n)
	}
	sum := sha256.Sum256(b[:])
	copy(id[:], sum[:])
	return id
}

func (a identity) compare(b identity) int { return bytes.Compare(a[:], b[:]) }

// linked notes a name of a file that has several.
func (c *checker) linked(e *walk.Entry, st *walk.Stat) {
	id := identityOf(st)
	if !c.stats.Links.add(id, e.Root()) {
		return
	}
	c.write(e, &finding{Kind: candidate, Check: hardLink.String(), ID: id[:], Root: []byte(e.Root())})
	if len(c.stats.Links.files) >= mostLinked/4 && c.err == nil {
		c.err = c.commit(nil) // it bounds what a worker holds
	}
}

// Links are the files with several names that were met, and the lowest and the highest of
// the PATHs below which they were. Of too many files some are left out.
type Links struct {
	files map[identity]span
	over  bool // some were left out
}

type span struct{ low, high string }

// add counts a name of a file below a root. False: the file is left out.
func (l *Links) add(id identity, root string) bool {
	if l.files == nil {
		l.files = map[identity]span{}
	}
	l.merge(id, span{root, root})
	if len(l.files) > 2*mostLinked {
		l.shrink()
	}
	_, kept := l.files[id]
	return kept
}

func (l *Links) merge(id identity, s span) {
	if was, ok := l.files[id]; ok {
		s.low, s.high = min(s.low, was.low), max(s.high, was.high)
	}
	l.files[id] = s
}

// shrink leaves the lowest mostLinked.
func (l *Links) shrink() {
	if len(l.files) <= mostLinked {
		return
	}
	for _, id := range l.sorted()[mostLinked:] {
		delete(l.files, id)
	}
	l.over = true
}

func (l *Links) sorted() []identity {
	ids := make([]identity, 0, len(l.files))
	for id := range l.files {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, identity.compare)
	return ids
}

// MergeValue implements [stats.Value].
func (l *Links) MergeValue(from stats.Value) error {
	o, ok := from.(*Links)
	if !ok {
		return fmt.Errorf("a %T does not merge with a %T", from, l)
	}
	if l.files == nil && len(o.files) > 0 {
		l.files = make(map[identity]span, len(o.files))
	}
	for id, s := range o.files {
		l.merge(id, s)
	}
	l.over = l.over || o.over
	l.shrink()
	return nil
}

// Equal tells whether two are the same.
func (l Links) Equal(o Links) bool {
	a, _ := l.MarshalJSON()
	b, _ := o.MarshalJSON()
	return bytes.Equal(a, b)
}

// IsZero leaves it out of JSON when there is nothing.
func (l Links) IsZero() bool { return len(l.files) == 0 && !l.over }

type linksJSON struct {
	Over  bool       `json:"left_out"`
	Roots [][]byte   `json:"paths"` // sorted
	Files []linkJSON `json:"files"` // sorted
}

type linkJSON struct {
	ID        []byte `json:"id"`
	Low, High int    // of the paths
}

// MarshalJSON implements [json.Marshaler].
func (l Links) MarshalJSON() ([]byte, error) {
	l.shrinkCopy()
	var names []string
	for _, s := range l.files {
		for _, root := range []string{s.low, s.high} {
			if i, ok := slices.BinarySearch(names, root); !ok {
				names = slices.Insert(names, i, root)
			}
		}
	}
	out := linksJSON{Over: l.over, Roots: [][]byte{}, Files: []linkJSON{}}
	for _, name := range names {
		out.Roots = append(out.Roots, []byte(name))
	}
	for _, id := range l.sorted() {
		s := l.files[id]
		low, _ := slices.BinarySearch(names, s.low)
		high, _ := slices.BinarySearch(names, s.high)
		out.Files = append(out.Files, linkJSON{id[:], low, high})
	}
	return json.Marshal(out)
}

// shrinkCopy is shrink for a copy, whose map is another's.
func (l *Links) shrinkCopy() {
	if len(l.files) <= mostLinked {
		return
	}
	files := make(map[identity]span, mostLinked)
	for _, id := range l.sorted()[:mostLinked] {
		files[id] = l.files[id]
	}
	l.files, l.over = files, true
}

// UnmarshalJSON implements [json.Unmarshaler].
func (l *Links) UnmarshalJSON(data []byte) error {
	var in linksJSON
	if err := json.Unmarshal(data, &in); err != nil {
		return err
	}
	*l = Links{over: in.Over}
	for _, f := range in.Files {
		if len(f.ID) != len(identity{}) || f.Low < 0 || f.High < f.Low || f.High >= len(in.Roots) {
			return errors.New("a file with several names makes no sense")
		}
		if l.files == nil {
			l.files = map[identity]span{}
		}
		l.files[identity(f.ID)] = span{string(in.Roots[f.Low]), string(in.Roots[f.High])}
	}
	return nil
}

// compare counts the files that have names below several roots, when all statistics are
// merged, and forgets them.
func (s *Stats) compare() {
	s.Links.shrink()
	for _, f := range s.Links.files {
		if f.low != f.high {
			s.HardLink.Inc()
		}
	}
	if s.Links.over {
		s.LeftOut.See(1)
	}
	s.Links = Links{}
}

// joiner makes findings of candidates.
type joiner struct {
	files map[identity]*joined
}

// joined is a file: its first name, and the first one below another root. The first is
// that of the lowest root, and there the lowest.
type joined struct {
	first, other *finding
}

func before(a, b *finding) int {
	return cmp.Or(bytes.Compare(a.Root, b.Root), cmp.Compare(a.Path.String(), b.Path.String()))
}

func (j *joiner) add(f *finding) error {
	if len(f.ID) != len(identity{}) {
		return errors.New("a candidate for a hard link makes no sense")
	}
	id := identity(f.ID)
	if j.files == nil {
		j.files = map[identity]*joined{}
	}
	w := j.files[id]
	if w == nil {
		w = &joined{}
		j.files[id] = w
	}
	// Of each root only the first name matters.
	for _, g := range []*finding{w.first, w.other} {
		if g != nil && bytes.Equal(g.Root, f.Root) {
			if before(f, g) < 0 {
				*g = *f
			}
			return nil
		}
	}
	switch {
	case w.first == nil:
		w.first = f
	case before(f, w.first) < 0:
		w.first, w.other = f, w.first
	case w.other == nil || before(f, w.other) < 0:
		w.other = f
	}
	if len(j.files) > 2*mostLinked {
		j.shrink()
	}
	return nil
}

// sorted are the identities of the files that are counted too.
func (j *joiner) sorted() []identity {
	ids := make([]identity, 0, len(j.files))
	for id := range j.files {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, identity.compare)
	return ids
}

func (j *joiner) shrink() {
	if ids := j.sorted(); len(ids) > mostLinked {
		for _, id := range ids[mostLinked:] {
			delete(j.files, id)
		}
	}
}

// findings are those of all candidates, by path.
func (j *joiner) findings() (fs []*finding) {
	j.shrink()
	for _, w := range j.files {
		if w.other == nil {
			continue
		}
		f := *w.first
		f.ID, f.Root, f.Kind = nil, nil, kinds[hardLink].by
		f.Detail = "has another name below " + printable(w.other.Root)
		f.setOther(w.other.Path.String())
		fs = append(fs, &f)
	}
	slices.SortFunc(fs, func(a, b *finding) int { return cmp.Compare(a.Path.String(), b.Path.String()) })
	return fs
}
