package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/hydrawalk/hydra"
	"github.com/hydrawalk/hydra/stats"
	"github.com/spf13/cobra"
)

// jobJSON is a job for programs.
type jobJSON struct {
	Job        string      `json:"job"`
	App        string      `json:"app"`
	Paths      []string    `json:"paths"`
	PathsB64   [][]byte    `json:"paths_b64,omitempty"` // of all, if one is not UTF-8
	Priority   int         `json:"priority"`
	Phase      string      `json:"phase"`
	State      hydra.State `json:"state,omitempty"`
	Reason     string      `json:"reason,omitempty"`
	Step       string      `json:"step,omitempty"`
	Waits      string      `json:"waits,omitempty"`
	Submitted  *time.Time  `json:"submitted"`
	Started    *time.Time  `json:"started"`
	Finished   *time.Time  `json:"finished"`
	Clients    int         `json:"clients"`
	Workers    int         `json:"workers"`
	Entries    int64       `json:"entries"`
	DoneDirs   int64       `json:"done_dirs"`
	QueuedDirs int64       `json:"queued_dirs"`
	Bytes      int64       `json:"bytes"`
	Errors     int64       `json:"errors"`
}

func jobOf(j *hydra.JobStatus) jobJSON {
	at := func(t time.Time) *time.Time {
		if t.IsZero() {
			return nil
		}
		t = t.UTC()
		return &t
	}
	p := &j.Progress
	doc := jobJSON{
		Job: j.Job, App: j.App, Priority: j.Priority, Phase: j.Phase, State: j.State, Reason: j.Reason, Step: j.Step, Waits: j.Waits,
		Submitted: at(j.Submitted), Started: at(j.Started), Finished: at(j.Finished), Clients: j.Clients, Workers: p.Workers,
		Entries: p.Entries, DoneDirs: p.DirsDone, QueuedDirs: p.DirsQueued, Bytes: p.Bytes, Errors: p.Errors,
	}
	exact := true
	for _, path := range j.Paths {
		p := stats.PathOf(path)
		doc.Paths, doc.PathsB64 = append(doc.Paths, p.Printable), append(doc.PathsB64, []byte(path))
		exact = exact && p.Bytes == nil
	}
	if exact {
		doc.PathsB64 = nil
	}
	return doc
}

func printJSON(w io.Writer, doc any) error {
	text, err := json.Marshal(doc)
	if err == nil {
		_, err = w.Write(hydra.Lay(text))
	}
	return err
}

// stateOf is how a job does, in a word or two.
func stateOf(j *hydra.JobStatus) string {
	if j.State != "" && j.Phase == "ended" {
		return string(j.State)
	}
	if j.Phase == "finishing" && j.Step != "" {
		return j.Phase + ": " + j.Step
	}
	return j.Phase
}

func pathsOf(j *hydra.JobStatus) string {
	var paths []string
	for _, path := range j.Paths {
		paths = append(paths, printable(path))
	}
	const shown = 3
	if len(paths) > shown {
		paths = append(paths[:shown], fmt.Sprintf("and %d more", len(paths)-shown))
	}
	return strings.Join(paths, " ")
}

func (p *program) jobList() *cobra.Command {
	return p.jobOrLocal(&cobra.Command{
		Use:     "list [flags]",
		Aliases: []string{"ls"},
		Short:   "List all jobs",
		Long:    "List all jobs of a server, in the order in which they were submitted.",
		Example: "  " + p.name + " job list\n\n  # for a script\n  " + p.name + " job list --json | jq -r '.jobs[] | select(.phase == \"running\") | .job'",
		Args:    cobra.NoArgs,
	}, defineJSON, func(ctx context.Context, c *call, s *hydra.Server, _ []string) error {
		jobs, err := s.Jobs(ctx)
		if err != nil {
			return err
		}
		return c.printJobs(jobs, "at "+s.Address())
	}, (*call).listLocal)
}

// printJobs prints the list of jobs of some place.
func (c *call) printJobs(jobs []hydra.JobStatus, place string) error {
	if c.json {
		all := []jobJSON{}
		for i := range jobs {
			all = append(all, jobOf(&jobs[i]))
		}
		return printJSON(c.stdout, struct {
			Schema string    `json:"schema"`
			Jobs   []jobJSON `json:"jobs"`
		}{"hydra.jobs/1", all})
	}
	if len(jobs) == 0 {
		c.say("there are no jobs " + place)
		return nil
	}
	w := tabwriter.NewWriter(c.stdout, 0, 0, 2, ' ', 0)
	if c.local {
		fmt.Fprintln(w, "Name\tApplication\tState\tAge\tEntries\tErrors\tPaths")
	} else {
		fmt.Fprintln(w, "ID\tApplication\tState\tAge\tPriority\tClients\tEntries\tErrors\tPaths")
	}
	for i := range jobs {
		j := &jobs[i]
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t", j.Job, j.App, stateOf(j), age(time.Since(j.Submitted)))
		if !c.local {
			fmt.Fprintf(w, "%d\t%d\t", j.Priority, j.Clients)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\n", humanize.Comma(j.Progress.Entries), humanize.Comma(j.Progress.Errors), pathsOf(j))
	}
	return w.Flush()
}
