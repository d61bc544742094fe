package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hydrawalk/hydra"
	"github.com/spf13/cobra"
)

// appCommand is the command of one application.
func (p *program) appCommand(app hydra.Application) *cobra.Command {
	info := app.Info()
	c := newCommon()
	cmd := &cobra.Command{
		Use:     info.Name + " [flags] PATH...",
		Short:   info.Short,
		Long:    info.Long,
		Example: info.Example,
		GroupID: "apps",
		Args:    cobra.ArbitraryArgs,
	}
	if info.Command {
		cmd.Use += " -- CMD ARG..."
	}
	if len(p.apps) == 1 {
		cmd.Aliases = []string{"run"}
	}
	cmd.Flags().SortFlags = false
	cmd.DisableFlagsInUseLine = true
	cmd.SetUsageFunc(appUsage)
	runner := app.Configure(cmd.Flags())
	c.define(cmd.Flags())
	if info.Confirms {
		c.defineYes(cmd.Flags())
	}
	c.complete(cmd)
	must(cmd.RegisterFlagCompletionFunc("resume", func(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
		if c.local = c.server == ""; !c.local {
			return p.completeID(cmd, c, nil, nil), cobra.ShellCompDirectiveNoFileComp
		}
		return localNames(nil), cobra.ShellCompDirectiveNoFileComp
	}))
	describeReports(cmd, info.Reports)
	completeValues(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		from, err := p.readConfig(cmd, info.Name)
		if err != nil {
			return err
		}
		c.settle(from)
		if err := c.check(); err != nil {
			return err
		}
		if err := c.place(from, p.name); err != nil {
			return err
		}
		args, command := splitCommand(cmd, args, info.Command)
		r := &call{program: p, common: c, title: cmd.CommandPath(), info: info}
		if cmd.Flags().Changed("resume") {
			if err := c.checkResume(cmd, app, slices.Concat(args, command)); err != nil {
				return err
			}
			w := work{check: runner.CheckReports}
			return r.resumeJob(cmd.Context(), runner, w, from)
		}
		if cmd.Flags().Changed("job") {
			if err := hydra.CheckJobName(c.job); err != nil {
				return fmt.Errorf("--job: %w", err)
			}
		}
		paths, err := c.paths(args, p.stdin)
		if err != nil {
			return err
		}
		if err := c.readPrefixes(p.stdin); err != nil {
			return err
		}
		if len(paths) == 0 {
			if len(c.pathFiles) > 0 {
				return fmt.Errorf("no path in %s", strings.Join(c.pathFiles, ", "))
			}
			return &hintError{errors.New("no PATH given"), cmd.CommandPath() + " ."}
		}
		if info.Command {
			if len(command) == 0 {
				return &hintError{errors.New("no command given: it comes behind the paths and --"), cmd.CommandPath() + " . -- CMD {}"}
			}
			if err := runner.Command(command); err != nil {
				return err
			}
		}
		if err := r.confirm(runner, paths); err != nil {
			return err
		}
		w := work{check: runner.CheckReports, signal: "ending with what is in hand"}
		w.do = func(ctx context.Context, o *hydra.Options) (hydra.Document, error) {
			return r.runHere(ctx, runner, paths, o)
		}
		switch {
		case c.server == "" && c.job != "":
			w.do = func(ctx context.Context, o *hydra.Options) (hydra.Document, error) {
				return r.runJob(ctx, runner, paths, o)
			}
			r.localJob = c.job
		case c.server != "":
			w.do = func(ctx context.Context, o *hydra.Options) (hydra.Document, error) {
				return r.submit(ctx, runner, paths, o)
			}
			w.signal, r.remote = r.onSignal(), true
		}
		return r.run(cmd.Context(), w, from)
	}
	return cmd
}

// splitCommand splits what was typed at --, if a command may follow it.
func splitCommand(cmd *cobra.Command, args []string, takes bool) (paths, command []string) {
	if at := cmd.ArgsLenAtDash(); takes && at >= 0 {
		return args[:at], args[at:]
	}
	return args, nil
}

func (p *program) readConfig(cmd *cobra.Command, command string) (origins, error) {
	configs, err := readConfigs(p.configFiles, p.flagSets(), p.sharesConfig())
	if err != nil {
		return nil, &hintError{err, p.name + " config show --help"}
	}
	return configure(command, cmd.Flags(), p.getenv, configs)
}

// work is what comes between the preparations of a call and its result.
type work struct {
	// check tells what reports can not be written.
	check func(reports []string) error
	// signal says what the first signal does; "" if nobody can say it yet.
	signal string
	do     func(context.Context, *hydra.Options) (hydra.Document, error)
}

// call is one run of an application from the command line.
type call struct {
	*program
	*common
	title    string       // how messages begin
	remote   bool         // the result is that of a server
	stream   bool         // events come before it, a line of JSON each
	localJob string       // the result is that of a job of this machine
	info     hydra.Info   // of the application
	answer   *time.Timer  // ends what waits for a server too long, in commands about jobs
	out      *output      // nil: the application has none, or it is not wanted
	logger   *slog.Logger // without a name
	log      *slog.Logger // of the command line
	target   target
	reports  []*target
}

// run does the work and prints its result. It sets the exit code; an error before
// that is a usage error.
func (c *call) run(ctx context.Context, w work, from origins) error {
	logs, err := c.openLog()
	if err != nil {
		return err
	}
	defer logs.close()
	for flag, origin := range from {
		if origin != originFlag {
			c.log.Debug("setting", "flag", flag, "from", origin)
		}
	}
	if err := c.target.probe(c.output); err != nil {
		return fmt.Errorf("--output: %w", err)
	}
	if err := c.prepareReports(w.check); err != nil {
		return err
	}
	o, err := c.options()
	if err != nil {
		return err
	}
	o.Logger = c.logger
	o.Messages = c.message
	if err := c.openOutput(o); err != nil {
		return err
	}
	defer c.out.discard()
	var list *errorsFile
	if c.errors != "" {
		if list, err = openErrorsFile(c.errors); err != nil {
			return fmt.Errorf("--errors: %w", err)
		}
		o.Errors = list
	}

	doc, sigs, err := c.walk(ctx, w, o, logs)
	defer sigs.close()
	if list != nil {
		err = errors.Join(err, list.close(doc != nil))
	}
	if c.out.broke(err) {
		return err // nobody reads, so nobody is told
	}
	if doc == nil {
		return asUsage(err)
	}
	err = errors.Join(err, c.out.close())
	c.code = exitCode(doc, err)
	// First what takes least: who ends it now has that at least.
	printErr := c.print(doc)
	unwritten := c.writeReports(doc)
	if printErr != nil && !isClosedPipe(printErr) {
		unwritten = errors.Join(fmt.Errorf("the result could not be printed: %w", printErr), unwritten)
	}
	if unwritten != nil {
		if c.code == exitComplete || c.code == exitErrors || c.code == exitFound {
			c.code = exitFailed
		}
		err = errors.Join(err, unwritten, c.rescue(doc))
	}
	c.tell(doc.Common(), err)
	if isClosedPipe(printErr) {
		return printErr
	}
	return nil
}

// abort ends the process at once.
func (c *call) abort(code int) {
	c.target.discard()
	for _, t := range c.reports {
		t.discard()
	}
	c.screen.leave()
	os.Exit(code)
}

// walk does the work under signals and progress. Until the signals are closed, one
// of them ends the process at once.
func (c *call) walk(ctx context.Context, w work, o *hydra.Options, logs *logs) (hydra.Document, *signals, error) {
	ran := make(chan struct{})
	ctx, sigs := watch(ctx, c.screen, c.title, w.signal, ran, c.abort, logs.reopener())
	o.Monitor = new(hydra.Monitor)
	way := c.progress.value
	if c.quiet || way == "auto" && c.info.Emits && !c.drawsBeside() {
		way = "none"
	}
	var wg sync.WaitGroup
	shown := newProgress(c.title, o.Monitor.Progress, time.Now())
	wg.Go(func() { shown.show(c.screen, way, c.interval, sigs.ask, ran) })
	doc, err := w.do(ctx, o)
	close(ran)
	wg.Wait()
	if os.Getenv("GOGC") == "" {
		// What the walk left makes room for the result, which may be large.
		debug.SetGCPercent(resultGC)
	}
	return doc, sigs, err
}

// exitCode is the one that applies first.
func exitCode(doc hydra.Document, err error) int {
	o := doc.Common()
	var sig *interruption
	var limit *hydra.ErrorLimit
	var actLimit *hydra.ActLimitError
	var refused *hydra.RefusedError
	var cancelled *hydra.CancelledError
	switch {
	case errors.As(err, &sig):
		return sig.exitCode()
	case o.State == hydra.Interrupted, errors.As(err, &limit), errors.As(err, &cancelled), errors.As(err, &actLimit), errors.As(err, &refused):
		return exitUnfinished
	case err != nil:
		return exitFailed
	case o.Walked.Errors > 0:
		return exitErrors
	case doc.Found() > 0:
		return exitFound
	}
	return exitComplete
}

// print prints the result where it was asked for.
func (c *call) print(doc hydra.Document) error {
	write := func(w io.Writer) error { return writeText(w, doc, c.colored(w == c.stdout), c.jobText(doc)) }
	switch {
	case c.stream:
		write = func(w io.Writer) error { return json.NewEncoder(w).Encode(doc) }
	case c.format.value == "json":
		write = func(w io.Writer) error { return writeJSON(w, doc) }
	case c.info.Emits:
		return c.printBeside(doc)
	}
	if !c.target.set() || c.info.Emits {
		return write(c.stdout)
	}
	err := c.target.write(write)
	if err != nil {
		// It cost a walk: rather there than nowhere.
		err = errors.Join(err, write(c.stdout))
	}
	return err
}

// tell says on standard error what is not in the printed result, or is easily
// missed there.
func (c *call) tell(o *hydra.Outcome, err error) {
	switch {
	case err != nil:
		for line := range strings.SplitSeq(err.Error(), "\n") {
			fmt.Fprintf(c.screen, "%s: %s\n", c.title, escaped(line))
		}
	case !o.IsComplete() && !c.quiet && (c.format.value == "json" || c.target.set() && !c.info.Emits):
		fmt.Fprintf(c.screen, "%s: %s\n", c.title, shortcoming(o))
	}
}

func (c *call) colored(toStdout bool) bool {
	switch c.color.value {
	case "always":
		return true
	case "never":
		return false
	}
	return toStdout && c.getenv("NO_COLOR") == "" && c.getenv("TERM") != "dumb" && isTerminal(c.stdout)
}
