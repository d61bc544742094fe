package server

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/hydrawalk/hydra/internal/wire"
)

func TestAJobsLevelsChangeWhileItRuns(t *testing.T) {
	var out bytes.Buffer
	s := &server{o: Options{Logger: slog.New(slog.NewTextHandler(&out, nil))}}
	one, two := newJob(s, &wire.Spec{Job: "one", App: "audit"}, nil), newJob(s, &wire.Spec{Job: "two", App: "audit"}, nil)
	if err := one.SetLevels(map[string]string{"server": "warn"}); err != nil {
		t.Fatal(err)
	}
	for _, j := range []*job{one, two} {
		j.event("info", "job started")
		j.event("warn", "a client is lost")
	}
	text := out.String()
	if strings.Contains(text, `msg="job started" job=one`) || strings.Count(text, "level=") != 3 || !strings.Contains(text, `level=WARN msg="a client is lost" job=one logger=server`) {
		t.Error(text)
	}
	if err := one.SetLevels(map[string]string{"nobody": "warn"}); err == nil {
		t.Error("a name that nothing logs as is taken")
	}
}
