package find

import (
	"bytes"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/hydrawalk/hydra"
)

// newWriter makes of what workers emitted what is printed.
//
//	frames ─ sorter ─► lines that end with NUL ─ lines ─► where they are wanted
func newWriter(s *Settings, w io.Writer) (io.WriteCloser, error) {
	t, is := w.(hydra.Terminal)
	terminal := is && t.IsTerminal()
	var out io.Writer = w
	switch text := s.Format == asText || s.Format == asLong; {
	case terminal:
		end := byte('\n') // of JSON and CSV
		if text {
			end = 0
		}
		out = &screen{w: w, end: end, null: s.Null && text}
	case text && !s.Null:
		out = &lines{w: w}
	}
	if s.Format == asCSV {
		if _, err := io.WriteString(w, strings.Join(csvHeader, ",")+"\n"); err != nil {
			return nil, err
		}
	}
	if s.Sort != "" {
		return newSorter(s, out), nil
	}
	return open{out}, nil
}

// open is a writer that needs no end.
type open struct{ io.Writer }

func (open) Close() error { return nil }

// lines makes newlines of NULs.
type lines struct {
	w   io.Writer
	buf []byte
}

func (l *lines) Write(p []byte) (int, error) {
	l.buf = append(l.buf[:0], p...)
	for rest := l.buf; ; {
		i := bytes.IndexByte(rest, 0)
		if i < 0 {
			break
		}
		rest[i] = '\n'
		rest = rest[i+1:]
	}
	if _, err := l.w.Write(l.buf); err != nil {
		return 0, err
	}
	return len(p), nil
}

// screen escapes what a terminal would not show as itself: it may do anything with it.
type screen struct {
	w    io.Writer
	end  byte // of a line
	null bool // is asked for
	buf  []byte
}

func (s *screen) Write(p []byte) (int, error) {
	s.buf = s.buf[:0]
	for rest := p; len(rest) > 0; {
		r, n := utf8.DecodeRune(rest)
		switch {
		case rest[0] == s.end && s.null:
			s.buf = append(s.buf, 0)
		case rest[0] == s.end:
			s.buf = append(s.buf, '\n')
		case r == utf8.RuneError && n == 1:
			s.buf = fmt.Appendf(s.buf, "\\x%02x", rest[0])
		case unicode.IsPrint(r):
			s.buf = append(s.buf, rest[:n]...)
		default:
			quoted := strconv.QuoteRune(r)
			s.buf = append(s.buf, quoted[1:len(quoted)-1]...)
		}
		rest = rest[n:]
	}
	if _, err := s.w.Write(s.buf); err != nil {
		return 0, err
	}
	return len(p), nil
}
