// Package joblog logs what is done of one job.
//
// Its loggers have a name and the job's ID in each line. Their levels can be
// changed while the job runs, and what somebody should look at is kept for
// others to take: a client sends it to the server.
package joblog

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
)

// Keys of the attributes that each line has.
const (
	NameKey = "logger" // the part of the program
	JobKey  = "job"
)

// Log is the log of one job. Any goroutine may use it.
type Log struct {
	base   slog.Handler
	levels atomic.Pointer[map[string]slog.Level] // nil: those of base
	kept   *ring                                 // nil: nothing is forwarded
}

// New makes the log of a job that writes to base, which has no name yet. job may
// be "": of no job.
func New(base *slog.Logger, job string) *Log {
	if base == nil {
		base = slog.New(slog.DiscardHandler)
	}
	l := &Log{base: base.Handler()}
	if job != "" {
		l.base = l.base.WithAttrs([]slog.Attr{slog.String(JobKey, job)})
	}
	return l
}

// NewForwarding makes one that also keeps warnings and errors, whatever the
// levels are, for Take.
func NewForwarding(base *slog.Logger, job string) *Log {
	l := New(base, job)
	l.kept = new(ring)
	return l
}

// Logger makes the logger of a part of the program.
func (l *Log) Logger(name string) *slog.Logger {
	h := &handler{log: l, inner: l.base}
	return slog.New(h.WithAttrs([]slog.Attr{slog.String(NameKey, name)}))
}

// SetLevels changes from which level on parts of the program log, by their name;
// "" is for those that are not named. What it says holds whatever base says, also
// for loggers that there are already. Without levels, base decides again.
func (l *Log) SetLevels(levels map[string]slog.Level) {
	if len(levels) == 0 {
		l.levels.Store(nil)
		return
	}
	levels = maps.Clone(levels) // it is read without a lock
	l.levels.Store(&levels)
}

// Take removes what was kept, the oldest first, as far as it fits into max bytes.
// dropped counts all that there was no room for since the log was made.
func (l *Log) Take(max int) (records []Record, dropped uint64) {
	if l.kept == nil {
		return nil, 0
	}
	return l.kept.take(max)
}

// handler is the slog.Handler of a logger.
type handler struct {
	log   *Log
	name  string
	inner slog.Handler
	attrs string // those of With, as they are kept
	group string // "a.b."
}

// wants says that a line is to be written.
func (h *handler) wants(ctx context.Context, level slog.Level) bool {
	if levels := h.log.levels.Load(); levels != nil {
		least, ok := (*levels)[h.name]
		if !ok {
			least, ok = (*levels)[""]
		}
		if ok {
			return level >= least
		}
	}
	return h.inner.Enabled(ctx, level)
}

func (h *handler) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelWarn && h.log.kept != nil || h.wants(ctx, level)
}

func (h *handler) Handle(ctx context.Context, r slog.Record) error {
	if r.Level >= slog.LevelWarn && h.log.kept != nil {
		h.log.kept.add(h.render(&r))
	}
	if !h.wants(ctx, r.Level) {
		return nil
	}
	return h.inner.Handle(ctx, r) // which asks for no level any more
}

func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	if len(attrs) == 0 {
		return h
	}
	with := *h
	with.inner = h.inner.WithAttrs(attrs)
	for _, a := range attrs {
		switch {
		case h.group == "" && a.Key == NameKey:
			with.name = a.Value.String()
		case h.log.kept != nil:
			with.attrs = appendAttr(with.attrs, h.group, a)
		}
	}
	return &with
}

func (h *handler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	with := *h
	with.inner = h.inner.WithGroup(name)
	with.group += clean(name, mostName) + "."
	return &with
}

// ParseLevels reads levels as they are given by name: debug, info, warn or error.
// Names are those of the parts of the program that log about a job, and that of
// its application; "" is for all that are not named.
func ParseLevels(texts map[string]string, app string) (map[string]slog.Level, error) {
	names := []string{"walk", "client", "server", "hydra"}
	if app != "" {
		names = append(names, app)
	}
	levels := make(map[string]slog.Level, len(texts))
	for _, name := range slices.Sorted(maps.Keys(texts)) {
		if name != "" && !slices.Contains(names, name) {
			return nil, fmt.Errorf("nothing logs as %q; there are %s", name, strings.Join(names, ", "))
		}
		var level slog.Level
		if err := level.UnmarshalText([]byte(texts[name])); err != nil {
			return nil, fmt.Errorf("%q is not a level: use debug, info, warn or error", texts[name])
		}
		levels[name] = level
	}
	return levels, nil
}
