package selection

import (
	"io/fs"
	"time"

	"github.com/hydrawalk/hydra"
	"github.com/hydrawalk/hydra/walk"
)

// Matcher decides for one worker, with a selection that was prepared. Only one goroutine
// may use it.
type Matcher struct {
	types  uint16 // bits by kind; 0: all
	globs  *hydra.Globs
	fields walk.Fields // 0: nothing is asked of the file system

	sizes          Sizes
	owners, groups Owners
	times          []func(*walk.Stat) (walk.Time, bool)
	before, after  walk.Time // the bounds of a time, strictly
	old, young     bool      // they apply

	stat walk.Stat // of directories
}

// NewMatcher makes a Matcher of a selection.
func NewMatcher(s *Selection) (*Matcher, error) {
	m := &Matcher{
		fields: s.Fields(), sizes: s.Sizes, owners: s.Owners, groups: s.Groups,
		old: s.OlderThan > 0, young: s.NewerThan > 0,
	}
	if len(s.Names) > 0 {
		var err error
		if m.globs, err = hydra.NewGlobs(s.Names.texts()); err != nil {
			return nil, err
		}
	}
	for i := range len(s.Types) {
		m.types |= 1 << kind(typeOf[s.Types[i]])
	}
	if len(s.Sizes) > 0 {
		only := uint16(1) << kind(0)
		if m.types == 0 {
			m.types = only
		}
		if m.types &= only; m.types == 0 {
			m.types = 1 << noKind // nothing at all
		}
	}
	if s.ages() {
		for _, word := range s.times() {
			m.times = append(m.times, timeOf[word])
		}
	}
	m.before = timeAt(s.AsOf.Time, time.Duration(s.OlderThan))
	m.after = timeAt(s.AsOf.Time, time.Duration(s.NewerThan))
	return m, nil
}

func timeAt(asOf time.Time, age time.Duration) walk.Time {
	t := asOf.Add(-age)
	return walk.Time{Sec: t.Unix(), Nsec: uint32(t.Nanosecond())}
}

// timeOf reads times, and tells whether the file system knows them.
var timeOf = map[string]func(*walk.Stat) (walk.Time, bool){
	"mtime": func(st *walk.Stat) (walk.Time, bool) { return st.Mtime, st.Known&walk.FieldMtime != 0 },
	"atime": func(st *walk.Stat) (walk.Time, bool) { return st.Atime, st.Known&walk.FieldAtime != 0 },
	"ctime": func(st *walk.Stat) (walk.Time, bool) { return st.Ctime, st.Known&walk.FieldCtime != 0 },
	"btime": func(st *walk.Stat) (walk.Time, bool) { return st.Btime, st.Known&walk.FieldBtime != 0 },
}

// noKind is a kind that no entry has.
const noKind = 15

// kind numbers the types of entries.
func kind(t fs.FileMode) uint {
	switch t {
	case 0:
		return 0
	case fs.ModeDir:
		return 1
	case fs.ModeSymlink:
		return 2
	case fs.ModeNamedPipe:
		return 3
	case fs.ModeSocket:
		return 4
	case fs.ModeDevice:
		return 5
	case fs.ModeDevice | fs.ModeCharDevice:
		return 6
	}
	return 7
}

// Match tells whether an entry is meant. The error is that of its Stat, which is not called
// unless it has to be.
func (m *Matcher) Match(e *walk.Entry) (bool, error) {
	if m.types != 0 && m.types>>kind(e.Type())&1 == 0 || m.globs != nil && !m.globs.Match(e) {
		return false, nil
	}
	if m.fields == 0 {
		return true, nil
	}
	st, err := e.Stat()
	if err != nil {
		return false, err
	}
	// The listing may have been wrong about the type.
	if m.types != 0 && m.types>>kind(e.Type())&1 == 0 {
		return false, nil
	}
	return m.holds(st), nil
}

// MatchDir is Match for a directory that a handler enters.
func (m *Matcher) MatchDir(d *walk.Dir) (bool, error) {
	if m.types != 0 && m.types>>kind(fs.ModeDir)&1 == 0 || m.globs != nil && !m.globs.MatchDir(d) {
		return false, nil
	}
	if m.fields == 0 {
		return true, nil
	}
	if err := d.StatInto(&m.stat); err != nil {
		return false, err
	}
	return m.holds(&m.stat), nil
}

// Holds is Match for attributes of what matched before, as they are by now: its name and
// type are the same.
func (m *Matcher) Holds(st *walk.Stat) bool { return m.fields == 0 || m.holds(st) }

// holds tells whether attributes are as they are asked for. What the file system does not
// know is not.
func (m *Matcher) holds(st *walk.Stat) bool {
	for i := range m.sizes {
		if st.Known&walk.FieldSize == 0 || !m.sizes[i].matches(st.Size) {
			return false
		}
	}
	if len(m.owners) > 0 && (st.Known&walk.FieldUID == 0 || !m.owners.has(st.UID)) {
		return false
	}
	if len(m.groups) > 0 && (st.Known&walk.FieldGID == 0 || !m.groups.has(st.GID)) {
		return false
	}
	if m.times == nil {
		return true
	}
	for _, of := range m.times {
		t, known := of(st)
		if known && (!m.old || less(t, m.before)) && (!m.young || less(m.after, t)) {
			return true
		}
	}
	return false
}

func less(a, b walk.Time) bool { return a.Sec < b.Sec || a.Sec == b.Sec && a.Nsec < b.Nsec }
