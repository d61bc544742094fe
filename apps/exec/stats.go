package exec

import (
	"cmp"
	"slices"

	"github.com/hydrawalk/hydra/stats"
)

// Stats are what exec counts. Each command that came to its end, with all its
// attempts, is one of Commands, and one of Succeeded or Failed.
type Stats struct {
	DryRun      flag          `json:"dry_run"`
	Commands    stats.Counter `json:"commands"`
	Entries     stats.Counter `json:"entries"`      // directories or files that they were run for
	SkippedDirs stats.Counter `json:"skipped_dirs"` // that were not selected
	Succeeded   stats.Counter `json:"succeeded"`
	Failed      stats.Counter `json:"failed"`
	TimedOut    stats.Counter `json:"timed_out"`
	NotStarted  stats.Counter `json:"not_started"`
	Retried     stats.Counter `json:"retried"`
	Attempts    stats.Counter `json:"attempts"`
	Again       stats.Counter `json:"again"`
	// Of the last attempts, those that ended by themselves, and those that were ended
	// by somebody else.
	ByExitCode stats.Group[int]    `json:"by_exit_code"`
	BySignal   stats.Group[string] `json:"by_signal"`

	Milliseconds stats.Quantiles `json:"command_milliseconds"`
	Time         stats.Duration  `json:"time_commands"`

	OutputBytes stats.Counter `json:"output_bytes"`
	OutputCut   stats.Counter `json:"output_cut"` // commands whose output was not kept as a whole

	Failures stats.TopN[Failure] `json:"failures"`
}

// mostFailures is how many are listed, those with the smallest paths.
const mostFailures = 1000

func newStats(s Settings) *Stats {
	return &Stats{DryRun: flag(s.DryRun), Failures: stats.NewTopN[Failure](mostFailures)}
}

// Failure is a command that failed; its path is the first one that it was run for.
type Failure struct {
	Entries  int64    `json:"entries"`
	ExitCode *int     `json:"exit_code"` // null if it did not end by itself
	Signal   string   `json:"signal,omitempty"`
	TimedOut bool     `json:"timed_out,omitempty"`
	Error    string   `json:"error,omitempty"` // why it could not be run
	Attempts int64    `json:"attempts"`
	Seconds  float64  `json:"seconds"` // the last attempt
	Client   string   `json:"client"`
	Stderr   []string `json:"stderr,omitempty"` // its first lines
}

// Rank implements [stats.Ranked]: they are all alike.
func (f Failure) Rank() int64 { return 0 }

// Compare implements [stats.Ranked].
func (f Failure) Compare(o Failure) int {
	code := func(f Failure) int {
		if f.ExitCode == nil {
			return -1
		}
		return *f.ExitCode
	}
	yes := func(b bool) int {
		if b {
			return 1
		}
		return 0
	}
	return cmp.Or(
		cmp.Compare(f.Entries, o.Entries),
		cmp.Compare(code(f), code(o)),
		cmp.Compare(f.Signal, o.Signal),
		cmp.Compare(yes(f.TimedOut), yes(o.TimedOut)),
		cmp.Compare(f.Error, o.Error),
		cmp.Compare(f.Attempts, o.Attempts),
		cmp.Compare(f.Seconds, o.Seconds),
		cmp.Compare(f.Client, o.Client),
		slices.Compare(f.Stderr, o.Stderr),
	)
}

// flag is true if one of those that are merged is.
type flag bool

// MergeValue implements [stats.Value].
func (f *flag) MergeValue(from stats.Value) error {
	*f = *f || *from.(*flag)
	return nil
}
