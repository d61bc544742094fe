package main

import (
	"context"
	"fmt"
	"os"

	"github.com/hydrawalk/hydra"
	"github.com/hydrawalk/hydra/stats"
	"github.com/hydrawalk/hydra/walk"
	"github.com/spf13/pflag"
)

// waiter is an application that waits in its handler: it says so on standard
// error, and goes on when the walk is cancelled, or never.
func waiter() hydra.Application {
	type settings struct{ Deaf bool }
	type counts struct {
		Seen stats.Counter `json:"seen"`
	}
	return &hydra.App[settings, counts]{
		Name: "waiter",
		Flags: func(f *pflag.FlagSet, s *settings) {
			f.BoolVar(&s.Deaf, "deaf", false, "do not go on when the walk is cancelled")
		},
		NewHandler: func(_ context.Context, w *hydra.Worker[settings, counts]) (walk.Handler, error) {
			return fileFunc(func(ctx context.Context, e *walk.Entry) error {
				w.Stats.Seen.Inc()
				fmt.Fprintln(os.Stderr, "in hand:", e.Name())
				<-ctx.Done()
				if w.Settings.Deaf {
					fmt.Fprintln(os.Stderr, "deaf")
					select {}
				}
				return ctx.Err()
			}), nil
		},
	}
}

type fileFunc func(context.Context, *walk.Entry) error

func (f fileFunc) File(ctx context.Context, e *walk.Entry) error { return f(ctx, e) }
