package cli

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// flagError says more about a wrong flag than its parser does: what may have been meant.
func (p *program) flagError(cmd *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	var invalid *pflag.InvalidValueError
	typed := ""
	switch {
	case errors.As(err, &unknown) && unknown.GetSpecifiedShortnames() == "":
		typed = unknown.GetSpecifiedName()
	case errors.As(err, &unknown):
		typed = p.withOneDash(unknown.GetSpecifiedShortnames())
	case errors.As(err, &invalid):
		f := invalid.GetFlag()
		if f.NoOptDefVal != "" && f.NoOptDefVal == invalid.GetValue() {
			return errors.Unwrap(invalid) // nobody typed the value
		}
		typed = p.withOneDash(f.Shorthand + invalid.GetValue())
	}
	typed, _, _ = strings.Cut(typed, "=")
	if near := nearFlag(cmd.Flags(), typed); near != "" {
		return fmt.Errorf("%w (did you mean --%s?)", err, near)
	}
	return err
}

// withOneDash is what was typed behind a single -, of which a part was taken for short flags.
func (p *program) withOneDash(part string) string {
	for _, arg := range p.args {
		if arg == "--" {
			break
		}
		if len(arg) > 2 && arg[0] == '-' && arg[1] != '-' && len(part) > 1 && strings.HasSuffix(arg, part) {
			return arg[1:]
		}
	}
	return ""
}

// nearFlag is the flag that was meant with a name, "" if that can not be told.
func nearFlag(flags *pflag.FlagSet, typed string) (near string) {
	typed = strings.ToLower(strings.ReplaceAll(typed, "_", "-"))
	if len(typed) < 3 {
		return ""
	}
	least := min(2, len(typed)/3) + 1
	flags.VisitAll(func(f *pflag.Flag) {
		n := distance(typed, f.Name)
		if strings.HasPrefix(f.Name, typed+"-") {
			n = 1
		}
		if n < least && !f.Hidden {
			near, least = f.Name, n
		}
	})
	return near
}

// distance is how many bytes have to be put in, taken out or replaced to make b of a.
func distance(a, b string) int {
	row := make([]int, len(b)+1) // of the distances from a[:i] to each b[:j]
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			n := min(row[j], row[j+1]) + 1
			if a[i] == b[j] {
				n = min(n, diagonal)
			} else {
				n = min(n, diagonal+1)
			}
			diagonal, row[j+1] = row[j+1], n
		}
	}
	return row[len(b)]
}
