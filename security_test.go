package hydra

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestWhatShowsTheThreatModelIsThere looks for each test that the table of docs/security.md
// names.
func TestWhatShowsTheThreatModelIsThere(t *testing.T) {
	var tests strings.Builder
	err := filepath.WalkDir(".", func(path string, d os.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, "_test.go") {
			text, readErr := os.ReadFile(path)
			tests.Write(text)
			err = readErr
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join("docs", "security.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(text), "| attacker |")
	rows, named := 0, 0
	for line := range strings.Lines(table) {
		cells := strings.Split(strings.TrimSpace(line), "|")
		if len(cells) != 7 || strings.HasPrefix(cells[1], "---") || rows == 0 {
			rows++ // the head is cut, and then comes a line
			continue
		}
		shown := regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(cells[5], -1)
		if len(shown) == 0 {
			t.Errorf("nothing shows %s", line)
		}
		for _, name := range shown {
			named++
			want := `{"` + name[1] + `", func(`
			if strings.HasPrefix(name[1], "Test") {
				want = "func " + name[1] + "(t *testing.T) {"
			} else if strings.Contains(tests.String(), `{"`+name[1]+`", `) {
				continue // a function with a name
			}
			if !strings.Contains(tests.String(), want) {
				t.Errorf("there is no %s", name[1])
			}
		}
	}
	if named < 30 {
		t.Errorf("the table names %d tests", named)
	}
}
