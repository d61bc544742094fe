package joblog

import (
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"
)

// Record is a line of the log that is kept for others.
type Record struct {
	At     time.Time // of the first one
	Level  slog.Level
	Logger string
	Text   string // the message and its attributes, on one line
	Count  int    // so many in a row were the same
}

// Bounds of what is kept.
const (
	mostRecords = 256
	mostBytes   = 64 << 10
	mostText    = 1000 // bytes of a record
	mostValue   = 300  // bytes of a value
	mostName    = 64   // bytes of a name or key
	overhead    = 64   // of a record in a message
)

func (r *Record) size() int { return len(r.Text) + len(r.Logger) + overhead }

// ring holds records until they are taken. When it is full the newest are
// dropped: the first ones tell how it began.
type ring struct {
	mu      sync.Mutex
	records []Record
	bytes   int
	dropped uint64
}

func (r *ring) add(n Record) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if i := len(r.records) - 1; i >= 0 {
		if last := &r.records[i]; last.Text == n.Text && last.Level == n.Level && last.Logger == n.Logger {
			last.Count++
			return
		}
	}
	if len(r.records) == mostRecords || r.bytes+n.size() > mostBytes {
		r.dropped++
		return
	}
	r.records = append(r.records, n)
	r.bytes += n.size()
}

func (r *ring) take(max int) ([]Record, uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	n, size := 0, 0
	for n < len(r.records) && size+r.records[n].size() <= max {
		size += r.records[n].size()
		n++
	}
	taken := r.records[:n:n]
	r.records = append([]Record(nil), r.records[n:]...)
	r.bytes -= size
	return taken, r.dropped
}

// render makes a record of a line at once: its values may change later.
func (h *handler) render(r *slog.Record) Record {
	rest := ""
	r.Attrs(func(a slog.Attr) bool {
		rest = appendAttr(rest, h.group, a)
		return len(rest) < mostText
	})
	at := r.Time
	if at.Year() < 1970 || at.Year() > 9999 {
		at = time.Now() // there is none, or none that can be sent
	}
	// What is told of this line alone says more than what is told with each.
	text := clean(r.Message, mostText) + rest + h.attrs
	return Record{At: at, Level: r.Level, Logger: clean(h.name, mostName), Text: cut(text, mostText), Count: 1}
}

// appendAttr appends " key=value".
func appendAttr(to, group string, a slog.Attr) string {
	if len(to) >= mostText {
		return to
	}
	v := a.Value.Resolve()
	if v.Kind() == slog.KindGroup {
		if a.Key != "" {
			group += clean(a.Key, mostName) + "."
		}
		for _, member := range v.Group() {
			to = appendAttr(to, group, member)
		}
		return to
	}
	if a.Equal(slog.Attr{}) {
		return to
	}
	return to + " " + group + clean(a.Key, mostName) + "=" + value(v)
}

func value(v slog.Value) string {
	text := ""
	if v.Kind() == slog.KindString {
		text = v.String()
	} else {
		text = fmt.Sprint(v.Any()) // which lives through a String that panics
	}
	short := cut(text, mostValue)
	odd := func(r rune) bool { return r == ' ' || r == '=' || r == '"' }
	if short == "" || strings.ContainsFunc(short, odd) || hasOdd(short) {
		short = strconv.Quote(short)
	}
	return short
}

// Clean is a text on one line, of at most so many bytes, in which there is
// nothing that a terminal would obey: what has that is quoted.
func Clean(text string, most int) string { return clean(text, most) }

func clean(text string, most int) string {
	text = cut(text, most)
	if !hasOdd(text) {
		return text
	}
	quoted := strconv.Quote(text)
	return cut(quoted[1:len(quoted)-1], most)
}

func hasOdd(text string) bool {
	return !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) })
}

// cut bounds a text, and leaves its runes whole.
func cut(text string, most int) string {
	if len(text) <= most {
		return text
	}
	const more = "..."
	most -= len(more)
	for range utf8.UTFMax - 1 {
		if utf8.RuneStart(text[most]) {
			break
		}
		most--
	}
	return text[:most] + more
}
