package cli

import (
	"io"
	"os"
	"strings"
	"sync"

	"golang.org/x/term"
)

// screen is standard error: messages, log lines and a line or two of progress at
// the bottom that are redrawn. Whatever is written goes above them. Any
// goroutine may use it.
type screen struct {
	terminal bool // w is one
	fd       int

	mu    sync.Mutex
	w     io.Writer
	lines string // drawn at the moment; "" if none are
}

func newScreen(f *os.File) *screen {
	fd := int(f.Fd())
	return &screen{w: f, fd: fd, terminal: term.IsTerminal(fd) && os.Getenv("TERM") != "dumb"}
}

const (
	eraseLine = "\r\x1b[K"
	lineAbove = "\x1b[A"
)

// erase takes away what is drawn.
func (s *screen) erase() string {
	return eraseLine + strings.Repeat(lineAbove+eraseLine, strings.Count(s.lines, "\n"))
}

// Write implements [io.Writer]. It is called with whole lines.
func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lines == "" {
		return s.w.Write(p)
	}
	if _, err := io.WriteString(s.w, s.erase()); err != nil {
		return 0, err
	}
	n, err := s.w.Write(p)
	if err == nil {
		_, err = io.WriteString(s.w, s.lines)
	}
	return n, err
}

// draw replaces the lines of progress; "" takes them away.
func (s *screen) draw(lines string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lines == "" && lines == "" {
		return
	}
	// Progress that can not be shown is no reason to fail.
	_, _ = io.WriteString(s.w, s.erase()+lines)
	s.lines = lines
}

// leave takes away what is drawn before the process ends, unless somebody is
// writing: that may take for ever.
func (s *screen) leave() {
	if s.mu.TryLock() {
		defer s.mu.Unlock()
		if s.lines != "" {
			_, _ = io.WriteString(s.w, s.erase())
		}
	}
}

// width is the number of columns.
func (s *screen) width() int {
	if w, _, err := term.GetSize(s.fd); err == nil && w > 0 {
		return w
	}
	return 80
}
