package natsd

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
)

// logger gives the server's lines to slog: warnings and worse as they are, all
// else, and what is said about single connections, at debug.
type logger struct {
	log *slog.Logger

	mu    sync.Mutex
	first error // that was fatal
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
	err := errors.New(fmt.Sprintf(format, v...))
	for _, x := range v {
		if cause, ok := x.(error); ok {
			err = cause
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.first == nil {
		l.first = err
	}
}

// noise is said about connections that come and go: the other side says so too.
var noise = []string{"client connection", "Slow Consumer", "authentication error", "Client parser error"}

func (l *logger) say(level slog.Level, format string, v []any) {
	text := fmt.Sprintf(format, v...)
	for _, s := range noise {
		if level > slog.LevelDebug && strings.Contains(strings.ToLower(text), strings.ToLower(s)) {
			level = slog.LevelDebug
		}
	}
	if level == slog.LevelError && strings.Contains(text, " - cid:") { // of one connection
		level = slog.LevelDebug
	}
	l.log.Log(nil, level, "NATS server", "says", text) //nolint:staticcheck // there is no context
}
