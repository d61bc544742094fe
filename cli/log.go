package cli

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/hydrawalk/hydra"
)

// levels says from which level on the parts of the program log, by their name;
// "" is for those that are not named.
type levels map[string]slog.Level

func (l levels) of(name string) slog.Level {
	if level, ok := l[name]; ok {
		return level
	}
	return l[""]
}

// parse adds what text says: "debug", or "walk=debug,audit=info".
func (l levels) parse(text string) error {
	for part := range strings.SplitSeq(text, ",") {
		name, level, named := strings.Cut(strings.TrimSpace(part), "=")
		if !named {
			name, level = "", name
		}
		var parsed slog.Level
		if err := parsed.UnmarshalText([]byte(level)); err != nil {
			return fmt.Errorf("%q is not a level: use debug, info, warn or error, or NAME=LEVEL", part)
		}
		l[name] = parsed
	}
	return nil
}

// namedHandler is a slog.Handler with a level per name. The name comes with the
// attribute hydra.LoggerKey of a logger.
type namedHandler struct {
	slog.Handler
	levels levels
	level  slog.Level // of this name
}

// newHandler writes lines as text or as JSON. People at a terminal know the
// time; a file needs it.
func newHandler(w io.Writer, ls levels, json, times bool) slog.Handler {
	o := &slog.HandlerOptions{Level: slog.LevelDebug - 4}
	if !times {
		o.ReplaceAttr = func(groups []string, a slog.Attr) slog.Attr {
			if len(groups) == 0 && a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		}
	}
	h := &namedHandler{levels: ls, level: ls.of("")}
	if json {
		h.Handler = slog.NewJSONHandler(w, o)
	} else {
		h.Handler = slog.NewTextHandler(w, o)
	}
	return h
}

func (h *namedHandler) Enabled(_ context.Context, level slog.Level) bool { return level >= h.level }

func (h *namedHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	with := *h
	with.Handler = h.Handler.WithAttrs(attrs)
	for _, a := range attrs {
		if a.Key == hydra.LoggerKey {
			with.level = h.levels.of(a.Value.String())
		}
	}
	return &with
}

func (h *namedHandler) WithGroup(name string) slog.Handler {
	with := *h
	with.Handler = h.Handler.WithGroup(name)
	return &with
}
