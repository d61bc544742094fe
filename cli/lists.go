package cli

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/hydrawalk/hydra"
)

// ruleKind is the flag that a rule was given by.
type ruleKind int

const (
	excludeGlob ruleKind = iota
	includeGlob
	excludeFile
)

// ruleList is the value of --exclude, --include and --exclude-from together:
// their order decides, so they share one list.
type ruleList struct {
	given []givenRule // by flags
	lower []givenRule // by the configuration: they come before those
}

type givenRule struct {
	kind ruleKind
	text string
}

func (l *ruleList) flag(kind ruleKind) *ruleFlag { return &ruleFlag{l, kind} }

// read is the whole list, with the files that it names. With null set, their
// items may end with NUL: hardly a glob has a newline in it, and the files of a
// configuration do not know how paths are read.
func (l *ruleList) read(null bool) ([]hydra.Rule, error) {
	var rules []hydra.Rule
	for _, g := range append(l.lower[:len(l.lower):len(l.lower)], l.given...) {
		if g.kind != excludeFile {
			rules = append(rules, hydra.Rule{Glob: g.text, Include: g.kind == includeGlob})
			continue
		}
		text, err := readFile(g.text, nil)
		if err != nil {
			return nil, fmt.Errorf("--exclude-from: %w", err)
		}
		lines, err := split(g.text, text, null && bytes.IndexByte(text, 0) >= 0)
		if err != nil {
			return nil, fmt.Errorf("--exclude-from: %w", err)
		}
		for _, line := range lines {
			if strings.HasPrefix(line, "#") {
				continue
			}
			glob, include := strings.CutPrefix(line, "!")
			rules = append(rules, hydra.Rule{Glob: glob, Include: include})
		}
	}
	return rules, nil
}

// ruleFlag is one of the flags of a ruleList.
type ruleFlag struct {
	list *ruleList
	kind ruleKind
}

func (f *ruleFlag) Type() string { return "stringArray" }

func (f *ruleFlag) Set(text string) error {
	if text == "" {
		return errors.New("it is empty")
	}
	f.list.given = append(f.list.given, givenRule{f.kind, text})
	return nil
}

// setLower is Set for the configuration.
func (f *ruleFlag) setLower(text string) error {
	if text == "" {
		return errors.New("it is empty")
	}
	f.list.lower = append(f.list.lower, givenRule{f.kind, text})
	return nil
}

// values are the flag's own in the list.
func (f *ruleFlag) values() []string {
	var values []string
	for _, g := range append(f.list.lower[:len(f.list.lower):len(f.list.lower)], f.list.given...) {
		if g.kind == f.kind {
			values = append(values, g.text)
		}
	}
	return values
}

// String is empty for no values: help texts show no default then.
func (f *ruleFlag) String() string {
	if f.list == nil || len(f.values()) == 0 {
		return ""
	}
	return strings.Join(f.values(), ",")
}

// readFile reads a file; "-" is stdin, if there is one.
func readFile(file string, stdin io.Reader) ([]byte, error) {
	if file == "-" && stdin != nil {
		return io.ReadAll(stdin)
	}
	return os.ReadFile(file)
}

// split returns the items of a file. Empty ones are left out; blanks belong to
// their item.
func split(file string, all []byte, null bool) ([]string, error) {
	end := byte('\n')
	if null {
		end = 0
	} else if i := bytes.IndexByte(all, 0); i >= 0 {
		return nil, fmt.Errorf("%s: its items end with NUL: give -0 too", file)
	}
	var items []string
	for item := range bytes.SplitSeq(all, []byte{end}) {
		if len(item) > 0 {
			items = append(items, string(item))
		}
	}
	return items, nil
}

// paths are all that the walk begins with: arguments, then those in files.
func (c *common) paths(args []string, stdin io.Reader) ([]string, error) {
	paths := append([]string(nil), args...)
	for _, file := range c.pathFiles {
		text, err := readFile(file, stdin)
		if err != nil {
			return nil, fmt.Errorf("--path-file: %w", err)
		}
		items, err := split(file, text, c.null)
		if err != nil {
			return nil, fmt.Errorf("--path-file: %w", err)
		}
		paths = append(paths, items...)
	}
	return paths, nil
}
