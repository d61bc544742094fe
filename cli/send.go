package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/hydrawalk/hydra"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// mostSent is how much of standard input is read for a message: more than one may be.
const mostSent = 64 << 10

// jobSend sends a message to a job.
func (p *program) jobSend() *cobra.Command {
	var to string
	cmd := p.jobSub(&cobra.Command{
		Use:   "send [flags] ID TOPIC [VALUE]",
		Short: "Send a message to the application of a job",
		Long: `Send a message to the application of a job, on one of the topics that it has. VALUE
is JSON; what is none is sent as a string, and without a VALUE it is null. - reads
JSON from standard input.

The message goes to the application's part on the server, or to all clients, all
workers, or one client, which is named by its ID, a part of that, or its host. The
command returns when the message is on the server's disk: whoever it is for gets it
at least once, after those that this command sent before, and clients that come
later get it too.

Answers, and whatever else the application has to say to the user, are printed by
the command that submitted the job, and by ` + "`" + p.name + " job watch`" + `.`,
		Example: `  # to the application's part on the server
  ` + p.name + ` job send k3j2x1 note '{"text": "hello"}'

  # to all workers, while they walk
  ` + p.name + ` job send k3j2x1 threshold 1048576 --to workers

  # what a file has
  ` + p.name + ` job send k3j2x1 note - < note.json`,
	}, func(_ *common, f *pflag.FlagSet) {
		f.StringVar(&to, "to", "server", "who gets it: server, clients, workers, or a `CLIENT`")
	}, func(ctx context.Context, c *call, s *hydra.Server, args []string) error {
		value, err := sent(args[2:], p.stdin)
		if err != nil {
			return &hydra.UsageError{Err: err}
		}
		j, err := c.find(ctx, s, args[0])
		if err != nil {
			return err
		}
		address := addressee(to)
		if err := s.Send(ctx, j.Job, address, args[1], value, p.apps...); err != nil {
			return err
		}
		c.say(fmt.Sprintf("sent %s to %s of job %s", args[1], address, j.Job))
		return nil
	})
	cmd.Args = cobra.MatchAll(func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) == 0:
			return needsIDs(cmd, args)
		case len(args) == 1:
			return fmt.Errorf("no TOPIC given")
		case len(args) > 3:
			return fmt.Errorf("one VALUE is expected, not %d: quote it", len(args)-2)
		}
		return nil
	})
	must(cmd.RegisterFlagCompletionFunc("to", cobra.FixedCompletions([]string{"server", "clients", "workers"}, cobra.ShellCompDirectiveNoFileComp)))
	return cmd
}

// sent is the JSON that is sent.
func sent(args []string, stdin io.Reader) (json.RawMessage, error) {
	if len(args) == 0 {
		return json.RawMessage("null"), nil
	}
	if args[0] != "-" {
		if json.Valid([]byte(args[0])) {
			return json.RawMessage(args[0]), nil
		}
		return json.Marshal(args[0])
	}
	data, err := io.ReadAll(io.LimitReader(stdin, mostSent))
	if err == nil && !json.Valid(data) {
		err = fmt.Errorf("it is no JSON")
	}
	if err != nil {
		return nil, fmt.Errorf("standard input: %w", err)
	}
	return data, nil
}

// addressee is who --to names.
func addressee(to string) hydra.Address {
	switch to {
	case "server":
		return hydra.ToServer
	case "clients":
		return hydra.ToClients
	case "workers":
		return hydra.ToWorkers
	}
	return hydra.ToClient(to)
}

// message shows a message to the user.
func (c *call) message(m hydra.UserMessage) {
	c.say(fmt.Sprintf("%s from %s: %s", m.Topic, m.From, strings.TrimSpace(string(m.Value))))
}
