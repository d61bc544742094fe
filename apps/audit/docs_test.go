package audit

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/hydrawalk/hydra"
)

func TestEveryStatisticIsExplained(t *testing.T) {
	page, err := os.ReadFile("../../docs/audit.md")
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(newStats(App().Settings))
	if err != nil {
		t.Fatal(err)
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(text, &fields); err != nil {
		t.Fatal(err)
	}
	for _, table := range document(&hydra.Result[Stats]{Stats: newStats(App().Settings)}, &Settings{}).Tables {
		fields[table.Key] = nil
	}
	for name := range fields {
		if !strings.Contains(string(page), "`"+name+"`") {
			t.Errorf("docs/audit.md does not explain %s", name)
		}
	}
}
