package hydra

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/hydrawalk/hydra/internal/bus"
	"github.com/hydrawalk/hydra/internal/bus/membus"
	"github.com/hydrawalk/hydra/internal/ledger"
	"github.com/hydrawalk/hydra/internal/post"
	"github.com/hydrawalk/hydra/stats"
)

// localClient is the ID of the only client of a run in this process.
const localClient = "local"

// parties are the server's part, the client and the user of a run in this process.
// They have a table in memory, and all else as in a cluster.
type parties[C, S any] struct {
	r      *run[C, S]
	engine *membus.Engine
	table  bus.Table
	part   *part[C, S]
	user   *userParts
	inbox  *post.Inbox // of the user; nil: nobody reads
	stop   context.CancelFunc
	wg     sync.WaitGroup
}

// gather makes the parties and calls the hooks that come before the walk. It returns
// nil if the application has nothing of all that.
func (r *run[C, S]) gather(ctx context.Context, job string) (*parties[C, S], error) {
	if len(r.app.Topics) == 0 && !r.app.needsServer() && r.app.Client == nil {
		if r.o.User != nil {
			r.o.User.u.close()
		}
		return nil, nil
	}
	p := &parties[C, S]{r: r, engine: membus.New(nil), user: new(userParts)}
	var err error
	if p.table, err = p.engine.Open().Create(ctx, "run"); err != nil {
		p.engine.Close()
		return nil, err
	}
	log := r.o.logger(r.app.Name)
	host, _ := os.Hostname()
	r.seat = newSeat(p.table, r.app.Topics, localClient, host, localClient, nil, log)
	p.part = newPart(r.app, &Coordinator[C, S]{
		Log: log, Settings: r.settings, job: job, table: p.table, stats: r.snapshot,
		clients: func() map[ledger.ClientID]string { return map[ledger.ClientID]string{localClient: host} },
	}, "server")
	if r.o.User != nil {
		p.user = &r.o.User.u
	}
	var userCtx context.Context
	userCtx, p.stop = context.WithCancel(context.WithoutCancel(ctx))
	if len(r.app.Topics) > 0 && (r.o.User != nil || r.o.Messages != nil) {
		p.inbox = p.user.open(p.table, r.o.Messages, log)
		p.wg.Go(func() { p.inbox.Run(userCtx) })
	}
	for _, hook := range []struct {
		name string
		f    func() error
	}{
		{"Server", func() error { return p.part.Begin(ctx) }},
		{"Start", func() error { return p.part.Start(ctx) }},
		{"Joined", func() error { return p.part.Joined(ctx, localClient, host) }},
	} {
		if err := guard(hook.name, hook.f); err != nil {
			p.close()
			return nil, err
		}
	}
	return p, nil
}

// begin calls the application's hook, once for all workers.
func (r *run[C, S]) begin(ctx context.Context) error {
	return r.seat.begin(func(p *parts) error {
		if r.app.Client == nil {
			return nil
		}
		return r.app.Client(ctx, &Client[C, S]{ID: localClient, Host: r.seat.host, Log: r.o.logger(r.app.Name), Settings: r.settings, p: p})
	})
}

// snapshot is a copy of what was committed; after the walk, of all that was counted.
func (r *run[C, S]) snapshot(context.Context) (*S, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	sum := r.app.newStats(r.settings)
	codec, err := stats.NewCodec(sum)
	if err != nil {
		return nil, err
	}
	parts := []*S{r.sum}
	if r.walked {
		for _, w := range r.workers {
			parts = append(parts, w.Stats)
		}
	}
	for _, s := range parts {
		data, err := codec.Encode(s)
		if err != nil {
			return nil, fmt.Errorf("copy the statistics: %w", err)
		}
		one := r.app.newStats(r.settings)
		if err := codec.Decode(data, one); err != nil {
			return nil, fmt.Errorf("copy the statistics: %w", err)
		}
		if err := stats.Merge(sum, one); err != nil {
			return nil, fmt.Errorf("merge the statistics: %w", err)
		}
	}
	return sum, nil
}

// finish does what comes after the walk, which ended with an error or nil, and ends
// all parties.
func (p *parties[C, S]) finish(ctx context.Context, out *Outcome, err error) error {
	if p == nil {
		return err
	}
	defer p.close()
	p.r.mu.Lock()
	p.r.walked = true
	p.r.mu.Unlock()
	if err == nil && out.State == Complete {
		err = p.phases(ctx, out)
		out.Finished = time.Now()
	}
	if p.inbox != nil {
		// What was sent before whoever cancelled the run is worth some time.
		late, cancel := context.WithTimeout(context.WithoutCancel(ctx), finishTime)
		if ctx.Err() == nil {
			cancel()
			late, cancel = context.WithCancel(ctx)
		}
		_ = p.inbox.Drain(late)
		cancel()
	}
	var readErr error
	if out.Phases, readErr = attached(context.WithoutCancel(ctx), p.table); readErr != nil {
		return out.fail(err, readErr)
	}
	return err
}

// phases calls the phases of the application.
func (p *parties[C, S]) phases(ctx context.Context, out *Outcome) error {
	err := p.part.Settle(ctx)
	for n := range p.r.app.Phases {
		if err == nil {
			err = guard(p.r.app.Phases[n].Name, func() error { return p.part.Phase(ctx, n) })
		}
		if err == nil {
			err = p.part.Settle(ctx)
		}
	}
	switch {
	case err == nil:
	case ctx.Err() != nil && (errors.Is(err, ctx.Err()) || errors.Is(err, context.Cause(ctx))):
		out.State, out.Reason = Interrupted, err.Error()
	default:
		return out.fail(nil, err)
	}
	return err
}

// close ends all parties.
func (p *parties[C, S]) close() {
	p.part.Close()
	p.r.seat.close()
	p.stop()
	ended(&p.wg, p.r.o.logger("hydra"))
	p.user.close()
	p.engine.Close()
}
