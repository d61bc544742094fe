package hydra

import (
	"errors"
	"strings"
	"testing"

	"github.com/bmatcuk/doublestar/v4"
	"pgregory.net/rapid"
)

func TestTheLastRuleThatMatchesDecides(t *testing.T) {
	exclude := func(g string) Rule { return Rule{Glob: g} }
	include := func(g string) Rule { return Rule{Glob: g, Include: true} }
	for _, tt := range []struct {
		name  string
		rules []Rule
		path  string // relative to the root /r; a directory ends with a slash
		out   bool
	}{
		{"no rule matches", []Rule{exclude("b")}, "a", false},
		{"a name", []Rule{exclude("a")}, "x/y/a", true},
		{"a name is not a part of one", []Rule{exclude("a")}, "ab", false},
		{"a suffix", []Rule{exclude("*.o")}, "x/main.o", true},
		{"a suffix is at the end", []Rule{exclude("*.o")}, "main.o.c", false},
		{"a star also matches nothing", []Rule{exclude("*.o")}, ".o", true},
		{"a prefix", []Rule{exclude("tmp*")}, "x/tmp12", true},
		{"a star alone", []Rule{exclude("*")}, "x/.hidden", true},
		{"a question mark is one byte that is not UTF-8", []Rule{exclude("a?")}, "a\xff", true},
		{"a class", []Rule{exclude("[a-c].txt")}, "b.txt", true},
		{"alternatives", []Rule{exclude("*.{o,a}")}, "lib.a", true},
		{"an escaped star is only a star", []Rule{exclude(`\*`)}, "a", false},
		{"an escaped star", []Rule{exclude(`\*`)}, "*", true},
		{"a newline in a name", []Rule{exclude("a*b")}, "a\nb", true},
		{"a path", []Rule{exclude("x/a")}, "x/a", true},
		{"a path begins at the root", []Rule{exclude("x/a")}, "y/x/a", false},
		{"a path anywhere", []Rule{exclude("**/x/a")}, "y/x/a", true},
		{"a path with a dot before it", []Rule{exclude("./x/a")}, "x/a", true},
		{"a star stops at a slash", []Rule{exclude("x/*")}, "x/y/a", false},
		{"a suffix of a path stops at a slash", []Rule{exclude("*/a")}, "x/y/a", false},
		{"two stars do not", []Rule{exclude("x/**/a")}, "x/y/z/a", true},
		{"two stars match no directory too", []Rule{exclude("x/**/a")}, "x/a", true},
		{"an absolute path", []Rule{exclude("/r/x/a")}, "x/a", true},
		{"an absolute path below another root", []Rule{exclude("/x/a")}, "x/a", false},
		{"an absolute glob", []Rule{exclude("/r/**/a")}, "x/y/a", true},
		{"a directory", []Rule{exclude("cache/")}, "x/cache/", true},
		{"a file of the name of a directory", []Rule{exclude("cache/")}, "x/cache", false},
		{"a directory by its path", []Rule{exclude("x/cache/")}, "x/cache/", true},
		{"taken back in", []Rule{exclude("*.log"), include("keep.log")}, "keep.log", false},
		{"left out after all", []Rule{include("keep.log"), exclude("*.log")}, "keep.log", true},
		{"taken back in by its path", []Rule{exclude("*"), include("x/a")}, "x/a", false},
		{"a leading dash", []Rule{exclude("-rf")}, "-rf", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			rs, err := compileRules(tt.rules)
			if err != nil {
				t.Fatal(err)
			}
			path, isDir := "/r/"+tt.path, false
			if path[len(path)-1] == '/' {
				path, isDir = path[:len(path)-1], true
			}
			base := path[lastSeparator(path)+1:]
			if got := rs.leavesOut(base, path, len("/r/"), isDir); got != tt.out {
				t.Errorf("%q is left out: %v, want %v", tt.path, got, tt.out)
			}
		})
	}
}

func TestShortcutsMatchWhatTheGlobMatches(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringOfN(rapid.SampledFrom([]rune("ab.*?")), 1, 5, -1)
		glob, name := text.Draw(t, "glob"), text.Draw(t, "name")
		rs, err := compileRules([]Rule{{Glob: glob}})
		if err != nil {
			t.Fatal(err)
		}
		want, err := doublestar.Match(glob, name)
		if err != nil {
			t.Fatal(err)
		}
		if got := rs.leavesOut(name, "", 0, false); got != want {
			t.Errorf("%q matches %q: %v, want %v", glob, name, got, want)
		}
	})
}

func TestGlobsWrittenOutMatchTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		glob := rapid.StringOfN(rapid.SampledFrom([]rune(`ab{{,,}}*[]\/`)), 1, 12, -1).Draw(t, "glob")
		if !doublestar.ValidatePattern(glob) || strings.Contains(glob, "{}") {
			t.Skip("no glob, or one in which the library does not see that a{} is a at the end of a name")
		}
		name := rapid.StringOfN(rapid.SampledFrom([]rune(`ab{,}[]/`)), 1, 6, -1).Draw(t, "name")
		want, err := doublestar.Match(glob, name)
		if err != nil {
			t.Fatal(err)
		}
		got := false
		for _, text := range alternatives(glob) {
			if strings.Contains(text, "**") && !strings.Contains(glob, "**") {
				t.Skip("what is written out may join stars, as of *{*}")
			}
			match, err := doublestar.Match(text, name)
			if err != nil {
				t.Fatalf("%q became %q, which is no glob", glob, text)
			}
			got = got || match
		}
		rs, err := compileRules([]Rule{{Glob: glob}})
		if err != nil {
			t.Skip("no glob without the slash at its end")
		}
		rs.leavesOut(name, "/r/"+name, 3, false) // does not panic, whatever it says
		if got != want {
			t.Errorf("%q, written out as %q, matches %q: %v, want %v", glob, alternatives(glob), name, got, want)
		}
	})
}

func TestWhatIsNoGlobIsAUsageError(t *testing.T) {
	for _, glob := range []string{"", "[a", "a{b", `a\`} {
		var usage *UsageError
		if _, err := compileRules([]Rule{{Glob: glob}}); !errors.As(err, &usage) {
			t.Errorf("%q: error %v, want a usage error", glob, err)
		}
	}
}
