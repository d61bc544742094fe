package cli

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"

	"github.com/hydrawalk/hydra"
)

// output is where the output of an application goes: standard output, or the file of
// --output. Its methods may be called on nil.
type output struct {
	w    io.Writer
	file *os.File // of t; nil: standard output
	t    *target
	// pipe is notified while standard output is written to; nobody looks.
	pipe chan os.Signal
}

// terminal is standard output that somebody looks at.
type terminal struct{ *os.File }

// IsTerminal implements [hydra.Terminal].
func (terminal) IsTerminal() bool { return true }

// openOutput opens where the output goes, if there is one and it is wanted: the JSON document
// takes its place on standard output.
func (c *call) openOutput(o *hydra.Options) error {
	switch {
	case !c.info.Emits:
		return nil
	case c.target.set():
		f, err := c.target.open()
		if err != nil {
			return err
		}
		c.out = &output{w: f, file: f, t: &c.target}
	case c.format.value == "json":
		return nil
	case isTerminal(c.stdout):
		c.out = &output{w: terminal{c.stdout}}
	default:
		c.out = &output{w: c.stdout}
		if brokenPipe != nil {
			// What is to become of a job has still to be said, or done.
			c.out.pipe = make(chan os.Signal, 1)
			signal.Notify(c.out.pipe, brokenPipe)
		}
	}
	o.Output = c.out.w
	return nil
}

// failed tells whether a run ended because its output could not be written.
func (o *output) failed(err error) bool {
	var lost *hydra.OutputError
	return o != nil && errors.As(err, &lost)
}

// broke tells whether it ended because nobody reads its output any more.
func (o *output) broke(err error) bool { return o.failed(err) && isClosedPipe(err) }

// close puts the file in its place.
func (o *output) close() error {
	if o == nil || o.file == nil {
		return nil
	}
	f := o.file
	o.file = nil
	return o.t.finish(f)
}

// discard removes what was begun, unless it was closed, and ends its use.
func (o *output) discard() {
	if o != nil && o.pipe != nil {
		signal.Stop(o.pipe)
	}
	if o != nil && o.file != nil {
		_ = o.file.Close() // nobody wants it
		o.t.discard()
	}
}

// drawsBeside tells whether progress can be drawn while there is output.
func (c *call) drawsBeside() bool {
	_, both := c.outWriter().(terminal)
	return c.screen.terminal && !both
}

func (c *call) outWriter() io.Writer {
	if c.out == nil {
		return nil
	}
	return c.out.w
}

// printBeside prints for people what is not in the output, on standard error. An
// application that has nothing to say there is silent when all is well.
func (c *call) printBeside(doc hydra.Document) error {
	if c.quiet {
		return nil // the exit code says whether something is missing
	}
	var b bytes.Buffer
	if c.info.Summarizes {
		if err := writeText(&b, doc, c.colored(false), c.jobText(doc)); err != nil {
			return err
		}
	} else {
		c.complain(&b, doc)
	}
	_, err := c.screen.Write(b.Bytes())
	return err
}

// mostComplaints is how many errors are listed where nothing else is said.
const mostComplaints = 20

// complain says what is missing, a line for each.
func (c *call) complain(b *bytes.Buffer, doc hydra.Document) {
	o := doc.Common()
	say := func(text string) { fmt.Fprintf(b, "%s: %s\n", c.title, text) }
	for _, r := range o.Refused {
		say("a client took no part: " + printable(r))
	}
	if o.IsComplete() {
		return
	}
	left := o.Walked.Errors
	for i := range o.Errors[:min(len(o.Errors), mostComplaints)] {
		e := &o.Errors[i]
		say(fmt.Sprintf("%s %s: %s", e.Op, printable(e.Path), printable(e.Error)))
		left -= e.Count
	}
	if left > 0 {
		say(fmt.Sprintf("%s: see --errors FILE or --json", count(left, "more error")))
	}
	if o.State != hydra.Complete && c.again(doc) != "" && (o.State == hydra.Cancelled || o.State == hydra.Interrupted) {
		say("it goes on with `" + c.again(doc) + "`")
	}
}

// open opens the file for what comes bit by bit: finish puts it in its place.
func (t *target) open() (*os.File, error) {
	if t.direct {
		return os.OpenFile(t.path, os.O_WRONLY, 0)
	}
	return t.create()
}

// finish ends what open began.
func (t *target) finish(f *os.File) error {
	if t.direct {
		return f.Close()
	}
	defer t.discard()
	if st, err := os.Stat(t.path); err == nil {
		_ = f.Chmod(st.Mode().Perm()) // as the file was before, if that is possible
	}
	syncErr := f.Sync()
	if err := cmp.Or(syncErr, f.Close()); err != nil {
		return named(err, t.path)
	}
	err := t.rename()
	if err == nil {
		return nil
	}
	// As in write: perhaps it can be written to.
	worse := t.overwrite(func(w io.Writer) error {
		from, err := os.Open(t.temp)
		if err != nil {
			return err
		}
		defer from.Close()
		_, err = io.Copy(w, from)
		return err
	})
	if worse != nil {
		return errors.Join(err, worse)
	}
	return nil
}
