// Package cli turns applications into a command.
//
//	func main() { cli.Main(app) }
//
// is a whole program: it has the flags that are common to all applications and
// those of its own, help, completion for shells, a configuration file, progress,
// logs, and results as text or JSON.
package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/hydrawalk/hydra"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Exit codes. Where several apply: a signal's, then 7, 1, 3, 4.
const (
	exitComplete     = 0 // no errors
	exitFailed       = 1
	exitUsage        = 2 // or configuration
	exitErrors       = 3 // finished, but some entries could not be read or acted on
	exitFound        = 4 // the application found problems, which is what it is for
	exitUnreachable  = 5 // the server, or its engine
	exitUnauthorized = 6
	exitUnfinished   = 7 // cancelled, or a limit was reached
	exitPipe         = 128 + 13
)

// How much the heap may grow before it is collected, in percent, while trees are
// walked, and when the result is written.
const (
	walkGC   = 400
	resultGC = 100
)

// smallHeap is a heap, in bytes, that may grow by walkGC.
const smallHeap = 64 << 20

// lowerGC lets the heap grow by resultGC only, once what is left after a
// collection is no small heap any more: an application may keep much.
func lowerGC() {
	type cycle struct{ _ *byte } // is collected in each one
	runtime.SetFinalizer(new(cycle), func(*cycle) {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		if m.HeapAlloc > smallHeap {
			debug.SetGCPercent(resultGC)
			return
		}
		lowerGC()
	})
}

// Main runs the command line of the process with applications as its commands,
// and exits. If there is only one application, it is also the command `run`.
func Main(apps ...hydra.Application) {
	// The heap of a walk is small, and collecting it often costs more than the
	// few MiB that it saves: a list of a million files takes a twentieth longer.
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(walkGC)
		lowerGC()
	}
	os.Exit(newProgram(apps).run(os.Args[1:]))
}

// program is one call of the command.
type program struct {
	name        string // as it was called
	args        []string
	apps        []hydra.Application
	getenv      func(string) string
	configFiles []string
	stdin       io.Reader
	stdout      *os.File
	screen      *screen

	code int // of a run that got as far as a result
}

func newProgram(apps []hydra.Application) *program {
	return &program{
		name:        strings.TrimSuffix(filepath.Base(os.Args[0]), ".exe"),
		apps:        apps,
		getenv:      os.Getenv,
		configFiles: configFiles(os.Getenv),
		stdin:       os.Stdin,
		stdout:      os.Stdout,
		screen:      newScreen(os.Stderr),
	}
}

// run runs a command line and returns the exit code.
func (p *program) run(args []string) int {
	p.args = args
	root := p.rootCommand()
	root.SetArgs(args)
	root.SetOut(p.stdout)
	root.SetErr(p.screen)
	cmd, err := root.ExecuteC()
	switch {
	case err == nil:
		return p.code
	case isClosedPipe(err):
		return exitPipe
	}
	var f *failure
	if errors.As(err, &f) {
		fmt.Fprintf(p.screen, "%s: %s\n", cmd.CommandPath(), escaped(err.Error()))
		return f.code
	}
	try := cmd.CommandPath() + " --help"
	var hint *hintError
	if errors.As(err, &hint) {
		try = hint.try
	}
	fmt.Fprintf(p.screen, "%s: %s. Try `%s`\n", cmd.CommandPath(), escaped(err.Error()), escaped(try))
	return exitUsage
}

// sharesConfig tells whether the configuration is another program's too: that of
// hydra is read by everybody's own applications, and hydra knows its own.
func (p *program) sharesConfig() bool { return p.name != "hydra" }

func (p *program) rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:           p.name,
		Short:         "Walk file systems in parallel",
		SilenceErrors: true,
		SilenceUsage:  true,
		Version:       version(),
		Args:          cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return unknownCommand(cmd, args[0])
			}
			cmd.SetOut(p.screen)
			p.code = exitUsage
			return cmd.Help()
		},
	}
	root.Long = fmt.Sprintf(`%s walks file systems with many workers at a time.

Results go to standard output; progress, logs and messages to standard error.
An application runs on this machine, or with --server on many: a server
coordinates, and clients on each machine do the work.

The exit code is 0 if all was done, 1 if the run failed, 2 if it was called
wrongly, 3 if some entries could not be read, 4 if problems were found, 5 if the server can not be
reached, 6 if it refuses the credential, 7 if the run was ended before its end,
130 or 143 after SIGINT or SIGTERM.`, p.name)
	root.Flags().Bool("version", false, "print the version")
	cobra.AddTemplateFunc("flagUsages", flagUsages)
	root.SetUsageTemplate(strings.ReplaceAll(root.UsageTemplate(), ".LocalFlags.FlagUsages", "flagUsages .LocalFlags"))
	root.SetVersionTemplate("{{.Name}} {{.Version}}\n")
	root.AddGroup(&cobra.Group{ID: "apps", Title: "Applications:"}, &cobra.Group{ID: "cluster", Title: "Cluster:"})
	root.CompletionOptions.SetDefaultShellCompDirective(cobra.ShellCompDirectiveDefault)
	var examples []string
	for _, app := range p.apps {
		root.AddCommand(p.appCommand(app))
		if e, _, _ := strings.Cut(app.Info().Example, "\n\n"); e != "" {
			examples = append(examples, e)
		}
	}
	root.Example = strings.Join(examples, "\n\n")
	root.AddCommand(p.serverCommand(), p.clientCommand(), p.jobCommand(), p.drainCommand(), p.tokenCommand(), p.undoCommand())
	root.AddCommand(p.configCommand(), p.versionCommand())
	strictHelp(root)
	root.SetFlagErrorFunc(p.flagError)
	return root
}

// strictHelp makes it an error to ask for help about what there is not.
func strictHelp(root *cobra.Command) {
	root.InitDefaultHelpCmd()
	help, _, err := root.Find([]string{"help"})
	if err != nil {
		panic(err)
	}
	help.Run = nil
	help.RunE = func(_ *cobra.Command, args []string) error {
		about, unknown, err := root.Find(args)
		if err != nil {
			return err
		}
		if len(unknown) > 0 {
			return unknownCommand(about, unknown[0])
		}
		about.InitDefaultHelpFlag()
		return about.Help()
	}
}

// failure is an error for which nothing is wrong with the call.
type failure struct {
	error
	code int
}

func (f *failure) Unwrap() error { return f.error }

// failed makes a failure of an error, if there is one.
func failed(err error) error {
	if err == nil {
		return nil
	}
	var sig *interruption
	code := exitFailed
	switch {
	case errors.As(err, &sig):
		code = sig.exitCode()
	case errors.Is(err, hydra.ErrUnauthorized):
		code = exitUnauthorized
	case errors.Is(err, hydra.ErrUnreachable):
		code = exitUnreachable
	}
	return &failure{err, code}
}

// asUsage is failed for errors that may be those of a wrong call.
func asUsage(err error) error {
	var usage *hydra.UsageError
	if errors.As(err, &usage) {
		return err
	}
	return failed(err)
}

// hintError is a usage error for which there is better advice than to read the
// help.
type hintError struct {
	error
	try string // a command line
}

// unknownCommand suggests what may have been meant.
func unknownCommand(cmd *cobra.Command, name string) error {
	unknown := fmt.Errorf("unknown command %q", name)
	if cmd.SuggestionsMinimumDistance <= 0 {
		cmd.SuggestionsMinimumDistance = 2
	}
	if near := cmd.SuggestionsFor(name); len(near) > 0 {
		return &hintError{unknown, cmd.CommandPath() + " " + near[0]}
	}
	if _, err := os.Lstat(name); err == nil {
		for _, c := range cmd.Commands() {
			if c.GroupID == "apps" {
				return &hintError{unknown, c.CommandPath() + " " + shellWord(name)}
			}
		}
	}
	return unknown
}

// sections are the commands for which a configuration may say something else
// than for all: the applications, and the client.
func (p *program) sections() []string {
	var names []string
	for _, app := range p.apps {
		names = append(names, app.Info().Name)
	}
	return append(names, "client")
}

// flagSets are the flags of each command that has a section, with default values.
func (p *program) flagSets() map[string]*pflag.FlagSet {
	sets := map[string]*pflag.FlagSet{"client": pflag.NewFlagSet("client", pflag.ContinueOnError)}
	new(clienting).init().define(sets["client"])
	for _, app := range p.apps {
		name := app.Info().Name
		sets[name] = pflag.NewFlagSet(name, pflag.ContinueOnError)
		app.Configure(sets[name])
		newCommon().define(sets[name])
	}
	return sets
}
