// Package find lists the entries of trees that are as somebody wants them.
package find

import (
	"context"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"

	"github.com/hydrawalk/hydra"
	"github.com/hydrawalk/hydra/internal/selection"
	"github.com/hydrawalk/hydra/stats"
	"github.com/hydrawalk/hydra/walk"
	"github.com/spf13/pflag"
)

// Settings of a search.
type Settings struct {
	selection.Selection
	// Filter is an expression that has to hold too; "": none.
	Filter string `json:"filter,omitempty"`
	// Format is how an entry is written: text, long, jsonl or csv.
	Format string `json:"format"`
	// Null ends what is text or long with NUL, and not with a newline.
	Null bool `json:"null"`
	// Sort is the order: path, name, size or mtime, with a minus before it the other way
	// round; "": as they are found.
	Sort string `json:"sort,omitempty"`
	// Limit is how many are written of what is sorted; 0: all.
	Limit int `json:"limit,omitempty"`
}

// Formats.
const (
	asText  = "text"
	asLong  = "long"
	asJSONL = "jsonl"
	asCSV   = "csv"
)

// Stats count what was found.
type Stats struct {
	Matched  stats.Counter `json:"matched"`
	Files    stats.Counter `json:"matched_files"`
	Dirs     stats.Counter `json:"matched_dirs"`
	Symlinks stats.Counter `json:"matched_symlinks"`
	Others   stats.Counter `json:"matched_others"`
	Bytes    stats.Counter `json:"matched_bytes"` // of files, if the size was asked for
}

func (s *Settings) prepare() error {
	if err := s.Selection.Prepare(); err != nil {
		return err
	}
	if s.Filter != "" {
		if _, err := compile(s.Filter); err != nil {
			return err
		}
	}
	switch {
	case s.Limit < 0:
		return errors.New("--limit can not be negative; 0 sets no limit")
	case s.Limit > 0 && s.Sort == "":
		return errors.New("--limit takes the first ones of an order: give --sort too")
	}
	return nil
}

// fields are those that are needed of each entry that is a candidate.
func (s *Settings) fields() walk.Fields {
	f := s.Selection.Fields()
	if s.Filter != "" {
		if p, err := compile(s.Filter); err == nil { // else Prepare said so
			f |= p.fields
		}
	}
	switch strings.TrimPrefix(s.Sort, "-") {
	case "size":
		f |= walk.FieldSize
	case "mtime":
		f |= walk.FieldMtime
	}
	if s.Format != asText {
		return allFields
	}
	return f
}

const allFields = walk.FieldBtime<<1 - 1

// App returns the application.
func App() *hydra.App[Settings, Stats] {
	return &hydra.App[Settings, Stats]{
		Name:  "find",
		Short: "List the entries that are as you want them",
		Long: `Find prints the path of each entry below each PATH, and of PATH itself, for which all
holds that is asked for: files, directories, and whatever else there is. Without a
condition that is every entry.

Paths come as they are found, in no order, unless --sort says so. They are absolute. Nothing
else is printed on standard output; what could not be read is told on standard error, and
by the exit code 3.

Attributes are read only if a condition, the order or the format needs them. Symbolic
links are listed, not followed.

An expression of --filter has and, or, not, ==, <, in, matches (a regular expression),
contains, startsWith, endsWith, arithmetic, and functions as lower(name),
date("2026-01-31") and bitand(mode, 0o022). Sizes are bytes, or products as 10*MiB: there
are KiB, MiB, GiB and TiB. Modes are octal with 0o before them, as 0o644. as_of is the
time to which ages are counted.`,
		Example: `  # all files of C below a directory
  hydra find --name '*.c' --name '*.h' --type f /usr/src

  # what is large and was not read for a year, the largest first
  hydra find --size +1G --older-than 365d --time atime --sort=-size --long /data

  # whatever an expression says
  hydra find --filter 'type == "f" and size > 10*MiB and owner != "root"' /home

  # what others may write to, or has one of two names
  hydra find --filter 'bitand(mode, 0o002) != 0 or lower(name) in ["core", "a.out"]' /srv

  # for another program: NUL behind each path
  hydra find --name '*.tmp' -0 /scratch | xargs -0 rm --

  # with attributes, a line of JSON for each
  hydra find --jsonl /data | jq -r 'select(.nlink > 1) | .path'`,
		Settings:  Settings{Format: asText},
		Flags:     flags,
		Prepare:   (*Settings).prepare,
		Change:    change,
		FieldsFor: func(s Settings) walk.Fields { return max(s.fields(), walk.FieldType) },
		NewHandler: func(_ context.Context, w *hydra.Worker[Settings, Stats]) (walk.Handler, error) {
			return newFinder(w)
		},
		Emits:  true,
		Output: func(s Settings, w io.Writer) (io.WriteCloser, error) { return newWriter(&s, w) },
	}
}

func change(before, after Settings) error {
	if !reflect.DeepEqual(before, after) {
		return errors.New("of a search nothing can be changed while it runs: what was found already would not fit")
	}
	return nil
}

func flags(f *pflag.FlagSet, s *Settings) {
	s.Selection.Flags(f)
	f.Var((*expression)(&s.Filter), "filter", "only that for which `EXPR` holds, as 'size > 1*GiB and age > 90': of name, path, ext, type, depth, size, allocated, uid, gid, owner, group, mode, nlink, atime, mtime, ctime, age (in days)")
	for _, format := range []struct{ name, usage string }{
		{asLong, "print mode, links, owner, group, size, time of modification and path, as ls -l does"},
		{asJSONL, "print a line of JSON with all attributes for each"},
		{asCSV, "print comma separated values with all attributes, below a line that names them"},
	} {
		v := f.VarPF(&formatFlag{format: &s.Format, is: format.name}, format.name, "", format.usage)
		v.NoOptDefVal = "true"
	}
	f.BoolVarP(&s.Null, "null", "0", false, "end each path with NUL, and not with a newline")
	f.Var((*order)(&s.Sort), "sort", "print in the order of `KEY`: path, name, size or mtime; --sort=-size begins with the largest")
	must(f.SetAnnotation("sort", hydra.FlagValues, orders))
	f.IntVar(&s.Limit, "limit", 0, "print only the first `N` of what is sorted; 0 prints all")
}

func must(err error) {
	if err != nil {
		panic(err) // the flag is there
	}
}

// formatFlag is a flag without a value that chooses a format.
type formatFlag struct {
	format *string
	is     string
}

func (f *formatFlag) String() string {
	if f.format != nil && *f.format == f.is {
		return "true"
	}
	return "false"
}
func (f *formatFlag) Type() string     { return "bool" }
func (f *formatFlag) IsBoolFlag() bool { return true }
func (f *formatFlag) Set(text string) error {
	switch {
	case text == "false" && *f.format == f.is:
		*f.format = asText
	case text == "false":
	case text != "true":
		return fmt.Errorf("%q is neither true nor false", text)
	case *f.format != asText && *f.format != f.is:
		return fmt.Errorf("--%s and --%s contradict each other", *f.format, f.is)
	default:
		*f.format = f.is
	}
	return nil
}

// expression is the value of --filter. What it says is checked when all flags are known.
type expression string

func (e *expression) String() string { return string(*e) }
func (e *expression) Type() string   { return "EXPR" }
func (e *expression) Set(text string) error {
	if text == "" {
		return errors.New("it is empty, and says of nothing whether it is meant")
	}
	*e = expression(text)
	return nil
}

// order is the value of --sort.
type order string

var orders = []string{"path", "name", "size", "mtime", "-path", "-name", "-size", "-mtime"}

func (o *order) String() string { return string(*o) }
func (o *order) Type() string   { return "KEY" }
func (o *order) Set(text string) error {
	for _, known := range orders {
		if text == known {
			*o = order(text)
			return nil
		}
	}
	return fmt.Errorf("%q is no order: there are path, name, size and mtime, and each with a minus before it", text)
}
