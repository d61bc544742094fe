package hydra_test

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// mends is what to do when the file with the licences is not right.
const mends = `; "make licenses" mends it`

func TestEveryImportedModuleIsListedWithItsLicence(t *testing.T) {
	data, err := os.ReadFile("THIRD_PARTY_LICENSES")
	if err != nil {
		t.Fatal(err, mends)
	}
	// A section is: line, path, kind of licence, line, texts.
	line := strings.Repeat("=", 79) + "\n"
	parts := strings.Split(string(data), line)
	sections := map[string]string{}
	for i := 1; i+1 < len(parts); i += 2 {
		path, kind, ok := strings.Cut(strings.TrimSuffix(parts[i], "\n"), "\n")
		if !ok || kind == "" {
			t.Errorf("%q has no kind of licence%s", path, mends)
		}
		sections[path] = parts[i+1]
	}

	dirs := map[string]string{
		"std":          strings.TrimSpace(run(t, nil, "go", "env", "GOROOT")),
		"d3-hierarchy": "internal/report/page/d3-hierarchy",
	}
	for _, platform := range platforms {
		for _, p := range packages(t, platform) {
			if p.Module != nil && !p.Module.Main {
				dirs[p.Module.Path] = p.Module.Dir
			}
		}
	}
	want := slices.Sorted(maps.Keys(dirs))
	if got := slices.Sorted(maps.Keys(sections)); !slices.Equal(got, want) {
		t.Errorf("THIRD_PARTY_LICENSES lists %q, imported are %q%s", got, want, mends)
	}
	for path, dir := range dirs {
		texts := 0
		for _, pattern := range []string{"LICENSE*", "LICENCE*", "COPYING*", "NOTICE*"} {
			files, err := filepath.Glob(filepath.Join(dir, pattern))
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range files {
				text, err := os.ReadFile(f)
				if err != nil {
					t.Fatal(err)
				}
				texts++
				if !strings.Contains(sections[path], string(text)) {
					t.Errorf("%s: %s is not what is listed%s", path, filepath.Base(f), mends)
				}
			}
		}
		if texts == 0 {
			t.Errorf("%s has no licence in %s", path, dir)
		}
	}
}
