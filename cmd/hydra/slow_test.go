package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/hydrawalk/hydra"
	"github.com/hydrawalk/hydra/stats"
	"github.com/hydrawalk/hydra/walk"
	"github.com/spf13/pflag"
)

// slow is an application that takes its time: it says which file is in its hand,
// and goes on when a certain file is there. It records each, and may warn of it.
func slow() hydra.Application {
	type settings struct {
		Gate  string        `json:"gate"`
		Delay time.Duration `json:"delay"`
		Say   bool          `json:"say"`
		Warn  int           `json:"warn"`
	}
	type counts struct {
		Seen  stats.Counter       `json:"seen"`
		Names stats.Group[string] `json:"names"`
	}
	return &hydra.App[settings, counts]{
		Name: "slow",
		Flags: func(f *pflag.FlagSet, s *settings) {
			f.StringVar(&s.Gate, "gate", "", "wait in each file until `FILE` is there")
			f.DurationVar(&s.Delay, "delay", 0, "take `TIME` for each file")
			f.IntVar(&s.Warn, "warn", 0, "log `N` warnings for each file")
			f.BoolVar(&s.Say, "say", false, "name each file")
		},
		Prepare: func(s *settings) error {
			if s.Delay < 0 {
				return errors.New("--delay can not be negative")
			}
			return nil
		},
		Change: func(before, after settings) error {
			if before.Gate != after.Gate {
				return errors.New("the gate stays where it is")
			}
			return nil
		},
		NewHandler: func(_ context.Context, w *hydra.Worker[settings, counts]) (walk.Handler, error) {
			return fileFunc(func(ctx context.Context, e *walk.Entry) error {
				c := w.Settings
				if !e.Type().IsRegular() {
					return walk.SkipFile
				}
				if c.Gate != "" || c.Say {
					fmt.Fprintln(os.Stderr, "in hand:", e.Name())
				}
				for pause := c.Delay; c.Gate != "" || pause > 0; pause = 5 * time.Millisecond {
					select {
					case <-ctx.Done():
						return ctx.Err()
					case <-time.After(pause):
					}
					if _, err := os.Stat(c.Gate); c.Gate == "" || !errors.Is(err, fs.ErrNotExist) {
						break
					}
				}
				for i := range c.Warn {
					w.Log.Warn("odd file", "path", e.Path(), "n", i)
				}
				w.Log.Debug("file", "path", e.Path())
				st, err := e.Stat()
				if err == nil {
					if err := w.Record(stats.PathOf(e.Path())); err != nil {
						return err
					}
					w.Stats.Seen.Inc()
					w.Stats.Names.Add(e.Name(), st.Size)
				}
				return err
			}), nil
		},
	}
}
