package purge

import (
	"context"
	"errors"
	"io/fs"

	"github.com/hydrawalk/hydra"
	"github.com/hydrawalk/hydra/stats"
	"github.com/hydrawalk/hydra/walk"
)

// What is done, as it stands in the records.
const (
	opRemove = walk.OpRemove
	opMove   = walk.OpMove
	opRmdir  = "rmdir"
)

// purger looks at files for one worker, and deletes them.
type purger struct {
	*hydra.Worker[Settings, Stats]
	rule *rule
	note func(any) error // Worker.Note
	to   *quarantine     // nil: files are deleted

	homes   []string // of the user
	guarded string   // the root that was looked at last: see guard
	at      place
	stat    walk.Stat // a buffer
	failed  error     // of a note
}

// place is the directory that is looked at, and what was seen of it that nobody else
// knows yet. It is kept while its path costs nothing: as long as d is the same one.
type place struct {
	d    *walk.Dir
	note note
}

// File looks at one entry.
func (p *purger) File(ctx context.Context, e *walk.Entry) error {
	d := e.Dir()
	if err := p.guard(d); err != nil {
		return err
	}
	if e.Type() != 0 {
		return p.special(e)
	}
	st, err := e.Stat()
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			p.see(d).Kept = true
		}
		return err
	}
	if e.Type() != 0 {
		return p.special(e) // it was replaced since it was listed
	}
	means, err := p.rule.names(e)
	if err != nil {
		return err
	}
	if !means {
		p.Stats.scan(st)
		p.see(d).Kept = true
		return p.failed
	}
	p.see(d).Matched = true
	op, to := opRemove, ""
	if p.Settings.Quarantine.String() != "" {
		op, to = opMove, p.Settings.place(p.Job, e.Path())
	}
	if p.Settings.Purge {
		// Counted when it is done: who does it may not be who planned it.
		return errors.Join(p.failed, p.Plan(ctx, e, op, to))
	}
	a := &hydra.Act{Op: op, Stat: *st, Result: hydra.ActDone}
	acted(p.Stats, a)
	_ = p.Record(wouldBe{op, stats.PathOf(e.Path()), st.Size, st.UID, st.Mtime.Time()}) // what is lost is told
	return p.failed
}

// wouldBe is the record of what a dry run would do.
type wouldBe struct {
	Op string `json:"would"`
	stats.Path
	Size  int64  `json:"size"`
	UID   uint32 `json:"uid"`
	Mtime any    `json:"mtime"`
}

// guard ends the walk before anything below a root is deleted that is not to be. A root
// that is a file is none of those; its directory is nil.
func (p *purger) guard(d *walk.Dir) error {
	if d == nil || d.Root() == p.guarded || !p.Settings.Purge || p.Settings.ForceRoot {
		return nil
	}
	if p.homes == nil {
		p.homes = homes()
	}
	if err := guardWalked(p.Within, d, p.homes); err != nil {
		return walk.Fatal(err)
	}
	p.guarded = d.Root()
	return nil
}

// special counts what is no regular file, and stays.
func (p *purger) special(e *walk.Entry) error {
	if e.Type()&fs.ModeSymlink != 0 {
		p.Stats.Symlinks.Inc()
	}
	p.see(e.Dir()).Kept = true
	if p.failed != nil {
		return p.failed
	}
	return walk.SkipFile
}

// acted counts what came of an act: see [hydra.App].
func acted(s *Stats, a *hydra.Act) {
	if a.Result == hydra.ActLimit {
		return // it is still there, as if the walk had not come to it
	}
	if a.Op != opRmdir {
		s.scan(&a.Stat)
		s.Matched.One(sizeOf(&a.Stat), a.Stat.Allocated())
	}
	s.settle(a.Op, a.Result, &a.Stat)
}

// Act implements [hydra.Actor].
func (p *purger) Act(_ context.Context, h *walk.Held, a *hydra.Act) {
	err := h.Stat(&p.stat)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		a.Result = hydra.ActGone
		return
	case err != nil:
		a.Result, a.Error = hydra.ActFailed, why(err)
		return
	case !same(&a.Stat, &p.stat, a.Op) || !p.stillNames(&a.Stat):
		a.Result = hydra.ActChanged
		return
	}
	if a.Op == opMove {
		err = p.to.take(h, a.To)
	} else {
		err = h.Remove()
	}
	switch {
	case err == nil:
		a.Result = hydra.ActDone
	case a.Op == opRemove && errors.Is(err, fs.ErrNotExist):
		a.Result = hydra.ActGone
	default:
		a.Result, a.Error = hydra.ActFailed, why(err)
	}
}

// stillNames tells whether the rule names a file as it is now, in p.stat. If its ctime is
// another one it is that of an act of ours: the one that counts is the one before.
func (p *purger) stillNames(before *walk.Stat) bool {
	now := p.stat
	now.Ctime = before.Ctime
	return p.rule.stillNames(&now)
}

// why is an error without what an act says itself.
func why(err error) string {
	var e *walk.Error
	if errors.As(err, &e) {
		err = e.Err
	}
	return err.Error()
}

// same tells whether a file is the one that was looked at, and was not changed since.
// Its ctime changes when another one of its names is removed, as we may have done, or
// moved: then it has as many names, and what else changes the ctime has to be as it was.
func same(before, now *walk.Stat, op string) bool {
	if before.Known&walk.FieldIno != 0 && (now.Dev != before.Dev || now.Ino != before.Ino) {
		return false
	}
	fewer := now.Nlink < before.Nlink
	moved := op == opMove && before.Nlink > 1 && now.Nlink == before.Nlink &&
		now.Mode == before.Mode && now.UID == before.UID && now.GID == before.GID
	return now.Mode.Type() == before.Mode.Type() && now.Size == before.Size && now.Mtime == before.Mtime &&
		(now.Ctime == before.Ctime || fewer || moved)
}

// see returns what is seen of a directory; nil is that of a file that was given.
func (p *purger) see(d *walk.Dir) *note {
	if p.at.d != d {
		p.pass()
		p.at = place{d: d}
	}
	return &p.at.note
}

// longestNoted is the longest path of a directory that is removed. Each is noted with its
// whole path: who makes a chain of thousands must not make us write their square.
const longestNoted = 16 << 10

// pass notes what was seen of the directory that was looked at last.
func (p *purger) pass() {
	d, n := p.at.d, p.at.note
	p.at = place{}
	if d == nil || d.Depth() == 0 || !p.Settings.EmptyDirs {
		return // roots stay whatever is in them
	}
	switch {
	case n.Kept:
		n = note{Kept: true}
		// It may have been left by another worker, who has not seen that.
	case !n.Matched && !n.Old && !n.Left:
		return
	}
	if n.Path = d.AppendPath(nil); len(n.Path) > longestNoted {
		return // it stays, and so does what it lies in
	}
	n.Root = []byte(d.Root())
	if err := p.note(&n); err != nil && p.failed == nil {
		p.failed = err
	}
}

// EnterDir implements [walk.DirHandler].
func (p *purger) EnterDir(_ context.Context, d *walk.Dir) error {
	if err := p.guard(d); err != nil {
		return err
	}
	if p.to == nil && !p.Settings.EmptyDirs {
		return nil
	}
	if err := d.StatInto(&p.stat); err != nil {
		return err
	}
	if p.to.is(&p.stat) {
		return fs.SkipDir
	}
	if p.Settings.EmptyDirs && d.Depth() > 0 && p.Settings.meansEmptyDirs() && p.rule.dirs.Holds(&p.stat) {
		// Now: to read it makes it young by atime.
		n := p.see(d)
		st := p.stat
		n.Old, n.Stat = true, &st
	}
	return p.failed
}

// LeaveDir implements [walk.DirHandler].
func (p *purger) LeaveDir(_ context.Context, d *walk.Dir) error {
	if !p.Settings.EmptyDirs || d.Depth() == 0 {
		return nil
	}
	n := p.see(d)
	if n.Kept {
		// Who else saw something of it may note it; that it was left nobody says.
		p.at = place{}
		return p.failed
	}
	if d.Whole() && !d.Filtered() {
		n.Left, n.Dirs = true, d.Counts().Dirs
		if n.Stat == nil {
			st := new(walk.Stat)
			if err := d.StatInto(st); err != nil {
				p.at = place{}
				return err
			}
			n.Stat = st
		}
	}
	p.pass()
	return p.failed
}

// Flush implements [walk.Flusher].
func (p *purger) Flush(context.Context) error {
	p.pass()
	return p.failed
}

// Error implements [walk.ErrorHandler].
func (p *purger) Error(_ context.Context, err *walk.Error) {
	if err.Op != walk.OpStat {
		return
	}
	if err.Dir {
		p.Stats.StatErrorsDirs.Inc()
	} else {
		p.Stats.StatErrorsFiles.Inc()
	}
}
