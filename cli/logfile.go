package cli

import (
	"fmt"
	"log/slog"

	"github.com/hydrawalk/hydra"
)

// logs are where the log goes.
type logs struct {
	logger *slog.Logger // without a name
	file   *logFile     // nil: to the screen
}

// openLog sets up the log as the flags say.
func (c *call) openLog() (*logs, error) {
	names := []string{"cli", "hydra", "walk", "server", "client"}
	for _, app := range c.apps {
		names = append(names, app.Info().Name)
	}
	ls, err := c.levels(names)
	if err != nil {
		return nil, err
	}
	json := c.logFormat.value == "json"
	l := &logs{}
	if c.logFile == "" {
		service := c.logs < slog.LevelWarn // runs for days
		l.logger = slog.New(newHandler(c.screen, ls, json, json || service))
	} else {
		l.file = &logFile{path: c.logFile, max: int64(c.logMaxSize), keep: c.logKeep}
		l.logger = slog.New(newHandler(l.file, ls, json, true))
		l.file.says = l.logger.With(hydra.LoggerKey, "cli").Warn
		if err := l.file.open(); err != nil {
			return nil, fmt.Errorf("--log-file: %w", err)
		}
	}
	c.logger = l.logger
	c.log = l.logger.With(hydra.LoggerKey, "cli")
	return l, nil
}

func (l *logs) close() {
	if l.file != nil {
		l.file.close()
	}
}

// reopener is what SIGHUP calls: nil where there is no file, so that the signal
// does what it always does.
func (l *logs) reopener() func() {
	if l.file == nil {
		return nil
	}
	return func() {
		if err := l.file.open(); err != nil {
			l.logger.Error("the log file can not be opened again: the old one is kept", "err", err)
		}
	}
}
