package check

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/hydrawalk/hydra/internal/report"
)

// formatFlag is how findings are written.
type formatFlag string

var formats = []string{"table", "jsonl", "csv", "xlsx"}

// String implements [pflag.Value].
func (f *formatFlag) String() string { return string(*f) }

// Type implements [pflag.Value].
func (f *formatFlag) Type() string { return "FORMAT" }

// Set implements [pflag.Value].
func (f *formatFlag) Set(text string) error {
	if !slices.Contains(formats, text) {
		return fmt.Errorf("%q is none of %s", text, strings.Join(formats, ", "))
	}
	*f = formatFlag(text)
	return nil
}

// sink takes findings, one after the other.
type sink interface {
	// add takes a finding, and the line that it came as.
	add(f *finding, line []byte) error
	close() error
}

// output makes findings of lines, and candidates into findings.
type output struct {
	sink   sink
	joiner joiner
	err    error
}

func newOutput(format formatFlag, w io.Writer) (*output, error) {
	switch format {
	case "jsonl":
		return &output{sink: &lines{w}}, nil
	case "csv":
		return &output{sink: newCSV(w)}, nil
	case "xlsx":
		s, err := newSpool(w)
		if err != nil {
			return nil, err
		}
		return &output{sink: s}, nil
	}
	return &output{sink: &printer{w: bufio.NewWriter(w)}}, nil
}

// Write takes whole lines.
func (o *output) Write(p []byte) (int, error) {
	if o.err != nil {
		return 0, o.err
	}
	for line := range bytes.Lines(p) {
		f := new(finding)
		if err := json.Unmarshal(line, f); err != nil {
			o.err = fmt.Errorf("a finding makes no sense: %w", err)
			return 0, o.err
		}
		if f.Kind == candidate {
			o.err = o.joiner.add(f)
		} else {
			o.err = o.sink.add(f, line)
		}
		if o.err != nil {
			return 0, o.err
		}
	}
	if s, ok := o.sink.(*printer); ok {
		o.err = s.w.Flush() // somebody may be looking
	}
	return len(p), o.err
}

// Close implements [io.Closer].
func (o *output) Close() error {
	for _, f := range o.joiner.findings() {
		if o.err != nil {
			break
		}
		var line []byte
		if line, o.err = json.Marshal(f); o.err == nil {
			o.err = o.sink.add(f, append(line, '\n'))
		}
	}
	return errors.Join(o.err, o.sink.close())
}

// lines writes findings as lines of JSON.
type lines struct{ w io.Writer }

func (l *lines) add(_ *finding, line []byte) error {
	_, err := l.w.Write(line)
	return err
}

func (l *lines) close() error { return nil }

// printer writes findings for people: the check, the path, and what it is about. Names
// that would do something to a terminal are quoted.
type printer struct {
	w     *bufio.Writer
	began bool
}

func (p *printer) add(f *finding, _ []byte) error {
	if !p.began {
		p.began = true
		fmt.Fprintf(p.w, "%-17s %s\n", "CHECK", "PATH: DETAIL")
	}
	text := f.shown(f.Path.String())
	if about := f.about(); about != "" {
		text += ": " + about
	}
	_, err := fmt.Fprintf(p.w, "%-17s %s\n", f.Check, text)
	return err
}

func (p *printer) close() error { return p.w.Flush() }

// about says what a finding is about, in one line.
func (f *finding) about() string {
	var parts []string
	if f.Detail != "" {
		parts = append(parts, f.Detail)
	}
	if f.Limit > 0 {
		parts = append(parts, fmt.Sprintf("more than %s", f.limit()))
	}
	if f.OtherPath != "" {
		parts = append(parts, "see "+f.shown(bytesOr(f.OtherBytes, f.OtherPath)))
	}
	if f.Target != "" {
		parts = append(parts, "leads to "+report.Printable(bytesOr(f.TargetB64, f.Target)))
	}
	return strings.Join(parts, ", ")
}

// shown is a path for people: quoted where its end, or its characters, would not be seen.
func (f *finding) shown(path string) string {
	if f.Check == kinds[normalization].key {
		return strconv.QuoteToASCII(path)
	}
	if strings.TrimSpace(path) != path {
		return strconv.Quote(path)
	}
	return report.Printable(path)
}

func (f *finding) limit() string {
	if f.Kind == kinds[fileSize].by || f.Kind == kinds[sparse].by {
		return report.Size(f.Limit)
	}
	return fmt.Sprint(f.Limit)
}

func bytesOr(b []byte, text string) string {
	if len(b) > 0 {
		return string(b)
	}
	return text
}

// printable is text that a terminal shows as it is.
func printable(text []byte) string { return report.Printable(string(text)) }

var columns = []report.Column{
	{Title: "Check", Key: "check", Width: 18},
	{Title: "Path", Key: "path", Width: 80},
	{Title: "Type", Key: "type", Width: 10},
	{Title: "Detail", Key: "detail", Width: 40},
	{Title: "Value", Key: "value", Number: true, Width: 14},
	{Title: "Limit", Key: "limit", Number: true, Width: 14},
	{Title: "See", Key: "other_path", Width: 60},
	{Title: "Leads to", Key: "target_path", Width: 60},
	{Title: "Kind", Key: "kind", Width: 34},
}

func (f *finding) cells(row []any) []any {
	number := func(n int64) any {
		if n == 0 {
			return nil
		}
		return n
	}
	path := func(b []byte, text string) any {
		if text == "" {
			return nil
		}
		return report.Path(bytesOr(b, text))
	}
	return append(row[:0], f.Check, report.Path(f.Path.String()), f.Type, f.Detail, number(f.Value), number(f.Limit),
		path(f.OtherBytes, f.OtherPath), path(f.TargetB64, f.Target), f.Kind)
}

// csvSink writes findings as CSV while they come.
type csvSink struct {
	pipe *io.PipeWriter
	to   *json.Encoder
	done chan error
}

func newCSV(w io.Writer) *csvSink {
	r, pipe := io.Pipe()
	s := &csvSink{pipe: pipe, to: json.NewEncoder(pipe), done: make(chan error, 1)}
	go func() {
		rows, failed := readFindings(r)
		err := report.CSV(w, &report.Table{Name: "Findings", Key: "findings", Columns: columns, Rows: rows})
		err = errors.Join(err, *failed)
		r.CloseWithError(err) // who adds hears of it
		s.done <- err
	}()
	return s
}

func (s *csvSink) add(f *finding, _ []byte) error { return s.to.Encode(f) }

func (s *csvSink) close() error {
	s.pipe.Close()
	return <-s.done
}

// readFindings are rows of what is read, up to an error.
func readFindings(r io.Reader) (rows func(func([]any) bool), failed *error) {
	failed = new(error)
	return func(yield func([]any) bool) {
		in := json.NewDecoder(r)
		row := make([]any, 0, len(columns))
		for {
			var f finding
			if err := in.Decode(&f); err != nil {
				if err != io.EOF {
					*failed = err
				}
				return
			}
			if row = f.cells(row); !yield(row) {
				return
			}
		}
	}, failed
}

// spool keeps findings in a temporary file until all are there, for a workbook.
type spool struct {
	w    io.Writer
	file *os.File
	buf  *bufio.Writer
}

func newSpool(w io.Writer) (*spool, error) {
	file, err := os.CreateTemp("", "hydra-check-")
	if err != nil {
		return nil, err
	}
	return &spool{w: w, file: file, buf: bufio.NewWriter(file)}, nil
}

func (s *spool) add(_ *finding, line []byte) error {
	_, err := s.buf.Write(line)
	return err
}

func (s *spool) close() error {
	defer os.Remove(s.file.Name())
	defer s.file.Close()
	if err := s.buf.Flush(); err != nil {
		return err
	}
	var failed error
	rows := func(yield func([]any) bool) {
		if _, err := s.file.Seek(0, io.SeekStart); err != nil {
			failed = err
			return
		}
		rows, err := readFindings(bufio.NewReader(s.file))
		rows(yield)
		failed = *err
	}
	err := report.Excel(s.w, &report.Document{
		Title: "Findings", Program: "hydra check",
		Tables: []report.Table{{Name: "Findings", Key: "findings", Columns: columns, Rows: rows}},
	})
	return errors.Join(err, failed)
}
