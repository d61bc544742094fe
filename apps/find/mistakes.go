package find

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/parser"
	"github.com/expr-lang/expr/parser/lexer"
)

// Mistakes in an expression that its language does not see, or of which it says less than it
// could.

// mistake is one, shown where it is.
func mistake(text string, at file.Location, format string, args ...any) error {
	e := &file.Error{Location: at, Message: fmt.Sprintf(format, args...)}
	return e.Bind(file.NewSource(text))
}

// advise tells how a size is written to who wrote it as other flags take it.
func advise(text string, err error) error {
	var e *file.Error
	if !errors.As(err, &e) || !sizeLike.MatchString(wordAt(text, e.From)) {
		return err
	}
	switch {
	case strings.HasPrefix(e.Message, "bad number syntax"), strings.HasPrefix(e.Message, "unexpected token Identifier"):
		return mistake(text, e.Location, "%s: sizes are written as 10*MiB", e.Message)
	}
	return err
}

var sizeLike = regexp.MustCompile(`(?i)^[0-9][0-9_.]* *[kmgtp]?(i?b)?$`)

// wordAt is the number or name at a place, with the number that stands before a name.
func wordAt(text string, at int) string {
	runes := []rune(text)
	in := func(i int) bool {
		return i >= 0 && i < len(runes) && (unicode.IsLetter(runes[i]) || unicode.IsDigit(runes[i]) || runes[i] == '.' || runes[i] == '_')
	}
	begin, end := min(at, len(runes)), min(at, len(runes))
	for in(end) {
		end++
	}
	left := func() {
		for in(begin - 1) {
			begin--
		}
	}
	left()
	if begin < len(runes) && unicode.IsLetter(runes[begin]) {
		for begin > 0 && runes[begin-1] == ' ' {
			begin--
		}
		left()
	}
	return string(runes[begin:end])
}

// checkNumbers refuses what would be read as a decimal number and looks like an octal one:
// modes are written so elsewhere.
func checkNumbers(text string) error {
	tokens, err := lexer.Lex(file.NewSource(text))
	if err != nil {
		return err // which the compiler would have said
	}
	for _, t := range tokens {
		digits := strings.ReplaceAll(t.Value, "_", "")
		if t.Kind != lexer.Number || len(digits) < 2 || digits[0] != '0' || strings.Trim(digits, "0123456789") != "" {
			continue
		}
		if rest := strings.TrimLeft(digits, "0"); strings.ContainsAny(rest, "89") {
			return mistake(text, t.Location, "%s begins with 0: write %s", t.Value, rest)
		} else if rest != "" {
			return mistake(text, t.Location, "%s would not be octal: write 0o%s", t.Value, digits[1:])
		}
	}
	return nil
}

// checkCalls calls the functions whose arguments do not change from one entry to the next: what
// fails then would fail for each.
func checkCalls(text string) error {
	tree, err := parser.Parse(text)
	if err != nil {
		return err // which the compiler would have said
	}
	c := &calls{text: text}
	ast.Walk(&tree.Node, c)
	return c.err
}

type calls struct {
	text string
	err  error // the first one
}

// Visit implements [ast.Visitor]. Arguments come before the call.
func (c *calls) Visit(node *ast.Node) {
	name := ""
	switch n := (*node).(type) {
	case *ast.BuiltinNode:
		name = n.Name
	case *ast.CallNode:
	default:
		return
	}
	if c.err != nil {
		return
	}
	p, err := expr.Compile((*node).String(), expr.Env(constants{}))
	if err != nil {
		return // an argument is a variable, or an item of a list
	}
	_, err = expr.Run(p, units)
	var e *file.Error
	if errors.As(err, &e) {
		c.err = mistake(c.text, (*node).Location(), "%s%s", e.Message, forms[name])
	}
}

// forms tell how the argument of a function is written.
var forms = map[string]string{
	"date":     `: write it as "2026-01-31" or "2026-01-31 15:04:05"`,
	"duration": `: its units are h, m and s`,
}

// constants are the variables that are the same for all entries of all searches.
type constants struct {
	KiB int `expr:"KiB"`
	MiB int `expr:"MiB"`
	GiB int `expr:"GiB"`
	TiB int `expr:"TiB"`
}

var units = constants{KiB: 1 << 10, MiB: 1 << 20, GiB: 1 << 30, TiB: 1 << 40}
