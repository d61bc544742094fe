package hydra

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/hydrawalk/hydra/internal/bus/membus"
	"github.com/hydrawalk/hydra/internal/client"
	"github.com/hydrawalk/hydra/internal/server"
	"github.com/hydrawalk/hydra/internal/wire"
)

// runInProcess is [Run] as a job of a server in this process, which keeps it in
// memory: what does not answer is then done again in another way, exactly.
func runInProcess[C, S any](ctx context.Context, app *App[C, S], roots []string, o *Options) (*Result[S], error) {
	if app.writesActs(app.Settings) {
		// What is kept in memory is gone with the process.
		return nil, &UsageError{errors.New("with several mounts what is changed is only written down in a job: give it a name with --job")}
	}
	if o.User != nil {
		return nil, &UsageError{errors.New("there are no messages of a user in a run with prefixes: make it a job")}
	}
	engine := membus.New(nil)
	defer engine.Close()
	known := new(knownMounts)
	defer known.close()
	j := &inProcess{engine: engine, o: o}
	doc, err := j.run(ctx, app, clientApp[C, S]{app, nil, o.Records, known}, roots)
	result, ok := doc.(*Result[S])
	if !ok || result == nil {
		return nil, err
	}
	result.Job = jobID(result.Started)
	// That it is a job is nobody's business.
	var cancelled *CancelledError
	if result.State == Cancelled {
		result.State, result.Reason = Interrupted, context.Cause(ctx).Error()
	}
	if errors.As(err, &cancelled) {
		err = context.Cause(ctx)
	}
	return result, err
}

// inProcess is a cluster of one process.
type inProcess struct {
	engine *membus.Engine
	o      *Options
}

// run submits a job, works on it and returns its result.
func (j *inProcess) run(ctx context.Context, app distributed, worker client.App, roots []string) (Document, error) {
	live, cancel := context.WithCancel(context.WithoutCancel(ctx))
	failed := make(chan error, 2)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	serverBus, clientBus, own := j.engine.Open(), j.engine.Open(), j.engine.Open()
	defer own.Close()
	wg.Go(func() {
		defer serverBus.Close()
		if err := server.Run(live, server.Options{Bus: serverBus, Logger: j.o.Logger, Apps: []server.App{app.server(j.o.Logger)}}); err != nil {
			failed <- err
		}
	})
	s := &Server{bus: own, rank: wire.RankAdmin, name: localClient, address: "this process"}
	jo := &JobOptions{Options: *j.o, local: true}
	job, err := s.Submit(ctx, app, roots, jo)
	if err != nil {
		return nil, err
	}
	wg.Go(func() {
		defer clientBus.Close()
		// A worker that hangs is not waited for.
		o := client.Options{Bus: clientBus, Apps: []client.App{worker}, Workers: j.o.Workers, Once: true, Logger: j.o.Logger}
		if err := client.Work(live, o); err != nil {
			failed <- err
		}
	})
	waiting, stopWaiting := context.WithCancelCause(ctx)
	defer stopWaiting(nil)
	go func() {
		select {
		case err := <-failed:
			stopWaiting(fmt.Errorf("the run broke down: %w", err))
		case <-waiting.Done():
		}
	}()
	doc, err := job.Wait(waiting)
	if ctx.Err() == nil || doc != nil {
		return doc, err
	}
	after := context.WithoutCancel(ctx)
	if err := job.Cancel(after); err != nil {
		return nil, errors.Join(context.Cause(ctx), err)
	}
	return job.Wait(after)
}
