package stats_test

import (
	"encoding/json"
	"math/rand/v2"
	"testing"

	"github.com/hydrawalk/hydra/stats"
)

// FuzzDecode wants an error, or statistics that keep the rules: they go to JSON
// and back, and merge with the zero value to themselves.
func FuzzDecode(f *testing.F) {
	for i := range 5 {
		data, err := json.Marshal(count(rand.New(rand.NewPCG(1, uint64(i)))))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	for _, s := range []string{
		`null`, `{"files":9223372036854775807,"deepest":-1}`, `{"by_depth":null,"max_by_depth":[1,-1]}`,
		`{"sizes":[{"le":1},{"le":1},{"le":null}]}`, `{"sizes":[{"le":null,"count":-5}]}`, `{"sizes":null}`,
		`{"inner":{"uid":{"1":null}}}`, `{"inner":{"uid":{"1":{},"1":{}}}}`, `{"inner":{"age":{"-129":{}}}}`,
		`{"inner":{"ext":{"\"\\xff\"":{"count":1},"\"":{}}}}`, `{"inner":{"ext":{"\ud800":{}}}}`,
		`{"largest":{"n":-1,"list":[]}}`, `{"largest":{"n":9223372036854775807,"list":[{"path":"a","path_b64":"","size":-1}]}}`,
		`{"largest":null}`, `{"largest":{"n":1,"list":[{"path":"a","path_b64":"/w==","size":1}]}}`,
		`{"cross":[{"le":1,"count":1,"bytes":2,"by_size":[{"le":null,"count":1,"bytes":2}]},{"le":null,"by_size":[{"le":null}]}]}`,
		`{"cross":[{"le":null,"by_size":[]}]}`, `{"cross":[{"le":null,"count":9223372036854775807,"by_size":[{"le":0,"count":9223372036854775807},{"le":null,"count":1}]}]}`,
		`{"latest":"0000-01-01T00:00:00Z"}`, `{"latest":"9999-12-31T23:59:59.999999999-23:59"}`, `{"latest":"0000-01-01T00:00:00+23:59"}`, `{"latest":null}`,
		`{"took":1e-9}`, `{"took":-9223372036.854775808}`, `{"took":1e999999999}`, `{"took":null}`,
		`{"middle":{"count":5,"min":127,"max":130,"bins":[[127,1],[128,9223372036854775807],[130,1]]}}`, `{"middle":{"min":0,"max":9223372036854775807,"bins":[[0,1],[9151314442816847872,1]]}}`,
		`{"tree":{"depth":-1}}`, `{"tree":{"depth":1,"left_out":[1,1],"list":[{"depth":0,"path":"a","path_b64":"/w==","newest_mtime":"2026-01-01T00:00:00+01:00"}]}}`,
		`{"tree":{}}`, `{"tree":null}`, `{"tree":{"depth":65536}}`, `{"tree":{"depth":0,"list":[{"path":"\ufffd"},{"path":"","path_b64":"/w=="}]}}`,
		`{"kept":{"other":{"count":1},"\"other\"":{},"a":{"category":"x"}}}`, `{"kept":{"other":null}}`, `{"kept":{"other":{"category":"x"}}}`, `{"owners":{"other":{},"4294967295":{}}}`,
		`{"lists":{"other":null}}`, `{"lists":{"other":{"n":1,"list":[]}}}`, `{"lists":{"1":{"n":1,"list":[{"path":"/a","size":1}]},"other":null}}`, `{"lists":{"1":{"n":1,"list":[]},"2":{"n":1,"list":[]}}}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var s everything
		if json.Unmarshal(data, &s) != nil {
			return
		}
		text := encode(t, &s)
		var back, sum everything
		if err := json.Unmarshal([]byte(text), &back); err != nil {
			t.Fatalf("%s does not decode: %v", text, err)
		}
		if err := stats.Merge(&sum, &s); err != nil {
			t.Fatalf("decoded, but does not merge: %v", err)
		}
		if err := stats.Merge(&sum, new(everything)); err != nil {
			t.Fatal(err)
		}
		for name, got := range map[string]string{"JSON and back": encode(t, &back), "merged with the zero value": encode(t, &sum)} {
			if got != text {
				t.Errorf("%s:\n got %s\nwant %s", name, got, text)
			}
		}
	})
}

func encode(t *testing.T, s *everything) string {
	t.Helper()
	out, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}
