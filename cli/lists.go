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

// read is the whole list, with the files that it names. Their items end with
// NUL if null is set.
func (l *ruleList) read(null bool) ([]hydra.Rule, error) {
	var rules []hydra.Rule
	for _, g := range append(l.lower[:len(l.lower):len(l.lower)], l.given...) {
		if g.kind != excludeFile {
			rules = append(rules, hydra.Rule{Glob: g.text, Include: g.kind == includeGlob})
			continue
		}
		lines, err := readList(g.text, null, nil)
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

// readList reads the items of a file; "-" is stdin, if there is one. Empty items
// are left out; blanks belong to their item.
func readList(file string, null bool, stdin io.Reader) ([]string, error) {
	var all []byte
	var err error
	if file == "-" && stdin != nil {
		all, err = io.ReadAll(stdin)
	} else {
		all, err = os.ReadFile(file)
	}
	if err != nil {
		return nil, err
	}
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
		items, err := readList(file, c.null, stdin)
		if err != nil {
			return nil, fmt.Errorf("--path-file: %w", err)
		}
		paths = append(paths, items...)
	}
	return paths, nil
}
