package hydra

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/hydrawalk/hydra/internal/bus"
	"github.com/hydrawalk/hydra/internal/ledger"
	"github.com/hydrawalk/hydra/internal/wire"
)

// KeepActs writes what a job changed into a file of [ActsDir], before the job is removed.
// It returns the file's path, "" if the job changed nothing.
func (s *Server) KeepActs(ctx context.Context, job string) (path string, err error) {
	dir, err := ActsDir()
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	f, err := os.CreateTemp(dir, "."+job+"-*")
	if err != nil {
		return "", err
	}
	defer os.Remove(f.Name()) // if it is there still
	w := bufio.NewWriter(f)
	lines := &lineCounter{w: w}
	var usage *UsageError
	err = s.WriteActs(ctx, job, lines)
	if errors.As(err, &usage) {
		err, lines.n = nil, 0 // it is of an application that changes nothing
	}
	err = errors.Join(err, w.Flush(), f.Sync(), f.Close())
	if err != nil || lines.n < 2 {
		return "", err
	}
	path = filepath.Join(dir, job+".jsonl")
	return path, os.Rename(f.Name(), path)
}

// lineCounter counts writes, which are lines.
type lineCounter struct {
	w io.Writer
	n int
}

func (c *lineCounter) Write(p []byte) (int, error) {
	c.n++
	return c.w.Write(p)
}

// WriteActs writes what a job changed, or was about to change, as lines of JSON: see
// [ActSchema]. It can be asked for while the job runs. Each line also names the session
// of the act, which together with worker, batch and index tells acts apart; the last
// line of an act says what came of it.
func (s *Server) WriteActs(ctx context.Context, job string, w io.Writer) error {
	table, err := s.bus.Open(ctx, wire.Table(job))
	if errors.Is(err, bus.ErrNoTable) || errors.Is(err, bus.ErrName) {
		return fmt.Errorf("there is no job %s", job)
	}
	if err != nil {
		return fmt.Errorf("job %s: %w", job, err)
	}
	spec := new(wire.Spec)
	if err := read(ctx, table, wire.KeySpec, spec); err != nil {
		return fmt.Errorf("job %s: %w", job, err)
	}
	if !spec.Changes {
		return &UsageError{fmt.Errorf("job %s is one of %s, which changes nothing", job, spec.App)}
	}
	head := newActHead(spec.Job, spec.App, "", specRoots(spec), spec.Settings)
	head.Started = spec.Submitted.UTC()
	text, err := json.Marshal(head)
	if err != nil {
		return err
	}
	if _, err := w.Write(append(printed(text), '\n')); err != nil {
		return err
	}
	var line []byte
	err = readActs(ctx, table, func(of ledger.SessionID, l *actLine, _ bool) error {
		if l.State == actNote || l.State == actRenew {
			return nil
		}
		if l.Session == "" {
			l.Session = string(of)
		}
		line = appendLine(line[:0], *l)
		_, err := w.Write(line)
		return err
	})
	if err != nil {
		return fmt.Errorf("the acts of job %s: %w", job, err)
	}
	return nil
}
