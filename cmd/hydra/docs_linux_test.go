package main

import (
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestTheExamplesOfThePagesAreTrue runs what stands behind a $ in blocks of the kind
// console, one after the other in one directory, and compares what follows, in any order.
func TestTheExamplesOfThePagesAreTrue(t *testing.T) {
	for page, least := range map[string]int{"check": 6, "exec": 5} {
		text, err := os.ReadFile("../../docs/" + page + ".md")
		if err != nil {
			t.Fatal(err)
		}
		work := t.TempDir()
		ran := 0
		for _, block := range regexp.MustCompile("(?s)```console\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
			for _, part := range strings.Split(block[1], "$ ")[1:] {
				command, want, _ := strings.Cut(part, "\n")
				if !strings.HasSuffix(part, "\n") {
					t.Fatalf("%q has a $ in it", part)
				}
				cmd := exec.Command("sh", "-c", command)
				cmd.Dir = work
				cmd.Env = append(os.Environ(), "XDG_CONFIG_HOME="+work+"/.config", "XDG_STATE_HOME="+work+"/.state")
				out, err := cmd.CombinedOutput()
				if _, exited := err.(*exec.ExitError); err != nil && !exited {
					t.Fatal(err)
				}
				ran++
				got := slices.Sorted(strings.Lines(strings.ReplaceAll(string(out), work, "$WORK")))
				if !slices.Equal(got, slices.Sorted(strings.Lines(want))) {
					t.Errorf("%s: %s\n%s\nwant\n%s", page, command, out, want)
				}
			}
		}
		if ran < least {
			t.Errorf("%s: %d commands were found", page, ran)
		}
	}
}
