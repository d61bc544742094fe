package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// cmdPrivate makes sure that nobody else can read files.
func cmdPrivate(ts *testscript.TestScript, neg bool, args []string) {
	for _, glob := range args {
		files, err := filepath.Glob(ts.MkAbs(glob))
		ts.Check(err)
		if len(files) == 0 {
			ts.Fatalf("there is no %s", glob)
		}
		for _, f := range files {
			st, err := os.Stat(f)
			ts.Check(err)
			if st.Mode().Perm()&0o077 != 0 {
				ts.Fatalf("%s has mode %v", f, st.Mode())
			}
		}
	}
}

// cmdSecret makes sure that what is in a file was not said by commands.
func cmdSecret(ts *testscript.TestScript, neg bool, args []string) {
	secret := strings.TrimSpace(ts.ReadFile(args[0]))
	parts := strings.Split(secret, ".")
	for _, name := range args[1:] {
		b := backgroundsOf(ts).get(ts, name)
		b.mu.Lock()
		said := b.said.String()
		b.mu.Unlock()
		if strings.Contains(said, parts[len(parts)-1]) {
			ts.Fatalf("%s has told a secret: %s", name, said)
		}
	}
}

// cmdValue sets a variable to what a file holds.
func cmdValue(ts *testscript.TestScript, neg bool, args []string) {
	text := strings.TrimSpace(ts.ReadFile(args[1]))
	if len(args) > 2 {
		found := regexp.MustCompile(args[2]).FindStringSubmatch(text)
		if found == nil {
			ts.Fatalf("there is no %s in %s", args[2], text)
		}
		text = found[1]
	}
	ts.Setenv(args[0], text)
}
