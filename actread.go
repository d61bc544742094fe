package hydra

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/hydrawalk/hydra/internal/bus"
	"github.com/hydrawalk/hydra/internal/ledger"
	"github.com/hydrawalk/hydra/internal/wire"
)

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
