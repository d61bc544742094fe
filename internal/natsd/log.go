package natsd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
)

// logger gives the server's lines to slog: warnings and worse as they are, all
// else, and what is said about single connections, at debug.
type logger struct {
	log    *slog.Logger
	failed chan struct{} // closed with the first fatal error

	mu    sync.Mutex
	first error // that was fatal
}

func newLogger(log *slog.Logger) *logger {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &logger{log: log, failed: make(chan struct{})}
}

// fatal is the first fatal error, with its cause.
func (l *logger) fatal() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.first
}

func (l *logger) Noticef(format string, v ...any) { l.say(slog.LevelDebug, format, v) }
func (l *logger) Debugf(format string, v ...any)  { l.say(slog.LevelDebug, format, v) }
func (l *logger) Tracef(string, ...any)           {}
func (l *logger) Warnf(format string, v ...any)   { l.say(slog.LevelWarn, format, v) }
func (l *logger) Errorf(format string, v ...any)  { l.say(slog.LevelError, format, v) }

func (l *logger) Fatalf(format string, v ...any) {
	err := fmt.Errorf(format, v...)
	for _, x := range v {
		if cause, ok := x.(error); ok {
			err = cause
		}
	}
	l.fail(err)
}

func (l *logger) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.first == nil {
		l.first = err
		close(l.failed)
	}
}

// noise is not for people: what is said about connections that come and go, which
// the other side says too, and about the password, which is made for one run.
var noise = []string{"client connection", "slow consumer", "authentication error", "client parser error", "plaintext passwords"}

func (l *logger) say(level slog.Level, format string, v []any) {
	text := fmt.Sprintf(format, v...)
	lower := strings.ToLower(text)
	if strings.Contains(text, " - cid:") || slices.ContainsFunc(noise, func(s string) bool { return strings.Contains(lower, s) }) {
		level = slog.LevelDebug
	}
	if strings.Contains(lower, "critical write error") {
		l.fail(errors.New(text))
	}
	l.log.Log(context.Background(), level, "NATS server", "says", text)
}
