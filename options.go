package hydra

import (
	"io"
	"io/fs"
	"log/slog"
	"time"
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
	// Rules leave out entries. The last rule that matches decides; an entry
	// that none matches is walked. Roots are never left out.
	Rules []Rule
	// MaxErrors, when positive, is the number of errors that ends the walk.
	MaxErrors int64
	// Errors gets every error as a line of JSON, in no order.
	Errors io.Writer
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
	// Logger gets what somebody should look at. Each line has an attribute
	// [LoggerKey] that names the part of the program. nil discards it.
	Logger *slog.Logger
	// FS is walked instead of the operating system's files.
	FS fs.FS
}

// LoggerKey is the key of the log attribute that names the part of the program
// that a line comes from: hydra, walk, or an application's name.
const LoggerKey = "logger"

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
