package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/hydrawalk/hydra"
	"github.com/hydrawalk/hydra/stats"
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
old it is.`,
			of: func(j *hydra.JobStatus) bool { return j.Phase == "ended" }, do: (*hydra.Server).Remove, all: true, local: (*call).removeLocal}),
		p.jobWorkers(), p.jobSet(), p.jobClients(),
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
		ctx, cancel := context.WithTimeoutCause(cmd.Context(), answerTime, fmt.Errorf("%w: it does not answer", hydra.ErrUnreachable))
		defer cancel()
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
	for _, flag := range []string{"server", "creds"} {
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

// jobJSON is a job for programs.
type jobJSON struct {
	Job        string      `json:"job"`
	App        string      `json:"app"`
	Paths      []string    `json:"paths"`
	PathsB64   [][]byte    `json:"paths_b64,omitempty"` // of all, if one is not UTF-8
	Priority   int         `json:"priority"`
	Phase      string      `json:"phase"`
	State      hydra.State `json:"state,omitempty"`
	Reason     string      `json:"reason,omitempty"`
	Step       string      `json:"step,omitempty"`
	Waits      string      `json:"waits,omitempty"`
	Submitted  *time.Time  `json:"submitted"`
	Started    *time.Time  `json:"started"`
	Finished   *time.Time  `json:"finished"`
	Clients    int         `json:"clients"`
	Workers    int         `json:"workers"`
	Entries    int64       `json:"entries"`
	DoneDirs   int64       `json:"done_dirs"`
	QueuedDirs int64       `json:"queued_dirs"`
	Bytes      int64       `json:"bytes"`
	Errors     int64       `json:"errors"`
}

func jobOf(j *hydra.JobStatus) jobJSON {
	at := func(t time.Time) *time.Time {
		if t.IsZero() {
			return nil
		}
		t = t.UTC()
		return &t
	}
	p := &j.Progress
	doc := jobJSON{
		Job: j.Job, App: j.App, Priority: j.Priority, Phase: j.Phase, State: j.State, Reason: j.Reason, Step: j.Step, Waits: j.Waits,
		Submitted: at(j.Submitted), Started: at(j.Started), Finished: at(j.Finished), Clients: j.Clients, Workers: p.Workers,
		Entries: p.Entries, DoneDirs: p.DirsDone, QueuedDirs: p.DirsQueued, Bytes: p.Bytes, Errors: p.Errors,
	}
	exact := true
	for _, path := range j.Paths {
		p := stats.PathOf(path)
		doc.Paths, doc.PathsB64 = append(doc.Paths, p.Printable), append(doc.PathsB64, []byte(path))
		exact = exact && p.Bytes == nil
	}
	if exact {
		doc.PathsB64 = nil
	}
	return doc
}

func printJSON(w io.Writer, doc any) error {
	text, err := json.Marshal(doc)
	if err == nil {
		_, err = w.Write(hydra.Lay(text))
	}
	return err
}

// stateOf is how a job does, in a word or two.
func stateOf(j *hydra.JobStatus) string {
	if j.State != "" && j.Phase == "ended" {
		return string(j.State)
	}
	if j.Phase == "finishing" && j.Step != "" {
		return j.Phase + ": " + j.Step
	}
	return j.Phase
}

func pathsOf(j *hydra.JobStatus) string {
	var paths []string
	for _, path := range j.Paths {
		paths = append(paths, printable(path))
	}
	const shown = 3
	if len(paths) > shown {
		paths = append(paths[:shown], fmt.Sprintf("and %d more", len(paths)-shown))
	}
	return strings.Join(paths, " ")
}

func defineJSON(c *common, f *pflag.FlagSet) {
	f.BoolVar(&c.json, "json", false, "print one JSON document")
}

func (p *program) jobList() *cobra.Command {
	return p.jobOrLocal(&cobra.Command{
		Use:     "list [flags]",
		Aliases: []string{"ls"},
		Short:   "List all jobs",
		Long:    "List all jobs of a server, in the order in which they were submitted.",
		Example: "  " + p.name + " job list\n\n  # for a script\n  " + p.name + " job list --json | jq -r '.jobs[] | select(.phase == \"running\") | .job'",
		Args:    cobra.NoArgs,
	}, defineJSON, func(ctx context.Context, c *call, s *hydra.Server, _ []string) error {
		jobs, err := s.Jobs(ctx)
		if err != nil {
			return err
		}
		return c.printJobs(jobs, "at "+s.Address())
	}, (*call).listLocal)
}

// printJobs prints the list of jobs of some place.
func (c *call) printJobs(jobs []hydra.JobStatus, place string) error {
	if c.json {
		all := []jobJSON{}
		for i := range jobs {
			all = append(all, jobOf(&jobs[i]))
		}
		return printJSON(c.stdout, struct {
			Schema string    `json:"schema"`
			Jobs   []jobJSON `json:"jobs"`
		}{"hydra.jobs/1", all})
	}
	if len(jobs) == 0 {
		c.say("there are no jobs " + place)
		return nil
	}
	w := tabwriter.NewWriter(c.stdout, 0, 0, 2, ' ', 0)
	if c.local {
		fmt.Fprintln(w, "Name\tApplication\tState\tAge\tEntries\tErrors\tPaths")
	} else {
		fmt.Fprintln(w, "ID\tApplication\tState\tAge\tPriority\tClients\tEntries\tErrors\tPaths")
	}
	for i := range jobs {
		j := &jobs[i]
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t", j.Job, j.App, stateOf(j), age(time.Since(j.Submitted)))
		if !c.local {
			fmt.Fprintf(w, "%d\t%d\t", j.Priority, j.Clients)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\n", humanize.Comma(j.Progress.Entries), humanize.Comma(j.Progress.Errors), pathsOf(j))
	}
	return w.Flush()
}

// act is a command that changes jobs.
type act struct {
	name, done, short, long string
	of                      func(*hydra.JobStatus) bool // jobs that it is for
	isDone                  func(*hydra.JobStatus) bool // jobs with which it is done already; may be nil
	do                      func(*hydra.Server, context.Context, string) error
	all                     bool // it has a flag that means all these jobs

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

// jobWatch waits for a job, and prints its result.
func (p *program) jobWatch() *cobra.Command {
	c := newCommon()
	cmd := &cobra.Command{
		Use:   "watch [flags] ID",
		Short: "Wait for a job and print its result",
		Long: `Wait for a job, and print its result as the command does that submitted it, with
the same exit code. It may have ended long ago.

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

// app is the application of a name, nil if there is none.
func (p *program) app(name string) hydra.Application {
	for _, app := range p.apps {
		if app.Info().Name == name {
			return app
		}
	}
	return nil
}
