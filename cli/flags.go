package cli

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
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
	snapshots     bool
	rules         ruleList
	pathFiles     []string
	null          bool
	nullToo       pflag.Value // null is what this says; nil: it is a flag of its own
	prefixFiles   []string
	prefixes      []string // in them

	limitOps    float64
	latency     time.Duration
	maxErrors   int64
	errors      string
	output      string
	reportFiles []string
	format      choice
	json        bool

	progress choice
	interval time.Duration
	color    choice

	quiet      bool
	verbose    int
	logLevel   string
	logFile    string
	logMaxSize hydra.Size
	logKeep    int
	logFormat  choice
	records    string
	yes        bool
	logs       slog.Level // from here on, if no flag says something else

	cluster
}

func newCommon() *common {
	return &common{
		format:     choice{value: "text", of: []string{"text", "json"}},
		progress:   choice{value: "auto", of: []string{"auto", "plain", "json", "none"}},
		color:      choice{value: "auto", of: []string{"auto", "always", "never"}},
		logFormat:  choice{value: "text", of: []string{"text", "json"}},
		logs:       slog.LevelWarn,
		logMaxSize: 100 << 20,
		logKeep:    7,
	}
}

// define defines the flags of an application.
func (c *common) define(f *pflag.FlagSet) {
	c.defineWalk(f)
	c.cluster.define(f)
	c.defineResult(f)
	c.defineProgress(f)
	c.defineLog(f)
}

func (c *common) defineWalk(f *pflag.FlagSet) {
	f.VarP(c.rules.flag(excludeGlob), "exclude", "E", "leave out what matches `GLOB`, with all below; may be repeated. A GLOB with a / is matched with the path below PATH, or with the whole path if it begins with one, else with the name; with a / behind it only directories match; ** is any number of directories")
	f.Var(c.rules.flag(includeGlob), "include", "take back in what matches `GLOB`: of all globs, the last one that matches decides")
	f.Var(c.rules.flag(excludeFile), "exclude-from", "read globs from `FILE`, one a line; !GLOB takes back in, # begins a comment")
	f.IntVarP(&c.maxDepth, "max-depth", "d", 0, "do not enter directories `N` levels below PATH; 0 enters all")
	f.BoolVarP(&c.oneFileSystem, "one-file-system", "x", false, "stay on the file system of each PATH")
	f.BoolVar(&c.snapshots, "snapshots", false, "enter the snapshots that storage shows as .snapshot, ~snapshot and .zfs; without this they are left out and counted")
	f.StringArrayVar(&c.pathFiles, "path-file", nil, "read more paths from `FILE`, one a line; - is standard input")
	f.StringArrayVar(&c.prefixFiles, "prefix-file", nil, "read from `FILE`, one a line, directories that are mounts of one file system, as those of several NAS front ends: each PATH lies in one of them, and is read through all")
	c.defineNull(f)

	c.defineWorkers(f)
	f.Float64Var(&c.limitOps, "limit-ops", 0, "make at most `N` calls to the file system per second, in the whole job; 0 sets no limit")
	f.DurationVar(&c.latency, "target-latency", 0, "slow down so that calls for attributes and listings take `TIME` on average, as 5ms")
	f.Int64Var(&c.maxErrors, "max-errors", 0, "end after `N` errors; 0 never does")
	c.defineRecords(f)
}

func (c *common) defineNull(f *pflag.FlagSet) {
	if own := f.Lookup("null"); own != nil {
		// An application whose output can have NUL as well: one flag says both.
		c.nullToo = own.Value
		own.Usage += "; so do items of --path-file and --prefix-file"
		return
	}
	f.BoolVarP(&c.null, "null", "0", false, "items of --path-file and --prefix-file end with NUL, not with a newline; those of --exclude-from may")
}

func (c *common) defineWorkers(f *pflag.FlagSet) {
	f.IntVarP(&c.workers, "workers", "j", 0, "read `N` directories at a time; 0 finds a good number by itself")
}

func (c *common) defineRecords(f *pflag.FlagSet) {
	f.StringVar(&c.records, "records", "", "write what applications record, a line of JSON each, into files in the directory `DIR`")
}

func (c *common) defineResult(f *pflag.FlagSet) {
	f.BoolVar(&c.json, "json", false, "print one JSON document: the same as --format json")
	f.Var(&c.format, "format", "text or json")
	f.StringVarP(&c.output, "output", "o", "", "write the result to `FILE` instead of standard output")
	f.StringArrayVar(&c.reportFiles, "report", nil, "write a report to `FILE`, of the kind that its name's end says; may be repeated")
	f.StringVar(&c.errors, "errors", "", "write all errors to `FILE`, a line of JSON each")
	f.Var(&c.color, "color", "auto (on a terminal, unless NO_COLOR is set), always or never")
}

func (c *common) defineProgress(f *pflag.FlagSet) {
	f.Var(&c.progress, "progress", "auto (drawn on a terminal, else plain), plain, json or none")
	f.DurationVar(&c.interval, "progress-interval", 0, "`TIME` between lines of progress, as 500ms; 0 is 10s, or 200ms if drawn")
}

func (c *common) defineLog(f *pflag.FlagSet) {
	quiet := "print only the result, and why a run failed"
	if c.logs < slog.LevelWarn {
		quiet = "log only what somebody should look at"
	}
	f.BoolVarP(&c.quiet, "quiet", "q", false, quiet)
	f.CountVarP(&c.verbose, "verbose", "v", "log more; -vv logs all")
	f.StringVar(&c.logLevel, "log-level", "", "least `LEVEL` to log: debug, info, warn, error, or by name as walk=debug,hydra=info")
	f.StringVar(&c.logFile, "log-file", "", "append the log to `FILE` instead of standard error")
	f.Var(&c.logMaxSize, "log-max-size", "rename the log file and begin a new one before it is larger than `SIZE`; 0 lets it grow")
	f.IntVar(&c.logKeep, "log-keep", c.logKeep, "keep `N` old log files, compressed but for the newest one; 0 keeps all")
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
		"workers":    nil, "max-depth": nil, "exclude": nil, "include": nil, "max-errors": nil, "limit-ops": nil, "target-latency": nil, "progress-interval": nil,
		"log-max-size": nil, "log-keep": nil, "job": nil,
		"server": nil, "priority": nil, "min-clients": nil, "stall": nil, "listen": nil, "nats": nil,
	} {
		if cmd.Flags().Lookup(name) == nil {
			continue
		}
		complete := cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp)
		if err := cmd.RegisterFlagCompletionFunc(name, complete); err != nil {
			panic(err) // it is there
		}
	}
}

// completeValues does it for the flags of an application that have values to choose from.
// Of a value that is a list the shell completes the last item.
func completeValues(cmd *cobra.Command) {
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		values, has := f.Annotations[hydra.FlagValues]
		if !has {
			return
		}
		must(cmd.RegisterFlagCompletionFunc(f.Name, completeList(values)))
	})
}

// completeList completes the last item of a list of values.
func completeList(values []string) cobra.CompletionFunc {
	return func(_ *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
		before := typed[:strings.LastIndexByte(typed, ',')+1]
		var offers []string
		for _, v := range values {
			if !slices.Contains(strings.Split(before, ","), v) {
				offers = append(offers, before+v)
			}
		}
		return offers, cobra.ShellCompDirectiveNoFileComp
	}
}

// settle lets flags that were given win over settings with other names that
// contradict them.
func (c *common) settle(from origins) {
	given := func(flag string) bool { return from[flag] == originFlag }
	louder := given("verbose") && c.verbose > 0
	if !given("quiet") && (louder || given("progress") && c.progress.value != "none") {
		c.quiet = false
	}
	if !given("log-level") && (louder || given("quiet") && c.quiet) {
		c.logLevel = ""
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
	case c.limitOps < 0 || math.IsInf(c.limitOps, 0) || math.IsNaN(c.limitOps):
		return errors.New("--limit-ops is a number of calls per second; 0 sets no limit")
	case c.latency < 0:
		return errors.New("--target-latency can not be negative; 0 sets none")
	case c.logKeep < 0:
		return errors.New("--log-keep can not be negative; 0 keeps all")
	case c.interval < 0:
		return errors.New("--progress-interval can not be negative")
	}
	if c.json {
		c.format.value = "json"
	}
	if c.nullToo != nil {
		c.null = c.nullToo.String() == "true"
	}
	return c.cluster.check()
}

// levels are the log levels by name; names are those that there are.
func (c *common) levels(names []string) (levels, error) {
	const step = slog.LevelWarn - slog.LevelInfo // between any two
	ls := levels{"": max(slog.LevelDebug, c.logs-step*slog.Level(c.verbose))}
	if c.quiet {
		ls[""] = c.logs + step
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
		Prefixes:      c.prefixes,
		Stall:         c.stall,
		Workers:       c.workers,
		OneFileSystem: c.oneFileSystem,
		MaxDepth:      c.maxDepth,
		Snapshots:     c.snapshots,
		Rules:         rules,
		MaxErrors:     c.maxErrors,
		LimitOps:      c.limitOps,
		TargetLatency: c.latency,
		Records:       c.records,
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
