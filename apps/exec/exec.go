// Package exec runs a command for each directory, each file or many files at a time.
package exec

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hydrawalk/hydra"
	"github.com/hydrawalk/hydra/internal/selection"
	"github.com/hydrawalk/hydra/walk"
	"github.com/spf13/pflag"
)

// Settings of exec.
type Settings struct {
	// Command is what is run: a program and its arguments, in which placeholders stand
	// for paths. With Shell it is one text.
	Command Argv `json:"command"`
	// Shell runs the text with sh, where paths arrive as $1 and so on.
	Shell bool `json:"shell"`
	// Per says what a command runs for: dir, file or batch.
	Per string `json:"per"`
	// BatchSize is how many files a command gets at most; 0: as many as there is room for.
	BatchSize int `json:"batch_size"`
	// Chdir runs it in the directory, or in that of the files.
	Chdir bool `json:"chdir"`
	// Timeout is how long a command may run; 0: as long as it wants.
	Timeout Time `json:"timeout_seconds"`
	// Grace is how long it has to end after SIGTERM, before SIGKILL.
	Grace Time `json:"grace_seconds"`
	// Retries is how often it is run again when it fails.
	Retries int `json:"retries"`
	// RetryDelay is how long it is waited before that, doubled each time.
	RetryDelay Time `json:"retry_delay_seconds"`
	// Tag begins each line of the output with the path.
	Tag bool `json:"tag"`
	// MaxOutput is how much of the output of one command is kept.
	MaxOutput hydra.Size `json:"max_output"`
	// OutputDir is where the output goes instead, a file of each command.
	OutputDir string `json:"output_dir,omitempty"`
	// DryRun prints what would be run.
	DryRun bool `json:"dry_run"`
	// Selection says for which directories or files; without types, for regular files.
	selection.Selection
}

// What a command runs for.
const (
	perDir   = "dir"
	perFile  = "file"
	perBatch = "batch"
)

const (
	mostRetries = 1000
	leastOutput = 4 << 10
	mostOutput  = hydra.MostEmit / 2
)

func (s *Settings) prepare() error {
	switch {
	case !slices.Contains([]string{perDir, perFile, perBatch}, s.Per):
		return fmt.Errorf("--per is %s, %s or %s", perDir, perFile, perBatch)
	case s.BatchSize < 0:
		return errors.New("--batch-size can not be negative; 0 takes as many files as there is room for")
	case s.BatchSize > 0 && s.Per != perBatch:
		return errors.New("--batch-size is for --per batch")
	case s.Timeout < 0 || s.Grace < 0 || s.RetryDelay < 0:
		return errors.New("--timeout, --grace and --retry-delay can not be negative")
	case s.Retries < 0 || s.Retries > mostRetries:
		return fmt.Errorf("--retries has to be from 0 to %d", mostRetries)
	case s.MaxOutput < leastOutput || s.MaxOutput > mostOutput:
		return fmt.Errorf("--max-output has to be from %d to %d bytes: --output-dir takes all", leastOutput, mostOutput)
	case s.OutputDir != "" && s.Tag:
		return errors.New("--tag and --output-dir contradict each other: a file has the lines of one command only")
	}
	if err := s.prepareSelection(); err != nil {
		return err
	}
	return s.Command.check(s)
}

func (s *Settings) prepareSelection() error {
	switch {
	case s.Per != perDir && s.Types == "":
		s.Types = "f"
	case s.Per != perDir && strings.Contains(string(s.Types), "d"):
		return errors.New("--type d is for --per dir")
	case s.Per == perDir && s.Types != "" && s.Types != "d":
		return errors.New("--type is for --per file and --per batch: else commands run for directories")
	case s.Per == perDir && len(s.Sizes) > 0:
		return errors.New("--size is for --per file and --per batch: it means regular files")
	}
	s.Owners, s.Groups = slices.Clone(s.Owners), slices.Clone(s.Groups) // Prepare changes them
	return s.Selection.Prepare()
}

// change allows what says how commands are run, and not which.
func change(before, after Settings) error {
	before.Timeout, before.Grace, before.Retries, before.RetryDelay = after.Timeout, after.Grace, after.Retries, after.RetryDelay
	before.BatchSize = after.BatchSize
	if !reflect.DeepEqual(before, after) {
		return errors.New("of exec only timeout_seconds, grace_seconds, retries, retry_delay_seconds and batch_size can be changed while it runs")
	}
	return nil
}

// App returns the application.
func App() *hydra.App[Settings, Stats] {
	return &hydra.App[Settings, Stats]{
		Name:  "exec",
		Short: "Run a command for each directory or file",
		Long: `Exec runs CMD for each directory below each PATH, for PATH itself too; with --per
file for each regular file, with --per batch for many files at a time. -j says how
many commands run side by side, by default as many as there are processors.

In the arguments {} stands for the path, {/} for its last element and {//} for the
directory that it lies in. Without any of them the path comes last. Paths are
absolute. There is no shell, so no name can be anything but a name; --shell runs a
text with sh, which gets the path as "$1".

A command has nothing on its standard input. Its output is printed when it has
ended, in one piece; of what it writes to standard error the first lines are in the
result if it fails. Commands that fail are counted, listed, and make the exit code 3.

A command may be run again for the same path if a client dies or is stopped: then
HYDRA_AGAIN is 1 in its environment.`,
		Example: `  # what would be run
  hydra exec -n /data -- du -sh {}

  # the size of each directory, four at a time
  hydra exec -j 4 /data -- du -sh {}

  # compress files, many with each command; what commands make in PATH may be found too
  hydra exec --per batch -E '*.gz' /data/logs -- gzip -9 {}

  # a text for the shell: the path is "$1"
  hydra exec --per file --shell --tag /data -- 'wc -l < "$1"'

  # at most a minute each, three times if it fails
  hydra exec --timeout 1m --retries 2 --chdir /data -- ./check.sh`,
		Settings: Settings{Per: perDir, Grace: Time(10 * time.Second), RetryDelay: Time(time.Second), MaxOutput: 1 << 20},
		Flags: func(f *pflag.FlagSet, s *Settings) {
			f.StringVar(&s.Per, "per", s.Per, "run a command for each `WHAT`: dir, file, or batch, which is many files of one directory")
			f.IntVar(&s.BatchSize, "batch-size", 0, "give a command at most `N` files; 0 gives as many as there is room for")
			f.BoolVar(&s.Shell, "shell", false, "CMD is one text for sh, which gets the path as $1, or the paths as \"$@\"")
			f.BoolVar(&s.Chdir, "chdir", false, "run in the directory, or in that of the files, and not where the client runs")
			f.Var(&s.Timeout, "timeout", "end a command that takes longer than `TIME`, as 30s or 2h; 0 lets it run")
			f.Var(&s.Grace, "grace", "`TIME` between SIGTERM and SIGKILL for a command that has to end")
			f.IntVar(&s.Retries, "retries", 0, "run a command that fails up to `N` times more")
			f.Var(&s.RetryDelay, "retry-delay", "wait `TIME` before that, and twice as long each time, up to a minute")
			f.BoolVar(&s.Tag, "tag", false, "begin each line of the output with the path and a tab")
			f.Var(&s.MaxOutput, "max-output", "print at most this much of what one command writes")
			f.StringVar(&s.OutputDir, "output-dir", "", "write what commands print into files in `DIR`, on the host where they run; of the user of its client's --run-as")
			f.BoolVarP(&s.DryRun, "dry-run", "n", false, "print the commands and run none")
			s.Selection.Flags(f)
		},
		Command: func(s *Settings, argv []string) error {
			s.Command = argv
			return nil
		},
		Prepare:   (*Settings).prepare,
		FieldsFor: func(s Settings) walk.Fields { return s.Fields() },
		Change:    change,
		Opens: func(s Settings) []string {
			if s.OutputDir == "" {
				return nil
			}
			return []string{s.OutputDir}
		},
		Waits:      true,
		Changes:    true, // for all that anybody knows
		DryRun:     func(s Settings) bool { return s.DryRun },
		Acted:      func(*Stats, *hydra.Act) {},
		Commit:     time.Second,
		Emits:      true,
		NewStats:   newStats,
		NewHandler: newHandler,
		Summarize:  summarize,
	}
}

func newHandler(_ context.Context, w *hydra.Worker[Settings, Stats]) (walk.Handler, error) {
	h := &handler{w: w, env: environment(w)}
	var err error
	if h.selects, err = selection.NewMatcher(&w.Settings.Selection); err != nil {
		return nil, err
	}
	if h.program, err = w.Settings.Command.program(&w.Settings); err != nil && !w.Settings.DryRun {
		// Rather now than for each directory.
		return nil, fmt.Errorf("the command can not be run here: %w", err)
	}
	if dir := w.Settings.OutputDir; dir != "" && !w.Settings.DryRun {
		if h.files, err = openOutputDir(w.Within, dir, w.RunAs); err != nil {
			return nil, fmt.Errorf("--output-dir: %w", err)
		}
	}
	switch w.Settings.Per {
	case perFile:
		return files{h}, nil
	case perBatch:
		return batches{h}, nil
	}
	return dirs{h}, nil
}

// Time is a duration as the value of a flag, in JSON in seconds.
type Time time.Duration

// String implements [pflag.Value].
func (t *Time) String() string { return time.Duration(*t).String() }

// Type implements [pflag.Value].
func (t *Time) Type() string { return "TIME" }

// Set implements [pflag.Value].
func (t *Time) Set(text string) error {
	d, err := time.ParseDuration(text)
	if err != nil {
		return fmt.Errorf("%q is no time such as 30s, 5m or 1h30m", text)
	}
	*t = Time(d)
	return nil
}

// MarshalJSON implements [json.Marshaler].
func (t Time) MarshalJSON() ([]byte, error) {
	return strconv.AppendFloat(nil, time.Duration(t).Seconds(), 'f', -1, 64), nil
}

// UnmarshalJSON implements [json.Unmarshaler].
func (t *Time) UnmarshalJSON(text []byte) error {
	d, err := time.ParseDuration(string(text) + "s")
	if err != nil {
		return fmt.Errorf("%s is no number of seconds", text)
	}
	*t = Time(d)
	return nil
}
