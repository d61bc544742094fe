package hydra

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

func TestADocumentIsLaidOutByItsFields(t *testing.T) {
	const doc = `{"schema":"x\"{,:[","paths":["/a","/b"],"none":[],"stats":{"n":1,"list":[{"le":1},{"le":null}],"no":{}}}`
	const want = `{
  "schema": "x\"{,:[",
  "paths": [
    "/a",
    "/b"
  ],
  "none": [],
  "stats": {
    "n": 1,
    "list": [{"le":1},{"le":null}],
    "no": {}
  }
}
`
	if got := string(Lay([]byte(doc))); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func FuzzLay(f *testing.F) {
	for _, s := range []string{`{}`, `[]`, `"\\"`, `{"a":[[],{}],"b":"\\\""}`, `[1,[2,[3,[4]]]]`, "\"\xff", `"`, `}}`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		laid := Lay([]byte(text))
		var compact bytes.Buffer
		if json.Compact(&compact, []byte(text)) != nil || compact.String() != text {
			return // only compact JSON is laid out; others do no harm
		}
		var back bytes.Buffer
		if err := json.Compact(&back, laid); err != nil || strings.TrimSpace(back.String()) != text {
			t.Errorf("%q is laid out as %q, %v", text, laid, err)
		}
	})
}
