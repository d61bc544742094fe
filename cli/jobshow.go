package cli

import (
	"context"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/hydrawalk/hydra"
	"github.com/hydrawalk/hydra/stats"
	"github.com/hydrawalk/hydra/walk"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// shown is all that there is to know of a job that has not ended, or has.
type shown struct {
	jobJSON
	InForce *hydra.JobSettings `json:"in_force"`
	Changes []hydra.Change     `json:"settings_changes,omitempty"`
	Current int                `json:"clients_up_to_date"` // they go by the last change
	Peers   []peerJSON         `json:"peers"`
	Result  hydra.Document     `json:"result,omitempty"`

	Warnings        []warningJSON `json:"warnings"`
	WarningsDropped uint64        `json:"warnings_dropped"`
}

// warningJSON is a warning of a client for programs.
type warningJSON struct {
	At     time.Time `json:"at"`
	Host   string    `json:"host"`
	Client string    `json:"client"`
	Logger string    `json:"logger"`
	Text   string    `json:"text"`
}

// peerJSON is a client that has to do with a job.
type peerJSON struct {
	Client     string       `json:"client"`
	Host       string       `json:"host"`
	PID        int          `json:"pid,omitempty"`
	State      string       `json:"state"`
	Why        string       `json:"why,omitempty"`
	Workers    int          `json:"workers"`
	Entries    int64        `json:"entries"`
	DoneDirs   int64        `json:"done_dirs"`
	Bytes      int64        `json:"bytes"`
	Errors     int64        `json:"errors"`
	LastRecord *time.Time   `json:"last_record"`
	EachWorker []workerJSON `json:"each_worker,omitempty"`
}

type workerJSON struct {
	Worker   int         `json:"worker"`
	State    string      `json:"state"`
	Dir      *stats.Path `json:"dir,omitempty"`
	Entries  int64       `json:"entries"`
	DoneDirs int64       `json:"done_dirs"`
	Bytes    int64       `json:"bytes"`
	Errors   int64       `json:"errors"`
}

func peerOf(p *hydra.Peer) peerJSON {
	t := &p.Walked
	doc := peerJSON{
		Client: p.Client, Host: p.Host, PID: p.PID, State: p.State, Why: p.Why, Workers: p.Workers,
		Entries: t.Entries(), DoneDirs: t.ExpectedDirs(), Bytes: t.Bytes, Errors: t.Errors,
	}
	if !p.Since.IsZero() {
		at := p.Since.UTC()
		doc.LastRecord = &at
	}
	return doc
}

func workerOf(w *walk.WorkerState) workerJSON {
	t := &w.Totals
	doc := workerJSON{Worker: w.ID, State: string(w.State), Entries: t.Entries(), DoneDirs: t.ExpectedDirs(), Bytes: t.Bytes, Errors: t.Errors}
	if w.Dir != "" {
		dir := stats.PathOf(w.Dir)
		doc.Dir = &dir
	}
	return doc
}

func (p *program) jobShow() *cobra.Command {
	var workers, result bool
	return p.jobSub(&cobra.Command{
		Use:        "show [flags] ID",
		Short:      "Show how a job does, and who works on it",
		SuggestFor: []string{"status"},
		Long: `Show how a job does: what it waits for, how far it is, what was changed while it
runs, and what each client does and has counted.

With --result it also shows the result so far: what was written down, which is all
but the last seconds.`,
		Example: "  " + p.name + " job show k3j2x1\n\n  # what each worker is at\n  " + p.name + " job show --workers k3j2x1\n\n  # the numbers so far\n  " +
			p.name + " job show --json --result k3j2x1 | jq .result.stats",
	}, func(c *common, f *pflag.FlagSet) {
		defineJSON(c, f)
		f.BoolVar(&workers, "workers", false, "show each worker too: its clients are asked")
		f.BoolVar(&result, "result", false, "show the result so far too")
	}, func(ctx context.Context, c *call, s *hydra.Server, args []string) error {
		j, err := c.find(ctx, s, args[0])
		if err == nil {
			j, err = s.Status(ctx, j.Job)
		}
		if err != nil {
			return err
		}
		doc, err := c.look(ctx, s, &j, workers, result)
		if err != nil {
			return err
		}
		if c.json {
			return printJSON(c.stdout, struct {
				Schema string `json:"schema"`
				*shown
			}{"hydra.job/1", doc})
		}
		if err := writeJob(c.stdout, &j, doc, c.local); err != nil || doc.Result == nil {
			return err
		}
		fmt.Fprintln(c.stdout)
		return doc.Result.WriteText(c.stdout)
	})
}

// look asks for all that is to be shown of a job.
func (c *call) look(ctx context.Context, s *hydra.Server, j *hydra.JobStatus, workers, result bool) (*shown, error) {
	doc := &shown{jobJSON: jobOf(j), Current: j.Current, Peers: []peerJSON{}, Warnings: []warningJSON{}, WarningsDropped: j.WarningsDropped}
	for _, w := range j.Warnings {
		doc.Warnings = append(doc.Warnings, warningJSON{w.At.UTC(), w.Host, w.Client, w.Logger, w.Text})
	}
	peers, err := s.Peers(ctx, j.Job)
	if err != nil {
		return nil, err
	}
	for i := range peers {
		p := peerOf(&peers[i])
		if works := p.Workers > 0 && j.Phase != "ended"; workers && works {
			all, err := s.PeerWorkers(ctx, j.Job, p.Client)
			if err != nil {
				c.log.Warn("no answer about its workers", "client", p.Client, "err", err)
			}
			for k := range all {
				p.EachWorker = append(p.EachWorker, workerOf(&all[k]))
			}
		}
		doc.Peers = append(doc.Peers, p)
	}
	if doc.InForce, err = s.Settings(ctx, j.Job); err != nil {
		return nil, err
	}
	if doc.Changes = doc.InForce.Changes; !result {
		return doc, nil
	}
	app := c.app(j.App)
	if app == nil {
		return nil, fmt.Errorf("job %s is one of %s, which this program does not have", j.Job, j.App)
	}
	doc.Result, err = s.Snapshot(ctx, app, j.Job)
	if doc.Result != nil {
		err = nil // why it is not whole stands in it
	}
	return doc, err
}

// writeJob describes a job for people.
func writeJob(out io.Writer, j *hydra.JobStatus, doc *shown, local bool) error {
	w := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	line := func(name, text string) {
		if text != "" {
			fmt.Fprintf(w, "%s\t%s\n", name, text)
		}
	}
	at := func(t time.Time) string {
		if t.IsZero() {
			return ""
		}
		return t.Local().Format(time.DateTime)
	}
	p := &j.Progress
	line("Job", j.Job)
	line("Application", j.App)
	line("State", stateOf(j))
	if j.Reason != "" {
		line("Because", printable(j.Reason))
	}
	if j.Waits != "" {
		line("Waits", printable(j.Waits))
	}
	if !local {
		line("Priority", fmt.Sprint(j.Priority))
	}
	switch {
	case j.Phase == "ended" || j.State == hydra.Interrupted:
	case local:
		line("At work", count(int64(p.Workers), "worker"))
	default:
		line("At work", count(int64(p.Workers), "worker")+" on "+count(int64(j.Clients), "client"))
	}
	line("Entries", humanize.Comma(p.Entries))
	line("Directories", fmt.Sprintf("%s done, %s queued", humanize.Comma(p.DirsDone), humanize.Comma(p.DirsQueued)))
	if p.Bytes > 0 {
		line("Size", humanize.IBytes(uint64(p.Bytes)))
	}
	line("Errors", humanize.Comma(p.Errors))
	line("Submitted", at(j.Submitted))
	line("Started", at(j.Started))
	line("Finished", at(j.Finished))
	for i, path := range j.Paths {
		name := "Paths"
		if i > 0 {
			name = " "
		}
		line(name, printable(path))
	}
	if text := inForce(doc.InForce); text != "" {
		line("In force", printable(text))
	}
	line("Settings", printable(string(doc.InForce.App)))
	for i, c := range doc.Changes {
		name := "Changed"
		if i > 0 {
			name = " "
		}
		line(name, printable(at(c.At)+"  "+c.Key+"="+c.Value))
	}
	if j.Phase != "ended" && len(doc.Changes) > 0 && !local {
		line(" ", fmt.Sprintf("%d of %s by the last change", doc.Current, count(int64(j.Clients), "client")+" work"))
	}
	if n := len(j.Warnings); n > 0 {
		shown := j.Warnings[max(0, n-shownWarnings):]
		for i := range shown {
			name := "Warnings"
			if i > 0 {
				name = " "
			}
			line(name, fmt.Sprintf("%s %s %s: %s", at(shown[i].At), escaped(shown[i].Host), escaped(shown[i].Logger), escaped(shown[i].Text)))
		}
	}
	if j.WarningsDropped > 0 {
		line("Lost", count(int64(min(j.WarningsDropped, math.MaxInt64)), "warning"))
	}
	if err := w.Flush(); err != nil || len(doc.Peers) == 0 {
		return err
	}
	fmt.Fprintln(out)
	fmt.Fprintln(w, "Client\tHost\tState\tWorkers\tEntries\tDirectories\tErrors\t")
	for i := range doc.Peers {
		p := &doc.Peers[i]
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%s\t%s\t%s\t%s\n", p.Client, printable(p.Host), p.State, p.Workers,
			humanize.Comma(p.Entries), humanize.Comma(p.DoneDirs), humanize.Comma(p.Errors), escaped(p.Why))
		benched := 0
		for k := range p.EachWorker {
			e := &p.EachWorker[k]
			if e.State == string(walk.WorkerBenched) && e.Dir == nil {
				benched++
				continue
			}
			dir := ""
			if e.Dir != nil {
				dir = escaped(e.Dir.Printable)
			}
			fmt.Fprintf(w, "  worker %d\t\t%s\t\t%s\t%s\t%s\t%s\n", e.Worker, e.State,
				humanize.Comma(e.Entries), humanize.Comma(e.DoneDirs), humanize.Comma(e.Errors), dir)
		}
		if benched > 0 {
			fmt.Fprintf(w, "  and %d benched\t\t\t\t\t\t\t\n", benched)
		}
	}
	return w.Flush()
}

// inForce says in a line what a job goes by that every job has.
func inForce(s *hydra.JobSettings) string {
	var parts []string
	add := func(format string, args ...any) { parts = append(parts, fmt.Sprintf(format, args...)) }
	if s.LimitOps > 0 {
		add("limit-ops=%s", strconv.FormatFloat(s.LimitOps, 'f', -1, 64))
	}
	if s.TargetLatency > 0 {
		add("target-latency=%s", time.Duration(s.TargetLatency*float64(time.Second)))
	}
	if s.MaxErrors > 0 {
		add("max-errors=%d", s.MaxErrors)
	}
	for _, name := range slices.Sorted(maps.Keys(s.Levels)) {
		add("%s=%s", strings.TrimSuffix("log."+name, "."), s.Levels[name])
	}
	for _, client := range slices.Sorted(maps.Keys(s.Workers)) {
		n := strconv.Itoa(s.Workers[client])
		if s.Workers[client] == hydra.AutoWorkers {
			n = "auto"
		}
		if client != "" {
			client = " on " + client
		}
		add("workers=%s%s", n, client)
	}
	return strings.Join(parts, "  ")
}

// shownWarnings is how many of them are shown to people.
const shownWarnings = 10

// age is a time since something, as short as it may be.
func age(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(max(d, 0).Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh", int(d.Hours()))
	}
	return fmt.Sprintf("%dd", int(d.Hours()/24))
}
