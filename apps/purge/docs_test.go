package purge

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
)

func page(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/purge.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestEveryStatisticIsExplained(t *testing.T) {
	text, err := json.Marshal(newStats(Settings{}))
	if err != nil {
		t.Fatal(err)
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(text, &fields); err != nil {
		t.Fatal(err)
	}
	for name := range fields {
		if !strings.Contains(page(t), "`"+name+"`") {
			t.Errorf("docs/purge.md does not explain %s", name)
		}
	}
}
