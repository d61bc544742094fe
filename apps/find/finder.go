package find

import (
	"context"
	"errors"
	"io/fs"
	"strings"

	"github.com/hydrawalk/hydra"
	"github.com/hydrawalk/hydra/internal/selection"
	"github.com/hydrawalk/hydra/walk"
)

// finder is the handler of one worker.
//
// Directories are looked at where they are listed, so that one that can not be opened is
// found as well; PATH itself where it is entered. So are all others, if nothing is asked of the file system:
// a chunk of a directory is one call. Else they are looked at one by one, where an
// error is one of the entry.
type finder struct {
	w      *hydra.Worker[Settings, Stats]
	match  *selection.Matcher
	filter *filter // nil: there is none
	all    bool    // match matches everything
	names  bool    // nothing needs attributes, or can fail
	attrs  bool    // the format or the order needs attributes
	sized  bool    // the size is known
	format *formatter

	x     found
	stat  walk.Stat // of a root
	buf   []byte    // what was not emitted yet
	fatal error     // of an Emit where no error can be returned
}

// found is an entry that is looked at.
type found struct {
	e     *walk.Entry
	d     *walk.Dir // if e is nil: a root
	typ   fs.FileMode
	depth int
	st    *walk.Stat // nil: not asked for
}

func (x *found) name() string {
	if x.e != nil && x.e.Dir() != nil {
		return x.e.Name()
	}
	path := x.appendPath(nil)
	for len(path) > 1 && path[len(path)-1] == '/' {
		path = path[:len(path)-1]
	}
	name := string(path)
	if i := strings.LastIndexAny(name, separators); i >= 0 && i < len(name)-1 {
		name = name[i+1:]
	}
	return name
}

func (x *found) appendPath(b []byte) []byte {
	if x.e != nil {
		return x.e.AppendPath(b)
	}
	return x.d.AppendPath(b)
}

func newFinder(w *hydra.Worker[Settings, Stats]) (*finder, error) {
	f := &finder{w: w, format: newFormatter(&w.Settings), all: w.Settings.Selection.IsAll()}
	var err error
	if f.match, err = selection.NewMatcher(&w.Settings.Selection); err != nil {
		return nil, err
	}
	if w.Settings.Filter != "" {
		if f.filter, err = newFilter(w.Settings.Filter, w.Settings.AsOf.Time); err != nil {
			return nil, err
		}
	}
	fields := w.Settings.fields()
	f.names = fields == 0 && f.filter == nil
	f.sized = fields&walk.FieldSize != 0
	f.attrs = w.Settings.Format != asText || f.format.keyFields != 0
	return f, nil
}

// emitAt is how much is emitted at once.
const emitAt = 16 << 10

// Filter implements [walk.Filterer]. It keeps all.
func (f *finder) Filter(_ context.Context, _ *walk.Dir, entries []walk.Entry) []walk.Entry {
	for i := range entries {
		e := &entries[i]
		if !f.names && !e.IsDir() {
			continue
		}
		f.x = found{e: e, typ: e.Type(), depth: e.Depth()}
		if err := f.look(); err != nil && !errors.Is(err, fs.ErrNotExist) {
			f.w.Undecided(e.Path(), err)
		}
		if len(f.buf) >= emitAt {
			f.emit()
		}
	}
	f.emit()
	return entries
}

// File implements [walk.Handler].
func (f *finder) File(_ context.Context, e *walk.Entry) error {
	if f.fatal != nil {
		return f.fatal
	}
	if !f.names || e.Dir() == nil {
		f.x = found{e: e, typ: e.Type(), depth: e.Depth()}
		if err := f.look(); err != nil {
			return err
		}
		if f.emit(); f.fatal != nil {
			return f.fatal
		}
	}
	if e.Type() != 0 {
		return walk.SkipFile
	}
	return nil
}

// EnterDir implements [walk.DirHandler].
func (f *finder) EnterDir(_ context.Context, d *walk.Dir) error {
	if f.fatal != nil || d.Depth() > 0 {
		return f.fatal
	}
	f.x = found{d: d, typ: fs.ModeDir}
	if err := f.look(); err != nil {
		f.w.Undecided(d.Path(), err)
	}
	f.emit()
	return f.fatal
}

// LeaveDir implements [walk.DirHandler].
func (f *finder) LeaveDir(context.Context, *walk.Dir) error { return f.fatal }

// look adds the entry at hand to buf if it is meant.
func (f *finder) look() error {
	x := &f.x
	if !f.all {
		ok, err := f.matches()
		if err != nil || !ok {
			return err
		}
	}
	if f.filter != nil {
		if f.filter.fields != 0 {
			if err := f.attributes(); err != nil {
				return err
			}
		}
		ok, err := f.filter.matches(x)
		if err != nil || !ok {
			return err
		}
	}
	if f.attrs {
		if err := f.attributes(); err != nil {
			return err
		}
	}
	s := f.w.Stats
	s.Matched.Inc()
	switch x.typ {
	case 0:
		s.Files.Inc()
		if f.sized {
			if err := f.attributes(); err == nil {
				s.Bytes.Add(x.st.Size)
			}
		}
	case fs.ModeDir:
		s.Dirs.Inc()
	case fs.ModeSymlink:
		s.Symlinks.Inc()
	default:
		s.Others.Inc()
	}
	f.buf = f.format.append(f.buf, x)
	return nil
}

func (f *finder) matches() (bool, error) {
	if f.x.e == nil {
		return f.match.MatchDir(f.x.d)
	}
	return f.match.Match(f.x.e)
}

// attributes reads them, unless that was done.
func (f *finder) attributes() error {
	x := &f.x
	if x.st != nil {
		return nil
	}
	if x.e == nil {
		if err := x.d.StatInto(&f.stat); err != nil {
			return err
		}
		x.st = &f.stat
		return nil
	}
	st, err := x.e.Stat()
	if err != nil {
		return err
	}
	x.st, x.typ = st, x.e.Type()
	return nil
}

// emit emits what was found. An error is returned where that is possible.
func (f *finder) emit() {
	if len(f.buf) == 0 {
		return
	}
	if err := f.w.Emit(f.buf); err != nil && f.fatal == nil {
		f.fatal = err
	}
	f.buf = f.buf[:0]
}
