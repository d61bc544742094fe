package hydra

import (
	"io"
	"io/fs"
	"log/slog"
	"time"

	"github.com/hydrawalk/hydra/internal/joblog"
)

// Options say how trees are walked. The zero value walks all of them with a
// number of workers that adapts.
type Options struct {
	// Workers is the number of directories that are read at a time; 0 adapts.
	Workers int
	// OneFileSystem does not enter directories on another device than their
	// root's.
	OneFileSystem bool
	// MaxDepth, when positive, is the depth at which directories are not
	// entered any more. A root has depth 0.
	MaxDepth int
	// Snapshots enters the snapshots that storage shows below the roots, as
	// .snapshot, ~snapshot and .zfs. Without it they are left out, counted and
	// named; directories of such a name that plainly are none are walked.
	Snapshots bool
	// Rules leave out entries. The last rule that matches decides; an entry
	// that none matches is walked. Roots are never left out.
	Rules []Rule
	// LimitOps, when positive, is how many calls to the file system may be made per
	// second, by all clients of a job together: opening and reading directories, and
	// what a handler asks for by methods of its entries.
	LimitOps float64
	// TargetLatency, when positive, is how long stat and readdir may take on average:
	// the run is slowed down until they do, as far as that helps.
	TargetLatency time.Duration
	// MaxErrors, when positive, is the number of errors that ends the walk.
	MaxErrors int64
	// MaxActs, when positive, is how much an application may change: no more than so
	// many acts are done, whatever dies, and the walk ends when another one would be.
	MaxActs int64
	// Acts is the directory of the file in which a run in this process writes down what
	// it changes: the Outcome names it. "" is a directory of the user's own.
	Acts string
	// Errors gets every error as a line of JSON, in no order.
	Errors io.Writer
	// Output gets what workers emit, in no order: each Write is of whole calls of
	// [Worker.Emit]. nil discards it.
	Output io.Writer
	// Messages, when set, is told of each message to the user, on one goroutine.
	Messages func(UserMessage)
	// User, when set, sends and receives messages of a run in this process; of a job
	// the [Job] does.
	User *User
	// Prefixes are mounts of one file system, as those of several front ends of a
	// storage system, in which all roots lie. Directories are spread over them, and
	// one that does not answer is left out; see [walk.Mounts]. They are not used with
	// FS.
	Prefixes []string
	// Stall is how long one system call of the walk may take before a prefix is left
	// out, or the directory is given to another client; 0 is a minute. Without
	// prefixes only jobs of a server know it.
	Stall time.Duration
	// Monitor, when set, shows the progress.
	Monitor *Monitor
	// Records is a directory for what the application records: see
	// [Worker.Record]. "": nothing is recorded.
	Records string
	// Logger gets what somebody should look at. Each line has an attribute
	// [LoggerKey] that names the part of the program. nil discards it.
	Logger *slog.Logger
	// FS is walked instead of the operating system's files.
	FS fs.FS
}

// Terminal is a writer that may be a terminal, where people read what is written. An
// App.Output asks for it: names can hold anything.
type Terminal interface{ IsTerminal() bool }

// LoggerKey is the key of the log attribute that names the part of the program
// that a line comes from: hydra, walk, client, server, or an application's name.
const LoggerKey = joblog.NameKey

func (o *Options) logger(name string) *slog.Logger {
	if o.Logger == nil {
		return slog.New(slog.DiscardHandler)
	}
	return o.Logger.With(LoggerKey, name)
}

// UsageError is the error of a call that can not be carried out as it was made:
// nothing was walked.
type UsageError struct{ Err error }

func (e *UsageError) Error() string { return e.Err.Error() }
func (e *UsageError) Unwrap() error { return e.Err }
