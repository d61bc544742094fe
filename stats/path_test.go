package stats_test

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/hydrawalk/hydra/stats"
)

func TestPathsKeepTheirBytesInJSON(t *testing.T) {
	odd := []string{"", "/plain", "/\xff\xfe", "/new\nline", "/ä", "\xed\xa0\x80", "-", "/\uFFFD", "/" + strings.Repeat("\xff", 255)}
	paths := rapid.OneOf(rapid.SampledFrom(odd),
		rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) }))
	rapid.Check(t, func(t *rapid.T) {
		p := paths.Draw(t, "path")
		data, err := json.Marshal(stats.PathOf(p))
		if err != nil {
			t.Fatal(err)
		}
		if has := strings.Contains(string(data), `"path_b64"`); has == utf8.ValidString(p) {
			t.Errorf("%q became %s", p, data)
		}
		var back stats.Path
		if err := json.Unmarshal(data, &back); err != nil || back.String() != p {
			t.Errorf("%q became %s and then %q, %v", p, data, back.String(), err)
		}
	})
}

func TestNoBytesHideNoPath(t *testing.T) {
	var p stats.Path
	if err := json.Unmarshal([]byte(`{"path":"/a","path_b64":""}`), &p); err != nil || p.String() != "/a" {
		t.Errorf("%q, %v, want /a", p.String(), err)
	}
}
