// Command messages counts files that are larger than a threshold, which the user may
// change while it runs; at the end it asks all clients how many they found. It shows
// messages between all parties, and a phase after the walk.
//
//	messages server &
//	messages client localhost &
//	messages large --server localhost /data
//	messages job send ID threshold 1000000 --to workers
package main

import (
	"context"
	"sync/atomic"

	"github.com/hydrawalk/hydra"
	"github.com/hydrawalk/hydra/cli"
	"github.com/hydrawalk/hydra/stats"
	"github.com/hydrawalk/hydra/walk"
)

type (
	settings    struct{}
	counts      struct{ Large stats.Counter }
	coordinator = hydra.Coordinator[settings, counts]
)

// The topics, and who sends them to whom.
var (
	threshold = hydra.Topic[int64]{Name: "threshold"} // user to workers: a size in bytes
	found     = hydra.Topic[string]{Name: "found"}    // worker to server: a file's path
	question  = hydra.Topic[string]{Name: "question"} // server to clients
	answer    = hydra.Topic[int64]{Name: "answer"}    // client to server
	note      = hydra.Topic[string]{Name: "note"}     // client to user
)

// counter is the handler of one worker. Messages come on the worker's own goroutine,
// between two calls: it needs no lock.
type counter struct {
	*hydra.Worker[settings, counts]
	least int64
}

func (c *counter) File(ctx context.Context, e *walk.Entry) error {
	st, err := e.Stat()
	if err != nil || st.Size < c.least {
		return err
	}
	c.Stats.Large.Inc()
	return found.Send(ctx, c, hydra.ToServer, e.Path())
}

// serve is called on each server that coordinates the job.
func serve(_ context.Context, co *coordinator) error {
	var n atomic.Int64
	return found.Receive(co, func(_ context.Context, m hydra.Message[string]) error {
		co.Log.Info("large", "n", n.Add(1), "path", m.Value, "from", m.From)
		return nil
	})
}

// client is called when a client begins its part.
func client(ctx context.Context, c *hydra.Client[settings, counts]) error {
	var asked int64
	err := question.Receive(c, func(ctx context.Context, m hydra.Message[string]) error {
		if err := note.Send(ctx, c, hydra.ToUser, "I was asked "+m.Value); err != nil {
			return err
		}
		asked++
		return answer.Send(ctx, c, hydra.ToServer, asked)
	})
	if err != nil {
		return err
	}
	return note.Send(ctx, c, hydra.ToUser, "I begin")
}

// ask is a phase: it asks all clients that are there, and waits for their answers.
func ask(ctx context.Context, co *coordinator) error {
	answers := make(chan hydra.Message[int64])
	err := answer.Receive(co, func(ctx context.Context, m hydra.Message[int64]) error {
		select {
		case answers <- m:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	})
	if err != nil {
		return err
	}
	open := map[string]bool{}
	for _, c := range co.Clients() {
		open[c.ID] = true
	}
	if err := question.Send(ctx, co, hydra.ToClients, "how it was"); err != nil {
		return err
	}
	all := map[string]int64{}
	for len(all) < len(open) {
		select {
		case m := <-answers:
			if open[m.From.Client] {
				all[m.From.Client] = m.Value
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return co.Attach(ctx, "answers", all)
}

func app() *hydra.App[settings, counts] {
	return &hydra.App[settings, counts]{
		Name:   "large",
		Short:  "Count large files, and talk about them",
		Topics: []hydra.TopicInfo{threshold.Info(), found.Info(), question.Info(), answer.Info(), note.Info()},
		Server: serve,
		Client: client,
		Phases: []hydra.Phase[settings, counts]{{Name: "ask", Run: ask}},
		NewHandler: func(_ context.Context, w *hydra.Worker[settings, counts]) (walk.Handler, error) {
			c := &counter{Worker: w, least: 1 << 20}
			return c, threshold.Receive(w, func(_ context.Context, m hydra.Message[int64]) error {
				c.least = m.Value
				return nil
			})
		},
	}
}

func main() { cli.Main(app()) }
