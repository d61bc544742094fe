package cli

import (
	"io"
	"os"
	"sync"

	"golang.org/x/term"
)

// screen is standard error: messages, log lines and one line of progress at the
// bottom that is redrawn. Whatever is written goes above that line. Any
// goroutine may use it.
type screen struct {
	terminal bool // w is one
	fd       int

	mu   sync.Mutex
	w    io.Writer
	line string // drawn at the moment; "" if none is
}

func newScreen(f *os.File) *screen {
	fd := int(f.Fd())
	return &screen{w: f, fd: fd, terminal: term.IsTerminal(fd) && os.Getenv("TERM") != "dumb"}
}

const eraseLine = "\r\x1b[K"

// Write implements [io.Writer]. It is called with whole lines.
func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.line == "" {
		return s.w.Write(p)
	}
	if _, err := io.WriteString(s.w, eraseLine); err != nil {
		return 0, err
	}
	n, err := s.w.Write(p)
	if err == nil {
		_, err = io.WriteString(s.w, s.line)
	}
	return n, err
}

// draw replaces the line of progress; "" takes it away.
func (s *screen) draw(line string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.line == "" && line == "" {
		return
	}
	s.line = line
	// Progress that can not be shown is no reason to fail.
	_, _ = io.WriteString(s.w, eraseLine+line)
}

// width is the number of columns.
func (s *screen) width() int {
	if w, _, err := term.GetSize(s.fd); err == nil && w > 0 {
		return w
	}
	return 80
}
