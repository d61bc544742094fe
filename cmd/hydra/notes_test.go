package main

import (
	"context"

	"github.com/hydrawalk/hydra"
	"github.com/hydrawalk/hydra/stats"
	"github.com/hydrawalk/hydra/walk"
)

// notes is an application whose clients repeat to the user what they are told, and
// whose phase waits for a word of the user.
func notes() hydra.Application {
	type settings struct{}
	type counts struct {
		Seen stats.Counter `json:"seen"`
	}
	note, proceed := hydra.Topic[string]{Name: "note"}, hydra.Topic[bool]{Name: "go"}
	return &hydra.App[settings, counts]{
		Name:   "notes",
		Topics: []hydra.TopicInfo{note.Info(), proceed.Info()},
		Client: func(_ context.Context, c *hydra.Client[settings, counts]) error {
			return note.Receive(c, func(ctx context.Context, m hydra.Message[string]) error {
				return note.Send(ctx, c, hydra.ToUser, m.Value)
			})
		},
		Phases: []hydra.Phase[settings, counts]{{Name: "wait", Run: func(ctx context.Context, co *hydra.Coordinator[settings, counts]) error {
			told := make(chan bool, 1)
			if err := proceed.Receive(co, func(_ context.Context, m hydra.Message[bool]) error {
				told <- m.Value
				return nil
			}); err != nil {
				return err
			}
			select {
			case word := <-told:
				return co.Attach(ctx, "word", word)
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}}},
		NewHandler: func(_ context.Context, w *hydra.Worker[settings, counts]) (walk.Handler, error) {
			return fileFunc(func(context.Context, *walk.Entry) error {
				w.Stats.Seen.Inc()
				return nil
			}), nil
		},
	}
}
