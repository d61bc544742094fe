package cli

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/hydrawalk/hydra"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// common are the flags that every application has. The same word means the same
// everywhere.
type common struct {
	workers       int
	oneFileSystem bool
	maxDepth      int
	rules         ruleList
	pathFiles     []string
	null          bool

	maxErrors int64
	errors    string
	output    string
	format    choice
	json      bool

	progress choice
	interval time.Duration
	color    choice

	quiet     bool
	verbose   int
	logLevel  string
	logFile   string
	logFormat choice
}

func newCommon() *common {
	return &common{
		format:    choice{value: "text", of: []string{"text", "json"}},
		progress:  choice{value: "auto", of: []string{"auto", "plain", "json", "none"}},
		color:     choice{value: "auto", of: []string{"auto", "always", "never"}},
		logFormat: choice{value: "text", of: []string{"text", "json"}},
	}
}

// define defines the flags.
func (c *common) define(f *pflag.FlagSet) {
	f.IntVarP(&c.workers, "workers", "j", 0, "directories that are read at a time; 0 finds a good `number` by itself")
	f.BoolVarP(&c.oneFileSystem, "one-file-system", "x", false, "stay on the file system of each PATH")
	f.IntVarP(&c.maxDepth, "max-depth", "d", 0, "do not enter directories at this `depth` below PATH; 0 enters all")
	f.VarP(c.rules.flag(excludeGlob), "exclude", "E", "leave out what matches `GLOB`, with all below; may be repeated")
	f.Var(c.rules.flag(includeGlob), "include", "take back in what matches `GLOB`; the last of all globs that matches decides")
	f.Var(c.rules.flag(excludeFile), "exclude-from", "read globs from `FILE`, one a line; !GLOB takes back in, # begins a comment")
	f.StringArrayVar(&c.pathFiles, "path-file", nil, "read paths from `FILE`, one a line; - is standard input")
	f.BoolVarP(&c.null, "null", "0", false, "lists that are read end their items with NUL instead of a newline")

	f.Int64Var(&c.maxErrors, "max-errors", 0, "end after this `number` of errors; 0 never does")
	f.StringVar(&c.errors, "errors", "", "write all errors to `FILE`, a line of JSON each")
	f.StringVarP(&c.output, "output", "o", "", "write the result to `FILE` instead of standard output")
	f.Var(&c.format, "format", "how to print the result: text or json")
	f.BoolVar(&c.json, "json", false, "the same as --format json: one document")

	f.Var(&c.progress, "progress", "auto (drawn on a terminal, else plain), plain, json or none")
	f.DurationVar(&c.interval, "progress-interval", 0, "`time` between lines of progress (default 10s, drawn 200ms)")
	f.Var(&c.color, "color", "auto (on a terminal, unless NO_COLOR is set), always or never")

	f.BoolVarP(&c.quiet, "quiet", "q", false, "print nothing but the result and what made the run fail")
	f.CountVarP(&c.verbose, "verbose", "v", "log more; -vv logs all")
	f.StringVar(&c.logLevel, "log-level", "", "least level to log: debug, info, warn, error, or by name as walk=debug,hydra=info")
	f.StringVar(&c.logFile, "log-file", "", "append the log to `FILE` instead of standard error")
	f.Var(&c.logFormat, "log-format", "text or json")
}

// complete registers what the shell can offer for values of flags.
func (c *common) complete(cmd *cobra.Command) {
	for name, values := range map[string][]string{
		"format":     c.format.of,
		"progress":   c.progress.of,
		"color":      c.color.of,
		"log-format": c.logFormat.of,
		"log-level":  {"debug", "info", "warn", "error"},
		"workers":    nil, "max-depth": nil, "exclude": nil, "include": nil, "max-errors": nil, "progress-interval": nil,
	} {
		complete := cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp)
		if err := cmd.RegisterFlagCompletionFunc(name, complete); err != nil {
			panic(err) // a flag that is not defined
		}
	}
}

// check tells what values can not be meant.
func (c *common) check() error {
	switch {
	case c.workers < 0:
		return errors.New("--workers can not be negative; 0 finds a good number by itself")
	case c.maxDepth < 0:
		return errors.New("--max-depth can not be negative; 0 enters all directories")
	case c.maxErrors < 0:
		return errors.New("--max-errors can not be negative; 0 sets no limit")
	case c.interval < 0:
		return errors.New("--progress-interval can not be negative")
	}
	if c.json {
		c.format.value = "json"
	}
	return nil
}

// levels are the log levels by name; names are those that there are.
func (c *common) levels(names []string) (levels, error) {
	ls := levels{"": slog.LevelWarn}
	switch {
	case c.quiet:
		ls[""] = slog.LevelError
	case c.verbose == 1:
		ls[""] = slog.LevelInfo
	case c.verbose > 1:
		ls[""] = slog.LevelDebug
	}
	if c.logLevel == "" {
		return ls, nil
	}
	if err := ls.parse(c.logLevel); err != nil {
		return nil, fmt.Errorf("--log-level: %w", err)
	}
	for name := range ls {
		if name != "" && !slices.Contains(names, name) {
			return nil, fmt.Errorf("--log-level: nothing logs as %q; there are %s", name, strings.Join(names, ", "))
		}
	}
	return ls, nil
}

// options are those of the run; logs, errors and progress come elsewhere.
func (c *common) options() (*hydra.Options, error) {
	rules, err := c.rules.read(c.null)
	if err != nil {
		return nil, err
	}
	return &hydra.Options{
		Workers:       c.workers,
		OneFileSystem: c.oneFileSystem,
		MaxDepth:      c.maxDepth,
		Rules:         rules,
		MaxErrors:     c.maxErrors,
	}, nil
}

// choice is the value of a flag that takes one of a few words.
type choice struct {
	value string
	of    []string
}

func (c *choice) String() string { return c.value }
func (c *choice) Type() string   { return "word" }
func (c *choice) Set(s string) error {
	if !slices.Contains(c.of, s) {
		return fmt.Errorf("use one of %s", strings.Join(c.of, ", "))
	}
	c.value = s
	return nil
}
