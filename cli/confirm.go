package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/hydrawalk/hydra"
	"github.com/spf13/pflag"
	"golang.org/x/term"
)

// defineYes is for applications that may ask before they do something.
func (c *common) defineYes(f *pflag.FlagSet) {
	f.BoolVarP(&c.yes, "yes", "y", false, "do not ask; without a terminal to ask on it has to be given")
}

// confirm asks the user, if the application wants it.
func (c *call) confirm(runner hydra.Runner, paths []string) error {
	question, warnings, err := runner.Confirm(paths)
	for _, w := range warnings {
		c.say("warning: " + w)
	}
	if err != nil || question == "" || c.yes {
		return err
	}
	in, ok := c.stdin.(*os.File)
	if !ok || !isTerminal(in) || !term.IsTerminal(c.screen.fd) {
		return errors.New("there is no terminal to ask on: --yes has to be given too")
	}
	for line := range strings.SplitSeq(strings.TrimSuffix(question, "\n"), "\n") {
		fmt.Fprintln(c.screen, escaped(line))
	}
	fmt.Fprint(c.screen, "Type yes to go on: ")
	answer, err := bufio.NewReader(in).ReadString('\n')
	if strings.TrimSpace(answer) != "yes" {
		if err != nil {
			fmt.Fprintln(c.screen) // the cursor is behind the question
		}
		return &failure{errors.New("not done: the answer was not yes"), exitFailed}
	}
	return nil
}

// limited lets the application say how much it may change, and does that with run. If
// it has to count first, it does it in the same place, before: on this machine, or with
// submit on those of the server.
func (c *call) limited(ctx context.Context, runner hydra.Runner, paths []string, o *hydra.Options, run func() (hydra.Document, error)) (hydra.Document, error) {
	n, first, err := runner.MaxActs(nil)
	if err == nil && first != nil {
		c.say("counting what there is, before anything is changed")
		counting := *o
		counting.Errors, counting.Records, counting.User = nil, "", nil // those are of the run itself
		var doc hydra.Document
		if c.server != "" {
			doc, err = c.submitAs(ctx, first, paths, &counting, "")
		} else {
			doc, err = first.Run(ctx, paths, &counting)
		}
		if doc == nil || err != nil || doc.Common().State != hydra.Complete {
			return doc, err // nobody knows how much there is
		}
		var dry hydra.Runner
		if n, dry, err = runner.MaxActs(doc); err != nil || dry != nil {
			return doc, err
		}
	}
	if err != nil {
		return nil, err
	}
	o.MaxActs = n
	return run()
}

func (c *call) runHere(ctx context.Context, runner hydra.Runner, paths []string, o *hydra.Options) (hydra.Document, error) {
	return c.limited(ctx, runner, paths, o, func() (hydra.Document, error) { return runner.Run(ctx, paths, o) })
}
