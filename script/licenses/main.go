// Command licenses writes THIRD_PARTY_LICENSES: the licence texts of all
// modules that the packages of this module import, on any system and in tests,
// and of what is copied into its tree.
//
// It is run in the module's directory. The module in bench is not part of the
// program, and left out.
package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

const file = "THIRD_PARTY_LICENSES"

// platforms are those that the program is built for.
var platforms = []string{"linux/amd64", "freebsd/amd64", "darwin/arm64", "windows/amd64"}

const head = `Hydra is built from the modules below, or tested with them. Each comes with its
licence and, if it has one, its notice. What only bench/ uses is no part of the
program and not listed. Written by "make licenses".
`

type module struct{ path, dir string }

// copied is what the program is built with besides modules.
var copied = []module{{"d3-hierarchy", "internal/report/page/d3-hierarchy"}}

func main() {
	log.SetFlags(0)
	log.SetPrefix("licenses: ")
	modules, err := imported()
	if err != nil {
		log.Fatal(err)
	}
	var out bytes.Buffer
	out.WriteString(head)
	for _, m := range modules {
		if err := m.write(&out); err != nil {
			log.Fatal(err)
		}
	}
	if err := os.WriteFile(file, out.Bytes(), 0o644); err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s: %d modules\n", file, len(modules))
}

// imported lists the modules, the standard library, and what is copied.
func imported() ([]module, error) {
	seen := map[module]bool{}
	for _, p := range platforms {
		goos, goarch, _ := strings.Cut(p, "/")
		cmd := exec.Command("go", "list", "-deps", "-test", "-json=Module,Standard", "./...")
		cmd.Env = append(os.Environ(), "GOOS="+goos, "GOARCH="+goarch, "CGO_ENABLED=0")
		cmd.Stderr = os.Stderr
		out, err := cmd.Output()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p, err)
		}
		for d := json.NewDecoder(bytes.NewReader(out)); ; {
			var pkg struct {
				Standard bool
				Module   *struct {
					Path, Dir string
					Main      bool
				}
			}
			if err := d.Decode(&pkg); err == io.EOF {
				break
			} else if err != nil {
				return nil, err
			}
			if m := pkg.Module; m != nil && !m.Main {
				seen[module{m.Path, m.Dir}] = true
			}
		}
	}
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return nil, err
	}
	seen[module{"std", strings.TrimSpace(string(root))}] = true
	all := slices.Clone(copied)
	for m := range seen {
		all = append(all, m)
	}
	slices.SortFunc(all, func(a, b module) int { return cmp.Compare(a.path, b.path) })
	return all, nil
}

// write appends the module's section.
func (m module) write(out *bytes.Buffer) error {
	var license, notice []byte
	for _, name := range []string{"LICENSE", "LICENSE.txt", "LICENSE.md", "LICENCE", "COPYING"} {
		text, err := os.ReadFile(filepath.Join(m.dir, name))
		if err == nil {
			license = text
			break
		}
	}
	kind := kindOf(string(license))
	if kind == "" {
		return fmt.Errorf("%s: no licence that is known in %s", m.path, m.dir)
	}
	notice, err := os.ReadFile(filepath.Join(m.dir, "NOTICE"))
	if err != nil && !os.IsNotExist(err) {
		return err
	}
	line := strings.Repeat("=", 79)
	fmt.Fprintf(out, "\n%s\n%s\n%s\n%s\n\n%s", line, m.path, kind, line, license)
	if len(notice) > 0 {
		fmt.Fprintf(out, "\n%s\n%s", strings.Repeat("-", 79), notice)
	}
	if !bytes.HasSuffix(out.Bytes(), []byte("\n")) {
		out.WriteByte('\n')
	}
	return nil
}

// kindOf knows a licence by its words; several may apply to parts of a module.
func kindOf(text string) string {
	words := strings.Join(strings.Fields(text), " ")
	var kinds []string
	for _, k := range []struct{ kind, words string }{
		{"Apache-2.0", "Apache License Version 2.0"},
		{"Apache-2.0", "Licensed under the Apache License, Version 2.0"},
		{"MPL-2.0", "Mozilla Public License Version 2.0"},
		{"MIT", "Permission is hereby granted, free of charge"},
		{"ISC", "Permission to use, copy, modify, and/or distribute this software"},
		{"BSD", "Redistribution and use in source and binary forms"},
	} {
		if !strings.Contains(words, k.words) || slices.Contains(kinds, k.kind) {
			continue
		}
		switch {
		case k.kind != "BSD":
		case strings.Contains(words, "endorse or promote products"):
			k.kind = "BSD-3-Clause"
		default:
			k.kind = "BSD-2-Clause"
		}
		kinds = append(kinds, k.kind)
	}
	return strings.Join(kinds, " and ")
}
