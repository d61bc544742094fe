package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/hydrawalk/hydra"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// jobWorkers sets how many workers there are.
func (p *program) jobWorkers() *cobra.Command {
	var client string
	var flags *common
	cmd := &cobra.Command{
		Use:   "workers [flags] ID N|auto|default",
		Short: "Set how many workers a job has on each client",
		Long: `Set how many workers a job has on each client, or with --client on one: N, or auto,
which finds a good number by itself. With default it is as the client was started,
which shares its workers among its jobs.

Workers that are too many end what they have in hand; nothing is lost.`,
		Example: "  " + p.name + " job workers k3j2x1 8\n\n  # one client only\n  " + p.name + " job workers k3j2x1 --client nas-17 auto",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 2 {
				return &hintError{fmt.Errorf("an ID and a number of workers are expected"), cmd.CommandPath() + " ID 4"}
			}
			return nil
		},
	}
	cmd.ValidArgsFunction = func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		switch len(args) {
		case 0:
			return p.completeID(cmd, flags, args, notEnded), cobra.ShellCompDirectiveNoFileComp
		case 1:
			return []string{"auto", "default"}, cobra.ShellCompDirectiveNoFileComp
		}
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	sub := p.jobSub(cmd, func(c *common, f *pflag.FlagSet) {
		flags = c
		f.StringVar(&client, "client", "", "only on `CLIENT`: its ID, a part of that, or its host")
	}, func(ctx context.Context, c *call, s *hydra.Server, args []string) error {
		n, err := parseWorkers(args[1])
		if err != nil {
			return &hydra.UsageError{Err: err}
		}
		j, err := c.find(ctx, s, args[0])
		if err != nil {
			return err
		}
		who, on := "", "each client"
		if c.local {
			on = "this machine"
		}
		if client != "" && c.local {
			return &hydra.UsageError{Err: errors.New("--client is for a job of a server: one of this machine has no clients")}
		}
		if client != "" {
			found, err := c.findClient(ctx, s, client)
			if err != nil {
				return err
			}
			who, on = found.ID, "client "+found.ID+" on "+found.Host
		}
		if err := s.SetWorkers(ctx, j.Job, who, n); err != nil {
			return err
		}
		c.say(fmt.Sprintf("workers of job %s on %s: %s", j.Job, on, args[1]))
		return nil
	})
	must(sub.RegisterFlagCompletionFunc("client", func(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
		return p.completeClient(cmd, flags), cobra.ShellCompDirectiveNoFileComp
	}))
	return sub
}

func notEnded(j *hydra.JobStatus) bool { return j.Phase != "ended" }

func parseWorkers(text string) (int, error) {
	switch text {
	case "auto":
		return hydra.AutoWorkers, nil
	case "default":
		return 0, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > hydra.MostWorkers {
		return 0, fmt.Errorf("%q is no number of workers: use one from 1 to "+strconv.Itoa(hydra.MostWorkers)+", auto or default; `job pause` lets all rest", text)
	}
	return n, nil
}

// jobSet changes settings of a job.
func (p *program) jobSet() *cobra.Command {
	var flags *common
	var keys strings.Builder
	for _, app := range p.apps {
		var names []string
		set := pflag.NewFlagSet("", pflag.ContinueOnError)
		app.Configure(set)
		set.VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
		if len(names) > 0 {
			fmt.Fprintf(&keys, "\n  of %s: %s", app.Info().Name, strings.Join(names, ", "))
		}
	}
	cmd := &cobra.Command{
		Use:   "set [flags] ID KEY=VALUE...",
		Short: "Change settings of a job while it runs",
		Long: `Change settings of a job while it runs. Every client and worker goes by them within
a second, between two entries. The application checks them first: either all are
set, or none. The result tells when what was changed.

Each job has

  limit-ops=N        at most N calls to the file system per second, of all clients
  target-latency=T   slow down so that these calls take T on average, as 5ms
  max-errors=N       end after N errors
  priority=N         share of the clients' workers, 1 to 1000
  log=LEVEL          debug, info, warn, error or default, on all clients
  log.NAME=LEVEL     the same for walk, client, server or the application

0 means none for the first three. What else there is are the flags of its
application, which may refuse what does not fit with what was counted before:
` + keys.String(),
		Example: "  " + p.name + " job set k3j2x1 limit-ops=5000\n\n  " + p.name + " job set k3j2x1 log.walk=debug max-errors=1000",
		Args: func(cmd *cobra.Command, args []string) error {
			if err := needsIDs(cmd, args); err != nil {
				return err
			}
			if len(args) < 2 {
				return errors.New("no KEY=VALUE given")
			}
			for _, arg := range args[1:] {
				if key, _, ok := strings.Cut(arg, "="); !ok || key == "" {
					return fmt.Errorf("%q is not KEY=VALUE", arg)
				}
			}
			return nil
		},
	}
	cmd.ValidArgsFunction = func(cmd *cobra.Command, args []string, begin string) ([]string, cobra.ShellCompDirective) {
		if len(args) == 0 {
			return p.completeID(cmd, flags, args, notEnded), cobra.ShellCompDirectiveNoFileComp
		}
		if strings.HasPrefix(begin, "log") && strings.Contains(begin, "=") {
			key, _, _ := strings.Cut(begin, "=")
			var values []string
			for _, level := range []string{"debug", "info", "warn", "error", "default"} {
				values = append(values, key+"="+level)
			}
			return values, cobra.ShellCompDirectiveNoFileComp
		}
		keys := []string{"limit-ops=", "target-latency=", "max-errors=", "priority=", "log=", "log.walk=", "log.client=", "log.server="}
		for _, app := range p.apps {
			keys = append(keys, "log."+app.Info().Name+"=")
			set := pflag.NewFlagSet("", pflag.ContinueOnError)
			app.Configure(set)
			set.VisitAll(func(f *pflag.Flag) {
				if key := f.Name + "="; !slices.Contains(keys, key) {
					keys = append(keys, key)
				}
			})
		}
		return keys, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
	}
	return p.jobSub(cmd, func(c *common, _ *pflag.FlagSet) { flags = c },
		func(ctx context.Context, c *call, s *hydra.Server, args []string) error {
			j, err := c.find(ctx, s, args[0])
			if err != nil {
				return err
			}
			var settings []hydra.Setting
			for _, arg := range args[1:] {
				key, value, _ := strings.Cut(arg, "=")
				if slices.ContainsFunc(settings, func(s hydra.Setting) bool { return s.Key == key }) {
					return &hydra.UsageError{Err: fmt.Errorf("%s is given twice", key)}
				}
				settings = append(settings, hydra.Setting{Key: key, Value: value})
			}
			if err := s.Set(ctx, p.app(j.App), j.Job, settings...); err != nil {
				return err
			}
			c.say("set " + strings.Join(args[1:], " ") + " of job " + j.Job)
			return nil
		})
}

// jobClients lists the clients of a server.
func (p *program) jobClients() *cobra.Command {
	return p.jobOrLocal(&cobra.Command{
		Use:     "clients [flags]",
		Short:   "List the clients that have joined a server",
		Long:    "List the clients that have joined a server, whatever they work on.",
		Example: "  " + p.name + " job clients",
		Args:    cobra.NoArgs,
	}, defineJSON, func(ctx context.Context, c *call, s *hydra.Server, _ []string) error {
		clients, err := s.Clients(ctx)
		if err != nil {
			return err
		}
		if c.json {
			return printJSON(c.stdout, clientsJSON(clients))
		}
		if len(clients) == 0 {
			c.say("no client has joined " + s.Address())
			return nil
		}
		w := tabwriter.NewWriter(c.stdout, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "ID\tHost\tPID\tWorkers\tState\tApplications\tJobs")
		for i := range clients {
			c := &clients[i]
			workers, state := "auto", "ready"
			if c.Workers > 0 {
				workers = strconv.Itoa(c.Workers)
			}
			if c.Leaving {
				state = "leaving"
			}
			fmt.Fprintf(w, "%s\t%s\t%d\t%s\t%s\t%s\t%s\n", c.ID, printable(c.Host), c.PID, workers, state, escaped(strings.Join(c.Apps, ",")), escaped(strings.Join(c.Jobs, " ")))
		}
		return w.Flush()
	}, nil)
}

func clientsJSON(clients []hydra.ClientStatus) any {
	type one struct {
		Client  string    `json:"client"`
		Host    string    `json:"host"`
		PID     int       `json:"pid"`
		Workers int       `json:"workers"` // 0: it adapts
		Apps    []string  `json:"apps"`
		Jobs    []string  `json:"jobs"`
		Leaving bool      `json:"leaving"`
		Heard   time.Time `json:"heard"`
	}
	all := []one{}
	for _, c := range clients {
		all = append(all, one{c.ID, c.Host, c.PID, c.Workers, append([]string{}, c.Apps...), append([]string{}, c.Jobs...), c.Leaving, c.Heard.UTC()})
	}
	return struct {
		Schema  string `json:"schema"`
		Clients []one  `json:"clients"`
	}{"hydra.clients/1", all}
}

// findClient is the client that an ID, a part of one, or a host means.
func (c *call) findClient(ctx context.Context, s *hydra.Server, part string) (*hydra.ClientStatus, error) {
	clients, err := s.Clients(ctx)
	if err != nil {
		return nil, err
	}
	var found []*hydra.ClientStatus
	for i := range clients {
		one := &clients[i]
		if one.ID == part {
			return one, nil
		}
		if part != "" && (one.Host == part || strings.HasPrefix(one.ID, part)) {
			found = append(found, one)
		}
	}
	switch len(found) {
	case 0:
		return nil, fmt.Errorf("there is no client %s at %s: `%s` has those that there are", part, s.Address(), c.toServer("job clients"))
	case 1:
		return found[0], nil
	}
	return nil, fmt.Errorf("%s means %d clients, as %s and %s", part, len(found), found[0].ID, found[1].ID)
}

func (p *program) completeClient(cmd *cobra.Command, c *common) []string {
	return p.ask(cmd, c, func(ctx context.Context, s *hydra.Server) ([]string, error) {
		clients, err := s.Clients(ctx)
		var ids []string
		for i := range clients {
			ids = append(ids, cobra.CompletionWithDesc(clients[i].ID, fmt.Sprintf("%s, process %d", printable(clients[i].Host), clients[i].PID)))
		}
		return ids, err
	})
}

// drainCommand lets a client end.
func (p *program) drainCommand() *cobra.Command {
	noWait := false
	var flags *common
	cmd := &cobra.Command{
		Use:     "drain [flags] CLIENT",
		Short:   "Let a client give its work back, and end",
		GroupID: "cluster",
		Long: `Let a client give back what it has of all jobs, and end: others do it. CLIENT is its
ID, the beginning of that, or its host if there is but one client. The command
waits until the client has left.

A client does the same when it gets SIGTERM or SIGINT.`,
		Example: "  " + p.name + " drain nas-17",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return &hintError{errors.New("one CLIENT is expected"), p.name + " job clients"}
			}
			return nil
		},
	}
	cmd.ValidArgsFunction = func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return p.completeClient(cmd, flags), cobra.ShellCompDirectiveNoFileComp
	}
	return p.jobOrLocal(cmd, func(c *common, f *pflag.FlagSet) {
		flags = c
		f.BoolVar(&noWait, "no-wait", false, "do not wait until it has left")
	}, func(ctx context.Context, c *call, s *hydra.Server, args []string) error {
		client, err := c.findClient(ctx, s, args[0])
		if err != nil {
			return err
		}
		if err := s.Drain(ctx, client.ID); err != nil {
			return err
		}
		if noWait {
			c.say("client " + client.ID + " on " + client.Host + " is told to leave")
			return nil
		}
		if err := c.gone(cmd.Context(), s, client.ID); err != nil {
			return err
		}
		c.say("client " + client.ID + " on " + client.Host + " has left")
		return nil
	}, nil)
}

// goneTime is how long a client may take to leave: a handler may be in a long call.
const goneTime = time.Minute

// gone waits until a client has left.
func (c *call) gone(ctx context.Context, s *hydra.Server, id string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, goneTime, fmt.Errorf("client %s has not left yet: it may be in a long call of its application", id))
	defer cancel()
	for {
		clients, err := s.Clients(ctx)
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(clients, func(c hydra.ClientStatus) bool { return c.ID == id }) {
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(100 * time.Millisecond):
		}
	}
}
