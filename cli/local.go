package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/hydrawalk/hydra"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Jobs of this machine: --job NAME begins one, --resume NAME goes on with it, and the
// commands below job have --local.

// notOfJob are the flags that --resume takes: they say what becomes of the result, and
// how it is made, but not what it is.
var notOfJob = []string{
	"job", "resume", "server", "local", "creds", "token-file", "tls-ca", "tls-cert", "tls-key", "cancel-on-exit", "workers",
	"json", "format", "output", "report", "errors", "color",
	"progress", "progress-interval", "quiet", "verbose", "log-level", "log-file", "log-format",
}

// checkResume tells what does not go with --resume.
func (c *common) checkResume(cmd *cobra.Command, app hydra.Application, args []string) error {
	switch {
	case cmd.Flags().Changed("job"):
		return errors.New("--job begins a job and --resume goes on with one: give one of them")
	case c.resume == "":
		return errors.New("--resume is empty: name a job")
	case len(args) > 0 || cmd.Flags().Changed("path-file"):
		return errors.New("--resume goes on with the paths that the job began with: give none")
	}
	var err error
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if err == nil && f.Changed && !slices.Contains(notOfJob, f.Name) && !ofReports(app, f) {
			err = fmt.Errorf("--%s belongs to the job, which goes on as it began: the command `job set --local` changes what can be changed", f.Name)
		}
	})
	return err
}

// ofReports tells whether a flag of an application says only how a result is shown:
// the settings of a job, which are kept, do not change with it.
func ofReports(app hydra.Application, given *pflag.Flag) bool {
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	runner := app.Configure(flags)
	f := flags.Lookup(given.Name)
	if f == nil {
		return false
	}
	before, err := runner.Settings()
	if err != nil {
		return false
	}
	if list, ok := given.Value.(pflag.SliceValue); ok {
		err = f.Value.(pflag.SliceValue).Replace(list.GetSlice())
	} else {
		err = f.Value.Set(given.Value.String())
	}
	after, settingsErr := runner.Settings()
	return err == nil && settingsErr == nil && string(before) == string(after)
}

// runJob makes a job of this machine and runs it.
func (c *call) runJob(ctx context.Context, runner hydra.Runner, paths []string, o *hydra.Options) (hydra.Document, error) {
	began := false
	doc, err := c.limited(ctx, runner, paths, o, func() (hydra.Document, error) {
		began = true
		return runner.RunJob(ctx, paths, &hydra.JobOptions{Options: *o, ID: c.job})
	})
	if errors.Is(err, hydra.ErrJobExists) {
		return nil, &hydra.UsageError{Err: fmt.Errorf("%w: --resume %s goes on with it, `%s job remove --local %s` forgets it", err, c.job, c.name, c.job)}
	}
	if !began {
		return doc, err // there is no job
	}
	return c.kept(ctx, doc, err)
}

// kept says what becomes of a job that was worked on.
func (c *call) kept(ctx context.Context, doc hydra.Document, err error) (hydra.Document, error) {
	var other *hydra.RunningError
	switch {
	case errors.As(err, &other):
		err = fmt.Errorf("%w: `%s job watch --local %s` waits for its result", err, c.name, other.Job)
	case doc == nil && c.out.broke(err):
		c.say(fmt.Sprintf("job %s is kept: `%s` puts all of it out", c.localJob, c.goesOn(c.info.Name)))
	case doc == nil && c.out.failed(err):
		err = fmt.Errorf("%w: `%s` goes on", err, c.goesOn(c.info.Name))
	case doc != nil && ctx.Err() == nil:
		c.say(fmt.Sprintf("job %s is kept: `%s job remove --local %s` forgets it", c.localJob, c.name, c.localJob))
	case doc != nil && doc.Common().State == hydra.Interrupted:
		err = fmt.Errorf("%w: `%s` goes on", err, c.goesOn(doc.Common().App))
	}
	return doc, err
}

// goesOn is the command that goes on with a job of this machine.
func (c *call) goesOn(app string) string { return c.name + " " + app + " --resume " + c.localJob }

// resumeJob goes on with a job of this machine, or of a server.
func (c *call) resumeJob(ctx context.Context, runner hydra.Runner, w work, from origins) error {
	if c.server != "" {
		w.signal, c.remote = c.onSignal(), true
		w.do = func(ctx context.Context, o *hydra.Options) (hydra.Document, error) {
			return c.resumeRemote(ctx, runner, o)
		}
		return c.run(ctx, w, from)
	}
	for _, flag := range append([]string{"cancel-on-exit"}, accessFlags...) {
		if from[flag] == originFlag {
			return fmt.Errorf("--%s is for a job of a server: give --server too", flag)
		}
	}
	c.localJob = c.resume
	w.signal = "ending with what is in hand"
	w.do = func(ctx context.Context, o *hydra.Options) (hydra.Document, error) {
		doc, err := runner.ResumeJob(ctx, c.resume, &hydra.JobOptions{Options: *o})
		return c.kept(ctx, doc, err)
	}
	return c.run(ctx, w, from)
}

// resumeRemote lets a job of a server go on, if it does not, and waits for it.
func (c *call) resumeRemote(ctx context.Context, runner hydra.Runner, o *hydra.Options) (hydra.Document, error) {
	s, err := c.connect(ctx)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	found, err := c.find(ctx, s, c.resume)
	if err != nil {
		return nil, err
	}
	jo := &hydra.JobOptions{Options: *o, Events: c.events(s)}
	job, err := runner.Job(ctx, s, found.Job, jo)
	if err != nil {
		return nil, err
	}
	if found.Phase == "ended" {
		err := error(nil)
		if found.State != hydra.Complete {
			err = s.Resume(ctx, found.Job)
		}
		if err != nil || found.State == hydra.Complete {
			jo.Events = nil // it is history
			c.log.Debug("not resumed", "job", found.Job, "err", err)
		}
	}
	return c.wait(ctx, s, job)
}

// localNames are the names of jobs of this machine that are not given yet, for a shell.
func localNames(given []string) []string {
	names, err := hydra.LocalJobNames()
	if err != nil {
		return nil
	}
	return slices.DeleteFunc(names, func(name string) bool { return slices.Contains(given, name) })
}

func (c *call) openLocal(ctx context.Context, name string) (*hydra.Server, error) {
	return hydra.OpenLocal(ctx, name, &hydra.LocalOptions{Logger: c.logger})
}

// withLocal opens a job of this machine and tells how it does.
func (c *call) withLocal(ctx context.Context, name string, do func(*hydra.Server, *hydra.JobStatus) error) error {
	s, err := c.openLocal(ctx, name)
	if err != nil {
		return err
	}
	defer s.Close()
	st, err := s.Status(ctx, name)
	if err != nil {
		return err
	}
	return do(s, &st)
}

func (c *call) listLocal(ctx context.Context, _ []string) error {
	jobs, err := hydra.LocalJobs(ctx, &hydra.LocalOptions{Logger: c.logger})
	return errors.Join(c.printJobs(jobs, "of this machine"), err)
}

// each does something with each of several jobs.
func (c *call) each(names []string, done string, do func(name string) error) error {
	var errs []error
	for _, name := range names {
		err := do(name)
		if err == nil {
			c.say(done + " job " + name)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// pauseLocal pauses jobs of this machine that are being run.
func (c *call) pauseLocal(ctx context.Context, names []string) error {
	return c.each(names, "paused", func(name string) error {
		return c.withLocal(ctx, name, func(s *hydra.Server, st *hydra.JobStatus) error {
			if st.State == hydra.Interrupted {
				return fmt.Errorf("no process runs job %s: there is nothing to pause", name)
			}
			return s.Pause(ctx, name)
		})
	})
}

func (c *call) removeLocal(ctx context.Context, names []string) error {
	if len(names) == 0 { // --all
		jobs, err := hydra.LocalJobs(ctx, &hydra.LocalOptions{Logger: c.logger})
		if err != nil {
			return err
		}
		for i := range jobs {
			if jobs[i].Phase == "ended" {
				names = append(names, jobs[i].Job)
			}
		}
	}
	return c.each(names, "removed", func(name string) error {
		var lost error
		// One that can not be opened can be removed none the less.
		_ = c.withLocal(ctx, name, func(s *hydra.Server, _ *hydra.JobStatus) error {
			lost = c.keepActs(ctx, s, name)
			return nil
		})
		if lost != nil {
			return lost
		}
		err := hydra.RemoveLocal(ctx, name)
		var other *hydra.RunningError
		if errors.As(err, &other) {
			err = fmt.Errorf("%w: `%s job cancel --local %s` ends it", err, c.name, name)
		}
		return err
	})
}

// localApp finds the application of a job of this machine.
func (c *call) localApp(ctx context.Context, name string) (app hydra.Application, err error) {
	err = c.withLocal(ctx, name, func(_ *hydra.Server, st *hydra.JobStatus) error {
		if app = c.app(st.App); app == nil {
			return fmt.Errorf("job %s is one of %s, which this program does not have", name, st.App)
		}
		return nil
	})
	return app, err
}

// resumeLocal goes on with a job of this machine, in this process.
func (c *call) resumeLocal(ctx context.Context, names []string) error {
	if len(names) > 1 {
		return fmt.Errorf("one NAME is expected, not %d: the job goes on in this process", len(names))
	}
	paused := false
	app, err := c.localApp(ctx, names[0])
	if err != nil {
		return asUsage(err)
	}
	// One that a process runs is paused, or goes on anyway.
	err = c.withLocal(ctx, names[0], func(s *hydra.Server, st *hydra.JobStatus) error {
		if paused = st.Phase == "paused"; paused {
			return s.Resume(ctx, names[0])
		}
		return nil
	})
	if err != nil || paused {
		if err == nil {
			c.say("resumed job " + names[0])
		}
		return asUsage(err)
	}
	c.resume, c.info = names[0], app.Info()
	runner := app.Configure(pflag.NewFlagSet("", pflag.ContinueOnError))
	return c.resumeJob(ctx, runner, work{check: runner.CheckReports}, nil)
}

// watchLocal waits for a job of this machine that a process runs, and prints its
// result, or what there is of it if none does.
func (c *call) watchLocal(ctx context.Context, name string, from origins) error {
	app, err := c.localApp(ctx, name)
	if err != nil {
		return asUsage(err)
	}
	c.localJob, c.info = name, app.Info()
	return c.run(ctx, work{
		check: app.Configure(pflag.NewFlagSet("", pflag.ContinueOnError)).CheckReports,
		do: func(ctx context.Context, o *hydra.Options) (hydra.Document, error) {
			doc, err := hydra.WaitLocal(ctx, app, name, &hydra.JobOptions{Options: *o})
			if doc == nil && ctx.Err() != nil {
				err = fmt.Errorf("%w: job %s goes on: `%s job watch --local %s` waits for its result", context.Cause(ctx), name, c.name, name)
			}
			return doc, err
		},
	}, from)
}
