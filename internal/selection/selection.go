// Package selection decides which entries an application acts on.
//
// A [Selection] is what a user asked for: settings that an application has in its
// own, with their flags. They travel to the clients of a job as JSON. A [Matcher] decides with it for one
// worker, and asks the file system only if it must.
package selection

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/hydrawalk/hydra"
	"github.com/hydrawalk/hydra/internal/owner"
	"github.com/hydrawalk/hydra/walk"
	"github.com/spf13/pflag"
)

// Selection says which entries are meant: those for which all holds that was asked for.
// The zero value is all entries.
type Selection struct {
	// Names are globs as those of [hydra.Rule], of which one has to match.
	Names Globs `json:"names,omitempty"`
	// Types are those that are meant, none: all.
	Types Types `json:"types,omitempty"`
	// Sizes have to hold all. Then only regular files are meant.
	Sizes Sizes `json:"sizes,omitempty"`
	// OlderThan and NewerThan bound the age: one of Times has to be between them,
	// strictly. 0 is no bound.
	OlderThan Age   `json:"older_than,omitempty"`
	NewerThan Age   `json:"newer_than,omitempty"`
	Times     Times `json:"times,omitempty"` // none: mtime
	// AsOf is the time to which ages are counted, one for the whole job; Prepare sets it
	// if it is zero.
	AsOf AsOf `json:"as_of"`
	// Owners and Groups are those that are meant, none: all.
	Owners Owners `json:"owners,omitempty"`
	Groups Owners `json:"groups,omitempty"`
}

// The names of the flags.
const (
	FlagName   = "name"
	FlagType   = "type"
	FlagSize   = "size"
	FlagOlder  = "older-than"
	FlagNewer  = "newer-than"
	FlagTime   = "time"
	FlagAsOf   = "as-of"
	FlagOwner  = "owner"
	FlagGroup  = "group"
	letterList = "f (file), d (directory), l (symbolic link), p (fifo), s (socket), b and c (devices)"
)

// Flags defines the flags that are named, none: all.
func (s *Selection) Flags(f *pflag.FlagSet, names ...string) {
	define := func(v pflag.Value, name, usage string, values ...string) {
		if len(names) > 0 && !slices.Contains(names, name) {
			return
		}
		f.Var(v, name, usage)
		if err := f.SetAnnotation(name, hydra.FlagValues, values); err != nil {
			panic(err) // it is there
		}
	}
	define(&freshSlice{sliceValue: &s.Names}, FlagName, "only what matches `GLOB`, with its name or, if a / is in it, with the path below PATH; may be repeated: one has to match")
	define(&fresh{Value: &s.Types, forget: func() { s.Types = "" }}, FlagType, "only what is of one of `TYPES`, as f,l: "+letterList, typeWords()...)
	define(&freshSlice{sliceValue: &s.Sizes}, FlagSize, "only files of this `SIZE`: +1G is more than 1 GiB, -4K less than 4 KiB, 0 exactly that; may be repeated: all have to hold")
	define(&s.OlderThan, FlagOlder, "only what is older than `AGE`, as 90d, 1w2d, 12h or 30m; what lies in the future is never old")
	define(&s.NewerThan, FlagNewer, "only what is newer than `AGE`")
	define(&fresh{Value: &s.Times, forget: func() { s.Times = nil }}, FlagTime, "count the age from these `TIMES`, as mtime,atime: of several one has to fit (default mtime)", timeWords()...)
	define(&s.AsOf, FlagAsOf, "count ages up to `TIME`, and not to the start: 2026-01-31 or \"2026-01-31 12:00\", which is the time here, or 2026-01-31T12:00:00Z")
	define(&fresh{Value: &s.Owners, forget: func() { s.Owners = nil }}, FlagOwner, "only what belongs to one of `USERS`, by name or number, as root,1000")
	define(&fresh{Value: &s.Groups, forget: func() { s.Groups = nil }}, FlagGroup, "only what belongs to one of the groups `GROUPS`, by name or number")
}

// lookupTime is for asking a directory service.
const lookupTime = 30 * time.Second

// Prepare completes the selection where the command runs, and says what is wrong with it.
// Prepared once, it stays as it is.
func (s *Selection) Prepare() error {
	if _, err := hydra.NewGlobs(s.Names.texts()); err != nil {
		return fmt.Errorf("--%s: %w", FlagName, err)
	}
	if s.AsOf.IsZero() {
		s.AsOf = AsOf{time.Now().UTC()}
	}
	if len(s.Times) > 0 && s.OlderThan == 0 && s.NewerThan == 0 {
		return fmt.Errorf("--%s says which times count, and not how old they are to be: give --%s or --%s too", FlagTime, FlagOlder, FlagNewer)
	}
	if s.OlderThan > 0 && s.NewerThan > 0 && s.NewerThan <= s.OlderThan {
		return fmt.Errorf("nothing is older than %s and newer than %s", &s.OlderThan, &s.NewerThan)
	}
	if len(s.Sizes) > 0 && len(s.Types) > 0 && !strings.Contains(string(s.Types), "f") {
		return fmt.Errorf("--%s is for files, which --%s leaves out: add f to it", FlagSize, FlagType)
	}
	ctx, cancel := context.WithTimeout(context.Background(), lookupTime)
	defer cancel()
	if err := s.Owners.resolve(ctx, owner.UserID); err != nil {
		return fmt.Errorf("--%s: %w", FlagOwner, err)
	}
	if err := s.Groups.resolve(ctx, owner.GroupID); err != nil {
		return fmt.Errorf("--%s: %w", FlagGroup, err)
	}
	if runtime.GOOS == "windows" && len(s.Owners)+len(s.Groups) > 0 {
		return fmt.Errorf("--%s and --%s go by numbers, which Windows does not have", FlagOwner, FlagGroup)
	}
	return nil
}

// Fields are those that a Matcher needs of Stat; 0: it never calls that.
func (s *Selection) Fields() walk.Fields {
	var f walk.Fields
	if len(s.Sizes) > 0 {
		f |= walk.FieldSize
	}
	if s.ages() {
		for _, t := range s.times() {
			f |= timeFields[t]
		}
	}
	if len(s.Owners) > 0 {
		f |= walk.FieldUID
	}
	if len(s.Groups) > 0 {
		f |= walk.FieldGID
	}
	return f
}

// IsAll says that all entries are meant.
func (s *Selection) IsAll() bool {
	return len(s.Names) == 0 && len(s.Types) == 0 && s.Fields() == 0
}

func (s *Selection) ages() bool { return s.OlderThan > 0 || s.NewerThan > 0 }

func (s *Selection) times() []string {
	if len(s.Times) == 0 {
		return []string{"mtime"}
	}
	return s.Times
}

var timeFields = map[string]walk.Fields{
	"mtime": walk.FieldMtime, "atime": walk.FieldAtime, "ctime": walk.FieldCtime, "btime": walk.FieldBtime,
}

func timeWords() []string { return []string{"mtime", "atime", "ctime", "btime"} }

var errEmpty = errors.New("it is empty")

// list takes the items of a value that may be repeated.
func list(text string) []string {
	var items []string
	for item := range strings.SplitSeq(text, ",") {
		if item = strings.TrimSpace(item); item != "" {
			items = append(items, item)
		}
	}
	return items
}

// fresh is a value that adds to itself each time that it is set, but for the first time:
// what was there before came from somewhere else.
type fresh struct {
	pflag.Value
	forget func()
	begun  bool
}

func (f *fresh) Set(text string) error {
	if !f.begun {
		f.begun = true
		f.forget()
	}
	return f.Value.Set(text)
}

type sliceValue interface {
	pflag.Value
	pflag.SliceValue
}

// freshSlice is fresh for a list.
type freshSlice struct {
	sliceValue
	begun bool
}

func (f *freshSlice) Set(text string) error {
	if !f.begun {
		f.begun = true
		if err := f.Replace(nil); err != nil {
			return err
		}
	}
	return f.sliceValue.Set(text)
}
