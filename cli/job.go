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
		Short:   "List, watch, cancel and resume jobs of a server, and send them messages",
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
the one of this machine, ` + hydra.DefaultAddress + `.`,
		Example: `  # what there is
  ` + p.name + ` job list

  # wait for the result, as the command does that submitted it
  ` + p.name + ` job watch k3j2x1 --report data.html`,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		// Flags are those of the commands below: a command that there is not is told first.
		FParseErrWhitelist: cobra.FParseErrWhitelist{UnknownFlags: true},
	}
	for _, sub := range []*cobra.Command{
		p.jobList(), p.jobShow(), p.jobWatch(), p.jobSend(),
		p.jobAct("resume", "Let a job that was ended before its end go on",
			`Let a job that was cancelled, or that a limit or a failure ended, go on where it
was. What was counted stays counted.`, "resumed", (*hydra.Server).Resume),
		p.jobAct("cancel", "End a job before its end",
			`End a job before its end. Clients finish the directories at hand; what was counted
until then is its result, which `+"`"+p.name+` job watch`+"`"+` prints. It can be resumed.`, "cancelled", (*hydra.Server).Cancel),
		p.jobAct("remove", "Forget a job that has ended, and its result",
			`Forget a job that has ended, and its result. Until then a job is kept, however old
it is.`, "removed", (*hydra.Server).Remove),
	} {
		job.AddCommand(sub)
	}
	return job
}

// jobSub makes a command below job. run is called with a connection, and a
// context that ends when the server takes too long.
func (p *program) jobSub(cmd *cobra.Command, define func(*common, *pflag.FlagSet), run func(context.Context, *call, *hydra.Server, []string) error) *cobra.Command {
	c := newCommon()
	f := cmd.Flags()
	f.SortFlags = false
	if define != nil {
		define(c, f)
	}
	c.defineServer(f)
	c.defineLog(f)
	c.complete(cmd)
	cmd.DisableFlagsInUseLine = true
	cmd.ValidArgsFunction = cobra.NoFileCompletions
	if strings.Contains(cmd.Use, "ID") {
		several := strings.Contains(cmd.Use, "ID...")
		cmd.Args = needsID
		if several {
			cmd.Args = needsIDs
		}
		cmd.ValidArgsFunction = func(cmd *cobra.Command, args []string, begin string) ([]string, cobra.ShellCompDirective) {
			if len(args) > 0 && !several {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return p.completeID(cmd, c, args), cobra.ShellCompDirectiveNoFileComp
		}
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		r := &call{program: p, common: c, title: cmd.CommandPath(), remote: true}
		if _, err := r.begin(cmd, "job"); err != nil {
			return err
		}
		logs, err := r.openLog()
		if err != nil {
			return err
		}
		defer logs.close()
		ctx, cancel := context.WithTimeoutCause(cmd.Context(), answerTime, fmt.Errorf("%w: it does not answer", hydra.ErrUnreachable))
		defer cancel()
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

// completeID offers the IDs of jobs.
func (p *program) completeID(cmd *cobra.Command, c *common, args []string) []string {
	r := &call{program: p, common: c}
	if _, err := r.begin(cmd, "job"); err != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), completeTime)
	defer cancel()
	s, err := r.connect(ctx)
	if err != nil {
		return nil
	}
	defer s.Close()
	jobs, err := s.Jobs(ctx)
	if err != nil {
		return nil
	}
	var ids []string
	for i := range jobs {
		j := &jobs[i]
		if slices.Contains(args, j.Job) {
			continue
		}
		ids = append(ids, cobra.CompletionWithDesc(j.Job, fmt.Sprintf("%s, %s, %s", j.App, stateOf(j), pathsOf(j))))
	}
	return ids
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
	return p.jobSub(&cobra.Command{
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
			c.say("there are no jobs at " + s.Address())
			return nil
		}
		w := tabwriter.NewWriter(c.stdout, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "ID\tApplication\tState\tPriority\tClients\tEntries\tErrors\tPaths")
		for i := range jobs {
			j := &jobs[i]
			fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%d\t%s\t%s\t%s\n", j.Job, j.App, stateOf(j), j.Priority, j.Clients,
				humanize.Comma(j.Progress.Entries), humanize.Comma(j.Progress.Errors), pathsOf(j))
		}
		return w.Flush()
	})
}

func (p *program) jobShow() *cobra.Command {
	return p.jobSub(&cobra.Command{
		Use:     "show [flags] ID",
		Short:   "Show how a job does",
		Long:    "Show how a job does: what it waits for, who works on it, how far it is.",
		Example: "  " + p.name + " job show k3j2x1",
	}, defineJSON, func(ctx context.Context, c *call, s *hydra.Server, args []string) error {
		j, err := c.find(ctx, s, args[0])
		if err != nil {
			return err
		}
		if c.json {
			return printJSON(c.stdout, struct {
				Schema string `json:"schema"`
				jobJSON
			}{"hydra.job/1", jobOf(&j)})
		}
		return writeJob(c.stdout, &j)
	})
}

// writeJob describes a job for people.
func writeJob(out io.Writer, j *hydra.JobStatus) error {
	w := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	line := func(name, text string) {
		if text != "" {
			fmt.Fprintf(w, "%s\t%s\n", name, text)
		}
	}
	at := func(t time.Time) string {
		if t.IsZero() {
			return ""
		}
		return t.Local().Format(time.DateTime)
	}
	p := &j.Progress
	line("Job", j.Job)
	line("Application", j.App)
	line("State", stateOf(j))
	if j.Reason != "" {
		line("Because", printable(j.Reason))
	}
	if j.Waits != "" {
		line("Waits", printable(j.Waits))
	}
	line("Priority", fmt.Sprint(j.Priority))
	if j.Phase != "ended" {
		line("At work", count(int64(p.Workers), "worker")+" on "+count(int64(j.Clients), "client"))
	}
	line("Entries", humanize.Comma(p.Entries))
	line("Directories", fmt.Sprintf("%s done, %s queued", humanize.Comma(p.DirsDone), humanize.Comma(p.DirsQueued)))
	if p.Bytes > 0 {
		line("Size", humanize.IBytes(uint64(p.Bytes)))
	}
	line("Errors", humanize.Comma(p.Errors))
	line("Submitted", at(j.Submitted))
	line("Started", at(j.Started))
	line("Finished", at(j.Finished))
	for i, path := range j.Paths {
		name := "Paths"
		if i > 0 {
			name = " "
		}
		line(name, printable(path))
	}
	return w.Flush()
}

// jobAct makes a command that changes a job.
func (p *program) jobAct(name, short, long, done string, act func(*hydra.Server, context.Context, string) error) *cobra.Command {
	return p.jobSub(&cobra.Command{
		Use:     name + " [flags] ID...",
		Short:   short,
		Long:    long,
		Example: "  " + p.name + " job " + name + " k3j2x1",
	}, nil, func(ctx context.Context, c *call, s *hydra.Server, args []string) error {
		var errs []error
		for _, arg := range args {
			j, err := c.find(ctx, s, arg)
			if err == nil {
				err = act(s, ctx, j.Job)
			}
			if err == nil {
				c.say(done + " job " + j.Job)
			}
			errs = append(errs, err)
		}
		return errors.Join(errs...)
	})
}

// jobWatch waits for a job, and prints its result.
func (p *program) jobWatch() *cobra.Command {
	c := newCommon()
	cmd := &cobra.Command{
		Use:   "watch [flags] ID",
		Short: "Wait for a job and print its result",
		Long: `Wait for a job, and print its result as the command does that submitted it, with
the same exit code. It may have ended long ago.

Ctrl-C ends the waiting; the job goes on.`,
		Example: `  # wait, and write a page too
  ` + p.name + ` job watch k3j2x1 --report data.html

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
		return p.completeID(cmd, c, args), cobra.ShellCompDirectiveNoFileComp
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		r := &call{program: p, common: c, title: cmd.CommandPath(), remote: true}
		from, err := r.begin(cmd, "job")
		if err != nil {
			return err
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
		return r.run(cmd.Context(), work{
			check: app.Configure(pflag.NewFlagSet("", pflag.ContinueOnError)).CheckReports,
			do: func(ctx context.Context, o *hydra.Options) (hydra.Document, error) {
				jo := &hydra.JobOptions{Options: *o, Events: r.events(s)}
				if found.Phase == "ended" {
					jo.Events = nil // it is history
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
