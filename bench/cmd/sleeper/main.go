// Command sleeper takes its time for each file: a whole program on the public
// packages, whose speed is a matter of how many workers it has.
package main

import (
	"context"
	"time"

	"github.com/hydrawalk/hydra"
	"github.com/hydrawalk/hydra/cli"
	"github.com/hydrawalk/hydra/stats"
	"github.com/hydrawalk/hydra/walk"
	"github.com/spf13/pflag"
)

type settings struct {
	Delay time.Duration `json:"delay"`
}

type counts struct {
	Seen stats.Counter `json:"seen"`
}

type sleeper struct {
	w *hydra.Worker[settings, counts]
}

func (s sleeper) File(context.Context, *walk.Entry) error {
	time.Sleep(s.w.Settings.Delay)
	s.w.Stats.Seen.Inc()
	return nil
}

func main() {
	cli.Main(&hydra.App[settings, counts]{
		Name:     "sleep",
		Short:    "Sleep for each file",
		Settings: settings{500 * time.Microsecond},
		Flags: func(f *pflag.FlagSet, s *settings) {
			f.DurationVar(&s.Delay, "delay", s.Delay, "sleep for `TIME`")
		},
		NewHandler: func(_ context.Context, w *hydra.Worker[settings, counts]) (walk.Handler, error) {
			return sleeper{w}, nil
		},
	})
}
