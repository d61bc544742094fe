package check

import (
	"encoding/json"
	"os"
	"reflect"
	"strings"
	"testing"
)

func TestEachCheckIsExplained(t *testing.T) {
	text, err := os.ReadFile("../../docs/check.md")
	if err != nil {
		t.Fatal(err)
	}
	page := string(text)
	for k := range numKinds {
		star := ""
		if byDefault.has(k) {
			star = " *"
		}
		if !strings.Contains(page, "\n| `"+k.String()+"`"+star+" | `"+kinds[k].by+"`") {
			t.Errorf("docs/check.md does not explain %s%s", k, star)
		}
	}
	for _, p := range presets {
		_, row, ok := strings.Cut(page, "\n| `"+p.name+"` | ")
		row, _, _ = strings.Cut(row, " |")
		if !ok {
			t.Errorf("docs/check.md does not explain --for %s", p.name)
		}
		row = strings.Replace(row, "as `windows` without path-length, and ", strings.Join((presets[0].kinds&^setOf(pathLength)).keys(), ", ")+", ", 1)
		got, err := kindsOf("docs", strings.Split(row, ", "))
		if err != nil || got != p.kinds {
			t.Errorf("docs/check.md says that --for %s adds %v, %v, want %v", p.name, got.keys(), err, p.kinds.keys())
		}
	}
	fields, err := json.Marshal(Stats{LeftOut: 1, Links: Links{over: true}})
	if err != nil {
		t.Fatal(err)
	}
	var names map[string]any
	if err := json.Unmarshal(fields, &names); err != nil {
		t.Fatal(err)
	}
	for i := range reflect.TypeFor[finding]().NumField() {
		tag, _, _ := strings.Cut(reflect.TypeFor[finding]().Field(i).Tag.Get("json"), ",")
		if tag != "" && tag != "id" && tag != "root" {
			names[tag] = nil
		}
	}
	for name := range names {
		if !strings.Contains(page, "`"+name+"`") {
			t.Errorf("docs/check.md does not explain %s", name)
		}
	}
}
