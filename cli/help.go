package cli

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// flagGroup names flags that serve one purpose.
type flagGroup struct {
	title string
	names []string
}

// flagGroups are the flags that all applications have.
var flagGroups = []flagGroup{
	{"What is walked", []string{"exclude", "include", "exclude-from", "max-depth", "one-file-system", "snapshots", "path-file", "prefix-file", "null"}},
	{"How", []string{"workers", "max-errors", "yes"}},
	{"Jobs that go on", []string{"job", "resume"}},
	{"On many machines", []string{"server", "local", "priority", "min-clients", "stall", "cancel-on-exit", "creds", "token-file", "tls-ca", "tls-cert", "tls-key"}},
	{"The result", []string{"json", "format", "output", "report", "errors", "color"}},
	{"Progress and log", []string{"progress", "progress-interval", "quiet", "verbose", "log-level", "log-file", "log-format", "help"}},
}

// helpWidth is how wide help is printed, in columns.
const helpWidth = 80

// appUsage prints how to call an application's command.
func appUsage(cmd *cobra.Command) error {
	w := cmd.OutOrStderr()
	fmt.Fprintf(w, "Usage:\n  %s\n", cmd.UseLine())
	if cmd.Example != "" {
		fmt.Fprintf(w, "\nExamples:\n%s\n", cmd.Example)
	}
	var own []*pflag.Flag
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		grouped := slices.ContainsFunc(flagGroups, func(g flagGroup) bool { return slices.Contains(g.names, f.Name) })
		if !grouped && !f.Hidden {
			own = append(own, f)
		}
	})
	writeFlags(w, "Of "+cmd.Name()+" alone", own)
	for _, g := range flagGroups {
		var flags []*pflag.Flag
		for _, name := range g.names {
			if f := cmd.Flags().Lookup(name); f != nil {
				flags = append(flags, f)
			}
		}
		writeFlags(w, g.title, flags)
	}
	_, err := fmt.Fprintf(w, "\nExit codes: 0 all was done, 1 failed, 2 called wrongly, 3 some entries could not\nbe read or acted on, 4 problems were found, 5 the server can not be reached, 6 it refuses the credential, 7 ended\nbefore its end, 130 or 143 by a signal.\n")
	return err
}

// flagColumn is where the explanations of flags begin.
const flagColumn = 29

func writeFlags(w io.Writer, title string, flags []*pflag.Flag) {
	if len(flags) == 0 {
		return
	}
	fmt.Fprintf(w, "\n%s:\n", title)
	io.WriteString(w, usages(flags))
}

// flagUsages is for the commands that are no applications.
func flagUsages(set *pflag.FlagSet) string {
	var flags []*pflag.Flag
	set.VisitAll(func(f *pflag.Flag) {
		if !f.Hidden {
			flags = append(flags, f)
		}
	})
	return usages(flags)
}

// usages explains flags, a line or more for each.
func usages(flags []*pflag.Flag) string {
	var b strings.Builder
	for _, f := range flags {
		left := "      --" + f.Name
		if f.Shorthand != "" {
			left = "  -" + f.Shorthand + ", --" + f.Name
		}
		value, usage := pflag.UnquoteUsage(f)
		if f.NoOptDefVal == "" {
			left += " " + strings.ToUpper(value)
		}
		if hasDefault(f) {
			usage += " (default " + f.DefValue + ")"
		}
		lines := wrap(usage, helpWidth-flagColumn)
		if len(left)+2 > flagColumn {
			fmt.Fprintln(&b, left)
			left = ""
		}
		for _, line := range lines {
			fmt.Fprintf(&b, "%-*s%s\n", flagColumn, left, line)
			left = ""
		}
	}
	return b.String()
}

// hasDefault tells whether a default is worth to be named: no nothing, and not
// one that the usage explains.
func hasDefault(f *pflag.Flag) bool {
	return !slices.Contains([]string{"", "0", "0s", "false", "[]", "auto"}, f.DefValue)
}

// wrap breaks text into lines of at most width columns.
func wrap(text string, width int) []string {
	var lines []string
	line := ""
	for word := range strings.FieldsSeq(text) {
		if line != "" && len(line)+1+len(word) > width {
			lines = append(lines, line)
			line = ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	return append(lines, line)
}
