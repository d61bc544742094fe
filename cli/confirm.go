package cli

import (
	"bufio"
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
	question, err := runner.Confirm(paths)
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
