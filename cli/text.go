package cli

import (
	"bytes"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/dustin/go-humanize"
	"github.com/hydrawalk/hydra"
	"github.com/hydrawalk/hydra/walk"
)

// listedErrors is how many errors are printed for people.
const listedErrors = 5

// style makes text stand out on a terminal.
type style bool

func (s style) paint(code, text string) string {
	if !s {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

func (s style) bold(text string) string { return s.paint("1", text) }
func (s style) good(text string) string { return s.paint("32", text) }
func (s style) bad(text string) string  { return s.paint("1;31", text) }

// jobText is what people are told of a job, nothing if there is none.
type jobText struct {
	remote bool   // it is one of a server
	again  string // the command that lets it go on
	acts   string // the one that prints what it changed, "" if it changes nothing
	undo   string // and the one that takes it back
}

// writeText writes a result for people: what was walked, the application's
// statistics, and what is missing from them.
func writeText(w io.Writer, doc hydra.Document, colored bool, j jobText) error {
	var b bytes.Buffer
	o, s := doc.Common(), style(colored)
	writeHead(&b, o, s, j.remote)
	if nothing := o.State == hydra.Failed && o.Walked.ProcessedDirs == 0 && o.Walked.ProcessedFiles == 0; !nothing {
		b.WriteByte('\n')
		if err := doc.WriteText(&b); err != nil {
			return err
		}
	}
	writeSnapshots(&b, o)
	writeRefused(&b, o, s)
	writeShortcomings(&b, o, s)
	if j.acts != "" && !o.DryRun {
		fmt.Fprintf(&b, "\nWhat was changed is written down: `%s` prints it, and `%s` takes back what can be.\n", j.acts, j.undo)
	}
	if j.again != "" && (o.State == hydra.Cancelled || o.State == hydra.Interrupted) {
		fmt.Fprintf(&b, "It goes on with `%s`.\n", j.again)
	}
	_, err := w.Write(b.Bytes())
	return err
}

func writeHead(b *bytes.Buffer, o *hydra.Outcome, s style, remote bool) {
	state := s.good("complete")
	if !o.IsComplete() {
		state = s.bad("NOT COMPLETE")
	}
	who := count(int64(o.Workers), "worker")
	if remote {
		who += " on " + count(int64(o.Clients), "client")
	}
	fmt.Fprintf(b, "%s  %s in %s with %s\n", s.bold(o.App), state, seconds(o.Wall()), who)
	const shown = 4
	for i, p := range o.Paths {
		if i == shown && len(o.Paths) > shown+1 {
			fmt.Fprintf(b, "  and %s\n", count(int64(len(o.Paths)-shown), "more path"))
			break
		}
		fmt.Fprintf(b, "  %s\n", printable(p))
	}
	writePrefixes(b, o, s)
}

// writeSnapshots says which snapshots were left out.
func writeSnapshots(b *bytes.Buffer, o *hydra.Outcome) {
	n := o.Walked.SnapshotDirs
	if n == 0 {
		return
	}
	const shown = 2
	var names []string
	for _, path := range o.Snapshots[:min(len(o.Snapshots), shown)] {
		names = append(names, printable(path))
	}
	list := strings.Join(names, ", ")
	if more := n - int64(len(names)); more > 0 {
		list += fmt.Sprintf(" and %s more", humanize.Comma(more))
	}
	fmt.Fprintf(b, "\nSnapshots left out  %s: %s (--snapshots enters)\n", humanize.Comma(n), list)
}

// writeRefused says which clients took no part, and why.
func writeRefused(b *bytes.Buffer, o *hydra.Outcome, s style) {
	if len(o.Refused) == 0 {
		return
	}
	fmt.Fprintf(b, "\n%s:\n", s.bold(count(int64(len(o.Refused)), "client")+" took no part"))
	for _, r := range o.Refused {
		fmt.Fprintf(b, "  %s\n", printable(r))
	}
}

// writeShortcomings says why a result is not complete, and what to do.
func writeShortcomings(b *bytes.Buffer, o *hydra.Outcome, s style) {
	if o.IsComplete() {
		return
	}
	fmt.Fprintf(b, "\n%s: %s\n", s.bad("NOT COMPLETE"), shortcoming(o))
	for i := range o.Errors[:min(len(o.Errors), listedErrors)] {
		e := &o.Errors[i]
		times := ""
		if e.Count > 1 {
			times = fmt.Sprintf(" (%d times)", e.Count)
		}
		fmt.Fprintf(b, "  %s %s: %s%s\n", e.Op, printable(e.Path), printable(e.Error), times)
	}
	var listed int64
	for i := range o.Errors[:min(len(o.Errors), listedErrors)] {
		listed += o.Errors[i].Count
	}
	if more := o.Walked.Errors - listed; more > 0 {
		fmt.Fprintf(b, "  and %s: see --errors FILE or --json\n", count(more, "more error"))
	}
	if hint := remedy(o); hint != "" {
		fmt.Fprintf(b, "%s\n", hint)
	}
}

// shortcoming says in one line what is missing from a result.
func shortcoming(o *hydra.Outcome) string {
	var parts []string
	if o.Reason != "" {
		parts = append(parts, printable(o.Reason))
	}
	if n := o.Walked.QueuedDirs; n > 0 {
		parts = append(parts, count(n, "directory")+" still waiting")
	}
	if n := o.Walked.Errors; n > 0 {
		parts = append(parts, count(n, "error"))
	}
	return strings.Join(parts, ", ")
}

// remedy says what can be done.
func remedy(o *hydra.Outcome) string {
	denied, unread, undone := false, false, false
	for i := range o.Errors {
		e := &o.Errors[i]
		denied = denied || strings.HasPrefix(e.Error, "permission denied")
		switch e.Op {
		case walk.OpRemove, walk.OpMove, walk.OpMake, "rmdir", "exec":
			undone = true
		default:
			unread = true
		}
	}
	switch {
	case o.State == hydra.Interrupted:
		return "The numbers cover what was done until then."
	case o.State == hydra.Failed:
		return ""
	case denied && !unread:
		return "Run it as a user who may do that, or leave it out with --exclude."
	case denied:
		return "Run it as a user who may read all of it, or leave that out with --exclude."
	case undone && !unread:
		return ""
	case o.Walked.Errors > 0:
		return "The numbers do not cover what failed."
	}
	return "The numbers cover what was done until then."
}

// printable is text as it may be shown on a terminal: quoted if it holds
// control characters or is not UTF-8.
func printable(text string) string {
	odd := func(r rune) bool { return r == unicode.ReplacementChar || !unicode.IsPrint(r) }
	if text == "" || strings.IndexFunc(text, odd) >= 0 {
		return strconv.Quote(text)
	}
	return text
}

// escaped is a message as it may be shown on a terminal: it may hold a name, with
// any bytes in it.
func escaped(text string) string {
	var b strings.Builder
	for i, r := range text {
		switch {
		case r == utf8.RuneError && !strings.HasPrefix(text[i:], string(utf8.RuneError)):
			fmt.Fprintf(&b, "\\x%02x", text[i])
		case unicode.IsPrint(r) || r == '\n':
			b.WriteRune(r)
		default:
			quoted := strconv.QuoteRune(r)
			b.WriteString(quoted[1 : len(quoted)-1])
		}
	}
	return b.String()
}

// seconds is a duration for people.
func seconds(d time.Duration) string {
	switch {
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < time.Minute:
		return fmt.Sprintf("%.1f s", d.Seconds())
	}
	return clock(d)
}

// shellWord is text as it can be pasted into a shell.
func shellWord(text string) string {
	plain := func(r rune) bool {
		return unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune("/._-+,:@%", r)
	}
	if text != "" && strings.IndexFunc(text, func(r rune) bool { return !plain(r) }) < 0 {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}
