package exec

import (
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/hydrawalk/hydra"
)

// Argv is a program and its arguments, of any bytes. In JSON each is a string, or
// {"b64": bytes} if it is not UTF-8.
type Argv []string

type argJSON struct {
	Bytes []byte `json:"b64"`
}

// MarshalJSON implements [json.Marshaler].
func (a Argv) MarshalJSON() ([]byte, error) {
	args := make([]any, len(a))
	for i, arg := range a {
		if args[i] = arg; !utf8.ValidString(arg) {
			args[i] = argJSON{[]byte(arg)}
		}
	}
	return json.Marshal(args)
}

// UnmarshalJSON implements [json.Unmarshaler].
func (a *Argv) UnmarshalJSON(text []byte) error {
	var raw []json.RawMessage
	if err := json.Unmarshal(text, &raw); err != nil {
		return err
	}
	args := make(Argv, len(raw))
	for i, r := range raw {
		if json.Unmarshal(r, &args[i]) == nil {
			continue
		}
		var b argJSON
		if err := json.Unmarshal(r, &b); err != nil {
			return err
		}
		args[i] = string(b.Bytes)
	}
	*a = args
	return nil
}

// Placeholders.
const (
	holdPath   = "{}"
	holdName   = "{/}"
	holdParent = "{//}"
)

var placeholders = []string{holdPath, holdName, holdParent}

func hasPlaceholder(arg string) bool {
	return slices.ContainsFunc(placeholders, func(p string) bool { return strings.Contains(arg, p) })
}

// check tells what of a command can not be meant.
func (a Argv) check(s *Settings) error {
	switch {
	case len(a) == 0 || a[0] == "":
		return errors.New("there is no command")
	case slices.ContainsFunc(a, func(arg string) bool { return strings.Contains(arg, "\x00") }):
		return errors.New("an argument of a command can not hold NUL")
	case s.Shell && len(a) > 1:
		return errors.New("--shell takes one text, in quotes, as the command")
	case !s.Shell && len(a) == 1 && isLine(a[0]):
		return fmt.Errorf("%q would be the name of a program: give each argument apart, or --shell", a[0])
	case s.Shell && hasPlaceholder(a[0]):
		return errors.New(`in a text for the shell nothing is replaced, for a name could be taken for a command: write "$1" for the path`)
	case s.Per != perBatch || s.Shell:
		return nil
	}
	for i, arg := range a {
		if hasPlaceholder(arg) && (arg != holdPath || i == 0) {
			return fmt.Errorf("%s: with --per batch {} has to stand alone, as an argument that becomes many", arg)
		}
	}
	return nil
}

// program finds the program; "" if its name depends on the path.
func (a Argv) program(s *Settings) (string, error) {
	name := "sh"
	if !s.Shell {
		name = a[0]
	}
	if hasPlaceholder(name) {
		return "", nil
	}
	path, err := exec.LookPath(name)
	if err != nil {
		return "", err
	}
	// It may be run in another directory.
	return filepath.Abs(path)
}

// expand makes the arguments for paths, of which there is one but in a batch.
func (a Argv) expand(s *Settings, paths []string) []string {
	if s.Shell {
		return append([]string{"sh", "-c", a[0], "sh"}, paths...)
	}
	argv := make([]string, 0, len(a)+len(paths))
	replaced := false
	for _, arg := range a {
		switch {
		case !hasPlaceholder(arg):
			argv = append(argv, arg)
			continue
		case arg == holdPath:
			argv = append(argv, paths...)
		default:
			argv = append(argv, replace(arg, paths[0]))
		}
		replaced = true
	}
	if !replaced {
		argv = append(argv, paths...)
	}
	return argv
}

// times is how often a batch's paths stand in its arguments.
func (a Argv) times() int {
	n := 0
	for _, arg := range a {
		if arg == holdPath {
			n++
		}
	}
	return max(n, 1)
}

// fit is how many of n paths a batch takes for which there is room, whose lengths are
// asked for. A dry run prints it as one line, so it has to fit into one Emit in quotes.
func (a Argv) fit(s *Settings, room, n int, length func(int) int) int {
	line := hydra.MostEmit - len(quoted(a.expand(s, nil))) - 1
	most := n
	if s.BatchSize > 0 {
		most = min(n, s.BatchSize)
	}
	for i := range most {
		l, times := length(i), a.times()
		room -= times * (l + perArg)
		line -= times * (mostQuoted*l + aroundQuoted)
		if room < 0 || line < 0 {
			return i
		}
	}
	return most
}

// replace replaces the placeholders in an argument. What was put in is not looked at
// again: a name may hold one.
func replace(arg, path string) string {
	return strings.NewReplacer(holdParent, filepath.Dir(path), holdName, filepath.Base(path), holdPath, path).Replace(arg)
}

// isLine tells whether a text is a line for a shell: a program, which has no path, and
// arguments.
func isLine(text string) bool {
	program, _, more := strings.Cut(text, " ")
	if !more || program == "" || strings.ContainsAny(program, "/{") {
		return false
	}
	_, err := exec.LookPath(text)
	return err != nil
}

// What quotes make of an argument at most: of each byte, and around it.
const (
	mostQuoted   = len(`\377`)
	aroundQuoted = len(` $''`)
)

// quoted is a command as a shell would take it, on one line.
func quoted(argv []string) string {
	var b strings.Builder
	for i, arg := range argv {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(quotedArg(arg))
	}
	return b.String()
}

func quotedArg(arg string) string {
	plain, control := arg != "", !utf8.ValidString(arg)
	for _, r := range arg {
		switch {
		case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9', strings.ContainsRune("%+,-./:=@_", r):
		case !unicode.IsPrint(r): // it could turn a line around
			control = true
		default:
			plain = false
		}
	}
	switch {
	case !control && plain:
		return arg
	case !control:
		return "'" + strings.ReplaceAll(arg, "'", `'\''`) + "'"
	}
	var b strings.Builder
	b.WriteString("$'")
	for i := range len(arg) {
		switch c := arg[i]; {
		case c == '\\' || c == '\'':
			b.WriteByte('\\')
			b.WriteByte(c)
		case c == '\n':
			b.WriteString(`\n`)
		case c < ' ' || c >= 0x7f:
			fmt.Fprintf(&b, `\%03o`, c)
		default:
			b.WriteByte(c)
		}
	}
	b.WriteByte('\'')
	return b.String()
}
