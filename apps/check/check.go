// Package check finds names and files that make trouble: where they are, and where they
// are to go.
package check

import (
	"context"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"

	"github.com/hydrawalk/hydra"
	"github.com/hydrawalk/hydra/walk"
	"github.com/spf13/pflag"
)

// Settings of a check.
type Settings struct {
	// For are presets: where the trees are to go.
	For []string `json:"for,omitempty"`
	// Only are the checks to make, instead of those of the presets and the usual ones.
	Only []string `json:"check,omitempty"`
	// Skip are checks not to make.
	Skip []string `json:"skip,omitempty"`

	MaxNameBytes int        `json:"max_name_bytes,omitempty"` // 0: what the presets say
	MaxNameUnits int        `json:"max_name_units,omitempty"`
	MaxPathBytes int        `json:"max_path_bytes,omitempty"`
	MaxPathUnits int        `json:"max_path_units,omitempty"`
	MaxSize      hydra.Size `json:"max_size,omitempty"`
	MaxInflation hydra.Size `json:"max_inflation,omitempty"`

	// TargetPrefix is what takes the place of PATH in all paths; any bytes.
	TargetPrefix []byte `json:"target_prefix,omitempty"`

	// Checks and Limits are what that comes to, once Prepare has run.
	Checks []string `json:"checks,omitempty"`
	Limits Limits   `json:"limits"`

	prefix string // as it was typed
	format formatFlag
}

func (s *Settings) prepare() error {
	if s.prefix != "" {
		s.TargetPrefix = []byte(s.prefix)
	}
	on, limits, err := choose(s)
	if err != nil {
		return err
	}
	if len(s.TargetPrefix) > 0 && !on.has(pathLength) && !on.has(keyLength) {
		return errors.New("--target-prefix is for the checks path-length and s3-key-length, which are left out")
	}
	s.Checks, s.Limits = on.keys(), limits
	return nil
}

// change allows none: what was found already does not change with it.
func change(before, after Settings) error {
	before.format, before.prefix = after.format, after.prefix
	if !reflect.DeepEqual(before, after) {
		return errors.New("what is checked can not be changed while it runs: the rest would mix counts that mean different things")
	}
	return nil
}

// offer tells a shell what values flags have.
func offer(f *pflag.FlagSet) {
	var systems, checks []string
	for _, p := range presets {
		systems = append(systems, p.name)
	}
	for _, k := range kinds {
		checks = append(checks, k.key)
	}
	for name, values := range map[string][]string{
		"for": systems, "check": append(checks, "all"), "skip": checks, "findings": {"table", "jsonl", "csv", "xlsx"},
	} {
		if err := f.SetAnnotation(name, hydra.FlagValues, values); err != nil {
			panic(err) // it is there
		}
	}
}

// App returns the application.
func App() *hydra.App[Settings, Stats] {
	return &hydra.App[Settings, Stats]{
		Name:     "check",
		Short:    "Find names and files that make trouble elsewhere",
		Long:     long(),
		Settings: Settings{format: "table"},
		Example: `  # what is a problem nearly everywhere
  hydra check /data

  # what will not work on a Windows share, where it will be below D:\archive
  hydra check --for windows --target-prefix 'D:\archive' /data

  # what can not become objects, as a table for a spreadsheet
  hydra check --for s3 --findings csv -o findings.csv /data

  # only names that collide
  hydra check --check case,normalization /data

  # findings for a program, a line of JSON each
  hydra check --findings jsonl /data | jq -r 'select(.check == "encoding").path_b64'`,
		Flags: func(f *pflag.FlagSet, s *Settings) {
			f.StringSliceVar(&s.For, "for", nil, "also check what matters on `SYSTEM`: windows, smb, s3, macos or posix-portable; may be repeated")
			f.StringSliceVar(&s.Only, "check", nil, "make only these `CHECKS`, separated by commas; all makes all")
			f.StringSliceVar(&s.Skip, "skip", nil, "do not make these `CHECKS`")
			f.StringVar(&s.prefix, "target-prefix", "", "measure paths as they will be when `PATH` takes the place of what is checked")
			f.IntVar(&s.MaxNameBytes, "max-name-bytes", 0, "longest name, `N` bytes; 0 is what --for says, or 255")
			f.IntVar(&s.MaxNameUnits, "max-name-units", 0, "longest name, `N` units of UTF-16; 0 is what --for says, or 255")
			f.IntVar(&s.MaxPathBytes, "max-path-bytes", 0, "longest path, `N` bytes; 0 is what --for says, or 4095")
			f.IntVar(&s.MaxPathUnits, "max-path-units", 0, "longest path, `N` units of UTF-16; 0 is what --for says")
			f.Var(&s.MaxSize, "max-size", "largest file; 0 is what --for says, or 4T")
			f.Var(&s.MaxInflation, "max-inflation", "how much more than it occupies a sparse file may take where there are no holes; 0 is 1G")
			f.Var(&s.format, "findings", "write findings as table, jsonl, csv or xlsx")
			offer(f)
		},
		Prepare: (*Settings).prepare,
		Change:  change,
		Fields: walk.FieldType | walk.FieldIno | walk.FieldNlink | walk.FieldSize | walk.FieldBlocks |
			walk.FieldMtime | walk.FieldCtime,
		Group: key,
		NewHandler: func(_ context.Context, w *hydra.Worker[Settings, Stats]) (walk.Handler, error) {
			c, err := newChecker(&w.Settings, w.Stats, w.Emit, w.Commit)
			if err != nil {
				return nil, err
			}
			c.lister.within = w.Within
			return c, nil
		},
		Finish: func(_ context.Context, r *hydra.Result[Stats]) error {
			r.Stats.compare()
			return nil
		},
		Summarize: summarize,
		Emits:     true,
		Output: func(s Settings, w io.Writer) (io.WriteCloser, error) {
			return newOutput(s.format, w)
		},
		Found:        (*Stats).found,
		CheckReports: checkReports,
	}
}

// checkReports tells who wants the findings as a report how they are written.
func checkReports(names []string, _ Settings) error {
	if len(names) == 0 {
		return nil
	}
	how := "FORMAT"
	for _, format := range formats {
		if strings.HasSuffix(strings.ToLower(names[0]), "."+format) {
			how = format
		}
	}
	return fmt.Errorf("%q: a report of check is the summary, and ends with .txt; --findings %s -o FILE writes what was found", names[0], how)
}

// long lists the checks, so that there is one place that says what they are.
func long() string {
	var b strings.Builder
	b.WriteString(`Check reads the name of every file and directory below each PATH, and finds what
makes trouble: on other systems, in programs, or for people. It changes nothing. The
last element of PATH is checked too, unless PATH is as dir/, . or /, which mean what is
in them.

Findings go to standard output, one a line, or as --findings says; a summary goes to
standard error. The exit code is 4 if there are any. --for adds the checks and the
limits of a system that the tree is to go to. These are the checks; those with a *
are made unless --skip leaves them out:

`)
	for k := range numKinds {
		mark := " "
		if byDefault.has(k) {
			mark = "*"
		}
		fmt.Fprintf(&b, "  %s %-17s %s\n", mark, k, kinds[k].what)
	}
	b.WriteString("\n")
	for _, p := range presets {
		fmt.Fprintf(&b, "--for %s:\n", p.name)
		line := " "
		for i, key := range p.kinds.keys() {
			if i > 0 {
				line += ","
			}
			if len(line)+1+len(key) > 78 {
				b.WriteString(line + "\n")
				line = " "
			}
			line += " " + key
		}
		b.WriteString(line + "\n")
	}
	b.WriteString(`
Symbolic links are not followed. Whether one is broken is told for those that lead to
something below PATH on the same file system: nothing is mounted for it.`)
	return b.String()
}
