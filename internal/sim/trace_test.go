package sim

import (
	"context"
	"strings"
	"time"

	"github.com/hydrawalk/hydra/internal/bus"
	"github.com/hydrawalk/hydra/internal/ledger"
	"github.com/hydrawalk/hydra/internal/wire"
)

// trace logs what is written about a job, until the engine is closed.
func (w *world) trace(job string) {
	ctx := context.Background()
	var table bus.Table
	for table == nil {
		t, err := w.own.Open(ctx, wire.Table(job))
		select {
		case <-w.over:
			return
		case <-time.After(time.Millisecond):
		}
		if err == nil {
			table = t
		}
	}
	watch, err := table.Watch(ctx, "")
	if err != nil {
		return
	}
	defer watch.Stop()
	for v := range watch.Updates() {
		r, s := new(ledger.Record), new(ledger.State)
		switch {
		case v.Key == wire.KeyState && ledger.Decode(v.Data, s) == nil:
			w.log.Debug("STATE", "rev", v.Rev, "phase", s.Phase, "moves", len(s.Moves), "settled", len(s.Settled), "careful", len(s.Careful), "outs", len(s.Outs), "suspects", s.Suspects, "avoid", s.Avoid)
		case strings.HasPrefix(v.Key, wire.PrefixRec) && ledger.Decode(v.Data, r) == nil:
			careful := 0
			for _, i := range r.Held {
				if i.Careful {
					careful++
				}
			}
			w.log.Debug("RECORD", "session", r.Session, "host", r.Host, "n", r.N, "end", r.End, "in", r.In, "held", len(r.Held), "careful", careful, "outs", len(r.Outs),
				"named", len(r.Named), "alone", r.Alone, "found", r.Totals.FoundDirs, "known", r.Totals.ExpectedDirs())
		}
	}
}
