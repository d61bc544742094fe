package cli

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"
	"testing/slogtest"

	"github.com/hydrawalk/hydra"
)

func TestTheHandlerKeepsTheRulesOfSlog(t *testing.T) {
	var out bytes.Buffer
	slogtest.Run(t, func(*testing.T) slog.Handler {
		out.Reset()
		return newHandler(&out, levels{"": slog.LevelDebug}, true, true)
	}, func(t *testing.T) map[string]any {
		var line map[string]any
		if err := json.Unmarshal(out.Bytes(), &line); err != nil {
			t.Fatalf("%v in %q", err, out.String())
		}
		return line
	})
}

func TestEachNameHasItsLevel(t *testing.T) {
	ls := levels{"": slog.LevelWarn}
	if err := ls.parse("walk=debug, audit=error"); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	log := slog.New(newHandler(&out, ls, false, false))
	for _, name := range []string{"walk", "audit", "hydra"} {
		l := log.With(hydra.LoggerKey, name).With("more", 1)
		l.Debug("debug")
		l.Warn("warn")
		l.Error("error")
	}
	want := `level=DEBUG msg=debug logger=walk more=1
level=WARN msg=warn logger=walk more=1
level=ERROR msg=error logger=walk more=1
level=ERROR msg=error logger=audit more=1
level=WARN msg=warn logger=hydra more=1
level=ERROR msg=error logger=hydra more=1
`
	if out.String() != want {
		t.Errorf("got\n%swant\n%s", out.String(), want)
	}
}

func TestNamesInLogLinesCanNotDoAnythingToTheTerminal(t *testing.T) {
	var out bytes.Buffer
	slog.New(newHandler(&out, levels{}, false, false)).Error("failed", "path", "/a\x1b[31m\nlevel=INFO msg=forged")
	if strings.Count(out.String(), "\n") != 1 || strings.Contains(out.String(), "\x1b") {
		t.Errorf("%q", out.String())
	}
}
