package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/hydrawalk/hydra"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// jobWatch waits for a job, and prints its result.
func (p *program) jobWatch() *cobra.Command {
	c := newCommon()
	cmd := &cobra.Command{
		Use:   "watch [flags] ID",
		Short: "Wait for a job and print its result",
		Long: `Wait for a job, and print its result as the command does that submitted it, with
the same exit code. It may have ended long ago. What an application puts out is
put out from its begin, and as it comes.

With --json, and while the job has not ended, what happens to it is printed too: a
line of JSON for each event, and each --progress-interval (1s) one of how it and its
clients do. The result is the last line. With -q or --format json only that is
printed.

Ctrl-C ends the waiting; the job goes on.`,
		Example: `  # wait, and write a page too
  ` + p.name + ` job watch k3j2x1 --report data.html

  # what happens, as it happens
  ` + p.name + ` job watch k3j2x1 --json | jq -c 'select(.kind == "state")'

  # the result again, for a script
  ` + p.name + ` job watch k3j2x1 -q --json`,
		Args: needsID,
	}
	cmd.DisableFlagsInUseLine = true
	f := cmd.Flags()
	f.SortFlags = false
	c.defineServer(f)
	c.defineResult(f)
	c.defineProgress(f)
	c.defineLog(f)
	c.complete(cmd)
	cmd.ValidArgsFunction = func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return p.completeID(cmd, c, args, nil), cobra.ShellCompDirectiveNoFileComp
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		r := &call{program: p, common: c, title: cmd.CommandPath(), remote: true}
		from, err := r.beginJob(cmd)
		if err != nil {
			return err
		}
		if c.local {
			return r.watchLocal(cmd.Context(), args[0], from)
		}
		ctx, cancel := context.WithTimeoutCause(cmd.Context(), answerTime, fmt.Errorf("%w: it does not answer", hydra.ErrUnreachable))
		defer cancel()
		s, err := r.connect(ctx)
		if err != nil {
			return asUsage(err)
		}
		defer s.Close()
		found, err := r.find(ctx, s, args[0])
		if err != nil {
			return asUsage(err)
		}
		app := p.app(found.App)
		if app == nil {
			return failed(fmt.Errorf("job %s is one of %s, which this program does not have", found.Job, found.App))
		}
		r.info = app.Info()
		r.stream = c.json && !c.quiet && c.output == "" && found.Phase != "ended"
		return r.run(cmd.Context(), work{
			check: app.Configure(pflag.NewFlagSet("", pflag.ContinueOnError)).CheckReports,
			do: func(ctx context.Context, o *hydra.Options) (hydra.Document, error) {
				jo := &hydra.JobOptions{Options: *o, Events: r.events(s)}
				if found.Phase == "ended" {
					jo.Events = nil // it is history
				}
				if r.stream {
					defer r.streamEvents(ctx, s, found.Job, jo)()
				}
				job, err := s.Job(ctx, app, found.Job, jo)
				if err != nil {
					return nil, err
				}
				return r.wait(ctx, s, job)
			},
		}, from)
	}
	return cmd
}

// eventJSON is a line of what happens to a job.
type eventJSON struct {
	Schema string     `json:"schema"`
	At     time.Time  `json:"at"`
	Job    string     `json:"job"`
	Kind   string     `json:"kind"`
	Text   string     `json:"text,omitempty"`
	Phase  string     `json:"phase,omitempty"`
	Was    string     `json:"was,omitempty"`
	Client string     `json:"client,omitempty"`
	Now    *jobJSON   `json:"now,omitempty"` // of progress
	Peers  []peerJSON `json:"peers,omitempty"`
}

// writeEvent writes a line.
func writeEvent(w io.Writer, e eventJSON) {
	e.Schema, e.At = "hydra.event/1", e.At.UTC()
	line, err := json.Marshal(e)
	if err != nil {
		panic(err) // numbers and strings
	}
	_, _ = w.Write(append(line, '\n')) // that it can not be shown is told with the result
}

// streamEvents prints what happens to a job, and how it does, until the function
// that it returns is called.
func (c *call) streamEvents(ctx context.Context, s *hydra.Server, job string, o *hydra.JobOptions) (stop func()) {
	var mu sync.Mutex
	say := func(e eventJSON) {
		mu.Lock()
		defer mu.Unlock()
		e.Job = job
		writeEvent(c.stdout, e)
	}
	o.Events = func(e hydra.JobEvent) {
		say(eventJSON{At: e.At, Kind: e.Kind, Text: e.Text, Phase: e.Phase, Was: e.Was, Client: e.Client})
	}
	interval := c.interval
	if interval == 0 {
		interval = time.Second
	}
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() {
		tick := time.NewTicker(interval)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			askCtx, cancel := context.WithTimeout(ctx, answerTime)
			j, err := s.Status(askCtx, job)
			if err == nil {
				var peers []hydra.Peer
				peers, err = s.Peers(askCtx, job)
				now := jobOf(&j)
				e := eventJSON{At: time.Now(), Kind: "progress", Now: &now}
				for i := range peers {
					e.Peers = append(e.Peers, peerOf(&peers[i]))
				}
				if err == nil {
					say(e)
				}
			}
			cancel()
		}
	})
	return func() {
		cancel()
		wg.Wait()
	}
}
