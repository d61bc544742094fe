package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hydrawalk/hydra"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// answerTime is how long a server may take to answer a command about a job.
const answerTime = 15 * time.Second

// jobCommand looks at jobs of a server and changes them.
func (p *program) jobCommand() *cobra.Command {
	job := &cobra.Command{
		Use:     "job",
		Short:   "List, watch and steer jobs of a server",
		GroupID: "cluster",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return unknownCommand(cmd, args[0])
			}
			return nil
		},
		Long: `Look at the jobs of a server, and change them.

A job is what a command with --server submits. It belongs to the server, and goes
on whatever becomes of that command. Where an ID is asked for, any beginning or
end of it that no other job has is enough.

The server is that of --server, of HYDRA_SERVER or of the configuration, or else
the one of this machine, ` + hydra.DefaultAddress + `.

With --local it is about jobs of this machine, which have no server: a command with
--job NAME began them. Their whole NAME is given instead of an ID. Such a job is
kept until it is removed.`,
		Example: `  # what there is
  ` + p.name + ` job list

  # wait for the result, as the command does that submitted it
  ` + p.name + ` job watch k3j2x1 --report data.html

  # what there is of this machine, and forget one
  ` + p.name + ` job list --local
  ` + p.name + ` job remove --local nightly`,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		// Flags are those of the commands below: a command that there is not is told first.
		FParseErrWhitelist: cobra.FParseErrWhitelist{UnknownFlags: true},
	}
	for _, sub := range []*cobra.Command{
		p.jobList(), p.jobShow(), p.jobWatch(), p.jobSend(),
		p.jobAct(act{name: "pause", done: "paused", short: "Let all workers of a job rest",
			long: `Let all workers of a job rest: each ends the call that it is in, and begins no
other. Nothing is lost, clients may join and leave meanwhile, and the server may be
started again. ` + "`" + p.name + ` job resume` + "`" + ` lets it go on.`,
			of:     func(j *hydra.JobStatus) bool { return j.Phase == "running" || j.Phase == "waiting" },
			isDone: func(j *hydra.JobStatus) bool { return j.Phase == "paused" }, do: (*hydra.Server).Pause, local: (*call).pauseLocal}),
		p.jobAct(act{name: "resume", done: "resumed", short: "Let a job go on that is paused or was ended before its end",
			long: `Let a job go on that is paused, or one that was cancelled, or that a limit or a
failure ended. It goes on where it was; what was counted stays counted. With --local
one that no process runs goes on in this one, which prints its result.`,
			of: func(j *hydra.JobStatus) bool {
				return j.Phase == "paused" || j.Phase == "ended" && j.State != hydra.Complete
			}, isDone: func(j *hydra.JobStatus) bool { return j.Phase == "running" || j.Phase == "waiting" }, do: (*hydra.Server).Resume, local: (*call).resumeLocal}),
		p.jobAct(act{name: "cancel", done: "cancelled", short: "End a job before its end",
			long: `End a job before its end. Clients finish the directories at hand; what was counted
until then is its result, which ` + "`" + p.name + ` job watch` + "`" + ` prints. It can be resumed.`,
			of:     func(j *hydra.JobStatus) bool { return j.Phase != "ended" },
			isDone: func(j *hydra.JobStatus) bool { return j.State == hydra.Cancelled }, do: (*hydra.Server).Cancel}),
		p.jobAct(act{name: "remove", done: "removed", short: "Forget jobs that have ended, and their results",
			long: `Forget jobs that have ended, and their results. Until then a job is kept, however
old it is. What it changed is kept in a file, for ` + "`" + p.name + ` undo` + "`" + `.`,
			of: func(j *hydra.JobStatus) bool { return j.Phase == "ended" }, do: (*hydra.Server).Remove, all: true, before: (*call).keepActs, local: (*call).removeLocal}),
		p.jobWorkers(), p.jobSet(), p.jobClients(), p.jobActs(),
	} {
		job.AddCommand(sub)
	}
	return job
}

// jobRun is what a command below job does, with a connection.
type jobRun func(context.Context, *call, *hydra.Server, []string) error

// jobSub makes a command below job. run is called with a connection, and a
// context that ends when the server takes too long; for a job of this machine, whose
// name is the first argument, with that of the process that runs it, or of this one.
func (p *program) jobSub(cmd *cobra.Command, define func(*common, *pflag.FlagSet), run jobRun) *cobra.Command {
	return p.jobOrLocal(cmd, define, run, func(c *call, ctx context.Context, args []string) error {
		s, err := c.openLocal(ctx, args[0])
		if err != nil {
			return err
		}
		defer s.Close()
		return run(ctx, c, s, args)
	})
}

// jobOrLocal is jobSub for a command that does something else with jobs of this
// machine; local is nil if it is nothing for these.
func (p *program) jobOrLocal(cmd *cobra.Command, define func(*common, *pflag.FlagSet), run jobRun, local func(*call, context.Context, []string) error) *cobra.Command {
	c := newCommon()
	f := cmd.Flags()
	f.SortFlags = false
	if define != nil {
		define(c, f)
	}
	c.defineServer(f)
	if local == nil {
		_ = f.MarkHidden("local") // it was just defined
	}
	c.defineLog(f)
	c.complete(cmd)
	cmd.DisableFlagsInUseLine = true
	if cmd.ValidArgsFunction == nil {
		cmd.ValidArgsFunction = cobra.NoFileCompletions
	}
	if strings.Contains(cmd.Use, "ID") && cmd.Args == nil {
		several := strings.Contains(cmd.Use, "ID...")
		cmd.Args = needsID
		if several {
			cmd.Args = needsIDs
		}
		cmd.ValidArgsFunction = func(cmd *cobra.Command, args []string, begin string) ([]string, cobra.ShellCompDirective) {
			if len(args) > 0 && !several {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return p.completeID(cmd, c, args, nil), cobra.ShellCompDirectiveNoFileComp
		}
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		r := &call{program: p, common: c, title: cmd.CommandPath(), remote: true}
		if _, err := r.beginJob(cmd); err != nil {
			return err
		}
		switch {
		case c.local && local == nil:
			return errors.New("--local is for jobs; this is about a server")
		case c.local && cmd.Name() == "resume":
			return local(r, cmd.Context(), args) // which has a log of its own
		}
		logs, err := r.openLog()
		if err != nil {
			return err
		}
		defer logs.close()
		ctx, end := context.WithCancelCause(cmd.Context())
		defer end(nil)
		r.answer = time.AfterFunc(answerTime, func() { end(fmt.Errorf("%w: it does not answer", hydra.ErrUnreachable)) })
		defer r.answer.Stop()
		if c.local {
			return asUsage(local(r, ctx, args))
		}
		s, err := r.connect(ctx)
		if err != nil {
			return asUsage(err)
		}
		defer s.Close()
		return asUsage(run(ctx, r, s, args))
	}
	return cmd
}

func needsID(cmd *cobra.Command, args []string) error {
	if len(args) > 1 {
		return fmt.Errorf("one ID is expected, not %d", len(args))
	}
	return needsIDs(cmd, args)
}

func needsIDs(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return &hintError{fmt.Errorf("no ID given"), cmd.Parent().CommandPath() + " list"}
	}
	return nil
}

// beginJob is begin for commands below job.
func (c *call) beginJob(cmd *cobra.Command) (origins, error) {
	from, err := c.begin(cmd, "job")
	if err != nil || !c.local {
		return from, err
	}
	c.remote = false
	for _, flag := range append([]string{"server"}, accessFlags...) {
		if from[flag] == originFlag {
			return nil, fmt.Errorf("--local and --%s contradict each other", flag)
		}
	}
	return from, nil
}

// find is the job that an ID, or a part of one, means.
func (c *call) find(ctx context.Context, s *hydra.Server, part string) (hydra.JobStatus, error) {
	jobs, err := s.Jobs(ctx)
	if err != nil {
		return hydra.JobStatus{}, err
	}
	var found []hydra.JobStatus
	for _, j := range jobs {
		if j.Job == part {
			return j, nil
		}
		if part != "" && (strings.HasPrefix(j.Job, part) || strings.HasSuffix(j.Job, part)) {
			found = append(found, j)
		}
	}
	switch len(found) {
	case 0:
		return hydra.JobStatus{}, fmt.Errorf("there is no job %s at %s: `%s` has those that there are", part, s.Address(), c.toServer("job list"))
	case 1:
		return found[0], nil
	}
	return hydra.JobStatus{}, fmt.Errorf("%s is a part of %d IDs, as %s and %s", part, len(found), found[0].Job, found[1].Job)
}

// completeTime is how long a shell waits for the IDs of jobs.
const completeTime = time.Second

// ask asks a server for what a shell can offer. It says nothing if that fails.
func (p *program) ask(cmd *cobra.Command, c *common, f func(context.Context, *hydra.Server) ([]string, error)) []string {
	r := &call{program: p, common: c}
	if _, err := r.beginJob(cmd); err != nil {
		return nil
	}
	if c.local {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), completeTime)
	defer cancel()
	s, err := r.connect(ctx)
	if err != nil {
		return nil
	}
	defer s.Close()
	found, err := f(ctx, s)
	if err != nil {
		return nil
	}
	return found
}

// completeID offers the IDs of jobs: those that fit, if fits is not nil.
func (p *program) completeID(cmd *cobra.Command, c *common, args []string, fits func(*hydra.JobStatus) bool) []string {
	if c.local {
		return localNames(args)
	}
	return p.ask(cmd, c, func(ctx context.Context, s *hydra.Server) ([]string, error) {
		jobs, err := s.Jobs(ctx)
		var ids []string
		for i := range jobs {
			j := &jobs[i]
			if !slices.Contains(args, j.Job) && (fits == nil || fits(j)) {
				ids = append(ids, cobra.CompletionWithDesc(j.Job, fmt.Sprintf("%s, %s, %s", j.App, stateOf(j), pathsOf(j))))
			}
		}
		return ids, err
	})
}

func defineJSON(c *common, f *pflag.FlagSet) {
	f.BoolVar(&c.json, "json", false, "print one JSON document")
}

// act is a command that changes jobs.
type act struct {
	name, done, short, long string
	of                      func(*hydra.JobStatus) bool // jobs that it is for
	isDone                  func(*hydra.JobStatus) bool // jobs with which it is done already; may be nil
	do                      func(*hydra.Server, context.Context, string) error
	all                     bool                                                                  // it has a flag that means all these jobs
	before                  func(c *call, ctx context.Context, s *hydra.Server, job string) error // may be nil

	// local is what it does with jobs of this machine; nil: the same.
	local func(*call, context.Context, []string) error
}

// jobAct makes such a command.
func (p *program) jobAct(a act) *cobra.Command {
	all := false
	var flags *common
	cmd := &cobra.Command{
		Use:     a.name + " [flags] ID...",
		Short:   a.short,
		Long:    a.long,
		Example: "  " + p.name + " job " + a.name + " k3j2x1",
		Args: func(cmd *cobra.Command, args []string) error {
			if all && len(args) > 0 {
				return errors.New("--all and an ID contradict each other")
			}
			if all {
				return nil
			}
			return needsIDs(cmd, args)
		},
	}
	cmd.ValidArgsFunction = func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		return p.completeID(cmd, flags, args, a.of), cobra.ShellCompDirectiveNoFileComp
	}
	local := a.local
	if local == nil {
		local = func(c *call, ctx context.Context, names []string) error {
			return c.each(names, a.done, func(name string) error {
				return c.withLocal(ctx, name, func(s *hydra.Server, _ *hydra.JobStatus) error { return a.do(s, ctx, name) })
			})
		}
	}
	return p.jobOrLocal(cmd, func(c *common, f *pflag.FlagSet) {
		flags = c
		if a.all {
			f.BoolVar(&all, "all", false, "all that have ended")
		}
	}, func(ctx context.Context, c *call, s *hydra.Server, args []string) error {
		if all {
			jobs, err := s.Jobs(ctx)
			if err != nil {
				return err
			}
			for i := range jobs {
				if a.of(&jobs[i]) {
					args = append(args, jobs[i].Job)
				}
			}
		}
		var errs []error
		for _, arg := range args {
			j, err := c.find(ctx, s, arg)
			if err == nil && a.isDone != nil && a.isDone(&j) {
				c.say("job " + j.Job + " is " + stateOf(&j) + " already")
				continue
			}
			if err == nil && a.before != nil {
				err = a.before(c, ctx, s, j.Job)
			}
			if err == nil {
				err = a.do(s, ctx, j.Job)
			}
			if err == nil {
				c.say(a.done + " job " + j.Job)
			}
			errs = append(errs, err)
		}
		return errors.Join(errs...)
	}, local)
}

// app is the application of a name, nil if there is none.
func (p *program) app(name string) hydra.Application {
	for _, app := range p.apps {
		if app.Info().Name == name {
			return app
		}
	}
	return nil
}
