package hydra

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"time"
	"unicode"
	"unicode/utf16"

	"github.com/hydrawalk/hydra/stats"
	"github.com/hydrawalk/hydra/walk"
)

// State says how a run ended.
type State string

// How a run can end.
const (
	// Complete: the walk ran to its end. Some entries may have failed.
	Complete State = "complete"
	// Interrupted: the context was cancelled.
	Interrupted State = "interrupted"
	// Stopped: a handler ended the walk, or the error limit was reached.
	Stopped State = "stopped"
	// Cancelled: a user ended the job. It can be resumed.
	Cancelled State = "cancelled"
	// Failed: the walk as a whole could not go on.
	Failed State = "failed"
	// Running: of a [Server.Snapshot], the job has not ended.
	Running State = "running"
)

// Outcome says how a run went, whatever the application.
type Outcome struct {
	Job      string // names the run
	App      string
	State    State
	Reason   string // why the state is another than Complete, for people
	Paths    []string
	Started  time.Time
	Finished time.Time
	Clients  int // processes that walked
	Workers  int // most workers at a time
	// Refused are clients that took no part, and why: they see other trees, or do not
	// allow the application to change anything.
	Refused []string

	// Prefixes are the mounts through which was walked, if there were several.
	Prefixes []Prefix

	// Walked counts what was found and what became of it.
	Walked walk.Totals

	// Errors are the 1,000 smallest by path, then by operation.
	Errors []ErrorItem
	// ErrorCounts counts all errors by operation.
	ErrorCounts map[string]int64

	// Snapshots are the 100 smallest paths of those that were left out;
	// Walked.SnapshotDirs counts all.
	Snapshots []string

	// Settings are those that the application ran with, as JSON: those that held
	// last, if some were changed meanwhile.
	Settings json.RawMessage
	// Changes are what users changed of a job while it ran, the last 100 of
	// ChangeCount.
	Changes     []Change
	ChangeCount int

	// Phases is what the application's phases attached, by name.
	Phases map[string]json.RawMessage

	// DryRun says that nothing was changed, and that the statistics count what would be.
	DryRun bool

	// Acts is the file in which a run in this process wrote down what it changed.
	Acts string
}

// Change is a setting of a job that a user changed while it ran.
type Change struct {
	At    time.Time `json:"at"`
	Key   string    `json:"key"`
	Value string    `json:"value"`
}

// Wall is how long the run took.
func (o *Outcome) Wall() time.Duration { return o.Finished.Sub(o.Started) }

// IsComplete says that every directory and every entry that was found was
// processed or left out on purpose.
func (o *Outcome) IsComplete() bool { return o.State == Complete && o.Walked.Complete() }

// Common implements [Document].
func (o *Outcome) Common() *Outcome { return o }

// Result is what came of a run. Its JSON is the document hydra.result/1.
type Result[S any] struct {
	Outcome
	// Stats are the statistics of all workers.
	Stats *S
	// Log is for what somebody should look at when the application finishes.
	Log *slog.Logger

	summarize func(io.Writer, *Result[S]) error
	report    func(w io.Writer, name string) error
	found     func(*S) int64
}

// Document is a [Result] whose types do not matter any more.
type Document interface {
	json.Marshaler
	// Common is the part that every application's result has.
	Common() *Outcome
	// WriteText writes the statistics for people.
	WriteText(w io.Writer) error
	// WriteReport writes the report that the end of a file's name asks for.
	WriteReport(w io.Writer, name string) error
	// Found is how many problems the application found.
	Found() int64
}

// Found implements [Document].
func (r *Result[S]) Found() int64 {
	if r.found == nil {
		return 0
	}
	return r.found(r.Stats)
}

// WriteReport implements [Document].
func (r *Result[S]) WriteReport(w io.Writer, name string) error {
	if r.report == nil {
		return errors.New("this result was not made by Run")
	}
	return r.report(w, name)
}

// WriteText implements [Document].
func (r *Result[S]) WriteText(w io.Writer) error {
	if r.summarize != nil {
		return r.summarize(w, r)
	}
	t := &r.Walked
	_, err := fmt.Fprintf(w, "%d directories and %d entries processed, %d skipped, %d left out\n",
		t.ProcessedDirs, t.ProcessedFiles, t.SkippedFiles, t.FilteredDirs+t.FilteredFiles)
	return err
}

type resultJSON struct {
	Schema        string                     `json:"schema"`
	Job           string                     `json:"job"`
	App           string                     `json:"app"`
	State         State                      `json:"state"`
	Reason        string                     `json:"reason,omitempty"`
	Paths         []string                   `json:"paths"`
	PathsB64      [][]byte                   `json:"paths_b64,omitempty"` // of all, if one is not UTF-8
	Started       time.Time                  `json:"started"`
	Finished      time.Time                  `json:"finished"`
	WallSeconds   float64                    `json:"wall_seconds"`
	Clients       int                        `json:"clients"`
	Workers       int                        `json:"workers"`
	Refused       []string                   `json:"refused_clients,omitempty"`
	Prefixes      []prefixJSON               `json:"prefixes,omitempty"`
	DryRun        bool                       `json:"dry_run,omitempty"`
	Complete      bool                       `json:"complete"`
	ExpectedDirs  int64                      `json:"expected_dirs"`
	ProcessedDirs int64                      `json:"processed_dirs"`
	FilteredDirs  int64                      `json:"filtered_dirs"`
	SnapshotDirs  int64                      `json:"snapshot_dirs"`
	FailedDirs    int64                      `json:"failed_dirs"`
	VanishedDirs  int64                      `json:"vanished_dirs"`
	VanishedFiles int64                      `json:"vanished_files"`
	Errors        []errorJSON                `json:"errors"`
	ErrorCounts   map[string]int64           `json:"error_counts"`
	Snapshots     []stats.Path               `json:"snapshots"`
	Settings      json.RawMessage            `json:"settings"`
	Changes       []Change                   `json:"settings_changes,omitempty"`
	ChangeCount   int                        `json:"settings_changes_count,omitempty"`
	Phases        map[string]json.RawMessage `json:"phases,omitempty"`
	Acts          *stats.Path                `json:"acts,omitempty"`
	Stats         json.RawMessage            `json:"stats"`
}

type errorJSON struct {
	Op string `json:"op"`
	stats.Path
	Error string `json:"error"`
	Count int64  `json:"count,omitempty"`
}

// baseJSON are the counters that begin the statistics of every application.
type baseJSON struct {
	ProcessedDirs  int64 `json:"processed_dirs"`
	FilteredDirs   int64 `json:"filtered_dirs"`
	ProcessedFiles int64 `json:"processed_files"`
	FilteredFiles  int64 `json:"filtered_files"`
	SkippedFiles   int64 `json:"skipped_files"`
	FailedFiles    int64 `json:"failed_files"`
	QueuedDirs     int64 `json:"queued_dirs"`
	QueuedFiles    int64 `json:"queued_files"`
}

// pathOf is nil for no path.
func pathOf(path string) *stats.Path {
	if path == "" {
		return nil
	}
	p := stats.PathOf(path)
	return &p
}

// MarshalJSON implements [json.Marshaler].
func (r *Result[S]) MarshalJSON() ([]byte, error) { return r.MarshalAs("hydra.result/1") }

// MarshalAs is MarshalJSON for a document that calls itself by another schema: an
// application's own report.
func (r *Result[S]) MarshalAs(schema string) ([]byte, error) {
	t := &r.Walked
	flat, err := flatten(baseJSON{
		ProcessedDirs:  t.ProcessedDirs,
		FilteredDirs:   t.FilteredDirs,
		ProcessedFiles: t.ProcessedFiles,
		FilteredFiles:  t.FilteredFiles,
		SkippedFiles:   t.SkippedFiles,
		FailedFiles:    t.FailedFiles,
		QueuedDirs:     t.QueuedDirs,
		QueuedFiles:    t.QueuedFiles,
	}, r.Stats)
	if err != nil {
		return nil, err
	}
	doc := resultJSON{
		Schema:        schema,
		Job:           r.Job,
		App:           r.App,
		State:         r.State,
		Reason:        r.Reason,
		Started:       r.Started.UTC(),
		Finished:      r.Finished.UTC(),
		WallSeconds:   r.Wall().Seconds(),
		Clients:       r.Clients,
		Workers:       r.Workers,
		Refused:       r.Refused,
		DryRun:        r.DryRun,
		Complete:      r.IsComplete(),
		ExpectedDirs:  t.ExpectedDirs(),
		ProcessedDirs: t.ProcessedDirs,
		FilteredDirs:  t.FilteredDirs,
		SnapshotDirs:  t.SnapshotDirs,
		FailedDirs:    t.FailedDirs,
		VanishedDirs:  t.VanishedDirs,
		VanishedFiles: t.VanishedFiles,
		Errors:        make([]errorJSON, 0, len(r.Errors)),
		ErrorCounts:   r.ErrorCounts,
		Snapshots:     make([]stats.Path, 0, len(r.Snapshots)),
		Settings:      r.Settings,
		Changes:       r.Changes,
		ChangeCount:   r.ChangeCount,
		Phases:        r.Phases,
		Acts:          pathOf(r.Acts),
		Stats:         noStats,
	}
	doc.Paths, doc.PathsB64 = pathLists(r.Paths)
	for _, p := range r.Prefixes {
		doc.Prefixes = append(doc.Prefixes, prefixJSON{stats.PathOf(p.Path), p.Dirs, p.Out, p.Why})
	}
	for _, e := range r.Errors {
		doc.Errors = append(doc.Errors, errorJSON{e.Op, stats.PathOf(e.Path), e.Error, e.Count})
	}
	for _, path := range r.Snapshots {
		doc.Snapshots = append(doc.Snapshots, stats.PathOf(path))
	}
	text, err := json.Marshal(doc)
	if err != nil {
		return nil, err
	}
	// Statistics may be large, and are JSON already: they are put in as they are.
	text = append(text[:len(text)-len(noStats)-1], flat...)
	return printed(append(text, '}')), nil
}

// Lay sets a document out for people: its fields, and those of its statistics, on
// lines of their own, but each statistic on one line, however long: a histogram
// by age and size would take hundreds. text is JSON without blanks, as
// MarshalJSON returns it.
func Lay(text []byte) []byte {
	const deepest = 2 // that is laid out
	out := make([]byte, 0, len(text)+len(text)/8+4096)
	depth := 0
	line := func() {
		out = append(out, '\n')
		for range depth {
			out = append(out, "  "...)
		}
	}
	for i := 0; i < len(text); i++ {
		b := text[i]
		if b == '"' {
			// A string as a whole.
			end := i + 1
			for ; end < len(text) && text[end] != '"'; end++ {
				if text[end] == '\\' {
					end++
				}
			}
			out = append(out, text[i:min(end+1, len(text))]...)
			i = end
			continue
		}
		closes := b == '}' || b == ']'
		empty := i > 0 && closes && (text[i-1] == '{' || text[i-1] == '[')
		if closes {
			depth--
			if depth < deepest && !empty {
				line()
			}
		}
		out = append(out, b)
		switch {
		case b == '{' || b == '[':
			depth++
			if next := i + 1; depth <= deepest && next < len(text) && text[next] != '}' && text[next] != ']' {
				line()
			}
		case b == ',' && depth <= deepest:
			line()
		case b == ':' && depth <= deepest:
			out = append(out, ' ')
		}
	}
	return append(out, '\n')
}

// noStats stands for the statistics, which end the document.
var noStats = json.RawMessage("{}")

// printed is JSON for what may be shown on a terminal: what would not print as
// itself is escaped.
func printed(text []byte) []byte {
	odd := func(r rune) bool { return r > unicode.MaxASCII && !unicode.IsPrint(r) || r == 0x7f }
	if !slices.ContainsFunc(text, func(b byte) bool { return b >= 0x7f }) || bytes.IndexFunc(text, odd) < 0 {
		return text
	}
	var b bytes.Buffer
	for _, r := range string(text) {
		switch {
		case !odd(r):
			b.WriteRune(r)
		case r > 0xffff:
			hi, lo := utf16.EncodeRune(r)
			fmt.Fprintf(&b, `\u%04x\u%04x`, hi, lo)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.Bytes()
}

// flatten makes one JSON object of the fields of two.
func flatten(base, more any) ([]byte, error) {
	first, err := json.Marshal(base)
	if err != nil {
		return nil, err
	}
	second, err := compact(more)
	if err != nil {
		return nil, err
	}
	switch {
	case !bytes.HasPrefix(second, []byte("{")):
		return nil, errors.New("the statistics are no JSON object")
	case bytes.Equal(second, noStats):
		return first, nil
	}
	// first ends and second begins with a brace: put a comma between them.
	return bytes.Join([][]byte{first[:len(first)-1], second[1:]}, []byte(",")), nil
}

// compact is json.Marshal, but takes what a MarshalJSON returns as it is if that
// begins as this package needs it: large statistics are not gone over once more.
func compact(v any) ([]byte, error) {
	m, ok := v.(json.Marshaler)
	if !ok {
		return json.Marshal(v)
	}
	text, err := m.MarshalJSON()
	if err != nil || !bytes.HasPrefix(text, []byte(`{"`)) {
		return json.Marshal(v)
	}
	return text, nil
}

// checkStats tells whether statistics can stand beside the base counters.
func checkStats(s any) error {
	var base, own map[string]json.RawMessage
	for _, one := range []struct {
		v    any
		into *map[string]json.RawMessage
	}{{baseJSON{}, &base}, {s, &own}} {
		text, err := json.Marshal(one.v)
		if err == nil {
			err = json.Unmarshal(text, one.into)
		}
		if err != nil {
			return fmt.Errorf("they are no JSON object: %w", err)
		}
	}
	for name := range own {
		if _, twice := base[name]; twice {
			return fmt.Errorf("they have %s, which is a base counter", name)
		}
	}
	return nil
}

// pathLists is the printable form of paths and, if that is not exactly what one
// of them is, the bytes of all.
func pathLists(paths []string) (printable []string, all [][]byte) {
	exact := true
	for _, path := range paths {
		p := stats.PathOf(path)
		printable = append(printable, p.Printable)
		all = append(all, []byte(path))
		exact = exact && p.Bytes == nil
	}
	if exact {
		all = nil
	}
	return printable, all
}
