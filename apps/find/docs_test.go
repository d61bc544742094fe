package find

import (
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

func TestEveryFlagVariableAndNumberIsExplained(t *testing.T) {
	text, err := os.ReadFile("../../docs/find.md")
	if err != nil {
		t.Fatal(err)
	}
	page := string(text)
	s := App().Settings
	f := pflag.NewFlagSet("", pflag.ContinueOnError)
	flags(f, &s)
	f.VisitAll(func(f *pflag.Flag) {
		if f.Name != "null" && !strings.Contains(page, "`--"+f.Name) {
			t.Errorf("docs/find.md does not explain --%s", f.Name)
		}
	})
	explained := func(of any, tag string) {
		for field := range reflect.TypeOf(of).Fields() {
			if name, _, _ := strings.Cut(field.Tag.Get(tag), ","); name != "" && !strings.Contains(page, "`"+name+"`") {
				t.Errorf("docs/find.md does not explain %s", name)
			}
		}
	}
	explained(variables{}, "expr")
	explained(constants{}, "expr")
	explained(Stats{}, "json")
	explained(entryJSON{}, "json")
	for _, column := range csvHeader {
		if !strings.Contains(page, "`"+column+"`") {
			t.Errorf("docs/find.md does not explain %s", column)
		}
	}
}
