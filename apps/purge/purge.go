// Package purge deletes the files that a rule names, as those that nobody used for a
// while.
package purge

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"time"

	"github.com/hydrawalk/hydra"
	"github.com/hydrawalk/hydra/internal/selection"
	"github.com/hydrawalk/hydra/stats"
	"github.com/hydrawalk/hydra/walk"
	"github.com/spf13/pflag"
)

// Settings of a purge.
type Settings struct {
	// Purge deletes; without it all is only counted.
	Purge bool `json:"purge"`
	// Selection says which files are meant.
	selection.Selection
	// All is said where no rule is meant.
	All bool `json:"all,omitempty"`
	// EmptyDirs removes directories that are empty then.
	EmptyDirs bool `json:"empty_dirs,omitempty"`
	// Quarantine is the directory to which files are moved, in place of deleting them.
	Quarantine stats.Path `json:"quarantine,omitzero"`
	// MaxDelete is the most that is deleted.
	MaxDelete Limit `json:"max_delete,omitempty"`
	// ForceRoot lets paths be what nobody purges who is not sure.
	ForceRoot bool `json:"force_root,omitempty"`

	// What flags say before Prepare.
	dryRun bool
	days   int
	named  [3]bool // atime, mtime, ctime
	dir    string  // of the quarantine
}

func (s *Settings) prepare() error {
	switch {
	case s.days < 0 || s.days > 100_000:
		return errors.New("--date is a number of days, at most 100,000")
	case s.days > 0 && s.OlderThan > 0:
		return errors.New("--date and --older-than say the same: give one of them")
	case s.days > 0:
		s.OlderThan, s.days = selection.Age(time.Duration(s.days)*24*time.Hour), 0
	}
	for i, name := range []string{"atime", "mtime", "ctime"} {
		if s.named[i] {
			// Of a copy: those of the defaults stay.
			s.Times = append(slices.Clone(s.Times), name)
		}
	}
	if s.dryRun {
		s.Purge = false
	}
	s.named = [3]bool{}
	s.Times = slices.Compact(slices.Sorted(slices.Values(s.Times)))
	if s.AsOf.After(time.Now()) {
		return errors.New("--as-of is in the future: what is young would be old")
	}
	if len(s.Times) > 0 && s.OlderThan == 0 {
		return errors.New("there is a timestamp to count an age from and no age: give --older-than too")
	}
	s.Owners, s.Groups = slices.Clone(s.Owners), slices.Clone(s.Groups) // Prepare changes them
	if err := s.Selection.Prepare(); err != nil {
		return err
	}
	switch {
	case s.All && !s.IsAll():
		return errors.New("--all means that there is no rule, and there is one")
	case s.Purge && !s.All && s.IsAll():
		return errNoRule
	}
	if s.OlderThan > 0 && len(s.Times) == 0 {
		s.Times = selection.Times{"mtime"}
	}
	if s.dir != "" {
		dir, err := filepath.Abs(s.dir)
		if err != nil {
			return err
		}
		// Where it is meant to be: no link is followed later.
		if resolved, err := filepath.EvalSymlinks(dir); err == nil {
			dir = resolved
		} else if parent, err := filepath.EvalSymlinks(filepath.Dir(dir)); err == nil && errors.Is(missing(dir), os.ErrNotExist) {
			dir = filepath.Join(parent, filepath.Base(dir))
		}
		if isTop(dir) {
			return fmt.Errorf("--quarantine can not be %s", dir)
		}
		s.Quarantine = stats.PathOf(dir)
	}
	return nil
}

func missing(path string) error {
	_, err := os.Lstat(path)
	return err
}

// change refuses all: what was agreed to is what is done.
func change(before, after Settings) error {
	if !reflect.DeepEqual(before, after) {
		return errors.New("nothing of a purge can be changed while it runs: cancel it, and begin another one")
	}
	return nil
}

// App returns the application.
func App() *hydra.App[Settings, Stats] {
	return &hydra.App[Settings, Stats]{
		Name:  "purge",
		Short: "Delete files that a rule names, as old ones",
		Long: `Purge deletes the regular files below each PATH that a rule names: all that is said
of them has to be true. Without --purge it changes nothing and counts what it would
do, so try it so first; with --records DIR it writes down which files these are.

Ages are counted to the moment of the command, whatever the clocks of clients say;
of several timestamps in --time one that is old enough will do. What lies in the
future is not old. Symbolic links and special files stay; no link is followed.

Right before a file is deleted it is looked at once more: if it is another one by
then, or was changed, it stays. What is deleted is written down before: the result
names the file, and in --quarantine nothing is lost. --empty-dirs also removes the
directories that became empty, and those that were empty and are as old as the rule
says; a PATH itself stays. A PATH that is a symbolic link is followed only with a / at
its end.

A quarantine is left out only by the command that names it: let others --exclude it. To
empty it, give it as PATH, with --time ctime: its files have that of their move.

A file with several names is deleted name by name; its space is free when the last
one is gone.`,
		Example: `  # what is there that nobody changed for 90 days?
  hydra purge --older-than 90d /scratch

  # delete it, after a question
  hydra purge --older-than 90d --purge /scratch

  # neither read nor changed for a year, as a nightly job
  hydra purge --older-than 365d --time atime --purge --yes --max-delete 5% /scratch

  # move it away, with the directories that are empty then
  hydra purge --name '*.tmp' --older-than 1w --empty-dirs --quarantine /scratch/.gone --purge /scratch`,
		Flags: func(f *pflag.FlagSet, s *Settings) {
			f.BoolVar(&s.Purge, "purge", false, "delete; without this all is only counted")
			f.BoolVarP(&s.dryRun, "dry-run", "n", false, "only count, though --purge is given")
			s.Selection.Flags(f, selection.FlagOlder, selection.FlagTime, selection.FlagName, selection.FlagSize, selection.FlagOwner, selection.FlagGroup, selection.FlagAsOf)
			f.IntVar(&s.days, "date", 0, "files older than `DAYS`: the same as --older-than with a d behind it")
			f.BoolVar(&s.named[0], "atime", false, "the same as --time atime; these three may be given together")
			f.BoolVar(&s.named[1], "mtime", false, "the same as --time mtime")
			f.BoolVar(&s.named[2], "ctime", false, "the same as --time ctime")
			f.BoolVar(&s.All, "all", false, "all files: --purge wants a rule, or this")
			f.BoolVar(&s.EmptyDirs, "empty-dirs", false, "remove directories that became empty too, and those that are empty and older than the rule; never a PATH")
			f.StringVar(&s.dir, "quarantine", "", "move files to the directory `DIR` on the same file system, in place of deleting them")
			f.Var(&s.MaxDelete, "max-delete", "end when `N` files and directories are deleted; with N% of the files, count first and delete nothing if it is more")
			f.BoolVar(&s.ForceRoot, "force-root", false, "let a PATH be /, the home directory or the root of a mount")
			hydra.OnlyGiven(f, "purge", "all", "force-root", "dry-run")
		},
		Prepare:  (*Settings).prepare,
		Change:   change,
		Warn:     warn,
		Confirm:  confirm,
		NewStats: newStats,
		NewHandler: func(_ context.Context, w *hydra.Worker[Settings, Stats]) (walk.Handler, error) {
			return newPurger(w)
		},
		Opens: func(s Settings) []string {
			if dir := s.Quarantine.String(); dir != "" {
				return []string{dir}
			}
			return nil
		},
		MaxActs:   maxActs,
		DryRun:    func(s Settings) bool { return !s.Purge },
		Changes:   true,
		Acted:     acted,
		Tail:      tail,
		Finish:    finish,
		Summarize: summarize,
	}
}

func newPurger(w *hydra.Worker[Settings, Stats]) (*purger, error) {
	rule, err := newRule(&w.Settings)
	if err != nil {
		return nil, err
	}
	p := &purger{Worker: w, rule: rule, note: w.Note}
	if dir := w.Settings.Quarantine.String(); dir != "" {
		if p.to, err = openQuarantine(w.Within, dir, w.Job, !w.Settings.Purge); err != nil {
			return nil, fmt.Errorf("the quarantine: %w", err)
		}
	}
	return p, nil
}
