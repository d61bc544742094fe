package exec

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/hydrawalk/hydra"
	"github.com/hydrawalk/hydra/internal/report"
)

// summarize writes the statistics for people, at most 80 columns wide.
func summarize(w io.Writer, r *hydra.Result[Stats]) error {
	s := r.Stats
	var b bytes.Buffer
	line := func(name string, n int64, note string) {
		b.WriteString(strings.TrimRight(fmt.Sprintf("%-16s%15s   %s", name, humanize.Comma(n), note), " ") + "\n")
	}
	some := func(name string, n int64, note string) {
		if n > 0 {
			line(name, n, note)
		}
	}
	if s.DryRun {
		line("Commands", int64(s.Commands), "would be run; this was a dry run")
	} else {
		line("Commands", int64(s.Commands), "")
		line("  succeeded", int64(s.Succeeded), "")
		some("  failed", int64(s.Failed), "")
	}
	if s.Entries != s.Commands {
		line("For", int64(s.Entries), "files")
	}
	for _, code := range slices.Sorted(maps.Keys(s.ByExitCode)) {
		if code != 0 {
			line(fmt.Sprintf("  exit code %d", code), s.ByExitCode[code].Count, "")
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.BySignal)) {
		line("  "+name, s.BySignal[name].Count, "killed by it")
	}
	some("  timed out", int64(s.TimedOut), "")
	some("  not started", int64(s.NotStarted), "")
	some("Retried", int64(s.Retried), fmt.Sprintf("%s attempts in all", humanize.Comma(int64(s.Attempts))))
	some("Perhaps twice", int64(s.Again), "were begun before, by a client that died or was stopped")
	if s.Milliseconds.Count() > 0 {
		at := func(part float64) time.Duration { return time.Duration(s.Milliseconds.At(part)) * time.Millisecond }
		fmt.Fprintf(&b, "%-16s%15s   half of them; 90 %% at most %v, the longest %v\n", "Time", at(0.5), at(0.9), at(1))
	}
	if s.OutputBytes > 0 {
		fmt.Fprintf(&b, "%-16s%15s\n", "Output", report.Size(int64(s.OutputBytes)))
	}
	some("  cut", int64(s.OutputCut), "commands wrote more than --max-output")
	_, err := w.Write(b.Bytes())
	return err
}
